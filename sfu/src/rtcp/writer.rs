//! Writes RTCP packets one after the other into the caller's buffer.
//!
//! Invariant: a packet that does not fit leaves what was written before as it was.

use super::{
    COUNT_MASK, FirEntry, PADDING, SenderInfo, VERSION,
    feedback::{REMB_MANTISSA_BITS, REMB_NAME},
    format, packet_type,
    report::ReportBlock,
};
use crate::{
    units::{Bitrate, SeqNo, Ssrc},
    wire::{Full, Writer},
};

/// RFC 3550 §6.5.1.
const CNAME: u8 = 1;
/// RFC 3550 §6.4.1: the count has five bits.
pub(super) const BLOCKS_MAX: usize = 31;
const HEADER_LEN: usize = 4;

/// A compound packet that is being written.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    writer: Writer<'a>,
}

impl<'a> CompoundWriter<'a> {
    /// Begins an empty one.
    #[must_use]
    pub const fn new(out: &'a mut [u8]) -> Self {
        Self { writer: Writer::new(out) }
    }

    /// How many bytes were written: that many of the buffer are the compound packet.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.writer.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// RFC 3550 §6.4.1, with 31 blocks at most.
    pub fn sender_report(
        &mut self,
        sender: Ssrc,
        info: &SenderInfo,
        blocks: &[ReportBlock],
    ) -> Result<(), Full> {
        self.packet(block_count(blocks)?, packet_type::SENDER_REPORT, |writer| {
            writer.u32(sender.0)?;
            writer.u64(info.ntp.0)?;
            writer.u32(info.rtp.0)?;
            writer.u32(info.packets)?;
            writer.u32(info.octets)?;
            blocks.iter().try_for_each(|block| block.write(writer))
        })
    }

    /// RFC 3550 §6.4.2, with 31 blocks at most.
    pub fn receiver_report(&mut self, sender: Ssrc, blocks: &[ReportBlock]) -> Result<(), Full> {
        self.packet(block_count(blocks)?, packet_type::RECEIVER_REPORT, |writer| {
            writer.u32(sender.0)?;
            blocks.iter().try_for_each(|block| block.write(writer))
        })
    }

    /// One source's canonical name (RFC 3550 §6.5.1): 255 bytes at most.
    pub fn source_description(&mut self, source: Ssrc, cname: &[u8]) -> Result<(), Full> {
        let len = u8::try_from(cname.len()).map_err(|_| Full)?;
        self.packet(1, packet_type::SOURCE_DESCRIPTION, |writer| {
            writer.u32(source.0)?;
            writer.put(&[CNAME, len])?;
            writer.put(cname)?;
            // A zero ends the list of items, and zeroes go on to the next word.
            writer.u8(0)?;
            writer.align()
        })
    }

    /// RFC 3550 §6.6: one source leaves.
    pub fn goodbye(&mut self, source: Ssrc) -> Result<(), Full> {
        self.packet(1, packet_type::GOODBYE, |writer| writer.u32(source.0))
    }

    /// Generic NACK for `missing`, which is not empty; in ascending order it is shortest.
    pub fn nack(
        &mut self,
        sender: Ssrc,
        media: Ssrc,
        missing: impl IntoIterator<Item = SeqNo>,
    ) -> Result<(), Full> {
        self.packet(format::NACK, packet_type::TRANSPORT_FEEDBACK, |writer| {
            writer.u32(sender.0)?;
            writer.u32(media.0)?;
            let mut missing = missing.into_iter();
            let mut first = missing.next().ok_or(Full)?;
            let mut follow = 0_u16;
            for seq in missing {
                // RFC 4585 §6.2.1: a bit for each of the sixteen after the first.
                match seq.0.wrapping_sub(first.0) {
                    0 => {}
                    after @ 1..=16 => follow |= 1 << after.saturating_sub(1),
                    _ => {
                        writer.u16(first.0)?;
                        writer.u16(follow)?;
                        (first, follow) = (seq, 0);
                    }
                }
            }
            writer.u16(first.0)?;
            writer.u16(follow)
        })
    }

    /// RFC 4585 §6.3.1.
    pub fn pli(&mut self, sender: Ssrc, media: Ssrc) -> Result<(), Full> {
        self.packet(format::PLI, packet_type::PAYLOAD_FEEDBACK, |writer| {
            writer.u32(sender.0)?;
            writer.u32(media.0)
        })
    }

    /// RFC 5104 §4.3.1, with one entry.
    pub fn fir(&mut self, sender: Ssrc, entry: FirEntry) -> Result<(), Full> {
        self.packet(format::FIR, packet_type::PAYLOAD_FEEDBACK, |writer| {
            writer.u32(sender.0)?;
            writer.u32(0)?;
            writer.u32(entry.ssrc.0)?;
            writer.put(&[entry.seq, 0, 0, 0])
        })
    }

    /// draft-alvestrand-rmcat-remb-03 §2, with 255 sources at most.
    pub fn remb(&mut self, sender: Ssrc, bitrate: Bitrate, sources: &[Ssrc]) -> Result<(), Full> {
        let count = u32::try_from(sources.len()).ok().filter(|count| *count <= 255).ok_or(Full)?;
        let bits = u64::BITS.saturating_sub(bitrate.as_bps().leading_zeros());
        let exponent = bits.saturating_sub(REMB_MANTISSA_BITS);
        let mantissa = u32::try_from(bitrate.as_bps() >> exponent).map_err(|_| Full)?;
        self.packet(format::APPLICATION, packet_type::PAYLOAD_FEEDBACK, |writer| {
            writer.u32(sender.0)?;
            writer.u32(0)?;
            writer.put(&REMB_NAME)?;
            writer.u32(count << 24 | exponent << REMB_MANTISSA_BITS | mantissa)?;
            sources.iter().try_for_each(|source| writer.u32(source.0))
        })
    }

    /// One packet: its header, what `content` writes, and padding to whole words.
    pub(super) fn packet<T>(
        &mut self,
        count: u8,
        packet_type: u8,
        content: impl FnOnce(&mut Writer<'a>) -> Result<T, Full>,
    ) -> Result<T, Full> {
        let start = self.writer.len();
        let written = self.try_packet(start, count, packet_type, content);
        if written.is_err() {
            self.writer.rewind(start);
        }
        written
    }

    fn try_packet<T>(
        &mut self,
        start: usize,
        count: u8,
        packet_type: u8,
        content: impl FnOnce(&mut Writer<'a>) -> Result<T, Full>,
    ) -> Result<T, Full> {
        self.writer.put(&[VERSION | count & COUNT_MASK, packet_type, 0, 0])?;
        let value = content(&mut self.writer)?;
        let padding = self.writer.len().next_multiple_of(4).saturating_sub(self.writer.len());
        if let Ok(padding @ 1..) = u8::try_from(padding) {
            self.writer.align()?;
            self.writer.patch(self.writer.len().saturating_sub(1), &[padding])?;
            self.writer.patch(start, &[VERSION | PADDING | count & COUNT_MASK])?;
        }
        let words = self.writer.len().saturating_sub(start).saturating_sub(HEADER_LEN) / 4;
        let words = u16::try_from(words).map_err(|_| Full)?;
        self.writer.patch(start.saturating_add(2), &words.to_be_bytes())?;
        Ok(value)
    }
}

fn block_count(blocks: &[ReportBlock]) -> Result<u8, Full> {
    u8::try_from(blocks.len()).ok().filter(|count| usize::from(*count) <= BLOCKS_MAX).ok_or(Full)
}
