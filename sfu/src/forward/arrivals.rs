//! When the packets of a publisher arrived, for its congestion control
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//!
//! Invariants:
//! - a packet that comes after its loss was told is told again;
//! - one feedback spans at most [`SPAN_MAX`] packets, and the record holds [`KEPT`].

use std::time::{Duration, Instant};

use crate::units::SeqNo;

/// Packets remembered: 0.5 s at 20 Mbit/s. A power of two.
const KEPT: u64 = 1_024;
/// Packets in one feedback: with a large delta each they still fit a datagram.
pub(crate) const SPAN_MAX: u64 = 400;
/// Chromium's own receiver tells every 50 to 250 ms.
const INTERVAL: Duration = Duration::from_millis(100);
/// So many packets are told sooner: a fast sender adapts faster.
const MANY: u32 = 20;
const INTERVAL_MANY: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug)]
struct Waiting {
    since: Instant,
    packets: u32,
    first: u64,
}

/// What arrived of one transport.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    // Arrival times by sequence number modulo [`KEPT`]; empty until the first packet.
    times: Vec<Option<Duration>>,
    highest: Option<u64>,
    // First that was not told yet.
    next: u64,
    waiting: Option<Waiting>,
}

impl Arrivals {
    /// A packet arrived; `at` counts from any fixed moment.
    pub(crate) fn arrived(&mut self, seq: SeqNo, at: Duration, now: Instant) {
        let seq = self.extend(seq);
        let highest = *self.highest.get_or_insert(seq);
        if seq + KEPT <= highest {
            return;
        }
        if seq > highest {
            self.forget_from(highest + 1, seq);
            self.highest = Some(seq);
        }
        let slot = slot(seq);
        if self.times.get(slot).copied().flatten().is_some() {
            return;
        }
        if let Some(time) = self.times.get_mut(slot) {
            *time = Some(at);
        }
        let waiting = self.waiting.get_or_insert(Waiting { since: now, packets: 0, first: seq });
        waiting.packets += 1;
        waiting.first = waiting.first.min(seq);
    }

    /// When the next feedback is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let waiting = self.waiting?;
        let interval = if waiting.packets >= MANY { INTERVAL_MANY } else { INTERVAL };
        Some(waiting.since + interval)
    }

    /// The span the next feedback is about, when one is due; it counts as told.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Span> {
        if self.deadline()? > now {
            return None;
        }
        let waiting = self.waiting?;
        let highest = self.highest?;
        let oldest = (highest + 1).saturating_sub(KEPT);
        let first = self.next.min(waiting.first).max(oldest);
        let end = (highest + 1).min(first + SPAN_MAX);
        self.next = self.next.max(end);
        self.waiting = (end <= highest).then_some(Waiting { first: end, ..waiting });
        Some(Span { first, end })
    }

    /// When a packet of a span arrived; `None`: not yet.
    pub(crate) fn time(&self, seq: u64) -> Option<Duration> {
        self.times.get(slot(seq)).copied().flatten()
    }

    fn extend(&mut self, seq: SeqNo) -> u64 {
        match self.highest {
            Some(highest) => seq.extend(highest),
            None => {
                self.times.resize(slots(), None);
                // One cycle up: a packet from before the first has a number too.
                let first = u64::from(seq.0) + 65_536;
                self.next = first;
                first
            }
        }
    }

    fn forget_from(&mut self, from: u64, to: u64) {
        let from = from.max((to + 1).saturating_sub(KEPT));
        for seq in from..=to {
            if let Some(time) = self.times.get_mut(slot(seq)) {
                *time = None;
            }
        }
    }
}

/// Packets one feedback is about: from the first up to, not with, the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) end: u64,
}

#[expect(clippy::cast_possible_truncation, reason = "a small constant")]
const fn slots() -> usize {
    KEPT as usize
}

const fn slot(seq: u64) -> usize {
    (seq & (KEPT - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    const CYCLE: u64 = 65_536;

    #[test]
    fn feedback_is_due_a_tenth_of_a_second_after_the_first_packet() {
        let start = fixture::start();
        let mut arrivals = Arrivals::default();
        arrivals.arrived(SeqNo(5), Duration::ZERO, start);
        arrivals.arrived(SeqNo(7), Duration::from_millis(2), start);

        assert_eq!(arrivals.take_due(start + INTERVAL_MANY), None);
        let span = arrivals.take_due(start + INTERVAL).unwrap();

        assert_eq!(span, Span { first: CYCLE + 5, end: CYCLE + 8 });
        assert_eq!(arrivals.time(CYCLE + 6), None);
        assert_eq!(arrivals.time(CYCLE + 7), Some(Duration::from_millis(2)));
        assert_eq!(arrivals.deadline(), None);
    }

    #[test]
    fn many_packets_are_told_sooner() {
        let start = fixture::start();
        let mut arrivals = Arrivals::default();

        for seq in 0..20 {
            arrivals.arrived(SeqNo(seq), Duration::ZERO, start);
        }

        assert_eq!(arrivals.deadline(), Some(start + INTERVAL_MANY));
    }

    #[test]
    fn losses_between_two_feedbacks_are_in_the_second() {
        let start = fixture::start();
        let mut arrivals = Arrivals::default();
        arrivals.arrived(SeqNo(1), Duration::ZERO, start);
        arrivals.take_due(start + INTERVAL);

        arrivals.arrived(SeqNo(4), Duration::ZERO, start + INTERVAL);

        assert_eq!(arrivals.take_due(start + 2 * INTERVAL), Some(Span { first: CYCLE + 2, end: CYCLE + 5 }));
    }

    #[test]
    fn a_packet_that_comes_late_is_told_again() {
        let start = fixture::start();
        let mut arrivals = Arrivals::default();
        arrivals.arrived(SeqNo(1), Duration::ZERO, start);
        arrivals.arrived(SeqNo(3), Duration::ZERO, start);
        arrivals.take_due(start + INTERVAL);

        arrivals.arrived(SeqNo(2), Duration::ZERO, start + INTERVAL);

        assert_eq!(arrivals.take_due(start + 2 * INTERVAL), Some(Span { first: CYCLE + 2, end: CYCLE + 4 }));
    }

    #[test]
    fn a_jump_costs_no_more_than_the_record() {
        let start = fixture::start();
        let mut arrivals = Arrivals::default();
        arrivals.arrived(SeqNo(1), Duration::ZERO, start);

        arrivals.arrived(SeqNo(30_000), Duration::ZERO, start);

        let mut packets = 0;
        while let Some(span) = arrivals.take_due(start + INTERVAL) {
            packets += span.end - span.first;
        }
        assert_eq!(packets, KEPT);
    }

    #[test]
    fn numbers_that_wrap_go_on() {
        let start = fixture::start();
        let mut arrivals = Arrivals::default();
        arrivals.arrived(SeqNo(65_535), Duration::ZERO, start);
        arrivals.arrived(SeqNo(0), Duration::ZERO, start);

        let span = arrivals.take_due(start + INTERVAL).unwrap();
        assert_eq!(span.end - span.first, 2);
    }
}
