//! Feedback that asks for something (RFC 4585, RFC 5104, REMB), and goodbyes.

use super::Packet;
use crate::{
    units::{Bitrate, SeqNo, Ssrc},
    wire::Reader,
};

/// draft-alvestrand-rmcat-remb-03 §2.2.
pub(super) const REMB_NAME: [u8; 4] = *b"REMB";
pub(super) const REMB_MANTISSA_BITS: u32 = 18;

/// A list of sources.
#[derive(Clone, Copy, Debug)]
pub struct Ssrcs<'a>(&'a [[u8; 4]]);

impl Iterator for Ssrcs<'_> {
    type Item = Ssrc;

    fn next(&mut self) -> Option<Ssrc> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(Ssrc(u32::from_be_bytes(*first)))
    }
}

/// The sequence numbers a NACK asks for, in its order.
#[derive(Clone, Copy, Debug)]
pub struct Nacked<'a> {
    pairs: &'a [[u8; 4]],
    /// What is left of the pair that is being read: the next to come, and a bit for each that follows.
    left: Option<(SeqNo, u16)>,
}

impl Iterator for Nacked<'_> {
    type Item = SeqNo;

    /// RFC 4585 §6.2.1: a packet identifier and, from the lowest bit up, a bit for each of the next sixteen.
    fn next(&mut self) -> Option<SeqNo> {
        let (seq, follow) = match self.left.take() {
            Some(left) => left,
            None => {
                let ([a, b, c, d], rest) = self.pairs.split_first()?;
                self.pairs = rest;
                (SeqNo(u16::from_be_bytes([*a, *b])), u16::from_be_bytes([*c, *d]))
            }
        };
        if follow != 0 {
            let skipped = follow.trailing_zeros();
            let step = u16::try_from(skipped).unwrap_or_default().saturating_add(1);
            self.left = Some((seq.plus(step), follow.checked_shr(skipped.saturating_add(1)).unwrap_or(0)));
        }
        Some(seq)
    }
}

/// One entry of a full intra request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirEntry {
    /// Who is to send a key frame.
    pub ssrc: Ssrc,
    /// The same number again is the same request again.
    pub seq: u8,
}

/// The entries of a full intra request.
#[derive(Clone, Copy, Debug)]
pub struct FirEntries<'a>(&'a [[u8; 8]]);

impl Iterator for FirEntries<'_> {
    type Item = FirEntry;

    fn next(&mut self) -> Option<FirEntry> {
        let ([a, b, c, d, seq, ..], rest) = self.0.split_first()?;
        self.0 = rest;
        Some(FirEntry { ssrc: Ssrc(u32::from_be_bytes([*a, *b, *c, *d])), seq: *seq })
    }
}

/// A reason for leaving may follow the sources; it is passed over.
pub(super) fn goodbye<'a>(count: u8, mut reader: Reader<'a>) -> Option<Packet<'a>> {
    Some(Packet::Goodbye { sources: ssrcs(count, &mut reader)? })
}

pub(super) fn nack<'a>(mut reader: Reader<'a>) -> Option<Packet<'a>> {
    let (sender, media) = ends(&mut reader)?;
    let pairs = reader.rest().as_chunks().0;
    // RFC 4585 §6.2.1: at least one.
    (!pairs.is_empty()).then_some(Packet::Nack { sender, media, missing: Nacked { pairs, left: None } })
}

pub(super) fn pli<'a>(mut reader: Reader<'a>) -> Option<Packet<'a>> {
    let (sender, media) = ends(&mut reader)?;
    Some(Packet::Pli { sender, media })
}

pub(super) fn fir<'a>(mut reader: Reader<'a>) -> Option<Packet<'a>> {
    // RFC 5104 §4.3.1.2: the source in the header is not used.
    let (sender, _) = ends(&mut reader)?;
    let entries = reader.rest().as_chunks().0;
    (!entries.is_empty()).then_some(Packet::Fir { sender, entries: FirEntries(entries) })
}

/// RFC 4585 §6.4: application layer feedback; REMB is the only one we know.
pub(super) fn application<'a>(mut reader: Reader<'a>) -> Option<Packet<'a>> {
    let (sender, _) = ends(&mut reader)?;
    if !reader.rest().starts_with(&REMB_NAME) {
        return Some(Packet::Other(super::packet_type::PAYLOAD_FEEDBACK));
    }
    reader.take(REMB_NAME.len())?;
    let count = reader.u8()?;
    let value = reader.u24()?;
    let (exponent, mantissa) = (value >> REMB_MANTISSA_BITS, value & ((1 << REMB_MANTISSA_BITS) - 1));
    // Six bits of exponent reach past 64 bits: as much as there is, then.
    let bitrate = (u128::from(mantissa) << exponent).min(u128::from(u64::MAX));
    let bitrate = Bitrate::bps(u64::try_from(bitrate).unwrap_or(u64::MAX));
    Some(Packet::Remb { sender, bitrate, sources: ssrcs(count, &mut reader)? })
}

fn ssrcs<'a>(count: u8, reader: &mut Reader<'a>) -> Option<Ssrcs<'a>> {
    Some(Ssrcs(reader.take(usize::from(count).checked_mul(4)?)?.as_chunks().0))
}

/// RFC 4585 §6.1: who sends the feedback, and about whom.
pub(super) fn ends(reader: &mut Reader<'_>) -> Option<(Ssrc, Ssrc)> {
    Some((Ssrc(reader.u32()?), Ssrc(reader.u32()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nacked(pairs: &[[u8; 4]]) -> Vec<u16> {
        Nacked { pairs, left: None }.map(|seq| seq.0).collect()
    }

    #[test]
    fn a_nack_names_a_packet_and_the_sixteen_after_it() {
        assert_eq!(nacked(&[[0, 10, 0, 0]]), [10]);
        assert_eq!(nacked(&[[0, 10, 0x80, 0x01]]), [10, 11, 26]);
        assert_eq!(nacked(&[[0, 10, 0xff, 0xff]]), (10..=26).collect::<Vec<_>>());
        assert_eq!(nacked(&[[0xff, 0xff, 0, 0x05], [0, 9, 0, 0]]), [65_535, 0, 2, 9]);
    }
}
