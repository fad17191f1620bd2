//! Which packets a publisher is asked to send again (RFC 4585 §6.2.1).
//!
//! Invariants:
//! - at most [`MISSING_MAX`] packets are asked for at a time, each at most [`TRIES_MAX`] times;
//! - a jump beyond that is no loss: it is left to a key frame.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Packets waited for at a time. Higher: survives longer bursts. Lower: less work per packet under attack.
const MISSING_MAX: u64 = 100;
/// Requests per packet.
const TRIES_MAX: u32 = 5;
/// The first request waits for packets that overtook each other.
const REORDERING: Duration = Duration::from_millis(5);
/// Bounds of the wait between two requests for one packet.
const SPACING_MIN: Duration = Duration::from_millis(20);
const SPACING_MAX: Duration = Duration::from_millis(400);
/// Assumed while the round trip is unknown.
pub(crate) const RTT_ASSUMED: Duration = Duration::from_millis(70);

#[derive(Clone, Copy, Debug)]
struct Missing {
    seq: u64,
    tries: u32,
    /// When it was asked for last.
    asked: Option<Instant>,
    next: Instant,
}

/// What arrived, as far as gaps go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// None, or one that is being asked for.
    Bearable,
    /// More is lost than is asked for.
    TooLarge,
}

/// The gaps in one encoding.
#[derive(Debug, Default)]
pub(crate) struct Nacks {
    // In ascending order.
    missing: VecDeque<Missing>,
    highest: Option<u64>,
    /// How long answers take: a publisher that is sent nothing tells of no round trip.
    answer: Option<Duration>,
}

impl Nacks {
    /// A packet arrived, first hand or by retransmission.
    pub(crate) fn arrived(&mut self, seq: u64, now: Instant) -> Gap {
        let Some(highest) = self.highest else {
            self.highest = Some(seq);
            return Gap::Bearable;
        };
        if seq <= highest {
            let index = self.missing.binary_search_by_key(&seq, |missing| missing.seq);
            if let Some(found) = index.ok().and_then(|index| self.missing.remove(index)) {
                self.answered(found, now);
            }
            return Gap::Bearable;
        }
        self.highest = Some(seq);
        if seq - highest > MISSING_MAX {
            self.missing.clear();
            return Gap::TooLarge;
        }
        let next = now + REORDERING;
        self.missing.extend((highest + 1..seq).map(|seq| Missing { seq, tries: 0, asked: None, next }));
        let mut gap = Gap::Bearable;
        while self.missing.len() as u64 > MISSING_MAX {
            self.missing.pop_front();
            gap = Gap::TooLarge;
        }
        gap
    }

    /// What was asked for came. Of an answer to the second request nobody knows which it answers (RFC 6298 §3).
    fn answered(&mut self, found: Missing, now: Instant) {
        let Some(asked) = found.asked.filter(|_| found.tries == 1) else { return };
        let took = now.saturating_duration_since(asked);
        self.answer = Some(self.answer.map_or(took, |before| (before * 7 + took) / 8));
    }

    /// A key frame begins here: nothing before it is needed any more.
    pub(crate) fn forget_before(&mut self, seq: u64) {
        while self.missing.front().is_some_and(|missing| missing.seq < seq) {
            self.missing.pop_front();
        }
    }

    /// Nothing is asked for from here on: the stream stopped.
    pub(crate) fn clear(&mut self) {
        self.missing.clear();
    }

    /// The packets to be asked for at this moment, in ascending order; each counts as asked for.
    pub(crate) fn take_due(&mut self, rtt: Duration, now: Instant, mut ask: impl FnMut(u16)) {
        let rtt = self.answer.unwrap_or(rtt);
        self.missing.retain_mut(|missing| {
            if missing.next > now {
                return true;
            }
            if missing.tries >= TRIES_MAX {
                return false;
            }
            #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what the wire carries")]
            ask(missing.seq as u16);
            missing.asked = Some(now);
            missing.next = now + spacing(rtt, missing.tries);
            missing.tries += 1;
            true
        });
    }

