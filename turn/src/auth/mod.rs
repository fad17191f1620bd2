//! Who asks: the long-term credentials of RFC 8489 §9.2.4, with passwords hashed by MD5 or SHA-256.
//!
//! Invariants:
//! - nothing is remembered of who is not authenticated: a nonce proves by itself that it is ours;
//! - a nonce is looked at before a password, so that a flood of invented requests costs one HMAC each. (RFC 8489 lists the
//!   password first; a client sees the difference only when both are wrong, and begins anew either way.)
//! - comparisons take the same time wherever they fail.

mod key;
mod nonce;

use std::time::{Duration, SystemTime};

pub(crate) use self::key::SigningKey;
pub(crate) use self::nonce::NONCE_MAX;
use self::{
    key::{Algorithm, LongTermKey},
    nonce::{Features, Nonces},
};
use crate::{
    credentials::{Credentials, Existence, userhash},
    stun::{AttributeType, ErrorCode, Message},
    tuple::{FiveTuple, Transport},
};

/// To whom SHA-256 is offered. The offer makes a first answer 28 bytes longer, and on UDP anybody can have that sent to
/// anybody; clients that know SHA-256 are still served when they use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OfferSha256 {
    /// To everybody.
    Everywhere,
    /// To those whose address is known to be theirs.
    #[default]
    Streams,
    /// To nobody.
    Nowhere,
}

/// PASSWORD-ALGORITHMS as it is offered (RFC 8489 §14.11): SHA-256 before MD5, neither with parameters.
pub(crate) const PASSWORD_ALGORITHMS: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

/// Knows everybody.
#[derive(Debug)]
pub struct Authenticator {
    realm: String,
    credentials: Credentials,
    nonces: Nonces,
    offer: OfferSha256,
}

/// Someone whose password was right.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    /// Whom quotas and bills name.
    pub(crate) user: &'a [u8],
    /// As it stood in the request.
    pub(crate) username: &'a [u8],
    pub(crate) key: SigningKey,
}

/// Who was found to ask.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// Whoever made the allocation.
    Owner,
    /// Somebody with a good password.
    Caller(Caller<'a>),
}

/// Who made the allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) username: &'a [u8],
    pub(crate) key: &'a SigningKey,
}

/// Why a request is not listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Try again with this realm and a fresh nonce.
    Challenge(ErrorCode, Failure),
    /// It cannot be understood.
    Bad,
}

/// What was wrong, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing: a first request has no credentials.
    First,
    Nonce,
    Realm,
    Password,
}

impl Authenticator {
    /// `key` is random and the same for all workers: a nonce made by one is good for all.
    #[must_use]
    pub fn new(
        realm: &str,
        credentials: Credentials,
        offer: OfferSha256,
        key: [u8; 32],
        nonce_lifetime: Duration,
    ) -> Self {
        Self { realm: realm.into(), credentials, nonces: Nonces::new(&key, nonce_lifetime), offer }
    }

    pub(crate) fn realm(&self) -> &str {
        &self.realm
    }

    /// Whether SHA-256 is offered to this client.
    pub(crate) fn offers(&self, transport: Transport) -> bool {
        match self.offer {
            OfferSha256::Everywhere => true,
            OfferSha256::Streams => transport.is_stream(),
            OfferSha256::Nowhere => false,
        }
    }

    /// A nonce for this client; tells its length.
    pub(crate) fn write_nonce(
        &self,
        tuple: &FiveTuple,
        wall: SystemTime,
        out: &mut [u8; NONCE_MAX],
    ) -> usize {
        let features = self
            .offers(tuple.transport)
            .then(|| Features { algorithms: true, anonymity: self.credentials.knows_hashes() });
        self.nonces.write(tuple, features, wall, out)
    }

    /// RFC 8489 §9.2.4.
    pub(crate) fn check<'a>(
        &'a self,
        message: &Message<'a>,
        tuple: &FiveTuple,
        known: Option<Known<'_>>,
        wall: SystemTime,
    ) -> Result<Found<'a>, Refused> {
        if !message.has_integrity() && !message.has_integrity_sha256() {
            return Err(Refused::Challenge(ErrorCode::UNAUTHENTICATED, Failure::First));
        }
        let hash = message.attribute(AttributeType::USERHASH);
        let (Some(realm), Some(nonce)) =
            (message.attribute(AttributeType::REALM), message.attribute(AttributeType::NONCE))
        else {
            return Err(Refused::Bad);
        };
        if message.attribute(AttributeType::USERNAME).is_none() && hash.is_none() {
            return Err(Refused::Bad);
        }
        let Some(features) = self.nonces.check(nonce, tuple, wall) else {
            return Err(Refused::Challenge(ErrorCode::STALE_NONCE, Failure::Nonce));
        };
        let algorithm = algorithm(message, features)?;
        if realm != self.realm.as_bytes() {
            return Err(Refused::Challenge(ErrorCode::UNAUTHENTICATED, Failure::Realm));
        }

        let wrong = Refused::Challenge(ErrorCode::UNAUTHENTICATED, Failure::Password);
        if let Some(known) = known
            && self.names(message, known.username)
            && known.key.signed(message)
        {
            return Ok(Found::Owner);
        }
        let username = match message.attribute(AttributeType::USERNAME) {
            Some(_) => message.username(),
            None => hash.and_then(|hash| self.credentials.name_of(hash)),
        };
        let username = username.ok_or(wrong)?;
        let account = self.credentials.account(username, wall);
        let key = self.credentials.try_passwords(&account, |password, existence| {
            let key = LongTermKey::derive(algorithm, username, &self.realm, password).for_message(message);
            (key.signed(message) && existence == Existence::Real).then_some(key)
        });
        Ok(Found::Caller(Caller { user: account.user, username, key: key.ok_or(wrong)? }))
    }

    /// Whether USERNAME or USERHASH is this one.
    fn names(&self, message: &Message<'_>, username: &[u8]) -> bool {
        match message.attribute(AttributeType::USERNAME) {
            Some(name) => name == username,
            None => message
                .attribute(AttributeType::USERHASH)
                .is_some_and(|hash| userhash(username, &self.realm) == hash),
        }
    }
}

/// How the password of a request is hashed. Someone between could have taken our offer out of the challenge: a client that
/// says what it was offered has to say what we did offer (RFC 8489 §9.2.4).
fn algorithm(message: &Message<'_>, features: Features) -> Result<Algorithm, Refused> {
    let list = message.attribute(AttributeType::PASSWORD_ALGORITHMS);
    let chosen = message.attribute(AttributeType::PASSWORD_ALGORITHM);
    let algorithm = match chosen {
        None => Algorithm::Md5,
        Some([0, 1, 0, 0]) => Algorithm::Md5,
        Some([0, 2, 0, 0]) => Algorithm::Sha256,
        Some(_) => return Err(Refused::Bad),
    };
    let consistent = match (list, chosen) {
        (None, None) => true,
        (Some(list), Some(_)) => list == PASSWORD_ALGORITHMS,
        (_, _) => false,
    };
    if features.algorithms && !consistent { Err(Refused::Bad) } else { Ok(algorithm) }
}

#[cfg(test)]
mod tests;
