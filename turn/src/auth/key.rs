//! Keys of long-term credentials (RFC 8489 §9.2.2).
//!
//! Names and passwords are hashed as they come: who mints them writes ASCII, for which OpaqueString (RFC 8265) changes
//! nothing.

use md5::{Digest, Md5};
use sha2::Sha256;

use crate::stun::{Builder, IntegrityKey, Message, Sha256Key};

/// RFC 8489 §18.5: how a password becomes a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha256,
}

/// What a password comes to.
pub(super) enum LongTermKey {
    Md5([u8; 16]),
    Sha256([u8; 32]),
}

impl LongTermKey {
    pub(super) fn derive(algorithm: Algorithm, username: &[u8], realm: &str, password: &[u8]) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5(hash::<Md5>(username, realm, password).into()),
            Algorithm::Sha256 => Self::Sha256(hash::<Sha256>(username, realm, password).into()),
        }
    }

    /// For the attribute that the message carries.
    pub(super) fn for_message(&self, message: &Message<'_>) -> SigningKey {
        let bytes: &[u8] = match self {
            Self::Md5(key) => key,
            Self::Sha256(key) => key,
        };
        if message.has_integrity_sha256() {
            SigningKey::Sha256(Box::new(Sha256Key::raw(bytes)))
        } else {
            SigningKey::Sha1(Box::new(IntegrityKey::raw(bytes)))
        }
    }
}

fn hash<D: Digest>(username: &[u8], realm: &str, password: &[u8]) -> md5::digest::Output<D> {
    let mut hash = D::new();
    hash.update(username);
    hash.update(b":");
    hash.update(realm.as_bytes());
    hash.update(b":");
    hash.update(password);
    hash.finalize()
}

/// Checks what a client says and signs what it is told, with the attribute that the client began with.
#[derive(Clone, Debug)]
pub(crate) enum SigningKey {
    /// MESSAGE-INTEGRITY.
    Sha1(Box<IntegrityKey>),
    /// MESSAGE-INTEGRITY-SHA256.
    Sha256(Box<Sha256Key>),
}

impl SigningKey {
    pub(crate) fn signed(&self, message: &Message<'_>) -> bool {
        match self {
            Self::Sha1(key) => !message.has_integrity_sha256() && message.check_integrity(key).is_ok(),
            Self::Sha256(key) => message.check_integrity_sha256(key).is_ok(),
        }
    }

    pub(crate) fn sign<'a>(&self, builder: Builder<'a>) -> Builder<'a> {
        match self {
            Self::Sha1(key) => builder.integrity(key),
            Self::Sha256(key) => builder.integrity_sha256(key),
        }
    }
}