    /// When something is to be asked for.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.missing.iter().map(|missing| missing.next).min()
    }
}

/// A quarter more with every try.
fn spacing(rtt: Duration, tries: u32) -> Duration {
    let grown = (0..tries.min(TRIES_MAX)).fold(rtt, |spacing, _| spacing + spacing / 4);
    grown.clamp(SPACING_MIN, SPACING_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn asked(nacks: &mut Nacks, now: Instant) -> Vec<u16> {
        let mut seqs = Vec::new();
        nacks.take_due(RTT_ASSUMED, now, |seq| seqs.push(seq));
        seqs
    }

    #[test]
    fn a_gap_is_asked_for_once_per_round_trip_until_it_is_filled() {
        let start = fixture::start();
        let mut nacks = Nacks::default();
        nacks.arrived(10, start);
        nacks.arrived(13, start);

        let soon = start + REORDERING;
        assert_eq!(asked(&mut nacks, soon), [11, 12]);
        assert_eq!(asked(&mut nacks, soon), [0_u16; 0]);
        nacks.arrived(11, soon);

        assert_eq!(asked(&mut nacks, soon + RTT_ASSUMED), [12]);
    }

    #[test]
    fn a_publisher_far_away_is_given_the_time_its_answers_take() {
        let start = fixture::start();
        let far = Duration::from_millis(300);
        let mut nacks = Nacks::default();
        nacks.arrived(1, start);
        nacks.arrived(3, start);
        let first = start + REORDERING;
        asked(&mut nacks, first);
        nacks.arrived(2, first + far);
        nacks.arrived(5, first + far);
        let second = first + far + REORDERING;

        assert_eq!(asked(&mut nacks, second), [4]);
        assert_eq!(asked(&mut nacks, second + far - Duration::from_millis(1)), [0_u16; 0]);
        assert_eq!(asked(&mut nacks, second + far), [4]);
    }

    #[test]
    fn packets_that_overtook_each_other_are_not_asked_for() {
        let start = fixture::start();
        let mut nacks = Nacks::default();
        nacks.arrived(10, start);
        nacks.arrived(12, start);
        nacks.arrived(11, start + Duration::from_millis(1));

        assert_eq!(asked(&mut nacks, start + REORDERING), [0_u16; 0]);
        assert_eq!(nacks.deadline(), None);
    }

    #[test]
    fn a_packet_that_never_comes_is_given_up() {
        let start = fixture::start();
        let mut nacks = Nacks::default();
        nacks.arrived(1, start);
        nacks.arrived(3, start);

        let mut times = 0;
        while let Some(at) = nacks.deadline() {
            times += asked(&mut nacks, at).len();
            assert!(at < start + Duration::from_secs(3), "it ends");
        }

        assert_eq!(times, TRIES_MAX as usize);
    }

    #[test]
    fn a_jump_is_no_loss() {
        let start = fixture::start();
        let mut nacks = Nacks::default();
        nacks.arrived(1, start);

        assert_eq!(nacks.arrived(30_000, start), Gap::TooLarge);
        assert_eq!(nacks.deadline(), None);
    }

    #[test]
    fn gaps_beyond_the_limit_give_way_to_newer_ones() {
        let start = fixture::start();
        let mut nacks = Nacks::default();

        for seq in (0..1_000).step_by(3) {
            nacks.arrived(seq, start);
        }

        assert_eq!(nacks.missing.len() as u64, MISSING_MAX);
    }

    #[test]
    fn sequence_numbers_wrap_on_the_wire_only() {
        let start = fixture::start();
        let mut nacks = Nacks::default();
        nacks.arrived(65_534, start);
        nacks.arrived(65_538, start);

        assert_eq!(asked(&mut nacks, start + REORDERING), [65_535, 0, 1]);
    }

    #[test]
    fn a_key_frame_makes_what_came_before_worthless() {
        let start = fixture::start();
        let mut nacks = Nacks::default();
        nacks.arrived(1, start);
        nacks.arrived(5, start);

        nacks.forget_before(4);

        assert_eq!(asked(&mut nacks, start + REORDERING), [4]);
    }
}
