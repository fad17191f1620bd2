//! Session Traversal Utilities for NAT (RFC 8489): messages are read in place and written into the caller's buffer.
//!
//! Invariants:
//! - nothing is allocated, neither to read nor to write;
//! - a [`Message`] that exists is well formed: every attribute lies inside it;
//! - what stands behind MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 is not seen by anyone, except MESSAGE-INTEGRITY-SHA256
//!   and FINGERPRINT.

mod address;
mod attribute;
mod builder;
mod integrity;
mod message;

pub use attribute::{Attribute, AttributeType, ErrorCode};
pub use builder::Builder;
pub use integrity::{IntegrityKey, Sha256Key};
pub use message::{Attributes, Message};

/// RFC 8489 §5: the fixed part of every message.
pub const HEADER_LEN: usize = 20;
/// RFC 8489 §5.
pub(crate) const MAGIC_COOKIE: u32 = 0x2112_A442;
/// RFC 8489 §14.3: a username has fewer than 509 bytes.
pub const USERNAME_MAX: usize = 508;

/// RFC 8489 §5: which of the four kinds a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Asks for a response.
    Request,
    /// Asks for nothing.
    Indication,
    /// A request was granted.
    Success,
    /// A request was refused.
    Error,
}

/// RFC 8489 §5: what a message is about, 12 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method(u16);

impl Method {
    /// RFC 8489 §3.
    pub const BINDING: Self = Self(0x001);
    /// RFC 8656 §17.
    pub const ALLOCATE: Self = Self(0x003);
    /// RFC 8656 §17.
    pub const REFRESH: Self = Self(0x004);
    /// RFC 8656 §17.
    pub const SEND: Self = Self(0x006);
    /// RFC 8656 §17.
    pub const DATA: Self = Self(0x007);
    /// RFC 8656 §17.
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// RFC 8656 §17.
    pub const CHANNEL_BIND: Self = Self(0x009);

    /// `None` above 12 bits.
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        if value <= 0x0fff { Some(Self(value)) } else { None }
    }

    /// The number on the wire, without the class bits in it.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }
}

/// RFC 8489 §5: pairs a response with its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// Why bytes are not a STUN message, or why one cannot be written or trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StunError {
    /// Fewer bytes than a header, or than the header announces; or more.
    #[error("the length does not match the header")]
    Length,
    /// The two leading bits or the magic cookie are wrong.
    #[error("not a stun message")]
    NotStun,
    /// An attribute reaches over the end.
    #[error("attribute {0:#06x} is cut short")]
    Attribute(u16),
    /// Something stands behind FINGERPRINT.
    #[error("fingerprint is not the last attribute")]
    AfterFingerprint,
    /// There is no such attribute in the message.
    #[error("attribute {0:#06x} is missing")]
    Missing(u16),
    /// MESSAGE-INTEGRITY does not match the key.
    #[error("message integrity does not match")]
    Integrity,
    /// FINGERPRINT does not match the message.
    #[error("fingerprint does not match")]
    Fingerprint,
    /// The message does not fit into the buffer.
    #[error("the message does not fit into the buffer")]
    NoRoom,
}

/// RFC 8489 §5: the class bits C1 and C0 stand between the bits of the method.
const fn message_type(class: Class, method: Method) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    let method = method.0;
    (method & 0x000f) | (method & 0x0070) << 1 | (method & 0x0f80) << 2 | class
}

/// The inverse of [`message_type`]; the two leading bits are not looked at.
const fn class_and_method(message_type: u16) -> (Class, Method) {
    let class = match message_type & 0x0110 {
        0x0000 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    };
    let method = (message_type & 0x000f) | (message_type & 0x00e0) >> 1 | (message_type & 0x3e00) >> 2;
    (class, Method(method))
}

/// Attributes are padded to 32 bits (RFC 8489 §14).
pub(crate) const fn padded(len: usize) -> usize {
    len.saturating_add(3) & !3
}

#[cfg(test)]
mod tests;
