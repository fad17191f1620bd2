//! One stream that comes: what its numbers promise, and what its stamps say.

use std::time::{Duration, Instant};

use sfu::{
    rtcp::ReportBlock,
    srtp::ReplayWindow,
    units::{RtpTime, SeqNo, Ssrc},
};

use crate::{media::Stamp, scenario::Kind};

/// A stream nobody could open a picture of yet asks for a key frame, and again after so long.
pub(crate) const IMPATIENCE: Duration = Duration::from_millis(500);

/// Packets that one stream misses at once. More are not asked for: the picture is beyond repair.
const MISSING_MAX: usize = 64;
/// How often a packet is asked for.
const TRIES: u8 = 3;
/// How long a packet that comes out of order may take before it is asked for.
pub(crate) const REORDERING: Duration = Duration::from_millis(10);

/// A packet that did not come.
#[derive(Clone, Copy, Debug)]
struct Missing {
    seq: u64,
    tries: u8,
}

/// What a stream is, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gaze {
    /// Every packet is opened until one whole key frame, or one packet of sound, was seen.
    Seeking { since: Instant, asked: Option<Instant> },
    /// Every so manieth packet is opened.
    Counting,
}

/// What one more packet means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many more packets its number promises: 1 in order, 0 when it is late.
    pub(crate) promised: u64,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) window: ReplayWindow,
    highest: Option<u64>,
    first: u64,
    received: u64,
    told: (u64, u64),
    pub(crate) gaze: Gaze,
    countdown: u32,
    /// Who sends what is on it, once a packet was opened.
    pub(crate) publisher: Option<u32>,
    picture: Option<(u32, u8)>,
    pieces: u16,
    transit: Option<i64>,
    jitter: f64,
    missing: Vec<Missing>,
    /// The last sender report's time, and when it came.
    pub(crate) sender_report: Option<(u32, Instant)>,
}

