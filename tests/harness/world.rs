//! A server, its clients and the paths between them on one virtual clock.
//!
//! Invariant: nothing happens but at an instant somebody asked for; the clock moves only from one to the next.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use sfu::{
    command::Command,
    event::{Event, EventKind},
    ids::{ParticipantId, RoomId, SubscriptionId, TrackId, TransportId},
    params::{
        ChannelSetup, Consent, Encoding, IceCredentials, MediaKind, Protocol, Remote, Secret, SendFormat,
        SendParameters, Speech, TrackParameters, Wish, ufrag_prefix,
    },
    units::{Mid, Rid, Ssrc},
    worker::{Certificate, Egress, Worker, WorkerConfig},
};

use crate::{
    client::{Client, Device, extensions},
    media::Camera,
    network::{Conditions, Link},
    random::Random,
    sink::Sink,
};

/// Where the server listens.
const SERVER: ([u8; 4], u16) = ([203, 0, 113, 1], 7_882);

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Instant,
    number: u64,
    to: End,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// From this address to the server.
    Server(SocketAddr),
    /// To whoever is at this address.
    Client(SocketAddr),
}

/// Datagrams a worker wrote.
#[derive(Debug, Default)]
struct Outbox {
    written: Vec<(Remote, Vec<u8>)>,
    begun: Option<(Remote, Vec<u8>)>,
}

impl Egress for Outbox {
    fn begin(&mut self, to: Remote, len_max: usize) -> &mut [u8] {
        &mut self.begun.insert((to, vec![0; len_max])).1
    }

    fn commit(&mut self, len: usize) {
        let (to, mut bytes) = self.begun.take().expect("a datagram was begun");
        bytes.truncate(len);
        self.written.push((to, bytes));
    }
}

/// A server, its clients and the paths between them.
#[derive(Debug)]
pub struct World {
    /// The time.
    pub now: Instant,
    /// The server.
    pub worker: Worker,
    /// The clients, as they joined.
    pub clients: Vec<Client>,
    /// What the server told, and when.
    pub events: Vec<(Instant, Event)>,
    /// Datagrams the server received, newest last, when it is asked to keep them.
    pub tapped: Option<Vec<(Remote, Vec<u8>)>>,
    certificate: Certificate,
    random: Random,
    flights: BinaryHeap<Reverse<Flight>>,
    flown: u64,
    ids: u64,
}

/// A person's place in [`World::clients`].
pub type Person = usize;

