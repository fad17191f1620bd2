//! One visit to a LiveKit-compatible server, from the WebSocket to good-bye.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sfu::{io::testing::Port, transport::testing::Rng};
use signaling::wire::{Ask, Say, proto};
use tokio::{
    sync::{mpsc, watch},
    time::{Interval, interval_at, sleep},
};

use super::{
    crowd::{Crowd, Heard},
    person::Person,
};
use crate::{
    client::{Command, Credentials, Demand, Engine, Opening, PeerId, Role},
    scenario::{Kind, Layout},
    signal::{
        Line, Offer, Remote, SdpError, candidate,
        janus::JanusError,
        livekit::{Access, Conversation, LiveKitError, add_track, description},
    },
};

/// What the kernel may keep for one client.
pub(super) const BUFFER: usize = 1 << 20;
/// As the SDKs: so long after the beginning, media must be connected.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// As the server's JoinResponse asks for.
const PING: Duration = Duration::from_secs(5);
/// Field numbers of SignalResponse that a client of ours has no use for: participants, speakers, rooms, quality.
const SKIPPED: [u8; 4] = [5, 10, 11, 12];
/// The same but for participants, whose tracks a layout must know.
const SKIPPED_WITH_LAYOUT: [u8; 3] = [10, 11, 12];

/// Why a visit ended before it was over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VisitError {
    #[error("{0}")]
    LiveKit(#[from] LiveKitError),
    #[error("{0}")]
    Janus(#[from] JanusError),
    #[error("a socket: {0}")]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Sdp(#[from] SdpError),
    #[error("the server sent us away: reason {0}")]
    SentAway(i32),
    #[error("media was cut off")]
    Lost,
    #[error("no connection for media within {} s", PATIENCE.as_secs())]
    NoMedia,
    #[error("no thread to hold a client")]
    NoEngine,
}

/// One visit.
struct Visit<'a> {
    crowd: &'a Crowd,
    person: &'a Person,
    engine: &'a Engine,
    peer: PeerId,
    offer: Offer,
    conversation: Conversation,
    connected: bool,
    /// Candidates that came before the answer.
    early: Vec<SocketAddr>,
    tracks: Tracks,
}

pub(crate) async fn attend(
    crowd: &Crowd,
    person: &Person,
    stop: watch::Receiver<bool>,
) -> Result<(), VisitError> {
    let begun = Instant::now();
    let engine = crowd.engine(person.number).ok_or(VisitError::NoEngine)?;
    let peer = engine.name();
    let port = Port::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), BUFFER)?;
    let ip = local_ip(&crowd.entrance.url).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let address = SocketAddr::new(ip, port.local_addr()?.port());
    let mut rng = Rng::new(u64::from(person.number) << 32 | u64::from(address.port()));
    let local = Credentials::random(&mut rng);
    let offer = Offer {
        local: local.clone(),
        fingerprint: crowd.identity.fingerprint(),
        address: Some(address),
        lines: person.lines(),
        version: 1,
    };
    let (notices, mut told) = mpsc::unbounded_channel();
    let opening = Opening {
        port,
        role: Role::Controlling,
        local,
        identity: crowd.identity.clone(),
        sending: person.sending(),
        begun,
        notices,
    };
    engine.ask(Command::Open(peer, Box::new(opening)));
    let mut heard = Heard::default();
    let result = async {
        let conversation = converse(crowd, person, &offer).await?;
        let tracks = Tracks::default();
        let (connected, early) = (false, Vec::new());
        let mut visit = Visit { crowd, person, engine, peer, offer, conversation, connected, early, tracks };
        let stayed = visit.stay(&mut told, &mut heard, stop).await;
        visit.conversation.leave().await;
        stayed
    }
    .await;
    engine.ask(Command::Close(peer));
    crowd.miss(&heard);
    result
}

async fn converse(crowd: &Crowd, person: &Person, offer: &Offer) -> Result<Conversation, VisitError> {
    let identity = person.identity();
    let access = Access {
        url: &crowd.entrance.url,
        key: &crowd.entrance.key,
        secret: &crowd.entrance.secret,
        room: &person.room,
        identity: &identity,
        publishes: !person.devices.is_empty(),
        subscribes: person.subscribes,
        adaptive: person.layout.is_some(),
    };
    let tracks =
        person.devices.iter().enumerate().map(|(index, device)| add_track(&person.cid(index), device));
    Ok(Conversation::open(&access, offer.to_string(), tracks.collect()).await?)
}

