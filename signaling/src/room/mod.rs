//! A room: who is in it, what they publish, who receives what.
//!
//! Invariants: nothing is sent to a session before its join; a participant is announced before anything of theirs
//! is carried; what is gone is never named again.

mod announce;
mod ask;
mod backup;
mod client;
mod data;
mod data_track;
mod desire;
mod dynacast;
pub mod farewell;
mod inbox;
mod join;
mod life;
mod link;
mod metadata;
mod negotiation;
mod participant;
mod permission;
mod publish;
mod quality;
mod service;
mod speakers;
mod subscribe;
mod subscription;
#[cfg(test)]
mod tests;
mod timers;
mod track;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Instant, SystemTime},
};

use data_track::DataTrack;
pub use farewell::Farewell;
use life::Life;
use link::Progress;
use participant::Participant;
pub use service::{Service, ServiceReply};
use sfu::{
    command::Command,
    event::EventKind,
    ids::{ParticipantId, RoomId, SubscriptionId, TrackId, TransportId},
    params::Endpoint,
};
use subscription::{Subscription, SubscriptionIndex};
use timers::Timers;
use track::Track;

use crate::{
    config::Config,
    ids::{Numbers, Random, Seed, SessionId, sid},
    token::Claims,
    wire::{Ask, Say, join::JoinParameters, proto},
};

/// What happens to a room.
#[derive(Debug)]
pub enum Input {
    /// Somebody connects.
    Join(Box<Join>),
    /// A client says something.
    Ask(SessionId, Box<Ask>),
    /// A WebSocket is gone.
    Lost(SessionId),
    /// The media plane says something.
    Media(EventKind),
    /// The node stops.
    Shutdown,
}

/// Somebody who connects, admitted.
#[derive(Clone, Debug)]
pub struct Join {
    /// Their WebSocket.
    pub session: SessionId,
    /// Who they are.
    pub claims: Claims,
    /// What they said.
    pub parameters: JoinParameters,
}

/// What a room wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// A message for a client.
    Send(SessionId, Arc<Say>),
    /// A WebSocket is to be closed after what was sent.
    Close(SessionId),
    /// A WebSocket is to be cut off without a farewell.
    Abandon(SessionId),
    /// A wish to the media plane.
    Media(Command),
    /// The room is over: nothing follows.
    Closed,
}

/// What is known of a room from outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// As clients see it.
    pub room: proto::Room,
    /// All participants, hidden ones too.
    pub participants: u64,
    /// Published tracks.
    pub tracks: u64,
    /// Tracks forwarded to somebody.
    pub subscriptions: u64,
}

/// What a room is made with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its number.
    pub id: RoomId,
    /// Where its media is served.
    pub endpoint: Endpoint,
    /// How it was asked for.
    pub wish: proto::CreateRoomRequest,
    /// What the operator decided.
    pub config: Arc<Config>,
    /// Where its random numbers begin.
    pub seed: Seed,
}

/// The room.
pub struct Room {
    id: RoomId,
    endpoint: Endpoint,
    config: Arc<Config>,
    random: Random,
    numbers: Numbers,
    life: Life,
    /// What time it was outside, and when that was told.
    clock: (SystemTime, Instant),
    sif_trailer: Vec<u8>,
    participants: BTreeMap<ParticipantId, Participant>,
    identities: BTreeMap<String, ParticipantId>,
    sids: BTreeMap<String, ParticipantId>,
    sessions: BTreeMap<SessionId, ParticipantId>,
    transports: BTreeMap<TransportId, ParticipantId>,
    tracks: BTreeMap<TrackId, Track>,
    track_sids: BTreeMap<String, TrackId>,
    /// The tracks that have a second codec, by its name.
    backups: BTreeMap<TrackId, TrackId>,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    subscription_index: SubscriptionIndex,
    /// By sid.
    data_tracks: BTreeMap<String, DataTrack>,
    speaking: BTreeMap<ParticipantId, proto::SpeakerInfo>,
    /// Announcements that wait, by sid.
    quiet: BTreeMap<String, proto::ParticipantInfo>,
    departed: VecDeque<(Instant, proto::ParticipantInfo)>,
    nonces: VecDeque<Vec<u8>>,
    timers: Timers,
    outputs: VecDeque<Output>,
    end: End,
}

/// Whether a room is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Over,
}

/// What end-to-end encrypted clients know frames by that the server made.
const SIF_TRAILER_LEN: usize = 16;

