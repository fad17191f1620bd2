//! Sender and receiver reports (RFC 3550 §6.4).

use std::time::Duration;

use super::Packet;
use crate::{
    units::{RtpTime, Ssrc},
    wire::{Full, Reader, Writer},
};

/// RFC 3550 §6.4.1: one report block.
pub(super) const BLOCK_LEN: usize = 24;

/// Seconds since 1900 as 32.32 fixed point (RFC 3550 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From 1900 to 1970.
    const UNIX_EPOCH: u64 = 2_208_988_800;

    /// From the time since 1970.
    #[must_use]
    pub fn from_unix(since: Duration) -> Self {
        let seconds = since.as_secs().wrapping_add(Self::UNIX_EPOCH) & 0xffff_ffff;
        let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
        Self(seconds << 32 | fraction)
    }

    /// The middle 32 bits, as report blocks repeat them: 16.16 fixed point.
    #[must_use]
    pub const fn middle(self) -> u32 {
        (self.0 >> 16 & 0xffff_ffff) as u32
    }
}

/// What a sender tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// When the report was sent.
    pub ntp: NtpTime,
    /// The same moment on the clock of its RTP timestamps.
    pub rtp: RtpTime,
    /// Packets sent since it began.
    pub packets: u32,
    /// Bytes of payload sent since it began.
    pub octets: u32,
}

/// What a receiver tells of one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// Which source.
    pub ssrc: Ssrc,
    /// Of 256 packets since the last report, how many were lost.
    pub fraction_lost: u8,
    /// Packets lost since it began: 24 bits, negative when there were duplicates.
    pub lost: i32,
    /// Rollovers and the highest sequence number received.
    pub highest_seq: u32,
    /// Interarrival jitter in units of the RTP timestamp.
    pub jitter: u32,
    /// [`NtpTime::middle`] of the last sender report from it; zero when there was none.
    pub last_sender_report: u32,
    /// Since that report came, in units of 1/65536 s.
    pub delay_since: u32,
}

impl ReportBlock {
    /// RFC 3550 §6.4.1: the time since the sender report that came back, less the time it was held. `now` is
    /// [`NtpTime::middle`] of the time of arrival on the clock that wrote the sender report.
    #[must_use]
    pub fn round_trip(&self, now: u32) -> Option<Duration> {
        if self.last_sender_report == 0 {
            return None;
        }
        let units = now.wrapping_sub(self.last_sender_report).wrapping_sub(self.delay_since);
        // A clock that steps shows as a negative time.
        let units = u32::try_from(units.cast_signed()).ok()?;
        Some(Duration::from_nanos(u64::from(units).saturating_mul(1_000_000_000) >> 16))
    }

    fn parse(bytes: &[u8; BLOCK_LEN]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let ssrc = Ssrc(reader.u32()?);
        let fraction_lost = reader.u8()?;
        // Sign extension from 24 bits.
        let lost = (reader.u24()? << 8).cast_signed() >> 8;
        Some(Self {
            ssrc,
            fraction_lost,
            lost,
            highest_seq: reader.u32()?,
            jitter: reader.u32()?,
            last_sender_report: reader.u32()?,
            delay_since: reader.u32()?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        let [_, lost @ ..] = self.lost.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
        writer.u32(self.ssrc.0)?;
        writer.u8(self.fraction_lost)?;
        writer.put(&lost)?;
        writer.u32(self.highest_seq)?;
        writer.u32(self.jitter)?;
        writer.u32(self.last_sender_report)?;
        writer.u32(self.delay_since)
    }
}

/// The report blocks of one packet: 31 at most.
#[derive(Clone, Copy, Debug)]
pub struct ReportBlocks<'a>(&'a [[u8; BLOCK_LEN]]);

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<Self::Item> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        ReportBlock::parse(first)
    }
}

/// Profile-specific extensions after the blocks are passed over (RFC 3550 §6.4.3).
fn blocks<'a>(count: u8, mut reader: Reader<'a>) -> Option<ReportBlocks<'a>> {
    let bytes = reader.take(usize::from(count).checked_mul(BLOCK_LEN)?)?;
    Some(ReportBlocks(bytes.as_chunks().0))
}

pub(super) fn sender_report<'a>(count: u8, mut reader: Reader<'a>) -> Option<Packet<'a>> {
    let sender = Ssrc(reader.u32()?);
    let info = SenderInfo {
        ntp: NtpTime(reader.u64()?),
        rtp: RtpTime(reader.u32()?),
        packets: reader.u32()?,
        octets: reader.u32()?,
    };
    Some(Packet::SenderReport { sender, info, blocks: blocks(count, reader)? })
}

pub(super) fn receiver_report<'a>(count: u8, mut reader: Reader<'a>) -> Option<Packet<'a>> {
    let sender = Ssrc(reader.u32()?);
    Some(Packet::ReceiverReport { sender, blocks: blocks(count, reader)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: Ssrc(7),
        fraction_lost: 128,
        lost: -3,
        highest_seq: 0x1_0203,
        jitter: 9,
        last_sender_report: 10,
        delay_since: 11,
    };

    #[test]
    fn ntp_time_counts_from_1900() {
        let time = NtpTime::from_unix(Duration::from_millis(500));

        assert_eq!(time.0, 2_208_988_800 << 32 | 1 << 31);
        assert_eq!(
            time.middle(),
            0x7e80_8000,
            "the lower half of the seconds, the upper half of the fraction"
        );
    }

    #[test]
    fn a_round_trip_leaves_out_the_time_at_the_far_end() {
        let block = ReportBlock { last_sender_report: 0x1_0000, delay_since: 0x8000, ..BLOCK };

        assert_eq!(block.round_trip(0x2_0000), Some(Duration::from_millis(500)));
        assert_eq!(block.round_trip(0x1_0000), None, "a clock that stepped back");
        assert_eq!(ReportBlock { last_sender_report: 0, ..BLOCK }.round_trip(7), None);
    }

    #[test]
    fn a_block_goes_there_and_back() {
        let mut out = [0; BLOCK_LEN];

        BLOCK.write(&mut Writer::new(&mut out)).unwrap();

        assert_eq!(ReportBlock::parse(&out), Some(BLOCK));
    }
}