impl Visit<'_> {
    async fn stay(
        &mut self,
        told: &mut mpsc::UnboundedReceiver<crate::client::Notice>,
        heard: &mut Heard,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), VisitError> {
        let skipped: &[u8] = if self.person.layout.is_some() { &SKIPPED_WITH_LAYOUT } else { &SKIPPED };
        let mut ping = interval_at(tokio::time::Instant::now() + PING, PING);
        let mut turn = turning(self.person.layout);
        let over = sleep(self.person.stay.unwrap_or(Duration::from_hours(24)));
        let hopeless = sleep(PATIENCE);
        tokio::pin!(over, hopeless);
        loop {
            tokio::select! {
                say = self.conversation.next(skipped) => self.hear(say?).await?,
                Some(notice) = told.recv() => {
                    self.crowd.hear(notice, self.person, heard);
                    if heard.lost {
                        return Err(VisitError::Lost);
                    }
                }
                _ = ping.tick() => self.ping().await?,
                _ = turn.tick(), if self.person.layout.is_some() => {
                    self.tracks.turns += 1;
                    self.arrange().await?;
                }
                () = &mut over => return Ok(()),
                () = &mut hopeless, if !heard.secured => return Err(VisitError::NoMedia),
                _ = stop.changed() => return Ok(()),
            }
        }
    }

    async fn hear(&mut self, say: Say) -> Result<(), VisitError> {
        match say {
            Say::Join(join) => {
                self.tracks.take(&join.other_participants);
                self.arrange().await?;
            }
            Say::Update(update) => {
                self.tracks.take(&update.participants);
                self.arrange().await?;
            }
            Say::Answer(answer) => {
                let remote = Remote::parse(&answer.sdp, IpAddr::V4(Ipv4Addr::UNSPECIFIED))?;
                if !std::mem::replace(&mut self.connected, true) {
                    let Remote { credentials, mut candidates } = remote;
                    candidates.append(&mut self.early);
                    self.engine.ask(Command::Connect(self.peer, credentials, candidates));
                }
            }
            Say::MediaSectionsRequirement(more) => {
                let count = |number: u32| usize::try_from(number).unwrap_or(0);
                let lines = &mut self.offer.lines;
                lines.extend((0..count(more.num_audios)).map(|_| Line::Receive(Kind::Audio)));
                lines.extend((0..count(more.num_videos)).map(|_| Line::Receive(Kind::Video)));
                self.offer.version += 1;
                let offer = description("offer", self.offer.to_string(), self.offer.version);
                self.conversation.ask(Ask::Offer(offer)).await?;
            }
            Say::Trickle(trickle) => self.add_candidate(&trickle.candidate_init),
            Say::SubscribedQualityUpdate(update) => self.dynacast(&update),
            Say::Leave(leave) => return Err(VisitError::SentAway(leave.reason)),
            Say::TrackPublished(published) => {
                if let (Some(device), Some(track)) = (self.device(&published.cid), published.track) {
                    self.tracks.own.insert(track.sid, device);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_candidate(&mut self, init: &str) {
        let init: serde_json::Value = serde_json::from_str(init).unwrap_or_default();
        let text = init.get("candidate").and_then(serde_json::Value::as_str);
        let Some(address) = text.and_then(candidate).filter(SocketAddr::is_ipv4) else { return };
        if self.connected {
            self.engine.ask(Command::Candidate(self.peer, address));
        } else {
            self.early.push(address);
        }
    }

    fn device(&self, cid: &str) -> Option<usize> {
        (0..self.person.devices.len()).find(|device| self.person.cid(*device) == cid)
    }

    /// Encodings nobody wants are not sent.
    fn dynacast(&self, update: &proto::SubscribedQualityUpdate) {
        let Some(device) = self.tracks.own.get(&update.track_sid) else { return };
        let Some(layers) = self.person.devices.get(*device).map(|device| device.layers.len()) else { return };
        if layers < 2 {
            return;
        }
        let Some(codec) = update.subscribed_codecs.first() else { return };
        for subscribed in &codec.qualities {
            let layer = usize::try_from(subscribed.quality).unwrap_or(0).min(layers - 1);
            let place = (u8::try_from(*device).unwrap_or(0), u8::try_from(layer).unwrap_or(0));
            let demand = if subscribed.enabled { Demand::Wanted } else { Demand::Unwanted };
            self.engine.ask(Command::Want(self.peer, place, demand));
        }
    }

    async fn ping(&mut self) -> Result<(), VisitError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = i64::try_from(now.as_millis()).unwrap_or(0);
        Ok(self.conversation.ask(Ask::PingReq(proto::Ping { timestamp, rtt: 0 })).await?)
    }

    /// Asks for what the layout shows now.
    async fn arrange(&mut self) -> Result<(), VisitError> {
        let Some(layout) = self.person.layout else { return Ok(()) };
        for change in self.tracks.arrange(&layout) {
            if let Some((publisher, layer)) = change.awaited {
                self.engine.ask(Command::Await(self.peer, publisher, layer));
            }
            self.conversation.ask(Ask::TrackSetting(change.settings)).await?;
        }
        Ok(())
    }
}

fn turning(layout: Option<Layout>) -> Interval {
    let period = layout.map_or(Duration::from_hours(24), |layout| Duration::from_secs_f64(layout.turn));
    interval_at(tokio::time::Instant::now() + period, period)
}

/// The address this machine reaches a server from: what a client tells as its own.
pub(super) fn local_ip(url: &str) -> Option<IpAddr> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next()?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    if host.contains(':') {
        socket.connect(host).ok()?
    } else {
        socket.connect((host, 80)).ok()?
    }
    Some(socket.local_addr().ok()?.ip())
}

/// What the quality of a track is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Large,
    Small,
    Hidden,
}

