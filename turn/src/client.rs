//! The other end, as far as looking whether a relay works needs one: what to ask, and what an answer says.

use std::net::SocketAddr;

use md5::{Digest, Md5};

use crate::{
    channel::ChannelNumber,
    credentials::Minted,
    stun::{
        AttributeType, Builder, Class, ErrorCode, IntegrityKey, Message, Method, StunError, TransactionId,
    },
    tuple::Family,
};

/// Longer than any request of ours.
const REQUEST_MAX: usize = 1_024;
/// REQUESTED-TRANSPORT of UDP (RFC 8656 §18.8).
const UDP: [u8; 4] = [17, 0, 0, 0];

/// Why an answer is not what was hoped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Credentials are asked for, or fresh ones: the request has to be made again.
    #[error("the server asks for credentials")]
    Challenged,
    /// The server refuses.
    #[error("the server refuses with {0}")]
    Refused(u16),
    /// It is not an answer to this request.
    #[error("not an answer to this request")]
    Unrelated,
    /// It is not signed by somebody who knows the password.
    #[error("the answer is not authentic")]
    Forged,
    /// It cannot be read.
    #[error("the answer cannot be read")]
    Malformed(#[from] StunError),
}

/// What a server granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// Where peers reach us now.
    pub relayed: Option<SocketAddr>,
    /// Where the server sees us.
    pub mapped: Option<SocketAddr>,
}

/// One client.
#[derive(Debug)]
pub struct Client {
    username: String,
    password: String,
    challenge: Option<Challenge>,
    next: u64,
}

#[derive(Debug)]
struct Challenge {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    key: IntegrityKey,
}

impl Client {
    /// Somebody with these credentials. `seed` makes transactions its own.
    #[must_use]
    pub fn new(minted: &Minted, seed: u64) -> Self {
        let (username, password) = (minted.username.clone(), minted.password());
        Self { username, password, challenge: None, next: seed }
    }

    /// Binding.
    pub fn binding(&mut self) -> Vec<u8> {
        let id = self.transaction();
        write(|buffer| Builder::new(Class::Request, Method::BINDING, id, buffer).fingerprint())
    }

    /// Allocate a relay of a version of IP.
    pub fn allocate(&mut self, family: Family) -> Vec<u8> {
        self.request(Method::ALLOCATE, |builder| {
            let builder = builder.attribute(AttributeType::REQUESTED_TRANSPORT, &UDP);
            match family {
                Family::V4 => builder,
                Family::V6 => builder.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]),
            }
        })
    }

    /// Refresh to end at once.
    pub fn end(&mut self) -> Vec<u8> {
        self.request(Method::REFRESH, |builder| builder.attribute(AttributeType::LIFETIME, &[0; 4]))
    }

    /// ChannelBind.
    pub fn bind(&mut self, channel: ChannelNumber, peer: SocketAddr) -> Vec<u8> {
        let [high, low] = channel.value().to_be_bytes();
        self.request(Method::CHANNEL_BIND, |builder| {
            let builder = builder.attribute(AttributeType::CHANNEL_NUMBER, &[high, low, 0, 0]);
            builder.xor_address(AttributeType::XOR_PEER_ADDRESS, peer)
        })
    }

    /// Reads the answer to the last request. A challenge is kept for the next one.
    pub fn hear(&mut self, answer: &[u8]) -> Result<Granted, ClientError> {
        let message = Message::parse(answer)?;
        if message.transaction_id() != transaction(self.next) {
            return Err(ClientError::Unrelated);
        }
        match message.class() {
            Class::Success => {}
            Class::Error => return Err(self.refused(&message)),
            Class::Request | Class::Indication => return Err(ClientError::Unrelated),
        }
        if let Some(challenge) = &self.challenge
            && message.method() != Method::BINDING
            && message.check_integrity(&challenge.key).is_err()
        {
            return Err(ClientError::Forged);
        }
        let relayed = message.attribute(AttributeType::XOR_RELAYED_ADDRESS);
        let relayed = relayed.and_then(|value| message.xor_address(value));
        Ok(Granted { relayed, mapped: message.xor_mapped_address() })
    }

    fn refused(&mut self, message: &Message<'_>) -> ClientError {
        let code = message.error_code();
        let realm = message.attribute(AttributeType::REALM);
        let nonce = message.attribute(AttributeType::NONCE);
        let (Some(realm), Some(nonce)) = (realm, nonce) else {
            return ClientError::Refused(code.map_or(0, ErrorCode::value));
        };
        let asks = matches!(code, Some(ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE));
        // The same question once more means that the answer was wrong.
        let again = code == Some(ErrorCode::UNAUTHENTICATED) && self.challenge.is_some();
        if !asks || again {
            return ClientError::Refused(code.map_or(0, ErrorCode::value));
        }
        let hash = Md5::new().chain_update(&self.username).chain_update(b":").chain_update(realm);
        let hash = hash.chain_update(b":").chain_update(&self.password).finalize();
        let key = IntegrityKey::raw(&hash);
        self.challenge = Some(Challenge { realm: realm.into(), nonce: nonce.into(), key });
        ClientError::Challenged
    }

    fn request(&mut self, method: Method, body: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>) -> Vec<u8> {
        let id = self.transaction();
        write(|buffer| {
            let builder = body(Builder::new(Class::Request, method, id, buffer));
            match &self.challenge {
                None => builder,
                Some(Challenge { realm, nonce, key }) => builder
                    .username(self.username.as_bytes())
                    .attribute(AttributeType::REALM, realm)
                    .attribute(AttributeType::NONCE, nonce)
                    .integrity(key),
            }
        })
    }

    fn transaction(&mut self) -> TransactionId {
        self.next = self.next.wrapping_add(1);
        transaction(self.next)
    }
}

fn transaction(number: u64) -> TransactionId {
    let mut id = *b"sabh........";
    for (slot, byte) in id.iter_mut().skip(4).zip(number.to_be_bytes()) {
        *slot = byte;
    }
    TransactionId(id)
}

/// Empty when it does not fit, which only an absurd realm brings about.
fn write(body: impl for<'b> FnOnce(&'b mut [u8]) -> Builder<'b>) -> Vec<u8> {
    let mut buffer = vec![0; REQUEST_MAX];
    let len = body(&mut buffer).finish().unwrap_or(0);
    buffer.truncate(len);
    buffer
}
