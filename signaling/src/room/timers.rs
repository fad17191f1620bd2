//! What a room is to be woken for.
//!
//! Invariant: each timer is set at most once; setting it again moves it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use sfu::ids::{ParticipantId, TrackId};

/// Why a room wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A participant should be connected by now.
    Join(ParticipantId),
    /// What changed for a participant is to be negotiated.
    Negotiate(ParticipantId),
    /// A participant should have answered by now.
    Late(ParticipantId),
    /// A participant whose media is lost should be back by now.
    Gone(ParticipantId),
    /// A participant's token is to be renewed.
    Refresh(ParticipantId),
    /// What is held back from a participant is to be said.
    Hold(ParticipantId),
    /// Tracks a participant waits for should have appeared by now.
    Wanted(ParticipantId),
    /// A participant pretended to speak long enough.
    Hush(ParticipantId),
    /// What is received of a track may be less than before.
    Dynacast(TrackId),
    /// The second codec of a track should have come by now.
    Backup(TrackId),
    /// Participants who came or went quietly are to be announced.
    Announce,
    /// The number of participants is to be told.
    Counts,
    /// Connection quality is to be told.
    Quality,
}

/// The timers of a room.
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Instant, Timer)>,
    at: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Sets or moves a timer.
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.cancel(timer);
        self.order.insert((at, timer));
        self.at.insert(timer, at);
    }

    /// Sets a timer unless it is set.
    pub(super) fn set_once(&mut self, timer: Timer, at: Instant) {
        if !self.at.contains_key(&timer) {
            self.set(timer, at);
        }
    }

    /// Forgets a timer.
    pub(super) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// One that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixture;

    #[test]
    fn timers_are_due_in_their_order_and_once() {
        let start = fixture::start();
        let later = start + Duration::from_secs(1);
        let mut timers = Timers::default();
        timers.set(Timer::Quality, later);
        timers.set(Timer::Announce, start);

        assert_eq!(timers.next(), Some(start));
        assert_eq!(timers.pop(start), Some(Timer::Announce));
        assert_eq!(timers.pop(start), None);
        assert_eq!(timers.pop(later), Some(Timer::Quality));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn setting_again_moves() {
        let start = fixture::start();
        let later = start + Duration::from_secs(1);
        let mut timers = Timers::default();
        timers.set(Timer::Quality, start);
        timers.set(Timer::Quality, later);
        timers.set_once(Timer::Quality, start);

        assert_eq!(timers.pop(start), None);
        assert_eq!(timers.next(), Some(later));
        timers.cancel(Timer::Quality);
        assert_eq!(timers.next(), None);
    }
}
