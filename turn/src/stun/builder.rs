//! Writing a message into the caller's buffer.

use std::net::SocketAddr;

use super::{
    AttributeType, Class, ErrorCode, HEADER_LEN, IntegrityKey, MAGIC_COOKIE, Method, Sha256Key, StunError,
    TransactionId, address,
    integrity::{FINGERPRINT_LEN, INTEGRITY_LEN, fingerprint},
    message_type, padded,
};

/// Writes one message. A buffer that is too short is noticed by [`Self::finish`], so calls can be chained.
#[derive(Debug)]
pub struct Builder<'a> {
    buffer: &'a mut [u8],
    id: TransactionId,
    len: usize,
    overflow: bool,
}

impl<'a> Builder<'a> {
    /// Begins a message.
    #[must_use]
    pub fn new(class: Class, method: Method, id: TransactionId, buffer: &'a mut [u8]) -> Self {
        let mut builder = Self { buffer, id, len: 0, overflow: false };
        builder.put(&message_type(class, method).to_be_bytes());
        builder.put(&[0, 0]);
        builder.put(&MAGIC_COOKIE.to_be_bytes());
        builder.put(&id.0);
        builder
    }

    /// Any attribute.
    #[must_use]
    pub fn attribute(mut self, kind: AttributeType, value: &[u8]) -> Self {
        let Ok(len) = u16::try_from(value.len()) else {
            self.overflow = true;
            return self;
        };
        self.put(&kind.0.to_be_bytes());
        self.put(&len.to_be_bytes());
        self.put(value);
        let padding = padded(value.len()) - value.len();
        self.put([0; 3].get(..padding).unwrap_or_default());
        self
    }

    /// USERNAME.
    #[must_use]
    pub fn username(self, name: &[u8]) -> Self {
        self.attribute(AttributeType::USERNAME, name)
    }

    /// PRIORITY.
    #[must_use]
    pub fn priority(self, priority: u32) -> Self {
        self.attribute(AttributeType::PRIORITY, &priority.to_be_bytes())
    }

    /// USE-CANDIDATE.
    #[must_use]
    pub fn use_candidate(self) -> Self {
        self.attribute(AttributeType::USE_CANDIDATE, &[])
    }

    /// ICE-CONTROLLING.
    #[must_use]
    pub fn ice_controlling(self, tiebreaker: u64) -> Self {
        self.attribute(AttributeType::ICE_CONTROLLING, &tiebreaker.to_be_bytes())
    }

    /// ICE-CONTROLLED.
    #[must_use]
    pub fn ice_controlled(self, tiebreaker: u64) -> Self {
        self.attribute(AttributeType::ICE_CONTROLLED, &tiebreaker.to_be_bytes())
    }

    /// XOR-MAPPED-ADDRESS.
    #[must_use]
    pub fn xor_mapped_address(self, addr: SocketAddr) -> Self {
        self.xor_address(AttributeType::XOR_MAPPED_ADDRESS, addr)
    }

    /// Any attribute of the form of XOR-MAPPED-ADDRESS.
    #[must_use]
    pub fn xor_address(self, kind: AttributeType, addr: SocketAddr) -> Self {
        let (value, len) = address::write_xor(addr, self.id);
        self.attribute(kind, value.get(..len).unwrap_or_default())
    }

    /// Any attribute of the form of MAPPED-ADDRESS.
    #[must_use]
    pub fn plain_address(self, kind: AttributeType, addr: SocketAddr) -> Self {
        let (value, len) = address::write_plain(addr);
        self.attribute(kind, value.get(..len).unwrap_or_default())
    }

    /// ERROR-CODE, without a reason phrase.
    #[must_use]
    pub fn error_code(self, code: ErrorCode) -> Self {
        self.attribute(AttributeType::ERROR_CODE, &code.to_bytes())
    }

    /// UNKNOWN-ATTRIBUTES, as many as fit into [`Self::UNKNOWN_MAX`].
    #[must_use]
    pub fn unknown_attributes(self, unknown: impl Iterator<Item = AttributeType>) -> Self {
        let mut value = [0; Self::UNKNOWN_MAX * 2];
        let mut len = 0;
        for (slot, kind) in value.chunks_exact_mut(2).zip(unknown) {
            slot.copy_from_slice(&kind.0.to_be_bytes());
            len += 2;
        }
        self.attribute(AttributeType::UNKNOWN_ATTRIBUTES, value.get(..len).unwrap_or_default())
    }

    /// How many unknown attributes an answer names. Higher: a fuller answer. Lower: a shorter one.
    pub const UNKNOWN_MAX: usize = 8;

    /// MESSAGE-INTEGRITY over all that was written; only FINGERPRINT may follow.
    #[must_use]
    pub fn integrity(self, key: &IntegrityKey) -> Self {
        let Some(before) = self.buffer.get(..self.len) else { return self };
        let value = key.sign(before);
        debug_assert_eq!(padded(value.len()) + 4, INTEGRITY_LEN);
        self.attribute(AttributeType::MESSAGE_INTEGRITY, &value)
    }

    /// MESSAGE-INTEGRITY-SHA256 in full length over all that was written; only FINGERPRINT may follow.
    #[must_use]
    pub fn integrity_sha256(self, key: &Sha256Key) -> Self {
        let Some(before) = self.buffer.get(..self.len) else { return self };
        let value = key.sign(before);
        self.attribute(AttributeType::MESSAGE_INTEGRITY_SHA256, &value)
    }

    /// FINGERPRINT over all that was written; nothing may follow.
    #[must_use]
    pub fn fingerprint(self) -> Self {
        let Some(before) = self.buffer.get(..self.len) else { return self };
        let value = fingerprint(before).to_be_bytes();
        debug_assert_eq!(value.len() + 4, FINGERPRINT_LEN);
        self.attribute(AttributeType::FINGERPRINT, &value)
    }

    /// Ends the message and tells its length.
    pub fn finish(self) -> Result<usize, StunError> {
        let body = u16::try_from(self.len.saturating_sub(HEADER_LEN)).ok();
        let (false, Some(body), Some(field)) = (self.overflow, body, self.buffer.get_mut(2..4)) else {
            return Err(StunError::NoRoom);
        };
        field.copy_from_slice(&body.to_be_bytes());
        Ok(self.len)
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        let Some(slot) = self.buffer.get_mut(self.len..end) else {
            self.overflow = true;
            return;
        };
        slot.copy_from_slice(bytes);
        self.len = end;
    }
}
