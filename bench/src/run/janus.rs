//! One visit to a Janus VideoRoom: a peer connection for what is sent, one for all that is received.
//!
//! A layout asks for substreams; who is large now turns as it does elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sfu::{io::testing::Port, transport::testing::Rng};
use tokio::{
    sync::{mpsc, watch},
    time::{interval_at, sleep},
};

use super::{
    crowd::{Crowd, Heard},
    livekit::{BUFFER, PATIENCE, VisitError, local_ip},
    person::Person,
};
use crate::{
    client::{Command, Credentials, Engine, Notice, Opening, PeerId, Role, Sending},
    scenario::Kind,
    signal::{
        Line, Offer, Remote, Reply,
        janus::{Conversation, Event, Handle},
    },
};

/// Janus forgets a session that is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Rooms of ours, away from the plugin's examples.
const ROOMS: u64 = 710_000;

/// One peer connection and its handle.
struct Connection {
    handle: Handle,
    peer: PeerId,
    local: Credentials,
    address: SocketAddr,
    connected: bool,
    notices: mpsc::UnboundedReceiver<Notice>,
}

struct Visit<'a> {
    crowd: &'a Crowd,
    person: &'a Person,
    engine: &'a Engine,
    conversation: Conversation,
    room: u64,
    sender: Connection,
    receiver: Option<Connection>,
    /// Feeds that were subscribed to.
    feeds: BTreeSet<u64>,
    /// Video streams by mid: whose they are.
    streams: BTreeMap<String, u32>,
    substreams: BTreeMap<String, u8>,
    turns: usize,
    begun: Instant,
}

pub(super) async fn attend(
    crowd: &Crowd,
    person: &Person,
    mut stop: watch::Receiver<bool>,
) -> Result<(), VisitError> {
    let begun = Instant::now();
    let engine = crowd.engine(person.number).ok_or(VisitError::NoEngine)?;
    let mut heard = Heard::default();
    let mut conversation = Conversation::open(&crowd.entrance.url).await?;
    let room = ROOMS + person.room.rsplit('-').next().and_then(|room| room.parse().ok()).unwrap_or(0);
    let handle = conversation.attach().await?;
    conversation.make_room(handle, room).await?;
    let sender = connection(crowd, engine, handle, Leg::Sender, person.sending(), begun)?;
    let mut visit = Visit {
        crowd,
        person,
        engine,
        conversation,
        room,
        sender,
        receiver: None,
        feeds: BTreeSet::new(),
        streams: BTreeMap::new(),
        substreams: BTreeMap::new(),
        turns: 0,
        begun,
    };
    let stayed = visit.stay(&mut heard, &mut stop).await;
    engine.ask(Command::Close(visit.sender.peer));
    if let Some(receiver) = &visit.receiver {
        engine.ask(Command::Close(receiver.peer));
    }
    visit.conversation.leave().await;
    crowd.miss(&heard);
    stayed
}

fn connection(
    crowd: &Crowd,
    engine: &Engine,
    handle: Handle,
    leg: Leg,
    sending: Vec<Sending>,
    begun: Instant,
) -> Result<Connection, VisitError> {
    let peer = engine.name();
    let port = Port::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), BUFFER)?;
    let ip = local_ip(&crowd.entrance.url).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let address = SocketAddr::new(ip, port.local_addr()?.port());
    let local = Credentials::random(&mut Rng::new(u64::from(address.port()) << 32 | peer.0 as u64));
    let (notices, told) = mpsc::unbounded_channel();
    let identity = crowd.identity.clone();
    // Who offers controls, and Janus is not lite.
    let role = if leg == Leg::Sender { Role::Controlling } else { Role::Controlled };
    let opening = Opening { port, role, local: local.clone(), identity, sending, begun, notices };
    engine.ask(Command::Open(peer, Box::new(opening)));
    Ok(Connection { handle, peer, local, address, connected: false, notices: told })
}

