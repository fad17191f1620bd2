//! Who speaks, as far as each participant can hear it.
//!
//! Invariant: only changes are told, and only of those who are received, and to the speakers themselves.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use sfu::{
    event::{Speaker, SpeakerState},
    ids::ParticipantId,
    params::MediaKind,
};

use super::{Room, timers::Timer};
use crate::wire::{
    Say,
    proto::{self, SpeakerInfo},
};

/// The longest a test may pretend to speak.
const PRETENCE_MAX: Duration = Duration::from_secs(60);

impl Room {
    /// The media plane heard a change.
    pub(super) fn speakers(&mut self, speakers: &[Speaker]) {
        for speaker in speakers {
            let Some(participant) = self.participants.get(&speaker.participant) else { continue };
            let active = speaker.state == SpeakerState::Active;
            let level = if active { speaker.level } else { 0.0 };
            let info = SpeakerInfo { sid: participant.sid.clone(), level, active };
            if active {
                self.speaking.insert(speaker.participant, info);
            } else if self.speaking.insert(speaker.participant, info).is_none() {
                self.speaking.remove(&speaker.participant);
                continue;
            }
        }
        self.tell_speakers(speakers.iter().map(|speaker| speaker.participant).collect());
    }

    fn tell_speakers(&mut self, changed: Vec<ParticipantId>) {
        let mut news: BTreeMap<ParticipantId, Vec<SpeakerInfo>> = BTreeMap::new();
        for id in changed {
            let Some(info) = self.speaking.get(&id).cloned() else { continue };
            if !info.active {
                self.speaking.remove(&id);
            }
            let listeners = self.listeners_of(id);
            for listener in listeners.into_iter().chain([id]) {
                news.entry(listener).or_default().push(info.clone());
            }
        }
        for (listener, speakers) in news {
            self.say(listener, Say::SpeakersChanged(proto::SpeakersChanged { speakers }));
        }
    }

    /// Who receives a participant's sound.
    fn listeners_of(&self, id: ParticipantId) -> Vec<ParticipantId> {
        let tracks = self.participants.get(&id).into_iter().flat_map(|participant| &participant.tracks);
        let audio = tracks
            .filter_map(|track| self.tracks.get(track))
            .filter(|track| track.kind() == MediaKind::Audio);
        let mut listeners: Vec<ParticipantId> = audio
            .flat_map(|track| &track.subscribers)
            .filter_map(|subscription| Some(self.subscriptions.get(subscription)?.subscriber))
            .collect();
        listeners.sort_unstable();
        listeners.dedup();
        listeners
    }

    /// What a new listener is told of a speaker.
    pub(super) fn speaker_state(&self, id: ParticipantId) -> Option<Say> {
        let info = self.speaking.get(&id)?.clone();
        Some(Say::SpeakersChanged(proto::SpeakersChanged { speakers: vec![info] }))
    }

    /// A test pretends to speak.
    pub(super) fn pretend_to_speak(&mut self, id: ParticipantId, time: Duration, now: Instant) {
        let Some(participant) = self.participants.get(&id) else { return };
        self.speaking.insert(id, SpeakerInfo { sid: participant.sid.clone(), level: 0.9, active: true });
        let until = now.checked_add(time.min(PRETENCE_MAX)).unwrap_or(now);
        self.timers.set(Timer::Hush(id), until);
        self.tell_everybody_about_speaker(id);
    }

    /// The pretence is over.
    pub(super) fn hush(&mut self, id: ParticipantId) {
        if let Some(info) = self.speaking.get_mut(&id) {
            *info = SpeakerInfo { sid: info.sid.clone(), level: 0.0, active: false };
        }
        self.tell_everybody_about_speaker(id);
        self.speaking.remove(&id);
    }

    fn tell_everybody_about_speaker(&mut self, id: ParticipantId) {
        let Some(say) = self.speaker_state(id) else { return };
        for participant in self.participant_ids() {
            self.say(participant, say.clone());
        }
    }
}