impl Room {
    /// Begins a room.
    #[must_use]
    pub fn new(setup: Setup, now: Instant, wall: SystemTime) -> Self {
        let Setup { id, endpoint, wish, config, seed } = setup;
        let mut random = Random::new(seed);
        let life = Life::new(sid("RM_", &mut random), &wish, &config, now, wall);
        let sif_trailer = random.bytes(SIF_TRAILER_LEN);
        Self {
            id,
            endpoint,
            config,
            random,
            numbers: Numbers::new(id),
            life,
            clock: (wall, now),
            sif_trailer,
            participants: BTreeMap::new(),
            identities: BTreeMap::new(),
            sids: BTreeMap::new(),
            sessions: BTreeMap::new(),
            transports: BTreeMap::new(),
            tracks: BTreeMap::new(),
            track_sids: BTreeMap::new(),
            backups: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            subscription_index: SubscriptionIndex::new(),
            data_tracks: BTreeMap::new(),
            speaking: BTreeMap::new(),
            quiet: BTreeMap::new(),
            departed: VecDeque::new(),
            nonces: VecDeque::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            end: End::Open,
        }
    }

    /// Takes what happened.
    pub fn handle(&mut self, input: Input, now: Instant) {
        if self.end == End::Over {
            return;
        }
        match input {
            Input::Join(join) => self.join(*join, now),
            Input::Ask(session, ask) => self.ask(session, *ask, now),
            Input::Lost(session) => self.lost(session, now),
            Input::Media(event) => self.media_event(event, now),
            Input::Shutdown => self.close(Farewell::Shutdown, now),
        }
    }

    fn media_event(&mut self, event: EventKind, now: Instant) {
        match event {
            EventKind::Connected { transport, .. } => self.progress(transport, Progress::Connected, now),
            EventKind::Disconnected(transport) => self.progress(transport, Progress::Disconnected, now),
            EventKind::Failed(transport, failure) => self.transport_failed(transport, failure, now),
            EventKind::Message(transport, channel, bytes) => self.message(transport, &channel, &bytes, now),
            EventKind::Speakers(speakers) => self.speakers(&speakers),
            EventKind::Report(report) => self.report(&report),
            EventKind::StreamState(subscription, state) => self.stream_state(subscription, state),
            EventKind::ChannelOpen(..) | EventKind::LayerStarted(..) | EventKind::LayerStopped(..) => {}
            EventKind::RoomLost => self.close(Farewell::StateMismatch, now),
        }
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::tick`] if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        [self.life.deadline(), self.timers.next()].into_iter().flatten().min()
    }

    /// Time passed.
    pub fn tick(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop(now) {
            self.due(timer, now);
        }
        if self.life.deadline().is_some_and(|end| end <= now) {
            self.close(Farewell::RoomClosed, now);
        }
    }

    /// Ends the room.
    fn close(&mut self, farewell: Farewell, now: Instant) {
        if self.end == End::Over {
            return;
        }
        // All are told first: nobody needs to hear of the others leaving.
        for id in self.participant_ids() {
            let Some(participant) = self.participants.get_mut(&id) else { continue };
            let (say, session) = (farewell.message(participant.client.protocol()), participant.session);
            self.say(id, say);
            if let Some(session) = session {
                self.outputs.push_back(Output::Close(session));
            }
            if let Some(participant) = self.participants.get_mut(&id) {
                participant.session = None;
            }
        }
        for id in self.participant_ids() {
            self.remove(id, farewell.reason(), now);
        }
        self.end = End::Over;
        self.media(Command::CloseRoom(self.id));
        self.outputs.push_back(Output::Closed);
    }

    /// What time it is outside: participants and pongs carry it.
    pub fn set_wall(&mut self, wall: SystemTime, now: Instant) {
        self.clock = (wall, now);
    }

    fn wall(&self, now: Instant) -> SystemTime {
        let (wall, at) = self.clock;
        wall.checked_add(now.saturating_duration_since(at)).unwrap_or(wall)
    }

    fn wall_ms(&self, now: Instant) -> i64 {
        let since = self.wall(now).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn media(&mut self, command: Command) {
        self.outputs.push_back(Output::Media(command));
    }

    /// Tells a participant something, if they are connected.
    fn say(&mut self, id: ParticipantId, say: impl Into<Arc<Say>>) {
        if let Some(session) = self.participants.get(&id).and_then(|participant| participant.session) {
            self.outputs.push_back(Output::Send(session, say.into()));
        }
    }

    fn say_others(&mut self, id: ParticipantId, say: Say) {
        let say = Arc::new(say);
        for other in self.participant_ids() {
            if other != id {
                self.say(other, say.clone());
            }
        }
    }

    fn participant_ids(&self) -> Vec<ParticipantId> {
        self.participants.keys().copied().collect()
    }

    /// What others may know of the room at any time.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        Snapshot {
            room: self.info(),
            participants: count(self.participants.len()),
            tracks: count(self.tracks.values().filter(|track| track.is_published()).count()),
            subscriptions: count(self.subscriptions.len()),
        }
    }

    /// The room as the room service sees it.
    #[must_use]
    pub fn info(&self) -> proto::Room {
        let independent = || self.participants.values().filter(|participant| !participant.is_dependent());
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        proto::Room {
            num_participants: count(independent().count()),
            num_publishers: count(independent().filter(|participant| participant.has_published()).count()),
            active_recording: self.participants.values().any(Participant::is_recorder),
            enabled_codecs: client::enabled_codecs(&self.config),
            ..self.life.info()
        }
    }
}