/// Tracks of pictures, by who sends them.
#[derive(Debug, Default)]
struct Tracks {
    own: BTreeMap<String, usize>,
    /// Publisher, and the highest of their encodings; by sid.
    others: BTreeMap<String, (u32, u8)>,
    views: BTreeMap<String, View>,
    turns: usize,
}

struct Change {
    settings: proto::UpdateTrackSettings,
    awaited: Option<(u32, u8)>,
}

impl Tracks {
    fn take(&mut self, participants: &[proto::ParticipantInfo]) {
        for participant in participants {
            let Some(number) = participant.identity.strip_prefix('p').and_then(|number| number.parse().ok())
            else {
                continue;
            };
            if participant.state == i32::from(proto::participant_info::State::Disconnected) {
                self.others.retain(|_, (publisher, _)| *publisher != number);
                continue;
            }
            for track in
                participant.tracks.iter().filter(|track| track.r#type == i32::from(proto::TrackType::Video))
            {
                let top = u8::try_from(
                    track.codecs.first().map_or(0, |codec| codec.layers.len()).saturating_sub(1),
                )
                .unwrap_or(0);
                self.others.insert(track.sid.clone(), (number, top));
            }
        }
    }

    /// The next are large, those after them small, the rest hidden; tells what changed.
    fn arrange(&mut self, layout: &Layout) -> Vec<Change> {
        let count = self.others.len();
        if count == 0 {
            return Vec::new();
        }
        let first = self.turns % count;
        let mut changes = Vec::new();
        for (place, (sid, (publisher, top))) in self.others.iter().enumerate() {
            let place = (place + count - first) % count;
            let view = match place {
                _ if place < layout.large => View::Large,
                _ if place < layout.large + layout.small => View::Small,
                _ => View::Hidden,
            };
            let before = self.views.insert(sid.clone(), view);
            if before == Some(view) {
                continue;
            }
            let quality =
                if view == View::Large { proto::VideoQuality::High } else { proto::VideoQuality::Low };
            let settings = proto::UpdateTrackSettings {
                track_sids: vec![sid.clone()],
                disabled: view == View::Hidden,
                quality: quality.into(),
                ..proto::UpdateTrackSettings::default()
            };
            let awaited = match view {
                View::Large => Some((*publisher, *top)),
                View::Small => Some((*publisher, 0)),
                View::Hidden => None,
            };
            let awaited = awaited.filter(|_| before.is_some() && *top > 0);
            changes.push(Change { settings, awaited });
        }
        changes
    }
}