impl Visit<'_> {
    async fn stay(&mut self, heard: &mut Heard, stop: &mut watch::Receiver<bool>) -> Result<(), VisitError> {
        let id = u64::from(self.person.number) + 1;
        let join = json!({
            "request": "join", "ptype": "publisher", "room": self.room, "id": id,
            "display": self.person.identity(),
        });
        self.conversation.ask(self.sender.handle, join, None).await?;
        let mut alive = interval_at(tokio::time::Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        let layout = self.person.layout;
        let period = layout.map_or(Duration::from_hours(24), |layout| Duration::from_secs_f64(layout.turn));
        let mut turn = interval_at(tokio::time::Instant::now() + period, period);
        let over = sleep(self.person.stay.unwrap_or(Duration::from_hours(24)));
        let hopeless = sleep(PATIENCE);
        tokio::pin!(over, hopeless);
        loop {
            let hopes = !heard.secured && self.expects_media();
            let received = async {
                match &mut self.receiver {
                    Some(receiver) => receiver.notices.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.conversation.next() => self.hear(event?).await?,
                Some(notice) = received => self.note(notice, Leg::Receiver, heard)?,
                Some(notice) = self.sender.notices.recv() => self.note(notice, Leg::Sender, heard)?,
                _ = alive.tick() => self.conversation.keep_alive().await?,
                _ = turn.tick() => {
                    self.turns += 1;
                    self.arrange().await?;
                }
                () = &mut over => return Ok(()),
                () = &mut hopeless, if hopes => return Err(VisitError::NoMedia),
                _ = stop.changed() => return Ok(()),
            }
        }
    }

    fn expects_media(&self) -> bool {
        !self.person.devices.is_empty() || !self.feeds.is_empty()
    }

    /// The leg that counts for joining is the one that receives, if there is one.
    fn note(&self, notice: Notice, leg: Leg, heard: &mut Heard) -> Result<(), VisitError> {
        let counts = match notice {
            Notice::Secured(..) => {
                !heard.secured && (leg == Leg::Receiver || self.person.expects.is_nothing())
            }
            Notice::FirstPicture(_) | Notice::FirstSound(_) | Notice::Lost => true,
        };
        if counts {
            self.crowd.hear(notice, self.person, heard);
        }
        if heard.lost { Err(VisitError::Lost) } else { Ok(()) }
    }

    async fn hear(&mut self, event: Event) -> Result<(), VisitError> {
        if event.from == self.sender.handle {
            if event.data.get("videoroom").and_then(Value::as_str) == Some("joined") {
                self.publish().await?;
            }
            if let Some((_, sdp)) = &event.jsep {
                connect(self.engine, &mut self.sender, sdp)?;
            }
            let publishers = event.data.get("publishers").and_then(Value::as_array).cloned();
            return self.subscribe(&publishers.unwrap_or_default()).await;
        }
        self.learn(&event.data);
        let (Some((kind, sdp)), Some(receiver)) = (&event.jsep, &mut self.receiver) else { return Ok(()) };
        if kind == "offer" {
            let fingerprint = self.crowd.identity.fingerprint();
            let reply = Reply { offer: sdp, local: &receiver.local, fingerprint }.to_string();
            let start = json!({ "request": "start" });
            self.conversation.ask(receiver.handle, start, Some(("answer", reply))).await?;
            connect(self.engine, receiver, sdp)?;
            self.arrange().await?;
        }
        Ok(())
    }

    /// Sends what the person has.
    async fn publish(&mut self) -> Result<(), VisitError> {
        if self.person.devices.is_empty() {
            return Ok(());
        }
        let lines = self.person.lines();
        let offer = Offer {
            local: self.sender.local.clone(),
            fingerprint: self.crowd.identity.fingerprint(),
            address: Some(self.sender.address),
            lines: lines.into_iter().filter(|line| matches!(line, Line::Send { .. })).collect(),
            version: 1,
        };
        let publish = json!({ "request": "publish" });
        let jsep = Some(("offer", offer.to_string()));
        Ok(self.conversation.ask(self.sender.handle, publish, jsep).await?)
    }

    /// Takes all streams of those who began to publish.
    async fn subscribe(&mut self, publishers: &[Value]) -> Result<(), VisitError> {
        if !self.person.subscribes {
            return Ok(());
        }
        let ids = publishers.iter().filter_map(|publisher| publisher.get("id")?.as_u64());
        let fresh: Vec<u64> = ids.filter(|id| !self.feeds.contains(id)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        self.feeds.extend(&fresh);
        let streams: Vec<Value> = fresh.iter().map(|feed| json!({ "feed": feed })).collect();
        if let Some(receiver) = &self.receiver {
            let update = json!({ "request": "update", "subscribe": streams });
            return Ok(self.conversation.ask(receiver.handle, update, None).await?);
        }
        let handle = self.conversation.attach().await?;
        self.receiver =
            Some(connection(self.crowd, self.engine, handle, Leg::Receiver, Vec::new(), self.begun)?);
        let join = json!({ "request": "join", "ptype": "subscriber", "room": self.room, "streams": streams });
        Ok(self.conversation.ask(handle, join, None).await?)
    }

    /// Which mid carries whose pictures.
    fn learn(&mut self, data: &Value) {
        for stream in data.get("streams").and_then(Value::as_array).into_iter().flatten() {
            let video = stream.get("type").and_then(Value::as_str) == Some("video");
            let mid = stream.get("mid").and_then(Value::as_str);
            let feed = stream.get("feed_id").and_then(Value::as_u64);
            if let (true, Some(mid), Some(feed)) = (video, mid, feed) {
                let number = u32::try_from(feed.saturating_sub(1)).unwrap_or(0);
                self.streams.insert(mid.to_owned(), number);
            }
        }
    }

    /// Asks for the substreams the layout shows now. Those it hides stay on the lowest: Janus sends what was subscribed.
    async fn arrange(&mut self) -> Result<(), VisitError> {
        let (Some(layout), Some(receiver)) = (self.person.layout, &self.receiver) else { return Ok(()) };
        let device = self.person.devices.iter().find(|device| device.kind == Kind::Video);
        let top = device.map_or(0, |device| u8::try_from(device.layers.len().saturating_sub(1)).unwrap_or(0));
        let count = self.streams.len().max(1);
        let mut wishes = Vec::new();
        for (place, (mid, publisher)) in self.streams.iter().enumerate() {
            let place = (place + count - self.turns % count) % count;
            let layer = if place < layout.large { top } else { 0 };
            let before = self.substreams.insert(mid.clone(), layer);
            if before == Some(layer) {
                continue;
            }
            wishes.push(json!({ "mid": mid, "substream": layer }));
            if before.is_some() {
                self.engine.ask(Command::Await(receiver.peer, *publisher, layer));
            }
        }
        if wishes.is_empty() {
            return Ok(());
        }
        let configure = json!({ "request": "configure", "streams": wishes });
        Ok(self.conversation.ask(receiver.handle, configure, None).await?)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leg {
    Sender,
    Receiver,
}

/// The server's description says where it is; later ones say it again.
fn connect(engine: &Engine, connection: &mut Connection, sdp: &str) -> Result<(), VisitError> {
    if !std::mem::replace(&mut connection.connected, true) {
        let remote = Remote::parse(sdp, IpAddr::V4(Ipv4Addr::UNSPECIFIED))?;
        engine.ask(Command::Connect(connection.peer, remote.credentials, remote.candidates));
    }
    Ok(())
}
