//! Attribute numbers and the values that are more than bytes.

/// RFC 8489 §14: what an attribute is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeType(pub u16);

impl AttributeType {
    /// RFC 8489 §14.1.
    pub const MAPPED_ADDRESS: Self = Self(0x0001);
    /// RFC 8489 §14.3.
    pub const USERNAME: Self = Self(0x0006);
    /// RFC 8489 §14.5.
    pub const MESSAGE_INTEGRITY: Self = Self(0x0008);
    /// RFC 8489 §14.8.
    pub const ERROR_CODE: Self = Self(0x0009);
    /// RFC 8489 §14.13.
    pub const UNKNOWN_ATTRIBUTES: Self = Self(0x000A);
    /// RFC 8489 §14.9.
    pub const REALM: Self = Self(0x0014);
    /// RFC 8489 §14.10.
    pub const NONCE: Self = Self(0x0015);
    /// RFC 8489 §14.6.
    pub const MESSAGE_INTEGRITY_SHA256: Self = Self(0x001C);
    /// RFC 8489 §14.2.
    pub const XOR_MAPPED_ADDRESS: Self = Self(0x0020);
    /// RFC 8445 §16.1.
    pub const PRIORITY: Self = Self(0x0024);
    /// RFC 8445 §16.1.
    pub const USE_CANDIDATE: Self = Self(0x0025);
    /// RFC 8489 §14.14.
    pub const SOFTWARE: Self = Self(0x8022);
    /// RFC 8489 §14.7.
    pub const FINGERPRINT: Self = Self(0x8028);
    /// RFC 8445 §16.1.
    pub const ICE_CONTROLLED: Self = Self(0x8029);
    /// RFC 8445 §16.1.
    pub const ICE_CONTROLLING: Self = Self(0x802A);

    /// RFC 8489 §14: whoever does not know it has to refuse the message.
    #[must_use]
    pub const fn comprehension_required(self) -> bool {
        self.0 < 0x8000
    }
}

/// One attribute as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// What it is.
    pub kind: AttributeType,
    /// Its value without padding.
    pub value: &'a [u8],
}

/// RFC 8489 §14.8: why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(u16);

impl ErrorCode {
    /// RFC 8489 §14.8.
    pub const BAD_REQUEST: Self = Self(400);
    /// RFC 8489 §14.8.
    pub const UNAUTHENTICATED: Self = Self(401);
    /// RFC 8489 §14.8.
    pub const UNKNOWN_ATTRIBUTE: Self = Self(420);
    /// RFC 8445 §16.2.
    pub const ROLE_CONFLICT: Self = Self(487);

    /// `None` outside 300 to 699.
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        if value >= 300 && value <= 699 { Some(Self(value)) } else { None }
    }

    /// 300 to 699.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// Class and number, as they follow 21 reserved bits; the reason phrase is left empty, since nobody reads it and it
    /// would only make an answer longer than its request.
    pub(super) const fn to_bytes(self) -> [u8; 4] {
        let [_, class] = (self.0 / 100).to_be_bytes();
        let [_, number] = (self.0 % 100).to_be_bytes();
        [0, 0, class, number]
    }

    /// The inverse of [`Self::to_bytes`]; the reason phrase is not looked at.
    pub(super) fn from_bytes(value: &[u8]) -> Option<Self> {
        let &[_, _, class, number, ..] = value else { return None };
        let class = u16::from(class & 7);
        (number < 100).then(|| Self::new(class * 100 + u16::from(number))).flatten()
    }
}