impl Incoming {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            window: ReplayWindow::default(),
            highest: None,
            first: 0,
            received: 0,
            told: (0, 0),
            gaze: Gaze::Seeking { since: now, asked: None },
            countdown: 0,
            publisher: None,
            picture: None,
            pieces: 0,
            transit: None,
            jitter: 0.0,
            missing: Vec::new(),
            sender_report: None,
        }
    }

    /// A packet came.
    pub(crate) fn step(&mut self, seq: SeqNo) -> Step {
        self.received += 1;
        let Some(highest) = self.highest else {
            // One cycle up: a packet from before the first has a number too.
            let first = u64::from(seq.0) + 65_536;
            self.highest = Some(first);
            self.first = first;
            return Step { promised: 1 };
        };
        let seq = seq.extend(highest);
        let promised = seq.saturating_sub(highest);
        if promised == 0 {
            self.missing.retain(|missing| missing.seq != seq);
        }
        if (2..MISSING_MAX as u64).contains(&promised) {
            let room = MISSING_MAX.saturating_sub(self.missing.len());
            self.missing.extend((highest + 1..seq).map(|seq| Missing { seq, tries: 0 }).take(room));
        }
        self.highest = Some(highest.max(seq));
        Step { promised }
    }

    /// Whether this packet is one to open.
    pub(crate) const fn looks(&mut self, every: u32) -> bool {
        if matches!(self.gaze, Gaze::Seeking { .. }) {
            return true;
        }
        if self.countdown == 0 {
            self.countdown = every;
        }
        self.countdown -= 1;
        self.countdown == 0
    }

    /// Takes a stamp; tells whether it made a first picture whole.
    pub(crate) fn seek(&mut self, stamp: &Stamp, kind: Kind) -> bool {
        self.publisher = Some(stamp.publisher);
        if self.gaze == Gaze::Counting {
            return false;
        }
        if kind == Kind::Audio {
            self.gaze = Gaze::Counting;
            return true;
        }
        if !stamp.keyframe {
            return false;
        }
        let picture = (stamp.frame, stamp.layer);
        if self.picture != Some(picture) {
            self.picture = Some(picture);
            self.pieces = 0;
        }
        self.pieces += 1;
        let whole = self.pieces >= stamp.packets;
        if whole {
            self.gaze = Gaze::Counting;
        }
        whole
    }

    /// RFC 3550 §6.4.1: how unevenly packets come. `at` and `timestamp` in units of the timestamp.
    pub(crate) fn jitter(&mut self, at: Duration, timestamp: RtpTime, clock: u32) {
        let ticks = at.as_nanos() * u128::from(clock) / 1_000_000_000;
        let ticks = i64::try_from(ticks & 0xffff_ffff).unwrap_or(0);
        let transit = ticks - i64::from(timestamp.0);
        if let Some(before) = self.transit {
            #[expect(clippy::cast_precision_loss, reason = "a few thousand, but for a wrap that is left out")]
            let difference = (transit - before).abs() as f64;
            if difference < 1e6 {
                self.jitter += (difference - self.jitter) / 16.0;
            }
        }
        self.transit = Some(transit);
    }

    /// What is to be asked for again now; what was asked for too often is given up.
    pub(crate) fn nack(&mut self) -> Vec<SeqNo> {
        self.missing.retain(|missing| missing.tries < TRIES);
        self.missing.iter_mut().for_each(|missing| missing.tries += 1);
        let seqs = self.missing.iter().map(|missing| missing.seq & 0xffff);
        seqs.filter_map(|seq| u16::try_from(seq).ok().map(SeqNo)).collect()
    }

    pub(crate) const fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// A retransmission came; tells whether it was missing here.
    pub(crate) fn repair(&mut self, seq: SeqNo) -> bool {
        let before = self.missing.len();
        self.missing.retain(|missing| missing.seq & 0xffff != u64::from(seq.0));
        self.missing.len() < before
    }

    /// What a receiver report says of it.
    pub(crate) fn block(&mut self, ssrc: Ssrc, now: Instant) -> ReportBlock {
        let highest = self.highest.unwrap_or(0);
        let expected = (highest + 1).saturating_sub(self.first);
        let lost = i64::try_from(expected).unwrap_or(0) - i64::try_from(self.received).unwrap_or(0);
        let (expected_before, received_before) = std::mem::replace(&mut self.told, (expected, self.received));
        let (expected, received) = (expected - expected_before, self.received - received_before);
        let fraction = expected.saturating_sub(received) * 256 / expected.max(1);
        let (last_sender_report, delay_since) = self.sender_report.map_or((0, 0), |(middle, came)| {
            let units = now.saturating_duration_since(came).as_micros() * 65_536 / 1_000_000;
            (middle, u32::try_from(units).unwrap_or(u32::MAX))
        });
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
        let jitter = self.jitter as u32;
        ReportBlock {
            ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: i32::try_from(lost).unwrap_or(0),
            highest_seq: u32::try_from(highest.saturating_sub(65_536) & 0xffff_ffff).unwrap_or(0),
            jitter,
            last_sender_report,
            delay_since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_promise_packets_and_late_ones_keep_the_promise() {
        let mut stream = Incoming::new(Instant::now());

        let steps: Vec<u64> =
            [65_535, 0, 3, 2].into_iter().map(|seq| stream.step(SeqNo(seq)).promised).collect();

        assert_eq!(steps, [1, 1, 3, 0]);
        assert_eq!(stream.block(Ssrc(1), Instant::now()).lost, 1, "one is missing");
    }

    #[test]
    fn what_is_missing_is_asked_for_until_it_comes_or_is_given_up() {
        let mut stream = Incoming::new(Instant::now());
        for seq in [1, 4, 5] {
            stream.step(SeqNo(seq));
        }

        assert_eq!(stream.nack(), [SeqNo(2), SeqNo(3)]);
        stream.step(SeqNo(2));
        assert!(stream.repair(SeqNo(3)));
        assert!(stream.is_whole());

        stream.step(SeqNo(7));
        assert_eq!((0..5).filter(|_| !stream.nack().is_empty()).count(), 3);
    }

    #[test]
    fn one_of_so_many_is_looked_at_once_a_picture_was_whole() {
        let mut stream = Incoming::new(Instant::now());
        let stamp = Stamp {
            publisher: 1,
            device: 0,
            layer: 0,
            keyframe: true,
            frame: 0,
            packet: 0,
            packets: 2,
            sent: 0,
        };

        assert!(!stream.seek(&stamp, Kind::Video));
        assert!(stream.seek(&Stamp { packet: 1, ..stamp }, Kind::Video));

        assert_eq!((0..70).filter(|_| stream.looks(7)).count(), 10);
    }
}
