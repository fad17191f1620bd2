//! When a room ends by itself, and what is told of it as a whole.
//!
//! Invariant: a room lives while somebody who counts is in it; agents and recorders do not count.

use std::time::{Duration, Instant, SystemTime};

use crate::{config::Config, wire::proto};

/// What is known of a room as a whole.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) sid: String,
    name: String,
    empty_timeout: Duration,
    departure_timeout: Duration,
    max_participants: u32,
    metadata: String,
    streams: Streams,
    created: SystemTime,
    occupancy: Occupancy,
}

/// Who is in it, as far as its end is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occupancy {
    /// Nobody came yet.
    New { since: Instant },
    /// Somebody is there.
    Occupied,
    /// Everybody left.
    Deserted { since: Instant },
}

/// Whether microphone and camera of a participant are one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Streams {
    /// Each track is a stream.
    Apart,
    /// Played in step.
    InStep,
}

/// Whether one more may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// There is room.
    Free,
    /// The limit is reached.
    Taken,
}

impl Life {
    /// A room as it was asked for; what was not asked for is as the operator decided.
    pub(super) fn new(
        sid: String,
        wish: &proto::CreateRoomRequest,
        config: &Config,
        now: Instant,
        wall: SystemTime,
    ) -> Self {
        let mut life = Self {
            sid,
            name: wish.name.clone(),
            empty_timeout: config.empty_timeout,
            departure_timeout: config.departure_timeout,
            max_participants: config.max_participants,
            metadata: String::new(),
            streams: if wish.sync_streams { Streams::InStep } else { Streams::Apart },
            created: wall,
            occupancy: Occupancy::New { since: now },
        };
        life.update(wish, now);
        life
    }

    /// Takes over what is given in a later request; the time to come in begins anew.
    pub(super) fn update(&mut self, wish: &proto::CreateRoomRequest, now: Instant) {
        if wish.empty_timeout > 0 {
            self.empty_timeout = Duration::from_secs(wish.empty_timeout.into());
        }
        if wish.departure_timeout > 0 {
            self.departure_timeout = Duration::from_secs(wish.departure_timeout.into());
        }
        if wish.max_participants > 0 {
            self.max_participants = wish.max_participants;
        }
        if !wish.metadata.is_empty() {
            self.metadata.clone_from(&wish.metadata);
        }
        if let Occupancy::New { since } = &mut self.occupancy {
            *since = now;
        }
    }

    /// Whether microphone and camera of a participant are played in step.
    pub(super) fn syncs_streams(&self) -> bool {
        self.streams == Streams::InStep
    }

    /// Replaces the metadata.
    pub(super) fn set_metadata(&mut self, metadata: String) {
        self.metadata = metadata;
    }

    /// Whether one more fits beside this many.
    pub(super) fn place(&self, participants: usize) -> Place {
        match usize::try_from(self.max_participants) {
            Ok(max) if max > 0 && participants >= max => Place::Taken,
            _ => Place::Free,
        }
    }

    /// Counts those who keep the room alive.
    pub(super) fn count(&mut self, participants: usize, now: Instant) {
        self.occupancy = match (self.occupancy, participants) {
            (Occupancy::Occupied, 0) => Occupancy::Deserted { since: now },
            (other, 0) => other,
            _ => Occupancy::Occupied,
        };
    }

    /// When the room ends if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.occupancy {
            Occupancy::New { since } => since.checked_add(self.empty_timeout),
            Occupancy::Deserted { since } => since.checked_add(self.departure_timeout),
            Occupancy::Occupied => None,
        }
    }

    /// The room as clients and the room service see it, without what is counted.
    pub(super) fn info(&self) -> proto::Room {
        let created = self.created.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        proto::Room {
            sid: self.sid.clone(),
            name: self.name.clone(),
            empty_timeout: seconds(self.empty_timeout),
            departure_timeout: seconds(self.departure_timeout),
            max_participants: self.max_participants,
            creation_time: i64::try_from(created.as_secs()).unwrap_or(i64::MAX),
            creation_time_ms: i64::try_from(created.as_millis()).unwrap_or(i64::MAX),
            metadata: self.metadata.clone(),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_room_nobody_joins_ends_after_its_empty_timeout() {
        let (life, start) = life(proto::CreateRoomRequest { empty_timeout: 7, ..Default::default() });

        assert_eq!(life.deadline(), Some(start + Duration::from_secs(7)));
    }

    #[test]
    fn a_room_everybody_left_ends_after_its_departure_timeout() {
        let (mut life, start) = life(proto::CreateRoomRequest { departure_timeout: 3, ..Default::default() });
        let later = start + Duration::from_secs(100);

        life.count(1, start);
        assert_eq!(life.deadline(), None, "somebody is there");
        life.count(0, later);

        assert_eq!(life.deadline(), Some(later + Duration::from_secs(3)));
        life.count(0, later + Duration::from_secs(2));
        assert_eq!(life.deadline(), Some(later + Duration::from_secs(3)), "counting again changes nothing");
    }

    #[test]
    fn a_second_request_changes_only_what_it_gives() {
        let (mut life, start) = life(proto::CreateRoomRequest { empty_timeout: 7, ..Default::default() });

        life.update(&proto::CreateRoomRequest { max_participants: 2, ..Default::default() }, start);

        assert_eq!((life.info().empty_timeout, life.info().max_participants), (7, 2));
        assert_eq!((life.place(1), life.place(2)), (Place::Free, Place::Taken));
    }

    #[test]
    fn no_limit_is_zero() {
        let (life, _) = life(proto::CreateRoomRequest::default());

        assert_eq!(life.place(10_000), Place::Free);
    }

    fn life(wish: proto::CreateRoomRequest) -> (Life, Instant) {
        let start = fixture::start();
        (Life::new("RM_x".into(), &wish, &Config::default(), start, SystemTime::UNIX_EPOCH), start)
    }
}
