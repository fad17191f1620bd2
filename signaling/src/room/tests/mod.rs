//! A room with pretended clients, in virtual time.

mod backup;
mod data;
mod data_tracks;
mod join;
mod media;
mod resume;
mod service;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use sfu::{
    command::Command,
    event::EventKind,
    ids::{ParticipantId, RoomId, TrackId, TransportId},
    params::{
        Encoding, Endpoint, Fingerprint, MediaKind, Protocol, Secret, SendParameters, Speech, SrtpProfile,
        TrackParameters,
    },
    units::{Mid, Ssrc},
};

use super::{Input, Join, Output, Room, Service, ServiceReply, Setup, link::Side};
use crate::{
    config::Config,
    error::ServiceError,
    fixture,
    ids::{Seed, SessionId},
    negotiate::Change,
    token::{Claims, Keys, VideoGrant},
    wire::{
        Ask, Say,
        join::{JoinParameters, Resume, Topology},
        proto::{self, TrackSource, TrackType},
    },
};

/// A room and all that came out of it.
pub(super) struct World {
    pub(super) room: Room,
    pub(super) now: Instant,
    next_session: u64,
    said: BTreeMap<SessionId, Vec<Say>>,
    pub(super) ended: BTreeMap<SessionId, Ending>,
    pub(super) commands: Vec<Command>,
    pub(super) over: bool,
}

