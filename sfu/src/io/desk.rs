//! Where a room's events are handed to the control plane.
//!
//! Each room has a bounded queue. When its reader falls behind, events are of two kinds:
//! - *passing* ones (speakers, reports, messages of lossy channels) are dropped and counted: the next one tells more;
//! - *lasting* ones (connected, failed, channels, layers, reliable messages) wait here in order, up to a limit.
//!
//! Invariants:
//! - the worker never waits for a reader;
//! - lasting events arrive all and in order, or the room ends: a reader that is [`BACKLOG_MAX`] behind is gone;
//! - the last event of a room that was lost is [`EventKind::RoomLost`].

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::mpsc::{Sender, error::TrySendError};

use super::counters::IoCounters;
use crate::{
    event::{Event, EventKind},
    ids::RoomId,
    params::Channel,
};

/// Events a room's queue holds.
pub(super) const QUEUE: usize = 1_024;
/// Passing events leave this much of the queue to lasting ones.
const RESERVE: usize = 256;
/// Lasting events that may wait. Higher: a stalled reader is borne longer. Lower: less memory for it.
const BACKLOG_MAX: usize = 8_192;
/// Bytes of messages that may wait.
const BACKLOG_BYTES_MAX: usize = 16 << 20;

/// All rooms of a worker.
#[derive(Debug, Default)]
pub(super) struct Desks(BTreeMap<RoomId, Desk>);

#[derive(Debug)]
struct Desk {
    reader: Sender<Event>,
    backlog: VecDeque<Event>,
    backlog_bytes: usize,
}

/// How a room's reader fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Listening,
    /// It hung up, or is too far behind.
    Gone,
}

impl Desks {
    pub(super) fn open(&mut self, room: RoomId, reader: Sender<Event>) {
        self.0.insert(room, Desk { reader, backlog: VecDeque::new(), backlog_bytes: 0 });
    }

    /// The room is no more: its reader gets what is queued and then the end.
    pub(super) fn close(&mut self, room: RoomId) {
        if let Some(mut desk) = self.0.remove(&room) {
            desk.drain();
        }
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = RoomId> + '_ {
        self.0.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a reader has lasting events still to come.
    pub(super) fn is_behind(&self) -> bool {
        self.0.values().any(|desk| !desk.backlog.is_empty())
    }

    /// Hands over one event. Returns the room when it has to be closed.
    pub(super) fn deliver(&mut self, event: Event, counters: &mut IoCounters) -> Option<RoomId> {
        let room = event.room;
        let desk = self.0.get_mut(&room)?;
        let lost = matches!(event.kind, EventKind::RoomLost);
        let reader = desk.deliver(event, counters);
        if lost {
            self.close(room);
            return None;
        }
        (reader == Reader::Gone).then(|| self.give_up(room, counters))
    }

    /// Hands over what waits. Returns the rooms that have to be closed.
    pub(super) fn catch_up(&mut self, counters: &mut IoCounters) -> Vec<RoomId> {
        let gone: Vec<RoomId> = self
            .0
            .iter_mut()
            .filter_map(|(room, desk)| {
                let gone = desk.reader.is_closed() || desk.drain() == Reader::Gone;
                gone.then_some(*room)
            })
            .collect();
        gone.into_iter().map(|room| self.give_up(room, counters)).collect()
    }

    fn give_up(&mut self, room: RoomId, counters: &mut IoCounters) -> RoomId {
        if let Some(desk) = self.0.remove(&room)
            && !desk.reader.is_closed()
        {
            counters.rooms_overrun += 1;
            tracing::error!(%room, "the room's events are not read: it is closed");
        }
        room
    }
}

impl Desk {
    fn deliver(&mut self, event: Event, counters: &mut IoCounters) -> Reader {
        if is_passing(&event.kind) {
            if !self.backlog.is_empty() || self.reader.capacity() < RESERVE {
                counters.events_dropped += 1;
                return Reader::Listening;
            }
            return match self.reader.try_send(event) {
                Ok(()) => Reader::Listening,
                Err(TrySendError::Full(_)) => {
                    counters.events_dropped += 1;
                    Reader::Listening
                }
                Err(TrySendError::Closed(_)) => Reader::Gone,
            };
        }
        self.backlog_bytes += weight(&event.kind);
        self.backlog.push_back(event);
        let reader = self.drain();
        let hopeless = self.backlog.len() > BACKLOG_MAX || self.backlog_bytes > BACKLOG_BYTES_MAX;
        if hopeless { Reader::Gone } else { reader }
    }

