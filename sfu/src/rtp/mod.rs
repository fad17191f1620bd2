//! RTP packets (RFC 3550 §5): the header is read where it lies and written into the caller's buffer.
//!
//! Invariant: a parsed header lies within its packet; what is after it belongs to SRTP until it is opened.
#![warn(clippy::arithmetic_side_effects)]

mod extension;
mod writer;

pub use self::{
    extension::{AbsSendTime, AudioLevel, Extensions, Voice, transport_sequence},
    writer::{Fields, Form, HeaderWriter},
};
pub use crate::wire::Full;

use crate::{
    units::{PayloadType, RtpTime, SeqNo, Ssrc},
    wire::Reader,
};

/// RFC 3550 §5.1: what every packet begins with.
pub const FIXED_HEADER_LEN: usize = 12;
/// The only version there is, in the two highest bits.
const VERSION: u8 = 2 << 6;
const VERSION_MASK: u8 = 0b1100_0000;
const PADDING: u8 = 1 << 5;
const EXTENSION: u8 = 1 << 4;
const CSRC_COUNT_MASK: u8 = 0x0f;
const MARKER: u8 = 1 << 7;
const PAYLOAD_TYPE_MASK: u8 = 0x7f;

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Not version 2.
    #[error("not RTP version 2")]
    Version,
    /// The packet ends before its header does.
    #[error("the packet ends inside its header")]
    Truncated,
    /// RFC 3550 §5.1: the last byte counts the padding, itself included.
    #[error("padding of {0} bytes does not fit")]
    Padding(u8),
}

/// One RTP header and where its payload begins.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// What it marks is up to the payload: the last packet of a picture, the first of a talk spurt.
    pub marker: bool,
    /// What the payload is.
    pub payload_type: PayloadType,
    /// One more with every packet.
    pub seq: SeqNo,
    /// When the payload was sampled.
    pub timestamp: RtpTime,
    /// Whose packet it is.
    pub ssrc: Ssrc,
    /// Whether the payload, once opened, ends in padding: see [`strip_padding`].
    pub padding: bool,
    /// Where the payload begins: the length of the header.
    pub payload_offset: usize,
    csrcs: &'a [u8],
    extension: Extensions<'a>,
}

impl<'a> Header<'a> {
    /// Reads the header at the beginning of a packet, protected or not.
    pub fn parse(packet: &'a [u8]) -> Result<Self, RtpError> {
        let mut reader = Reader::new(packet);
        let first = reader.u8().ok_or(RtpError::Truncated)?;
        if first & VERSION_MASK != VERSION {
            return Err(RtpError::Version);
        }
        Self::parse_after_version(first, reader, packet.len()).ok_or(RtpError::Truncated)
    }

    fn parse_after_version(first: u8, mut reader: Reader<'a>, packet_len: usize) -> Option<Self> {
        let second = reader.u8()?;
        let seq = SeqNo(reader.u16()?);
        let timestamp = RtpTime(reader.u32()?);
        let ssrc = Ssrc(reader.u32()?);
        let csrcs = reader.take(usize::from(first & CSRC_COUNT_MASK) * 4)?;
        let extension = if first & EXTENSION == 0 {
            Extensions::default()
        } else {
            let profile = reader.u16()?;
            let words = reader.u16()?;
            Extensions::new(profile, reader.take(usize::from(words) * 4)?)
        };
        Some(Self {
            marker: second & MARKER != 0,
            payload_type: PayloadType::new(second & PAYLOAD_TYPE_MASK)?,
            seq,
            timestamp,
            ssrc,
            padding: first & PADDING != 0,
            payload_offset: packet_len.checked_sub(reader.rest().len())?,
            csrcs,
            extension,
        })
    }

    /// How many contributing sources are listed.
    #[must_use]
    pub const fn csrc_count(&self) -> usize {
        self.csrcs.len() / 4
    }

