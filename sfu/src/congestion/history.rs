//! What was sent, by transport-wide sequence number, until the receiver tells what became of it
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//!
//! Invariants:
//! - a packet's arrival is told once, and its loss at most once before that;
//! - per packet: one record of 16 bytes written, nothing allocated once the ring has grown.

use super::Micros;
use crate::{rtcp::twcc, units::SeqNo};

/// Where every ring begins.
const KEPT_MIN: usize = 256;
/// 4,096 packets of 1,200 bytes are 1 s at 40 Mbit/s. Higher: longer round trips. Lower: less memory.
const KEPT_MAX: usize = 4_096;
/// Nobody tells of older packets: the ring grows for younger ones only.
const AGE_KEPT: Micros = Micros(1_000_000);
/// One cycle up: a number from before the first is behind it, not ahead.
const FIRST: u64 = 65_536;
/// draft-holmer §3.1: the reference time has 24 bits of 64 ms.
const REFERENCE_CYCLE: i64 = (1 << 24) * 64_000;

/// Which probe a packet belongs to; [`Cluster::NONE`] for all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cluster(pub(crate) u8);

impl Cluster {
    /// No probe.
    pub(crate) const NONE: Self = Self(0);
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Flying,
    Lost,
    Arrived,
}

#[derive(Clone, Copy, Debug, Default)]
struct Record {
    at: Micros,
    len: u16,
    cluster: Cluster,
    fate: Fate,
}

/// What the receiver told of one packet for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// On our clock.
    pub(crate) sent: Micros,
    /// On the receiver's clock; `None`: it did not arrive.
    pub(crate) arrived: Option<Micros>,
    pub(crate) len: u16,
    pub(crate) cluster: Cluster,
    /// It was told as lost before.
    pub(crate) was_lost: bool,
}

/// What was sent on one transport.
#[derive(Debug)]
pub(crate) struct History {
    // By sequence number modulo the length, a power of two; empty until the first packet.
    records: Vec<Record>,
    next: u64,
    last: Option<Micros>,
    // Where the receiver's reference time stood, raw and unwrapped.
    reference: Option<(i64, i64)>,
}

impl Default for History {
    fn default() -> Self {
        Self { records: Vec::new(), next: FIRST, last: None, reference: None }
    }
}

impl History {
    /// The number of the next packet.
    pub(crate) const fn next(&self) -> SeqNo {
        SeqNo((self.next & 0xffff) as u16)
    }

    /// The packet that was to be the next went out.
    pub(crate) fn sent(&mut self, len: usize, cluster: Cluster, at: Micros) {
        if self.has_no_place(at) {
            self.grow();
        }
        let place = self.place(self.next);
        if let Some(record) = self.records.get_mut(place) {
            *record = Record { at, len: u16::try_from(len).unwrap_or(u16::MAX), cluster, fate: Fate::Flying };
        }
        self.next += 1;
        self.last = Some(at);
    }

    /// When the last packet went out.
    pub(crate) const fn last(&self) -> Option<Micros> {
        self.last
    }

    /// Reads what the receiver tells; what it told before is passed over.
    pub(crate) fn read(&mut self, feedback: &twcc::Feedback<'_>, mut tell: impl FnMut(Told)) {
        let mut clock = self.unwrap(feedback.reference_micros());
        for (seq, delta) in feedback.statuses() {
            if let Some(delta) = delta {
                clock = clock.saturating_add(delta.as_micros());
            }
            let seq = seq.extend(self.next);
            let place = self.place(seq);
            if seq >= self.next || seq.saturating_add(self.records.len() as u64) < self.next || seq < FIRST {
                continue;
            }
            let Some(record) = self.records.get_mut(place) else { continue };
            let fate = if delta.is_some() { Fate::Arrived } else { Fate::Lost };
            let before = record.fate;
            if before == Fate::Arrived || before == fate {
                continue;
            }
            record.fate = fate;
            tell(Told {
                sent: record.at,
                arrived: delta.map(|_| Micros(clock)),
                len: record.len,
                cluster: record.cluster,
                was_lost: before == Fate::Lost,
            });
        }
    }

    /// The receiver's clock wraps after twelve days.
    fn unwrap(&mut self, raw: i64) -> i64 {
        let unwrapped = match self.reference {
            None => raw,
            Some((before, at)) => {
                let ahead = raw.wrapping_sub(before).rem_euclid(REFERENCE_CYCLE);
                let behind = if ahead >= REFERENCE_CYCLE / 2 { REFERENCE_CYCLE } else { 0 };
                at.saturating_add(ahead - behind)
            }
        };
        self.reference = Some((raw, unwrapped));
        unwrapped
    }

