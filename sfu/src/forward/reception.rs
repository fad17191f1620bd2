//! How one stream arrives: losses and jitter as receiver reports tell them (RFC 3550 §6.4.1, A.3, A.8).
//!
//! Invariant: only packets of the stream itself count, never their retransmissions: a publisher measures its
//! path by this.

use std::time::Duration;

use super::wall::{from_ticks, ticks};
use crate::units::{Bitrate, RtpTime};

/// Since a receiver report, or since the last time the control plane was told.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    expected: u64,
    received: u64,
    bytes: u64,
}

/// What a report block says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// Lost since the last block, in 256ths.
    pub(crate) fraction: u8,
    /// Lost in all; negative when duplicates came.
    pub(crate) lost: i32,
    /// Cycles and sequence number.
    pub(crate) highest: u32,
    /// In ticks of the media clock.
    pub(crate) jitter: u32,
}

/// How one stream arrives.
#[derive(Debug, Default)]
pub(crate) struct Reception {
    base: Option<u64>,
    highest: u64,
    received: u64,
    bytes: u64,
    // In 16ths of a tick.
    jitter: u32,
    transit: Option<u32>,
    reported: Mark,
    told: Mark,
}

impl Reception {
    /// A packet arrived first hand; `arrival` counts from any fixed moment.
    pub(crate) fn arrived(&mut self, seq: u64, timestamp: RtpTime, clock_rate: u32, arrival: Duration) {
        let base = *self.base.get_or_insert(seq);
        self.base = Some(base.min(seq));
        self.highest = self.highest.max(seq);
        self.received += 1;
        let transit = ticks(arrival, clock_rate).wrapping_sub(timestamp.0);
        if let Some(before) = self.transit.replace(transit) {
            let apart = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // A sender that jumps in time is not jitter.
            if apart < clock_rate {
                self.jitter = self.jitter.saturating_add(apart).saturating_sub((self.jitter + 8) >> 4);
            }
        }
    }

    /// Its size.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Whether anything came since the last block.
    pub(crate) fn has_news(&self) -> bool {
        self.received > self.reported.received
    }

    /// The next report block.
    pub(crate) fn block(&mut self) -> Block {
        let mark = self.mark();
        let expected = mark.expected.saturating_sub(self.reported.expected);
        let received = mark.received.saturating_sub(self.reported.received);
        self.reported = mark;
        let lost = expected.saturating_sub(received);
        let fraction = (lost << 8).checked_div(expected).unwrap_or(0).min(255);
        let total = i64::try_from(mark.expected).unwrap_or(i64::MAX)
            - i64::try_from(mark.received).unwrap_or(i64::MAX);
        Block {
            fraction: u8::try_from(fraction).unwrap_or(u8::MAX),
            // RFC 3550 §6.4.1: 24 bits, signed.
            lost: i32::try_from(total.clamp(-0x80_0000, 0x7f_ffff)).unwrap_or(0),
            highest: (self.highest & 0xffff_ffff) as u32,
            jitter: self.jitter >> 4,
        }
    }

    /// Expected and lost packets and the bitrate since this was last asked.
    pub(crate) fn tell(&mut self, interval: Duration) -> (u64, u64, Bitrate) {
        let mark = self.mark();
        let expected = mark.expected.saturating_sub(self.told.expected);
        let received = mark.received.saturating_sub(self.told.received);
        let bytes = mark.bytes.saturating_sub(self.told.bytes);
        self.told = mark;
        (expected, expected.saturating_sub(received), rate(bytes, interval))
    }

    pub(crate) fn jitter(&self, clock_rate: u32) -> Duration {
        from_ticks(self.jitter >> 4, clock_rate)
    }

    fn mark(&self) -> Mark {
        let expected = self.base.map_or(0, |base| self.highest.saturating_sub(base) + 1);
        Mark { expected, received: self.received, bytes: self.bytes }
    }
}

/// Bytes over an interval as a bitrate.
pub(crate) fn rate(bytes: u64, interval: Duration) -> Bitrate {
    let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    Bitrate::bps(bytes.saturating_mul(8_000).checked_div(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    fn arrived(reception: &mut Reception, seq: u64) {
        let index = u32::try_from(seq).unwrap();
        reception.arrived(seq, RtpTime(index * 960), 48_000, FRAME * index);
    }

    #[test]
    fn losses_are_told_as_a_fraction_and_in_all() {
        let mut reception = Reception::default();
        (100..200).filter(|seq| seq % 4 != 0 || *seq == 100).for_each(|seq| arrived(&mut reception, seq));

        let block = reception.block();

        assert_eq!(block.lost, 24);
        assert_eq!(block.fraction, 61, "24 of 100 in 256ths");
        assert_eq!(block.highest, 199);
        assert!(!reception.has_news());
    }

    #[test]
    fn duplicates_make_the_loss_negative_and_the_fraction_zero() {
        let mut reception = Reception::default();
        for seq in [1, 1, 1] {
            arrived(&mut reception, seq);
        }

        assert_eq!(reception.block(), Block { fraction: 0, lost: -2, highest: 1, jitter: 0 });
    }

    #[test]
    fn a_steady_stream_has_no_jitter() {
        let mut reception = Reception::default();
        (0..100).for_each(|seq| arrived(&mut reception, seq));

        assert_eq!(reception.block().jitter, 0);
    }

    #[test]
    fn the_bitrate_is_what_came_since_it_was_last_told() {
        let mut reception = Reception::default();
        for seq in 0..50 {
            arrived(&mut reception, seq);
            reception.count(1_000);
        }

        let (expected, lost, bitrate) = reception.tell(Duration::from_secs(1));

        assert_eq!((expected, lost, bitrate), (50, 0, Bitrate::kbps(400)));
        assert_eq!(reception.tell(Duration::from_secs(1)).2, Bitrate::bps(0));
    }
}