    /// The contributing sources.
    pub fn csrcs(&self) -> impl Iterator<Item = Ssrc> + use<'a> {
        self.csrcs.as_chunks().0.iter().map(|bytes| Ssrc(u32::from_be_bytes(*bytes)))
    }

    /// The header extensions: identifier and value, in the order of the packet (RFC 8285). A malformed
    /// element ends them.
    #[must_use]
    pub const fn extensions(&self) -> Extensions<'a> {
        self.extension
    }

    /// The value of the first header extension with this identifier.
    #[must_use]
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions().find(|(found, _)| *found == id).map(|(_, value)| value)
    }

    /// The opened payload without its padding, when it has any.
    pub fn unpadded<'p>(&self, payload: &'p [u8]) -> Result<&'p [u8], RtpError> {
        if self.padding { strip_padding(payload) } else { Ok(payload) }
    }
}

/// An opened payload without the padding its last byte counts (RFC 3550 §5.1). Nothing may be left.
pub fn strip_padding(payload: &[u8]) -> Result<&[u8], RtpError> {
    let Some(&count) = payload.last() else { return Err(RtpError::Padding(0)) };
    let len = payload.len().checked_sub(usize::from(count)).filter(|_| count > 0);
    len.and_then(|len| payload.get(..len)).ok_or(RtpError::Padding(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_with_sources_and_extensions() {
        let packet = [
            0xb2, 0xe0, 0x12, 0x34, 0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde, 0, 1, 0x10,
            0xaa, 0, 0, 1, 2, 3,
        ];

        let header = Header::parse(&packet).unwrap();

        assert!(header.marker && header.padding);
        assert_eq!(header.payload_type.value(), 96);
        assert_eq!((header.seq, header.timestamp, header.ssrc), (SeqNo(0x1234), RtpTime(9), Ssrc(7)));
        assert_eq!(header.csrc_count(), 2);
        assert!(header.csrcs().eq([Ssrc(1), Ssrc(2)]));
        assert_eq!(header.extension(1), Some(&[0xaa][..]));
        assert_eq!(header.payload_offset, 28);
        assert_eq!(header.unpadded(packet.get(28..).unwrap()), Err(RtpError::Padding(3)).or(Ok(&[][..])));
    }

    #[test]
    fn a_packet_that_ends_inside_its_header_is_refused() {
        let whole =
            [0xb1, 0x60, 0, 1, 0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0];

        for len in 0..whole.len() {
            assert_eq!(Header::parse(&whole[..len]).unwrap_err(), RtpError::Truncated, "length {len}");
        }
        assert_eq!(Header::parse(&whole).unwrap().payload_offset, whole.len());
    }

    #[test]
    fn only_version_two_is_rtp() {
        for first in (0..=255_u8).filter(|first| first >> 6 != 2) {
            assert_eq!(Header::parse(&[first; 40]).unwrap_err(), RtpError::Version);
        }
    }

    #[test]
    fn padding_counts_itself_and_fits_the_payload() {
        assert_eq!(strip_padding(&[]), Err(RtpError::Padding(0)));
        assert_eq!(strip_padding(&[1, 0]), Err(RtpError::Padding(0)));
        assert_eq!(strip_padding(&[1]), Ok(&[][..]));
        assert_eq!(strip_padding(&[7, 0, 2]), Ok(&[7][..]));
        assert_eq!(strip_padding(&[7, 0, 3]), Ok(&[][..]));
        assert_eq!(strip_padding(&[7, 0, 4]), Err(RtpError::Padding(4)));
        assert_eq!(strip_padding(&[255; 255]), Ok(&[][..]));
        assert_eq!(strip_padding(&[255; 254]), Err(RtpError::Padding(255)));
    }

    #[test]
    fn every_short_length_is_answered() {
        for len in 0..=64 {
            for fill in [0x00, 0x80, 0x8f, 0x90, 0x9f, 0xb0, 0xbf, 0xff] {
                let packet = vec![fill; len];
                if let Ok(header) = Header::parse(&packet) {
                    assert!(header.payload_offset <= len);
                    assert!(header.extensions().count() <= len);
                    let _ = header.unpadded(&packet[header.payload_offset..]);
                }
            }
        }
    }
}