impl World {
    /// An empty one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let now = Instant::now();
        let certificate = Certificate::for_simulation().unwrap();
        let worker =
            Worker::new(WorkerConfig::default(), certificate.clone(), seed, now, SystemTime::UNIX_EPOCH);
        Self {
            now,
            worker,
            clients: Vec::new(),
            events: Vec::new(),
            tapped: None,
            certificate,
            random: Random::new(seed),
            flights: BinaryHeap::new(),
            flown: 0,
            ids: 0,
        }
    }

    /// A room opens.
    pub fn open_room(&mut self) -> RoomId {
        let room = RoomId(self.id());
        self.command(Command::OpenRoom(room));
        room
    }

    /// Somebody joins over a path that is the same both ways.
    pub fn join(&mut self, room: RoomId, conditions: Conditions) -> Person {
        let number = self.clients.len();
        let (participant, transport) = (ParticipantId(self.id()), TransportId(self.id()));
        let [first, second] = ufrag_prefix(0).map(char::from);
        let local = IceCredentials {
            ufrag: format!("{first}{second}client{number}"),
            pwd: Secret(format!("a-password-for-client-{number:08}")),
        };
        self.command(Command::OpenTransport {
            room,
            participant,
            transport,
            local: local.clone(),
            channels: ChannelSetup::ByClient,
            consent: Consent::default(),
        });
        let host = u8::try_from(number % 250 + 1).unwrap();
        let addr = SocketAddr::from(([192, 0, 2, host], 40_000 + u16::try_from(number).unwrap()));
        let links = (Link::new(conditions, self.random.next()), Link::new(conditions, self.random.next()));
        let server = (local, self.certificate.fingerprint());
        let mut client =
            Client::new((participant, transport), (addr, SocketAddr::from(SERVER)), server, links, self.now);
        self.command(Command::SetRemote(transport, client.describe()));
        self.command(Command::SetReceive(transport, client.receive_parameters()));
        self.clients.push(client);
        number
    }

    /// Somebody joins, and is connected.
    pub fn arrive(&mut self, room: RoomId, conditions: Conditions) -> Person {
        let person = self.join(room, conditions);
        self.run_until(Duration::from_secs(10), |world| world.clients[person].connected.is_some());
        person
    }

    /// Somebody turns on a microphone.
    pub fn speak(&mut self, person: Person, attenuation: i8) -> TrackId {
        self.publish(person, vec![Device::Microphone(0, attenuation)], Speech::Counts)
    }

    /// Somebody turns on a camera of one or more encodings.
    pub fn film(&mut self, person: Person, cameras: Vec<Camera>) -> TrackId {
        self.publish(person, cameras.into_iter().map(Device::Camera).collect(), Speech::Ignored)
    }

    fn publish(&mut self, person: Person, devices: Vec<Device>, speech: Speech) -> TrackId {
        let track = TrackId(self.id());
        let now = self.now;
        let client = &mut self.clients[person];
        let kind = match devices.first() {
            Some(Device::Camera(_)) => MediaKind::Video,
            Some(Device::Microphone(..)) | None => MediaKind::Audio,
        };
        let encodings = match devices.len() {
            0 | 1 => vec![Encoding::default()],
            count => (0..count).map(|index| encoding(u8::try_from(index).unwrap())).collect(),
        };
        let mid = client.send(track, devices, now);
        let parameters = TrackParameters { kind, mid: Mid::new(mid.as_bytes()).unwrap(), encodings, speech };
        let transport = client.transport;
        self.command(Command::Publish(transport, track, parameters));
        track
    }

    /// Somebody is to get a track of somebody else.
    pub fn watch(&mut self, person: Person, owner: Person, track: TrackId, layer_max: u8) -> SubscriptionId {
        let subscription = SubscriptionId(self.id());
        let is_video = self.clients[owner]
            .sources
            .iter()
            .any(|source| source.track == track && matches!(source.device, Device::Camera(_)));
        let ssrc = Ssrc(0x5000_0000 + u32::try_from(self.id()).unwrap());
        let rtx_ssrc = is_video.then_some(Ssrc(ssrc.0 + 0x1000_0000));
        let publisher = &self.clients[owner];
        let from = if is_video { publisher.video_format() } else { publisher.audio_format() };
        let client = &mut self.clients[person];
        let (to, kind) = if is_video {
            (client.video_format(), str0m::media::MediaKind::Video)
        } else {
            (client.audio_format(), str0m::media::MediaKind::Audio)
        };
        let mid = client.expect(subscription, kind, (ssrc, rtx_ssrc));
        let send = SendParameters {
            mid: Mid::new(mid.as_bytes()).unwrap(),
            ssrc,
            rtx_ssrc,
            formats: vec![SendFormat { from: from.payload_type, to }],
            extensions: extensions(),
        };
        let transport = client.transport;
        let wish = Wish::up_to(layer_max);
        self.command(Command::Subscribe { subscription, transport, track, send, wish });
        subscription
    }

    /// What somebody got of a subscription.
    #[must_use]
    pub fn sink(&self, person: Person, subscription: SubscriptionId) -> &Sink {
        &self.clients[person].sinks[&subscription]
    }

    /// What the server told of one kind.
    pub fn told<T>(&self, pick: impl Fn(&EventKind) -> Option<T>) -> Vec<(Instant, T)> {
        self.events.iter().filter_map(|(at, event)| Some((*at, pick(&event.kind)?))).collect()
    }

    /// The control plane asks for something.
    pub fn command(&mut self, command: Command) {
        self.worker.command(command, self.now);
    }

    /// A datagram reaches the server at once.
    pub fn inject(&mut self, from: SocketAddr, datagram: &[u8]) {
        let remote = Remote { protocol: Protocol::Udp, addr: from };
        self.worker.receive(remote, datagram, self.now);
        self.flush();
    }

    /// Somebody's address changes: what was on its way to the old one is lost.
    pub fn rebind(&mut self, person: Person) -> SocketAddr {
        let old = self.clients[person].public;
        self.clients[person].public.set_port(old.port() + 1_000);
        old
    }

    /// Time passes.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.next().is_some_and(|next| next <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Time passes until something holds; it has to within the limit.
    pub fn run_until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !holds(self) {
            let next = self.next().expect("something happens");
            assert!(next <= start + limit, "not within {limit:?}");
            self.step();
        }
        self.now - start
    }

    fn next(&self) -> Option<Instant> {
        let flight = self.flights.peek().map(|Reverse(flight)| flight.at);
        let clients = self.clients.iter().map(Client::deadline).min();
        [flight, clients, self.worker.deadline()].into_iter().flatten().min()
    }

    fn step(&mut self) {
        let Some(next) = self.next() else { return };
        self.now = self.now.max(next);
        while let Some(Reverse(flight)) = self.flights.peek() {
            if flight.at > self.now {
                break;
            }
            let Some(Reverse(flight)) = self.flights.pop() else { break };
            self.land(&flight);
        }
        for person in 0..self.clients.len() {
            if self.clients[person].deadline() <= self.now {
                self.run_client(person);
            }
        }
        self.flush();
    }

    fn land(&mut self, flight: &Flight) {
        match flight.to {
            End::Server(from) => {
                let remote = Remote { protocol: Protocol::Udp, addr: from };
                if let Some(tapped) = &mut self.tapped {
                    tapped.push((remote, flight.bytes.clone()));
                }
                self.worker.receive(remote, &flight.bytes, self.now);
            }
            End::Client(addr) => {
                let Some(person) = self.clients.iter().position(|client| client.public == addr) else {
                    return;
                };
                self.clients[person].receive(&flight.bytes, self.now);
                self.run_client(person);
            }
        }
    }

    fn run_client(&mut self, person: Person) {
        let now = self.now;
        let client = &mut self.clients[person];
        let from = client.public;
        let datagrams = client.run(now);
        for bytes in datagrams {
            for at in self.clients[person].up.send(bytes.len(), now) {
                self.fly(at, End::Server(from), bytes.clone());
            }
        }
    }

    fn flush(&mut self) {
        let mut outbox = Outbox::default();
        self.worker.flush(&mut outbox, self.now);
        while let Some(event) = self.worker.poll_event() {
            self.events.push((self.now, event));
        }
        for (to, bytes) in outbox.written {
            let Some(client) = self.clients.iter_mut().find(|client| client.public == to.addr) else {
                continue;
            };
            for at in client.down.send(bytes.len(), self.now) {
                self.fly(at, End::Client(to.addr), bytes.clone());
            }
        }
    }

    fn fly(&mut self, at: Instant, to: End, bytes: Vec<u8>) {
        self.flown += 1;
        self.flights.push(Reverse(Flight { at, number: self.flown, to, bytes }));
    }

    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }
}

fn encoding(index: u8) -> Encoding {
    Encoding { rid: Rid::new(&[b'a' + index]), ..Encoding::default() }
}
