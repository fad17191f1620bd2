//! ICE-lite (RFC 8445 §2.5): answers the client's connectivity checks and learns from them where the client is.
//!
//! Invariants:
//! - always the controlled side: it never sends a request and needs no timer of its own;
//! - an address is known only from a request that carried the right MESSAGE-INTEGRITY, never from media;
//! - what is not authentic gets no answer at all, so nothing can be reflected.

mod credentials;
mod paths;

use std::time::Instant;

use turn::stun::{AttributeType, Builder, Class, ErrorCode, IntegrityKey, Message, Method, StunError};

use self::{
    credentials::{Credentials, Signer, Told},
    paths::{Check, Paths},
};
use crate::params::{IceCredentials, Remote};

/// The longest answer: ERROR-CODE, UNKNOWN-ATTRIBUTES, MESSAGE-INTEGRITY and FINGERPRINT.
const ANSWER_MAX: usize = 128;

/// What a check may carry that has to be understood (RFC 8489 §14, RFC 8445 §16.1).
const UNDERSTOOD: &[AttributeType] = &[
    AttributeType::MAPPED_ADDRESS,
    AttributeType::USERNAME,
    AttributeType::MESSAGE_INTEGRITY,
    AttributeType::MESSAGE_INTEGRITY_SHA256,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::PRIORITY,
    AttributeType::USE_CANDIDATE,
];

/// Our side of one client's ICE session.
#[derive(Debug)]
pub struct Agent {
    credentials: Credentials,
    paths: Paths,
}

/// What to do about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A check that succeeded: its sender is a path to the client. The answer goes back to it.
    Accepted(Vec<u8>),
    /// An authentic request that is refused. The answer goes back to its sender.
    Refused(Vec<u8>),
    /// Say nothing.
    Ignored,
}

impl Agent {
    /// An agent that waits for the first check.
    #[must_use]
    pub fn new(local: IceCredentials) -> Self {
        Self { credentials: Credentials::new(local), paths: Paths::default() }
    }

    /// New credentials of ours (RFC 8445 §9): paths stay as they are until the client was heard with these.
    pub fn restart(&mut self, local: IceCredentials, now: Instant) {
        self.credentials.restart(local, now);
    }

    /// The client's credentials. Paths that were learnt while its description was on its way, from somebody who called
    /// itself something else, are forgotten.
    pub fn set_remote(&mut self, remote: &IceCredentials) {
        match self.credentials.set_remote(remote) {
            Told::Same => {}
            Told::Stranger { generation } => self.paths.forget(generation),
        }
    }

    /// Answers one message that came from `from`.
    pub fn handle(&mut self, message: &Message<'_>, from: Remote, now: Instant) -> Reply {
        if message.class() != Class::Request || message.method() != Method::BINDING {
            return Reply::Ignored;
        }
        let Some(signer) = self.authenticate(message, now) else { return Reply::Ignored };

        let mut unknown = message.unknown_attributes(UNDERSTOOD).peekable();
        if unknown.peek().is_some() {
            let answer = answer(message, Class::Error, &signer.key, |builder| {
                builder.error_code(ErrorCode::UNKNOWN_ATTRIBUTE).unknown_attributes(unknown)
            });
            return answer.map_or(Reply::Ignored, Reply::Refused);
        }
        // RFC 8445 §7.3.1.1: a lite agent stays controlled, so whoever claims to be controlled has to change.
        if message.ice_controlled().is_some() {
            let answer = answer(message, Class::Error, &signer.key, |builder| {
                builder.error_code(ErrorCode::ROLE_CONFLICT)
            });
            return answer.map_or(Reply::Ignored, Reply::Refused);
        }

        let answer =
            answer(message, Class::Success, &signer.key, |builder| builder.xor_mapped_address(from.addr));
        let Some(answer) = answer else { return Reply::Ignored };
        let check = Check {
            generation: signer.generation,
            priority: message.priority().unwrap_or_default(),
            nominates: message.use_candidate(),
        };
        self.paths.heard(from, check, now);
        Reply::Accepted(answer)
    }

    /// Where to send: the path the client nominated; before it did, the one it was last heard on.
    #[must_use]
    pub fn selected(&self) -> Option<Remote> {
        self.paths.selected()
    }

    /// When the last authentic check came over the selected path: the age of consent (RFC 7675).
    #[must_use]
    pub fn heard(&self) -> Option<Instant> {
        self.paths.selected_heard()
    }

    /// Whether an authentic check came from there not long ago.
    #[must_use]
    pub fn knows(&self, remote: Remote, now: Instant) -> bool {
        self.paths.knows(remote, now)
    }

    /// Who signed the message; `None` when it is not authentic.
    fn authenticate(&mut self, message: &Message<'_>, now: Instant) -> Option<Signer> {
        let (ours, theirs) = split_username(message.username()?)?;
        let signer = self.credentials.find(ours, theirs, now)?;
        message.check_integrity(&signer.key).ok()?;
        // RFC 8445 asks for FINGERPRINT, yet nothing depends on it where MESSAGE-INTEGRITY matched: only a wrong one
        // is held against the sender.
        match message.check_fingerprint() {
            Ok(()) | Err(StunError::Missing(_)) => {}
            Err(_) => return None,
        }
        self.credentials.heard(&signer, theirs);
        Some(signer)
    }
}

/// RFC 8445 §7.2.2: the username of a check is the receiver's ufrag, a colon, the sender's ufrag.
#[must_use]
pub fn split_username(username: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = username.iter().position(|byte| *byte == b':')?;
    let (ours, theirs) = username.split_at_checked(colon)?;
    Some((ours, theirs.get(1..)?))
}

/// Writes an answer to `request`, signed with the key the request was signed with.
fn answer(
    request: &Message<'_>,
    class: Class,
    key: &IntegrityKey,
    fill: impl FnOnce(Builder<'_>) -> Builder<'_>,
) -> Option<Vec<u8>> {
    let mut buffer = [0; ANSWER_MAX];
    let builder = Builder::new(class, request.method(), request.transaction_id(), &mut buffer);
    let len = fill(builder).integrity(key).fingerprint().finish().ok()?;
    buffer.get(..len).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests;
