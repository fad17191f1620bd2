//! MESSAGE-INTEGRITY (RFC 8489 §14.5), MESSAGE-INTEGRITY-SHA256 (§14.6) and FINGERPRINT (§14.7) over the bytes before them.

use std::fmt;

use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;

use super::{HEADER_LEN, StunError};

/// Type, length and HMAC-SHA1.
pub(super) const INTEGRITY_LEN: usize = 24;
/// HMAC-SHA256.
const SHA256_LEN: usize = 32;
/// Type, length and CRC-32.
pub(super) const FINGERPRINT_LEN: usize = 8;
/// RFC 8489 §14.7: keeps the value apart from a CRC that the application may have written itself.
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// The key of MESSAGE-INTEGRITY, hashed once for all messages.
#[derive(Clone)]
pub struct IntegrityKey(Hmac<Sha1>);

impl IntegrityKey {
    /// RFC 8489 §9.1.1: the password itself (ICE passwords are ASCII, so `OpaqueString` changes nothing).
    #[must_use]
    pub fn short_term(password: &str) -> Self {
        Self::raw(password.as_bytes())
    }

    /// A key that was derived elsewhere (RFC 8489 §9.2.2).
    #[must_use]
    pub fn raw(key: &[u8]) -> Self {
        #[expect(clippy::expect_used, reason = "RFC 2104 takes keys of any length")]
        let mac = Hmac::new_from_slice(key).expect("hmac takes keys of any length");
        Self(mac)
    }

    /// The HMAC over `before`, the message up to the attribute, as if the attribute ended it.
    pub(super) fn sign(&self, before: &[u8]) -> [u8; 20] {
        self.digest(before).finalize().into_bytes().into()
    }

    /// Compares in constant time.
    pub(super) fn verify(&self, before: &[u8], value: &[u8]) -> Result<(), StunError> {
        self.digest(before).verify_slice(value).map_err(|_| StunError::Integrity)
    }

    fn digest(&self, before: &[u8]) -> Hmac<Sha1> {
        digest(&self.0, before, INTEGRITY_LEN)
    }
}

/// The key of MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.6), hashed once for all messages.
#[derive(Clone)]
pub struct Sha256Key(Hmac<Sha256>);

impl Sha256Key {
    /// A key that was derived elsewhere (RFC 8489 §9.2.2).
    #[must_use]
    pub fn raw(key: &[u8]) -> Self {
        #[expect(clippy::expect_used, reason = "RFC 2104 takes keys of any length")]
        let mac = Hmac::new_from_slice(key).expect("hmac takes keys of any length");
        Self(mac)
    }

    /// The HMAC over `before`, the message up to the attribute, as if the attribute ended it.
    pub(super) fn sign(&self, before: &[u8]) -> [u8; SHA256_LEN] {
        digest(&self.0, before, SHA256_LEN + 4).finalize().into_bytes().into()
    }

    /// Compares in constant time. The value may be cut at the end, to 16 bytes and in steps of four.
    pub(super) fn verify(&self, before: &[u8], value: &[u8]) -> Result<(), StunError> {
        if !matches!(value.len(), 16 | 20 | 24 | 28 | SHA256_LEN) {
            return Err(StunError::Integrity);
        }
        let mac = digest(&self.0, before, value.len() + 4);
        mac.verify_truncated_left(value).map_err(|_| StunError::Integrity)
    }
}

impl fmt::Debug for Sha256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

fn digest<M: Mac + Clone>(mac: &M, before: &[u8], attribute_len: usize) -> M {
    let mut mac = mac.clone();
    let (head, rest) = before.split_at(before.len().min(2));
    mac.update(head);
    mac.update(&length_with(before, attribute_len));
    mac.update(rest.get(2..).unwrap_or_default());
    mac
}

impl fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The CRC over `before`, the message up to the attribute, as if the attribute ended it.
pub(super) fn fingerprint(before: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    let (head, rest) = before.split_at(before.len().min(2));
    crc.update(head);
    crc.update(&length_with(before, FINGERPRINT_LEN));
    crc.update(rest.get(2..).unwrap_or_default());
    crc.finalize() ^ FINGERPRINT_XOR
}

/// The header's length field, were the message to end with an attribute of `attribute_len` bytes.
fn length_with(before: &[u8], attribute_len: usize) -> [u8; 2] {
    let len = before.len().saturating_sub(HEADER_LEN).saturating_add(attribute_len);
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}
