//! What participants learn of each other.
//!
//! Invariants: a version is sent once to everybody or not at all; the hidden are seen by themselves alone; who left is
//! said to have left once.

use std::time::{Duration, Instant};

use prost::Message as _;
use sfu::ids::ParticipantId;

use super::{Room, timers::Timer};
use crate::wire::{
    Say,
    proto::{self, ParticipantInfo, participant_info::State},
};

/// In rooms of more than this, those who only watch are announced together.
const PROMPT_MAX: usize = 50;
/// How long the announcement of somebody who only watches may wait.
const QUIET_FOR: Duration = Duration::from_secs(1);
/// How long a change of numbers may wait.
const COUNTS_FOR: Duration = Duration::from_secs(5);
/// Updates are split beyond this.
const UPDATE_BYTES_MAX: usize = 128 * 1024;
/// Those who left are remembered for clients that were away.
const DEPARTED_MAX: usize = 1024;
const DEPARTED_FOR: Duration = Duration::from_secs(120);

/// Whether somebody hears about themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    /// They do.
    Yes,
    /// They do not.
    No,
}

impl Room {
    /// What others see of a participant.
    pub(super) fn info_of(&self, id: ParticipantId) -> Option<ParticipantInfo> {
        let participant = self.participants.get(&id)?;
        let tracks = participant.tracks.iter().filter_map(|track| self.tracks.get(track));
        let tracks = tracks.filter(|track| track.is_published()).map(|track| track.info.clone());
        let info = participant.info(tracks.collect());
        Some(ParticipantInfo { data_tracks: self.data_infos(id), ..info })
    }

    /// Tells everybody what a participant is like from here on.
    pub(super) fn announce(&mut self, id: ParticipantId, echo: Echo) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.touch();
        let (hidden, sid) = (participant.is_hidden(), participant.sid.clone());
        self.quiet.remove(&sid);
        let Some(info) = self.info_of(id) else { return };
        let say = update(vec![info]);
        if echo == Echo::Yes {
            self.say(id, say.clone());
        }
        if !hidden {
            self.say_others(id, say);
        }
    }

    /// As [`Self::announce`], but those who only watch may wait in a large room.
    pub(super) fn announce_arrival(&mut self, id: ParticipantId, now: Instant) {
        let crowd = self.participants.len() > PROMPT_MAX;
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if !crowd || participant.has_published() {
            return self.announce(id, Echo::No);
        }
        participant.touch();
        let (hidden, sid) = (participant.is_hidden(), participant.sid.clone());
        if let Some(info) = self.info_of(id).filter(|_| !hidden) {
            self.announce_quietly(sid, info, now);
        }
    }

    fn announce_quietly(&mut self, sid: String, info: ParticipantInfo, now: Instant) {
        self.quiet.insert(sid, info);
        if let Some(at) = now.checked_add(QUIET_FOR) {
            self.timers.set_once(Timer::Announce, at);
        }
    }

    /// Says that somebody left: `info` is what was last seen of them.
    pub(super) fn announce_departure(
        &mut self,
        mut info: ParticipantInfo,
        reason: proto::DisconnectReason,
        now: Instant,
    ) {
        info.state = State::Disconnected as i32;
        info.disconnect_reason = reason as i32;
        info.version = info.version.saturating_add(1);
        info.tracks.clear();
        self.departed.push_back((now, info.clone()));
        while self.departed.len() > DEPARTED_MAX {
            self.departed.pop_front();
        }
        if self.participants.len() > PROMPT_MAX && !info.is_publisher {
            let sid = info.sid.clone();
            return self.announce_quietly(sid, info, now);
        }
        self.quiet.remove(&info.sid);
        let say = update(vec![info]);
        for participant in self.participant_ids() {
            self.say(participant, say.clone());
        }
    }

    /// Who left lately, for a client that was away since then. Clients know each other by identity: who came back under
    /// the same one is said to have left only when the client cannot have heard of the return.
    pub(super) fn departed_for(&self, away_since: Option<Instant>, now: Instant) -> Vec<ParticipantInfo> {
        let news = |at: Instant, info: &ParticipantInfo| {
            let missed = away_since.is_some_and(|since| at >= since);
            missed || !self.identities.contains_key(&info.identity)
        };
        let recent = self.departed.iter().filter(|(at, _)| now.saturating_duration_since(*at) < DEPARTED_FOR);
        recent.filter(|(at, info)| news(*at, info)).map(|(_, info)| info.clone()).collect()
    }

    /// Announces all who waited.
    pub(super) fn announce_quiet(&mut self) {
        let waiting: Vec<ParticipantInfo> = std::mem::take(&mut self.quiet).into_values().collect();
        for batch in batches(waiting) {
            let say = update(batch);
            for participant in self.participant_ids() {
                self.say(participant, say.clone());
            }
        }
    }

    /// Everybody a participant may see, except themselves.
    pub(super) fn visible_to(&self, id: ParticipantId) -> Vec<ParticipantInfo> {
        let others = self.participants.values().filter(|other| other.id != id && !other.is_hidden());
        others.filter_map(|other| self.info_of(other.id)).collect()
    }

    /// The number of participants changed.
    pub(super) fn counts_changed(&mut self, now: Instant) {
        let independent =
            self.participants.values().filter(|participant| !participant.is_dependent()).count();
        self.life.count(independent, now);
        if let Some(at) = now.checked_add(COUNTS_FOR) {
            self.timers.set_once(Timer::Counts, at);
        }
    }

    /// Tells everybody what the room is like.
    pub(super) fn tell_room(&mut self) {
        self.timers.cancel(Timer::Counts);
        let say = Say::RoomUpdate(proto::RoomUpdate { room: Some(self.info()) });
        for participant in self.participant_ids() {
            self.say(participant, say.clone());
        }
    }
}

/// A message about participants.
pub(super) fn update(participants: Vec<ParticipantInfo>) -> Say {
    Say::Update(proto::ParticipantUpdate { participants })
}

/// Lists short enough for one message.
pub(super) fn batches(participants: Vec<ParticipantInfo>) -> Vec<Vec<ParticipantInfo>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut bytes = 0_usize;
    for participant in participants {
        let len = participant.encoded_len();
        if !batch.is_empty() && bytes.saturating_add(len) > UPDATE_BYTES_MAX {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes = bytes.saturating_add(len);
        batch.push(participant);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_never_much_longer_than_its_limit() {
        let long = ParticipantInfo { metadata: "m".repeat(50_000), ..Default::default() };

        let batches = batches(vec![long; 5]);

        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), vec![2, 2, 1]);
    }
}