    fn drain(&mut self) -> Reader {
        while let Some(event) = self.backlog.pop_front() {
            let weight = weight(&event.kind);
            match self.reader.try_send(event) {
                Ok(()) => self.backlog_bytes -= weight,
                Err(TrySendError::Full(event)) => {
                    self.backlog.push_front(event);
                    return Reader::Listening;
                }
                Err(TrySendError::Closed(_)) => return Reader::Gone,
            }
        }
        Reader::Listening
    }
}

/// Whether the next event of its kind makes up for the loss of this one.
fn is_passing(kind: &EventKind) -> bool {
    match kind {
        EventKind::Speakers(_)
        | EventKind::Report(_)
        | EventKind::Message(_, Channel::Lossy | Channel::DataTrack, _) => true,
        EventKind::Connected { .. }
        | EventKind::Disconnected(_)
        | EventKind::Failed(..)
        | EventKind::ChannelOpen(..)
        | EventKind::Message(_, Channel::Reliable | Channel::Named(_), _)
        | EventKind::LayerStarted(..)
        | EventKind::LayerStopped(..)
        | EventKind::StreamState(..)
        | EventKind::RoomLost => false,
    }
}

fn weight(kind: &EventKind) -> usize {
    if let EventKind::Message(_, _, message) = kind { message.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::ids::TransportId;

    #[test]
    fn lasting_events_arrive_all_and_in_order_however_slow_the_reader() {
        let (mut desks, mut counters, mut reader) = world();

        for number in 0..5_000 {
            assert_eq!(desks.deliver(lasting(number), &mut counters), None);
        }

        for number in 0..5_000 {
            if reader.is_empty() {
                assert!(desks.is_behind());
                assert!(desks.catch_up(&mut counters).is_empty());
            }
            let event = reader.try_recv().unwrap();
            assert!(matches!(event.kind, EventKind::Disconnected(TransportId(got)) if got == number));
        }
        assert!(!desks.is_behind());
    }

    #[test]
    fn passing_events_are_dropped_before_they_crowd_out_lasting_ones() {
        let (mut desks, mut counters, reader) = world();

        for _ in 0..2_000 {
            desks.deliver(Event { room: RoomId(1), kind: EventKind::Speakers(Vec::new()) }, &mut counters);
        }

        assert_eq!(reader.len(), QUEUE - RESERVE + 1);
        assert_eq!(counters.events_dropped, 2_000 - reader.len() as u64);
    }

    #[test]
    fn a_room_whose_reader_is_gone_is_closed() {
        let (mut desks, mut counters, reader) = world();
        drop(reader);

        assert_eq!(desks.deliver(lasting(1), &mut counters), Some(RoomId(1)));
        assert_eq!(counters.rooms_overrun, 0);
        assert_eq!(desks.len(), 0);
    }

    #[test]
    fn a_room_whose_reader_is_hopelessly_behind_is_closed() {
        let (mut desks, mut counters, _reader) = world();
        let message = |_| EventKind::Message(TransportId(1), Channel::Reliable, Bytes::from(vec![0; 60_000]));

        let closed = (0..2_000).find_map(|number| {
            desks.deliver(Event { room: RoomId(1), kind: message(number) }, &mut counters)
        });

        assert_eq!(closed, Some(RoomId(1)));
        assert_eq!(counters.rooms_overrun, 1);
    }

    #[test]
    fn the_last_event_of_a_lost_room_says_so() {
        let (mut desks, mut counters, mut reader) = world();

        desks.deliver(Event { room: RoomId(1), kind: EventKind::RoomLost }, &mut counters);

        assert!(matches!(reader.try_recv().unwrap().kind, EventKind::RoomLost));
        assert!(reader.is_closed());
    }

    fn world() -> (Desks, IoCounters, Receiver<Event>) {
        let (sender, receiver) = channel(QUEUE);
        let mut desks = Desks::default();
        desks.open(RoomId(1), sender);
        (desks, IoCounters::default(), receiver)
    }

    fn lasting(number: u64) -> Event {
        Event { room: RoomId(1), kind: EventKind::Disconnected(TransportId(number)) }
    }
}
