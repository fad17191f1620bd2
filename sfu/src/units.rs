//! Quantities of RTP with their arithmetic: each is a type, so none is taken for another.

use std::fmt;

/// Synchronisation source (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// RTP payload type, 0 to 127 (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(u8);

impl PayloadType {
    /// `None` above 127: the field has seven bits.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value < 128 { Some(Self(value)) } else { None }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// RTP sequence number as it is on the wire; it wraps (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeqNo(pub u16);

impl SeqNo {
    /// How far `self` is ahead of `other`, negative when behind: the shorter way around.
    #[must_use]
    pub const fn since(self, other: Self) -> i16 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// The number `count` packets later.
    #[must_use]
    pub const fn plus(self, count: u16) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// The unwrapped number nearest to `reference` that ends in these 16 bits (RFC 3711 §3.3.1).
    #[must_use]
    pub const fn extend(self, reference: u64) -> u64 {
        let ahead = self.since(Self((reference & 0xffff) as u16));
        reference.saturating_add_signed(ahead as i64)
    }
}

/// RTP timestamp in units of the codec's clock; it wraps (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RtpTime(pub u32);

impl RtpTime {
    /// How far `self` is ahead of `other`, negative when behind: the shorter way around.
    #[must_use]
    pub const fn since(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// The time `ticks` later.
    #[must_use]
    pub const fn plus(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }
}

/// Bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bitrate(u64);

impl Bitrate {
    /// From bits per second.
    #[must_use]
    pub const fn bps(value: u64) -> Self {
        Self(value)
    }

    /// From thousands of bits per second.
    #[must_use]
    pub const fn kbps(value: u64) -> Self {
        Self(value * 1_000)
    }

    /// In bits per second.
    #[must_use]
    pub const fn as_bps(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kbit/s", self.0 / 1_000)
    }
}

/// A short name carried in a header extension: an m-section (RFC 8843 §15) or a stream (RFC 8852).
///
/// Invariant: 1 to 16 bytes, the most a one-byte header extension can carry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortName {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl ShortName {
    /// One-byte header extensions hold at most 16 bytes (RFC 8285 §4.2).
    pub const MAX: usize = 16;

    /// `None` when empty or longer than [`Self::MAX`].
    #[must_use]
    pub fn new(name: &[u8]) -> Option<Self> {
        let len = u8::try_from(name.len()).ok().filter(|len| *len > 0)?;
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self { bytes, len })
    }

    /// The bytes as they are on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl fmt::Debug for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The name of an m-section (RFC 8843).
pub type Mid = ShortName;
/// The name of a stream within an m-section (RFC 8852).
pub type Rid = ShortName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_compare_the_shorter_way_around() {
        assert_eq!(SeqNo(2).since(SeqNo(65_534)), 4);
        assert_eq!(SeqNo(65_534).since(SeqNo(2)), -4);
    }

    #[test]
    fn an_extended_sequence_number_survives_wraps_and_reordering() {
        assert_eq!(SeqNo(1).extend(65_535), 65_537);
        assert_eq!(SeqNo(65_535).extend(65_537), 65_535);
        assert_eq!(SeqNo(65_535).extend(0), 0, "nothing comes before the first");
    }

    #[test]
    fn a_short_name_has_one_to_sixteen_bytes() {
        assert!(ShortName::new(b"").is_none());
        assert!(ShortName::new(&[b'a'; 17]).is_none());
        assert_eq!(ShortName::new(b"q").unwrap().as_bytes(), b"q");
    }
}
