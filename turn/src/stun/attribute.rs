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
    /// RFC 8656 §18.1.
    pub const CHANNEL_NUMBER: Self = Self(0x000C);
    /// RFC 8656 §18.2.
    pub const LIFETIME: Self = Self(0x000D);
    /// RFC 8656 §18.3.
    pub const XOR_PEER_ADDRESS: Self = Self(0x0012);
    /// RFC 8656 §18.4.
    pub const DATA: Self = Self(0x0013);
    /// RFC 8489 §14.9.
    pub const REALM: Self = Self(0x0014);
    /// RFC 8489 §14.10.
    pub const NONCE: Self = Self(0x0015);
    /// RFC 8656 §18.5.
    pub const XOR_RELAYED_ADDRESS: Self = Self(0x0016);
    /// RFC 8656 §18.6.
    pub const REQUESTED_ADDRESS_FAMILY: Self = Self(0x0017);
    /// RFC 8656 §18.7.
    pub const EVEN_PORT: Self = Self(0x0018);
    /// RFC 8656 §18.8.
    pub const REQUESTED_TRANSPORT: Self = Self(0x0019);
    /// RFC 8656 §18.9.
    pub const DONT_FRAGMENT: Self = Self(0x001A);
    /// RFC 8489 §14.6.
    pub const MESSAGE_INTEGRITY_SHA256: Self = Self(0x001C);
    /// RFC 8489 §14.12.
    pub const PASSWORD_ALGORITHM: Self = Self(0x001D);
    /// RFC 8489 §14.4.
    pub const USERHASH: Self = Self(0x001E);
    /// RFC 8489 §14.2.
    pub const XOR_MAPPED_ADDRESS: Self = Self(0x0020);
    /// RFC 8656 §18.10.
    pub const RESERVATION_TOKEN: Self = Self(0x0022);
    /// RFC 8445 §16.1.
    pub const PRIORITY: Self = Self(0x0024);
    /// RFC 8445 §16.1.
    pub const USE_CANDIDATE: Self = Self(0x0025);
    /// RFC 8656 §18.11.
    pub const ADDITIONAL_ADDRESS_FAMILY: Self = Self(0x8000);
    /// RFC 8656 §18.12.
    pub const ADDRESS_ERROR_CODE: Self = Self(0x8001);
    /// RFC 8489 §14.11.
    pub const PASSWORD_ALGORITHMS: Self = Self(0x8002);
    /// RFC 8489 §14.14.
    pub const SOFTWARE: Self = Self(0x8022);
    /// RFC 8489 §14.15.
    pub const ALTERNATE_SERVER: Self = Self(0x8023);
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
    pub const TRY_ALTERNATE: Self = Self(300);
    /// RFC 8489 §14.8.
    pub const BAD_REQUEST: Self = Self(400);
    /// RFC 8489 §14.8.
    pub const UNAUTHENTICATED: Self = Self(401);
    /// RFC 8656 §19.
    pub const FORBIDDEN: Self = Self(403);
    /// RFC 8489 §14.8.
    pub const UNKNOWN_ATTRIBUTE: Self = Self(420);
    /// RFC 8656 §19.
    pub const ALLOCATION_MISMATCH: Self = Self(437);
    /// RFC 8489 §14.8.
    pub const STALE_NONCE: Self = Self(438);
    /// RFC 8656 §19.
    pub const ADDRESS_FAMILY_NOT_SUPPORTED: Self = Self(440);
    /// RFC 8656 §19.
    pub const WRONG_CREDENTIALS: Self = Self(441);
    /// RFC 8656 §19.
    pub const UNSUPPORTED_TRANSPORT: Self = Self(442);
    /// RFC 8656 §19.
    pub const PEER_ADDRESS_FAMILY_MISMATCH: Self = Self(443);
    /// RFC 8656 §19.
    pub const ALLOCATION_QUOTA_REACHED: Self = Self(486);
    /// RFC 8656 §19.
    pub const INSUFFICIENT_CAPACITY: Self = Self(508);
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
    pub(crate) const fn to_bytes(self) -> [u8; 4] {
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