    /// Whether the record that would give way may still be told of.
    fn has_no_place(&self, now: Micros) -> bool {
        let Some(record) = self.records.get(self.place(self.next)) else { return true };
        self.next - FIRST >= self.records.len() as u64
            && self.records.len() < KEPT_MAX
            && record.fate == Fate::Flying
            && now.since(record.at) < AGE_KEPT
    }

    fn grow(&mut self) {
        let len = (self.records.len() * 2).max(KEPT_MIN);
        let old = std::mem::replace(&mut self.records, vec![Record::default(); len]);
        let kept = (old.len() as u64).min(self.next - FIRST);
        for seq in self.next - kept..self.next {
            let (from, to) = (low(seq) & old.len().wrapping_sub(1), self.place(seq));
            if let (Some(record), Some(slot)) = (old.get(from), self.records.get_mut(to)) {
                *slot = *record;
            }
        }
    }

    fn place(&self, seq: u64) -> usize {
        low(seq) & self.records.len().wrapping_sub(1)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "masked to the length of the ring")]
const fn low(seq: u64) -> usize {
    seq as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        congestion::tests::receiver::Receiver,
        rtcp::{self, Packet},
    };

    fn read(history: &mut History, compound: &[u8]) -> Vec<Told> {
        let mut all = Vec::new();
        for packet in rtcp::parse(compound) {
            if let Packet::TransportCc(feedback) = packet.unwrap() {
                history.read(&feedback, |told| all.push(told));
            }
        }
        all
    }

    #[test]
    fn what_became_of_a_packet_is_told_once() {
        let mut history = History::default();
        let mut receiver = Receiver::default();
        for millisecond in 0..3 {
            let seq = history.next();
            history.sent(100, Cluster::NONE, Micros(millisecond * 1_000));
            if millisecond != 1 {
                receiver.arrived(seq, Micros(50_000 + millisecond * 1_000));
            }
        }
        let compound = receiver.feedback().unwrap();

        let told = read(&mut history, &compound);
        assert_eq!(told.iter().map(|told| told.arrived.is_some()).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(told[2].sent, Micros(2_000));
        assert_eq!(read(&mut history, &compound), []);
    }

    #[test]
    fn a_loss_may_be_taken_back() {
        let mut history = History::default();
        for _ in 0..3 {
            history.sent(100, Cluster::NONE, Micros(0));
        }
        let mut receiver = Receiver::default();
        receiver.arrived(SeqNo(0), Micros(0));
        receiver.arrived(SeqNo(2), Micros(0));
        read(&mut history, &receiver.feedback().unwrap());
        receiver.arrived(SeqNo(1), Micros(9_000));

        let told = read(&mut history, &receiver.feedback().unwrap());

        assert_eq!(told.len(), 1);
        assert!(told[0].was_lost && told[0].arrived.is_some());
    }

    #[test]
    fn the_ring_grows_for_young_packets_and_not_without_end() {
        let mut history = History::default();
        for packet in 0..100_000 {
            history.sent(1_200, Cluster::NONE, Micros(packet));
        }
        assert_eq!(history.records.len(), KEPT_MAX);

        let mut slow = History::default();
        for packet in 0..10_000 {
            slow.sent(1_200, Cluster::NONE, Micros(packet * 20_000));
        }
        assert_eq!(slow.records.len(), KEPT_MIN);
    }

    #[test]
    fn the_clock_of_the_receiver_may_wrap() {
        let mut history = History::default();
        let end = REFERENCE_CYCLE / 2 - 64_000;

        assert_eq!(history.unwrap(end), end);
        assert_eq!(history.unwrap(-REFERENCE_CYCLE / 2), end + 64_000);
        assert_eq!(history.unwrap(end), end);
    }

    #[test]
    fn nothing_is_made_up_about_packets_that_were_never_sent() {
        let mut history = History::default();
        history.sent(100, Cluster::NONE, Micros(0));
        let mut receiver = Receiver::default();
        for seq in [0, 7, 9] {
            receiver.arrived(SeqNo(seq), Micros(0));
        }
        let compound = receiver.feedback().unwrap();

        assert_eq!(read(&mut history, &compound).len(), 1);
    }
}
