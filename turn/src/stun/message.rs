//! Reading a message in place.

use std::net::SocketAddr;

use super::{
    Attribute, AttributeType, Class, ErrorCode, HEADER_LEN, IntegrityKey, MAGIC_COOKIE, Method, Sha256Key,
    StunError, TransactionId, USERNAME_MAX, address, class_and_method, integrity, padded,
};

/// A well-formed message. Nothing is known yet about who wrote it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    class: Class,
    method: Method,
    id: TransactionId,
    bytes: &'a [u8],
    /// The attributes anybody may look at: up to the first that speaks about those before it.
    attributes: &'a [u8],
    integrity: Option<Trailer<'a>>,
    integrity_sha256: Option<Trailer<'a>>,
    fingerprint: Option<Trailer<'a>>,
}

/// An attribute that speaks about the bytes before it.
#[derive(Clone, Copy, Debug)]
struct Trailer<'a> {
    before: &'a [u8],
    value: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads one datagram that is one message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StunError> {
        let (header, body) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(StunError::Length)?;
        let &[t0, t1, l0, l1, c0, c1, c2, c3, ref id @ ..] = header;
        if t0 & 0xc0 != 0 || u32::from_be_bytes([c0, c1, c2, c3]) != MAGIC_COOKIE {
            return Err(StunError::NotStun);
        }
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if len != body.len() || len % 4 != 0 {
            return Err(StunError::Length);
        }

        let (class, method) = class_and_method(u16::from_be_bytes([t0, t1]));
        let mut message = Self {
            class,
            method,
            id: TransactionId(*id),
            bytes,
            attributes: body,
            integrity: None,
            integrity_sha256: None,
            fingerprint: None,
        };
        message.find_trailers(body)?;
        Ok(message)
    }

    /// Request, indication or response.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// What it is about.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// Pairs a response with its request.
    #[must_use]
    pub fn transaction_id(&self) -> TransactionId {
        self.id
    }

    /// All of it, as it came.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The attributes before MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT, in their order.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes { rest: self.attributes }
    }

    /// The value of an attribute; of several, the first (RFC 8489 §14).
    #[must_use]
    pub fn attribute(&self, kind: AttributeType) -> Option<&'a [u8]> {
        self.attributes().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
    }

    /// USERNAME, unless it is longer than [`USERNAME_MAX`].
    #[must_use]
    pub fn username(&self) -> Option<&'a [u8]> {
        self.attribute(AttributeType::USERNAME).filter(|name| name.len() <= USERNAME_MAX)
    }

    /// PRIORITY.
    #[must_use]
    pub fn priority(&self) -> Option<u32> {
        let value = self.attribute(AttributeType::PRIORITY)?.try_into().ok()?;
        Some(u32::from_be_bytes(value))
    }

    /// Whether the controlling agent nominates this pair (RFC 8445 §7.1.2).
    #[must_use]
    pub fn use_candidate(&self) -> bool {
        self.attribute(AttributeType::USE_CANDIDATE).is_some()
    }

    /// The tiebreaker of an agent that calls itself controlling.
    #[must_use]
    pub fn ice_controlling(&self) -> Option<u64> {
        let value = self.attribute(AttributeType::ICE_CONTROLLING)?.try_into().ok()?;
        Some(u64::from_be_bytes(value))
    }

    /// The tiebreaker of an agent that calls itself controlled.
    #[must_use]
    pub fn ice_controlled(&self) -> Option<u64> {
        let value = self.attribute(AttributeType::ICE_CONTROLLED)?.try_into().ok()?;
        Some(u64::from_be_bytes(value))
    }

    /// ERROR-CODE.
    #[must_use]
    pub fn error_code(&self) -> Option<ErrorCode> {
        ErrorCode::from_bytes(self.attribute(AttributeType::ERROR_CODE)?)
    }

    /// XOR-MAPPED-ADDRESS.
    #[must_use]
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        self.xor_address(self.attribute(AttributeType::XOR_MAPPED_ADDRESS)?)
    }

    /// The value of an attribute of the form of XOR-MAPPED-ADDRESS.
    #[must_use]
    pub fn xor_address(&self, value: &[u8]) -> Option<SocketAddr> {
        address::read_xor(value, self.id)
    }

    /// Attributes that must be understood and are not among `known` (RFC 8489 §6.3).
    pub fn unknown_attributes(&self, known: &[AttributeType]) -> impl Iterator<Item = AttributeType> {
        self.attributes()
            .map(|attribute| attribute.kind)
            .filter(|kind| kind.comprehension_required() && !known.contains(kind))
    }

    /// Whether whoever wrote the message knows the key.
    pub fn check_integrity(&self, key: &IntegrityKey) -> Result<(), StunError> {
        let Some(trailer) = self.integrity else {
            return Err(StunError::Missing(AttributeType::MESSAGE_INTEGRITY.0));
        };
        key.verify(trailer.before, trailer.value)
    }

    /// Whether there is a MESSAGE-INTEGRITY.
    #[must_use]
    pub fn has_integrity(&self) -> bool {
        self.integrity.is_some()
    }

    /// Whether there is a MESSAGE-INTEGRITY-SHA256.
    #[must_use]
    pub fn has_integrity_sha256(&self) -> bool {
        self.integrity_sha256.is_some()
    }

    /// Whether whoever wrote the message knows the key, by MESSAGE-INTEGRITY-SHA256.
    pub fn check_integrity_sha256(&self, key: &Sha256Key) -> Result<(), StunError> {
        let Some(trailer) = self.integrity_sha256 else {
            return Err(StunError::Missing(AttributeType::MESSAGE_INTEGRITY_SHA256.0));
        };
        key.verify(trailer.before, trailer.value)
    }

    /// Whether there is a FINGERPRINT.
    #[must_use]
    pub fn has_fingerprint(&self) -> bool {
        self.fingerprint.is_some()
    }

    /// Whether FINGERPRINT is there and right.
    pub fn check_fingerprint(&self) -> Result<(), StunError> {
        let Some(trailer) = self.fingerprint else {
            return Err(StunError::Missing(AttributeType::FINGERPRINT.0));
        };
        if integrity::fingerprint(trailer.before).to_be_bytes() != *trailer.value {
            return Err(StunError::Fingerprint);
        }
        Ok(())
    }

    /// Walks all attributes once, so that no later walk can fail, and notes those that end what may be read.
    fn find_trailers(&mut self, body: &'a [u8]) -> Result<(), StunError> {
        let mut rest = body;
        while !rest.is_empty() {
            if self.fingerprint.is_some() {
                return Err(StunError::AfterFingerprint);
            }
            let offset = body.len() - rest.len();
            let (attribute, after) = split_attribute(rest)?;
            rest = after;

            let trailer = Trailer {
                before: self.bytes.get(..HEADER_LEN + offset).unwrap_or_default(),
                value: attribute.value,
            };
            if attribute.kind == AttributeType::FINGERPRINT {
                self.fingerprint = Some(trailer);
            } else if attribute.kind == AttributeType::MESSAGE_INTEGRITY
                && self.integrity.is_none()
                && self.integrity_sha256.is_none()
            {
                self.integrity = Some(trailer);
            } else if attribute.kind == AttributeType::MESSAGE_INTEGRITY_SHA256
                && self.integrity_sha256.is_none()
            {
                self.integrity_sha256 = Some(trailer);
            } else {
                continue;
            }
            let end = offset.min(self.attributes.len());
            self.attributes = body.get(..end).unwrap_or_default();
        }
        Ok(())
    }
}

/// Walks attributes.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (attribute, rest) = split_attribute(self.rest).ok()?;
        self.rest = rest;
        Some(attribute)
    }
}

/// RFC 8489 §14: type, length, value, padding.
fn split_attribute(bytes: &[u8]) -> Result<(Attribute<'_>, &[u8]), StunError> {
    let (&[t0, t1, l0, l1], rest) = bytes.split_first_chunk::<4>().ok_or(StunError::Length)?;
    let kind = u16::from_be_bytes([t0, t1]);
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    let (Some(value), Some(after)) = (rest.get(..len), rest.get(padded(len)..)) else {
        return Err(StunError::Attribute(kind));
    };
    Ok((Attribute { kind: AttributeType(kind), value }, after))
}