/// How a WebSocket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Closed,
    Abandoned,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(proto::CreateRoomRequest::default())
    }

    pub(super) fn with(wish: proto::CreateRoomRequest) -> Self {
        let keys = Keys::from([("devkey".to_string(), Secret("secret".to_string()))]);
        let endpoint = Endpoint { worker: 0, fingerprint: Fingerprint([0; 32]), candidates: Vec::new() };
        let setup = Setup {
            id: RoomId(1),
            endpoint,
            wish: proto::CreateRoomRequest { name: "room".into(), ..wish },
            config: Arc::new(Config { keys, ..Config::default() }),
            seed: Seed([9; 32]),
        };
        let now = fixture::start();
        Self {
            room: Room::new(setup, now, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
            now,
            next_session: 1,
            said: BTreeMap::new(),
            ended: BTreeMap::new(),
            commands: Vec::new(),
            over: false,
        }
    }

    /// Somebody joins with a single connection and all rights.
    pub(super) fn join(&mut self, identity: &str) -> SessionId {
        self.join_as(claims(identity), single())
    }

    /// Somebody joins and their media connects.
    pub(super) fn enter(&mut self, identity: &str) -> SessionId {
        let session = self.join(identity);
        self.connect(identity);
        session
    }

    pub(super) fn join_as(&mut self, claims: Claims, parameters: JoinParameters) -> SessionId {
        let session = SessionId(self.next_session);
        self.next_session += 1;
        self.handle(Input::Join(Box::new(Join { session, claims, parameters })));
        session
    }

    pub(super) fn resume(&mut self, identity: &str, sid: &str) -> SessionId {
        let parameters = JoinParameters { resume: Some(Resume { sid: sid.into() }), ..single() };
        self.join_as(claims(identity), parameters)
    }

    pub(super) fn handle(&mut self, input: Input) {
        self.room.handle(input, self.now);
        self.drain();
    }

    pub(super) fn ask(&mut self, session: SessionId, ask: Ask) {
        self.handle(Input::Ask(session, Box::new(ask)));
    }

    pub(super) fn serve(&mut self, service: Service) -> Result<ServiceReply, ServiceError> {
        let reply = self.room.serve(service, self.now);
        self.drain();
        reply
    }

    /// Time passes, and everything due happens at its time.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.room.deadline().filter(|at| *at <= end && !self.over) {
            self.now = self.now.max(at);
            self.room.tick(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.room.poll() {
            match output {
                Output::Send(session, say) => {
                    assert!(!self.ended.contains_key(&session), "{session} hears {say:?} after its end");
                    self.said.entry(session).or_default().push(Arc::unwrap_or_clone(say));
                }
                Output::Close(session) => drop(self.ended.insert(session, Ending::Closed)),
                Output::Abandon(session) => drop(self.ended.insert(session, Ending::Abandoned)),
                Output::Media(command) => self.commands.push(command),
                Output::Closed => self.over = true,
            }
        }
    }

    /// What a client heard since it was asked last.
    pub(super) fn heard(&mut self, session: SessionId) -> Vec<Say> {
        self.said.remove(&session).unwrap_or_default()
    }

    /// Everything heard so far is forgotten.
    pub(super) fn forget(&mut self) {
        self.said.clear();
        self.commands.clear();
    }

    /// What a client heard of one kind.
    pub(super) fn heard_only<T>(&mut self, session: SessionId, pick: impl Fn(Say) -> Option<T>) -> Vec<T> {
        self.heard(session).into_iter().filter_map(pick).collect()
    }

    pub(super) fn id(&self, identity: &str) -> ParticipantId {
        self.room.identities[identity]
    }

    pub(super) fn sid(&self, identity: &str) -> String {
        self.room.participants[&self.id(identity)].sid.clone()
    }

    pub(super) fn transport(&self, identity: &str) -> TransportId {
        self.transport_of(identity, self.room.participants[&self.id(identity)].link.primary())
    }

    pub(super) fn transport_of(&self, identity: &str, side: Side) -> TransportId {
        self.room.participants[&self.id(identity)].link.peer(side).unwrap().transport
    }

    pub(super) fn connect(&mut self, identity: &str) {
        let transport = self.transport(identity);
        let srtp = SrtpProfile::AeadAes128Gcm;
        self.handle(Input::Media(EventKind::Connected { transport, srtp, protocol: Protocol::Udp }));
    }

    /// Somebody publishes, as if their offer had been answered.
    pub(super) fn publish(&mut self, session: SessionId, source: TrackSource) -> (TrackId, String) {
        self.publish_layers(session, source, 1)
    }

    pub(super) fn publish_layers(
        &mut self,
        session: SessionId,
        source: TrackSource,
        encodings: usize,
    ) -> (TrackId, String) {
        let video = matches!(source, TrackSource::Camera | TrackSource::ScreenShare);
        let kind = if video { TrackType::Video } else { TrackType::Audio };
        let cid = format!("cid-{source:?}");
        let request =
            proto::AddTrackRequest { cid, source: source as i32, r#type: kind as i32, ..Default::default() };
        self.ask(session, Ask::AddTrack(request));
        let id = self.room.sessions[&session];
        let track = *self.room.participants[&id].tracks.last().unwrap();
        self.negotiated(id, track, encodings);
        let sid = self.room.tracks[&track].sid().to_string();
        (track, sid)
    }

    /// The offer that has a track is answered.
    pub(super) fn negotiated(&mut self, id: ParticipantId, track: TrackId, encodings: usize) {
        let kind = self.room.tracks[&track].kind();
        let params = TrackParameters {
            kind,
            mid: Mid::new(b"0").unwrap(),
            encodings: vec![Encoding::default(); encodings],
            speech: Speech::Ignored,
        };
        let mime = match kind {
            MediaKind::Audio => "audio/opus",
            MediaKind::Video => "video/VP8",
        };
        let change = Change::Published { track, params, mid: "0".into(), mime: mime.into(), cid: None };
        let transport = self.room.participants[&id].link.peer(Side::Publisher).unwrap().transport;
        let published = self.room.apply(id, transport, vec![change], self.now);
        self.room.announce_published(id, &published, self.now);
        self.drain();
    }

    /// Every subscription that waits gets its m-section.
    pub(super) fn carry_all(&mut self) {
        let waiting: Vec<_> = self
            .room
            .subscriptions
            .iter()
            .map(|(id, known)| (*id, known.subscriber, known.transport))
            .collect();
        for (subscription, subscriber, transport) in waiting {
            let send = SendParameters {
                mid: Mid::new(b"1").unwrap(),
                ssrc: Ssrc(1),
                rtx_ssrc: None,
                formats: Vec::new(),
                extensions: Default::default(),
            };
            let change = Change::Subscribed { subscription, send, mid: "1".into() };
            self.room.apply(subscriber, transport, vec![change], self.now);
        }
        self.drain();
    }

    /// Who receives a track.
    pub(super) fn receivers(&self, track: TrackId) -> Vec<String> {
        let receives = |id: &ParticipantId| self.room.subscription_index.contains_key(&(*id, track));
        let mut names: Vec<String> = self
            .room
            .identities
            .iter()
            .filter(|(_, id)| receives(id))
            .map(|(name, _)| name.clone())
            .collect();
        names.sort();
        names
    }
}

pub(super) fn claims(identity: &str) -> Claims {
    let video = VideoGrant { room_join: true, room: "room".into(), ..Default::default() };
    Claims { key: "devkey".into(), identity: identity.into(), video: Some(video), ..Default::default() }
}

pub(super) fn claims_with(identity: &str, change: impl FnOnce(&mut VideoGrant)) -> Claims {
    let mut claims = claims(identity);
    change(claims.video.as_mut().unwrap());
    claims
}

pub(super) fn single() -> JoinParameters {
    JoinParameters {
        topology: Topology::Single,
        client: proto::ClientInfo { protocol: 17, ..Default::default() },
        ..Default::default()
    }
}

pub(super) fn dual() -> JoinParameters {
    JoinParameters { topology: Topology::Dual, ..single() }
}

pub(super) fn updates(say: Say) -> Option<Vec<proto::ParticipantInfo>> {
    match say {
        Say::Update(update) => Some(update.participants),
        _ => None,
    }
}

pub(super) fn leaves(say: Say) -> Option<proto::LeaveRequest> {
    match say {
        Say::Leave(leave) => Some(leave),
        _ => None,
    }
}
