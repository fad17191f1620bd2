//! What is remembered of the messages from and to one participant.
//!
//! Invariants: a reliable message is taken once, in order of its sequence; what is kept for a client that comes back is
//! bounded in bytes and in time.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;

/// Higher: longer absences lose nothing. Lower: less memory per participant.
const REPLAY_BYTES_MAX: usize = 128 * 1024;
const REPLAY_AGE_MAX: Duration = Duration::from_secs(5);

/// A reliable message that went to a participant.
#[derive(Debug)]
struct Sent {
    at: Instant,
    publisher: String,
    sequence: u32,
    bytes: Bytes,
}

/// What is remembered of messages.
#[derive(Debug, Default)]
pub(super) struct DataInbox {
    last_sequence: u32,
    sent: VecDeque<Sent>,
    sent_bytes: usize,
}

/// Whether a message was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// It was not.
    New,
    /// It was, or something later was.
    Repeated,
}

impl DataInbox {
    /// The last sequence number that came.
    pub(super) fn last_sequence(&self) -> u32 {
        self.last_sequence
    }

    /// A reliable message came; clients that do not number their messages send zero.
    pub(super) fn receive(&mut self, sequence: u32) -> Novelty {
        if sequence == 0 {
            return Novelty::New;
        }
        if sequence <= self.last_sequence {
            return Novelty::Repeated;
        }
        self.last_sequence = sequence;
        Novelty::New
    }

    /// A reliable message goes out.
    pub(super) fn keep(&mut self, publisher: &str, sequence: u32, bytes: Bytes, now: Instant) {
        if sequence == 0 || bytes.len() > REPLAY_BYTES_MAX {
            return;
        }
        self.sent_bytes = self.sent_bytes.saturating_add(bytes.len());
        self.sent.push_back(Sent { at: now, publisher: publisher.to_string(), sequence, bytes });
        self.expire(now);
    }

    fn expire(&mut self, now: Instant) {
        while let Some(first) = self.sent.front() {
            let old = now.saturating_duration_since(first.at) > REPLAY_AGE_MAX;
            if !old && self.sent_bytes <= REPLAY_BYTES_MAX {
                return;
            }
            self.sent_bytes = self.sent_bytes.saturating_sub(first.bytes.len());
            self.sent.pop_front();
        }
    }

    /// What the client missed, knowing up to which sequence it has messages of each publisher.
    pub(super) fn missed(&self, known: &BTreeMap<String, u32>) -> Vec<Bytes> {
        let missed = self
            .sent
            .iter()
            .filter(|sent| known.get(&sent.publisher).is_some_and(|last| sent.sequence > *last));
        missed.map(|sent| sent.bytes.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_sequence_is_taken_once() {
        let mut inbox = DataInbox::default();

        assert_eq!(inbox.receive(1), Novelty::New);
        assert_eq!(inbox.receive(1), Novelty::Repeated);
        assert_eq!(inbox.receive(3), Novelty::New);
        assert_eq!(inbox.receive(2), Novelty::Repeated);
        assert_eq!(inbox.receive(0), Novelty::New, "old clients do not count");
        assert_eq!(inbox.last_sequence(), 3);
    }

    #[test]
    fn what_was_missed_is_replayed_once_per_publisher() {
        let now = fixture::start();
        let mut inbox = DataInbox::default();
        for sequence in 1..=3 {
            inbox.keep("PA_a", sequence, Bytes::from(vec![u8::try_from(sequence).unwrap()]), now);
        }
        inbox.keep("PA_b", 1, Bytes::from_static(b"b"), now);

        let missed = inbox.missed(&BTreeMap::from([("PA_a".to_string(), 2)]));

        assert_eq!(missed, vec![Bytes::from_static(&[3])]);
    }

    #[test]
    fn memory_is_bounded() {
        let now = fixture::start();
        let mut inbox = DataInbox::default();
        for sequence in 1..100 {
            inbox.keep("PA_a", sequence, Bytes::from(vec![0; 10_000]), now);
        }
        assert!(inbox.sent_bytes <= REPLAY_BYTES_MAX);

        inbox.keep("PA_a", 100, Bytes::from_static(b"x"), now + Duration::from_secs(60));
        assert_eq!(inbox.sent.len(), 1);
    }
}
