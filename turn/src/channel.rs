//! ChannelData (RFC 8656 §12.4): four bytes before the payload instead of thirty-six.

/// A channel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelNumber(u16);

/// Which numbers may be bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelRange {
    /// 0x4000 to 0x4FFF, as RFC 8656 §12 has it.
    #[default]
    Rfc8656,
    /// 0x4000 to 0x7FFF, for clients that still follow RFC 5766 §11.
    Rfc5766,
}

impl ChannelNumber {
    /// `None` outside the range.
    #[must_use]
    pub const fn new(value: u16, range: ChannelRange) -> Option<Self> {
        let last = match range {
            ChannelRange::Rfc8656 => 0x4fff,
            ChannelRange::Rfc5766 => 0x7fff,
        };
        if value >= 0x4000 && value <= last { Some(Self(value)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }
}

/// Number and length.
pub const CHANNEL_HEADER_LEN: usize = 4;

/// A ChannelData message as it stands in a datagram. The number may be bound to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelData<'a> {
    /// Whose.
    pub number: ChannelNumber,
    /// What is relayed: exactly as many bytes as the header says, never the padding behind them.
    pub payload: &'a [u8],
}

impl<'a> ChannelData<'a> {
    /// Reads one message; what stands behind it is padding.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[n0, n1, l0, l1], rest) = bytes.split_first_chunk::<CHANNEL_HEADER_LEN>()?;
        let number = ChannelNumber::new(u16::from_be_bytes([n0, n1]), ChannelRange::Rfc5766)?;
        let payload = rest.get(..usize::from(u16::from_be_bytes([l0, l1])))?;
        Some(Self { number, payload })
    }

    /// What stands before a payload; `None` when it is too long.
    #[must_use]
    pub fn header(number: ChannelNumber, payload: &[u8]) -> Option<[u8; CHANNEL_HEADER_LEN]> {
        let [n0, n1] = number.0.to_be_bytes();
        let [l0, l1] = u16::try_from(payload.len()).ok()?.to_be_bytes();
        Some([n0, n1, l0, l1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_as_long_as_the_header_says() {
        let message = ChannelData::parse(&[0x40, 1, 0, 2, 7, 8, 9, 9]).unwrap();

        assert_eq!((message.number.value(), message.payload), (0x4001, &[7, 8][..]));
        assert_eq!(ChannelData::parse(&[0x40, 1, 0, 0]).unwrap().payload, &[]);
        assert_eq!(ChannelData::parse(&[0x40, 1, 0, 3, 7, 8]), None);
        assert_eq!(ChannelData::parse(&[0x40, 1, 0]), None);
    }

    #[test]
    fn numbers_end_where_the_standard_ends_them() {
        for (value, strict, lax) in [
            (0x3fff, false, false),
            (0x4000, true, true),
            (0x4fff, true, true),
            (0x5000, false, true),
            (0x7fff, false, true),
            (0x8000, false, false),
        ] {
            assert_eq!(ChannelNumber::new(value, ChannelRange::Rfc8656).is_some(), strict, "{value:#x}");
            assert_eq!(ChannelNumber::new(value, ChannelRange::Rfc5766).is_some(), lax, "{value:#x}");
        }
    }
}
