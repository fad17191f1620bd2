//! RFC 8656 requirement by requirement, in virtual time. Each file names its section.

mod allocate;
mod channel;
mod permission;
mod refresh;
mod relay;
mod strangers;

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    auth::OfferSha256,
    credentials::{Credentials, Secret, mint},
    fixture,
    policy::{Neighbour, Prefix},
    registry::{Denied, Equal, Grant, Limits, NoPort, Registry, RelayAddress},
    stun::{AttributeType as A, Builder, Class, IntegrityKey, Message, Method, TransactionId},
    tuple::Transport,
};

pub(super) const REALM: &str = "sabha";
pub(super) const SECRET: &str = "a secret of at least thirty-two bytes";
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A relay, everybody around it, and the clock.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) outside: Outside,
    pub(super) now: Instant,
    random: u64,
}

/// What the relay asked for.
pub(super) struct Outside {
    registry: Registry,
    open: BTreeMap<RelayId, SocketAddr>,
    random: u64,
    pub(super) to_clients: VecDeque<(FiveTuple, Vec<u8>)>,
    pub(super) to_peers: VecDeque<(SocketAddr, SocketAddr, Vec<u8>, Fragmentation)>,
    pub(super) ended: Vec<Usage>,
    pub(super) standing: Standing,
}

impl Host for Outside {
    fn to_client(&mut self, to: &FiveTuple, parts: [&[u8]; 3]) {
        self.to_clients.push_back((*to, parts.concat()));
    }

    fn to_peer(&mut self, relay: RelayId, to: SocketAddr, payload: &[u8], fragmentation: Fragmentation) {
        let from = self.open[&relay];
        assert_eq!(from.is_ipv4(), to.is_ipv4());
        self.to_peers.push_back((from, to, payload.to_vec(), fragmentation));
    }

    fn open_relay(
        &mut self,
        relay: RelayId,
        family: Family,
        port: RelayPort,
        user: &[u8],
        now: Instant,
    ) -> Result<Opened, NoPort> {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let taken = match port {
            RelayPort::Free(wish) => self.registry.take(family, wish, user, self.random, now)?,
            RelayPort::Kept(token) => self.registry.redeem(token, user, now)?,
        };
        assert!(self.open.insert(relay, taken.told).is_none(), "a relay is opened once");
        Ok(Opened { told: taken.told, token: taken.token })
    }

    fn close_relay(&mut self, relay: RelayId, told: SocketAddr) {
        assert_eq!(self.open.remove(&relay), Some(told));
        self.registry.give_back(told);
    }

    fn admit(&mut self, user: &[u8], now: Instant) -> Result<Grant, Denied> {
        self.registry.admit(user, now)
    }

    fn release(&mut self, user: &[u8]) {
        self.registry.release(user);
    }

    fn spend(&mut self, _: &[u8], _: u64) -> Standing {
        self.standing
    }

    fn ended(&mut self, _: &[u8], usage: &Usage) {
        self.ended.push(*usage);
    }
}

/// What an answer says.
#[derive(Debug)]
pub(super) struct Answer(pub(super) Vec<u8>);

impl Answer {
    pub(super) fn message(&self) -> Message<'_> {
        Message::parse(&self.0).unwrap()
    }

    pub(super) fn code(&self) -> u16 {
        let message = self.message();
        match message.class() {
            Class::Success => 0,
            Class::Request | Class::Indication | Class::Error => message.error_code().unwrap().value(),
        }
    }

    pub(super) fn get(&self, kind: A) -> Option<Vec<u8>> {
        self.message().attribute(kind).map(<[u8]>::to_vec)
    }

    pub(super) fn address(&self, kind: A) -> SocketAddr {
        let message = self.message();
        message.xor_address(message.attribute(kind).unwrap()).unwrap()
    }

    pub(super) fn lifetime(&self) -> u32 {
        u32::from_be_bytes(self.get(A::LIFETIME).unwrap().try_into().unwrap())
    }
}

/// Somebody with credentials.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) tuple: FiveTuple,
    pub(super) username: String,
    pub(super) key: IntegrityKey,
    pub(super) nonce: Vec<u8>,
}

pub(super) type Attributes<'a> = &'a [(A, &'a [u8])];

pub(super) const UDP: (A, &[u8]) = (A::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);

impl World {
    pub(super) fn new() -> Self {
        Self::with(ServerConfig { unauthenticated: None, ..ServerConfig::default() }, 12)
    }

    pub(super) fn with(config: ServerConfig, allocations: u32) -> Self {
        let users = BTreeMap::from([(b"static".to_vec(), Secret::new("pw"))]);
        let credentials = Credentials::new(REALM, &[Secret::new(SECRET)], users);
        let auth =
            Authenticator::new(REALM, credentials, OfferSha256::Streams, [9; 32], Duration::from_secs(3_600));
        let relays = ["198.51.100.1", "2001:db8:1::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let neighbours = relays.map(|ip| Neighbour { ip, first: 50_000, last: 50_999 });
        let policy = PeerPolicy {
            neighbours: neighbours.to_vec(),
            allow: ["203.0.113.0/24", "2001:db8:2::/48"].map(|text| text.parse::<Prefix>().unwrap()).to_vec(),
            ..PeerPolicy::default()
        };
        let relays = relays.map(|ip| RelayAddress { bind: ip, told: ip });
        let each = Limits { allocations, bytes_per_second: 0 };
        let registry = Registry::new(&relays, (50_000, 50_999), u32::MAX, Box::new(Equal { each }));
        let now = fixture::start();
        Self {
            server: Server::new(config, Arc::new(auth), Arc::new(policy), now, fixture::wall()),
            outside: Outside {
                registry,
                open: BTreeMap::new(),
                random: 1,
                to_clients: VecDeque::new(),
                to_peers: VecDeque::new(),
                ended: Vec::new(),
                standing: Standing::Good,
            },
            now,
            random: 0,
        }
    }

    pub(super) fn free_ports(&self) -> usize {
        self.outside.registry.free_ports()
    }

    /// Moves the clock to every deadline on the way.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.server.deadline().filter(|at| *at <= end) {
            self.now = at;
            self.server.expire(&mut self.outside, at);
        }
        self.now = end;
    }

    pub(super) fn receive(&mut self, tuple: FiveTuple, message: &[u8]) {
        self.server.receive(&tuple, message, &mut self.outside, self.now);
    }

    /// The one answer to a message; `None` is silence.
    pub(super) fn ask(&mut self, tuple: FiveTuple, message: &[u8]) -> Option<Answer> {
        self.receive(tuple, message);
        let (to, bytes) = self.outside.to_clients.pop_front()?;
        assert_eq!(to, tuple);
        assert!(self.outside.to_clients.is_empty(), "one answer");
        Some(Answer(bytes))
    }

    pub(super) fn transaction(&mut self) -> TransactionId {
        self.random += 1;
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.random.to_be_bytes());
        TransactionId(id)
    }

    /// A client that was challenged.
    pub(super) fn client(&mut self, transport: Transport, port: u16, user: &str) -> Client {
        self.client_at(transport, SocketAddr::from(([192, 0, 2, 7], port)), user)
    }

    pub(super) fn client_at(&mut self, transport: Transport, addr: SocketAddr, user: &str) -> Client {
        let server: SocketAddr = match addr {
            SocketAddr::V4(_) => "198.51.100.1:3478".parse().unwrap(),
            SocketAddr::V6(_) => "[2001:db8:1::1]:3478".parse().unwrap(),
        };
        let tuple = FiveTuple { transport, client: addr, server };
        let id = self.transaction();
        let first = write(Method::ALLOCATE, id, &[UDP], None);
        let answer = self.ask(tuple, &first).unwrap();
        assert_eq!(answer.code(), 401);
        let minted =
            mint(&Secret::new(SECRET), user, 300 * SECOND, fixture::wall() + (self.now - fixture::start()));
        let nonce = answer.get(A::NONCE).unwrap();
        Client {
            tuple,
            key: long_term(&minted.username, &minted.password()),
            username: minted.username,
            nonce,
        }
    }

    pub(super) fn request(&mut self, client: &Client, method: Method, attributes: Attributes<'_>) -> Answer {
        let id = self.transaction();
        let answer = self.ask(client.tuple, &write(method, id, attributes, Some(client))).unwrap();
        let message = answer.message();
        assert_eq!((message.method(), message.transaction_id()), (method, id));
        let signed = message.check_integrity(&client.key).is_ok();
        assert!(signed || matches!(answer.code(), 400 | 401 | 438), "signed: {answer:?}");
        answer
    }

    pub(super) fn allocate(&mut self, client: &Client) -> Answer {
        self.request(client, Method::ALLOCATE, &[UDP])
    }

    /// A client with an allocation, and its relayed address.
    pub(super) fn allocated(&mut self, port: u16, user: &str) -> (Client, SocketAddr) {
        let client = self.client(Transport::Udp, port, user);
        let answer = self.allocate(&client);
        assert_eq!(answer.code(), 0);
        (client, answer.address(A::XOR_RELAYED_ADDRESS))
    }

    pub(super) fn permit(&mut self, client: &Client, peers: &[SocketAddr]) -> u16 {
        let id = self.transaction();
        let message = write_with(Method::CREATE_PERMISSION, id, Some(client), |mut builder| {
            for peer in peers {
                builder = builder.xor_address(A::XOR_PEER_ADDRESS, *peer);
            }
            builder
        });
        self.ask(client.tuple, &message).unwrap().code()
    }

    pub(super) fn bind(&mut self, client: &Client, number: u16, peer: SocketAddr) -> u16 {
        let id = self.transaction();
        let [high, low] = number.to_be_bytes();
        let message = write_with(Method::CHANNEL_BIND, id, Some(client), |builder| {
            builder.attribute(A::CHANNEL_NUMBER, &[high, low, 0, 0]).xor_address(A::XOR_PEER_ADDRESS, peer)
        });
        self.ask(client.tuple, &message).unwrap().code()
    }

    pub(super) fn refresh(&mut self, client: &Client, seconds: u32) -> Answer {
        self.request(client, Method::REFRESH, &[(A::LIFETIME, &seconds.to_be_bytes())])
    }

    pub(super) fn send(&mut self, client: &Client, peer: SocketAddr, payload: &[u8]) {
        let id = self.transaction();
        let mut message = write_with(Method::SEND, id, None, |builder| {
            builder.xor_address(A::XOR_PEER_ADDRESS, peer).attribute(A::DATA, payload)
        });
        message[0] = 0;
        message[1] = 0x16;
        self.receive(client.tuple, &message);
    }

    pub(super) fn channel_data(&mut self, client: &Client, number: u16, payload: &[u8]) {
        let len = u16::try_from(payload.len()).unwrap();
        let message = [&number.to_be_bytes()[..], &len.to_be_bytes(), payload].concat();
        self.receive(client.tuple, &message);
    }

    pub(super) fn peer_says(&mut self, relayed: SocketAddr, peer: SocketAddr, payload: &[u8]) {
        let relay = self.server.relay_at(relayed).unwrap();
        self.server.receive_from_peer(relay, peer, payload, &mut self.outside, self.now);
    }

    /// What went to peers since the last time: from, to, what.
    pub(super) fn relayed(&mut self) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        self.outside.to_peers.drain(..).map(|(from, to, bytes, _)| (from, to, bytes)).collect()
    }

    /// What came to clients since the last time.
    pub(super) fn delivered(&mut self) -> Vec<(FiveTuple, Vec<u8>)> {
        self.outside.to_clients.drain(..).collect()
    }

    pub(super) fn dropped(&self, reason: DropReason) -> u64 {
        self.server.counters().dropped(reason)
    }
}

pub(super) fn long_term(username: &str, password: &str) -> IntegrityKey {
    use md5::{Digest, Md5};
    IntegrityKey::raw(&Md5::digest(format!("{username}:{REALM}:{password}")))
}

pub(super) fn write(
    method: Method,
    id: TransactionId,
    attributes: Attributes<'_>,
    client: Option<&Client>,
) -> Vec<u8> {
    write_with(method, id, client, |mut builder| {
        for (kind, value) in attributes {
            builder = builder.attribute(*kind, value);
        }
        builder
    })
}

pub(super) fn write_with(
    method: Method,
    id: TransactionId,
    client: Option<&Client>,
    body: impl for<'a> FnOnce(Builder<'a>) -> Builder<'a>,
) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let mut builder = body(Builder::new(Class::Request, method, id, &mut buffer));
    if let Some(client) = client {
        builder = builder
            .username(client.username.as_bytes())
            .attribute(A::REALM, REALM.as_bytes())
            .attribute(A::NONCE, &client.nonce)
            .integrity(&client.key);
    }
    let len = builder.finish().unwrap();
    buffer.truncate(len);
    buffer
}

pub(super) fn peer(last: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, last], 6_000))
}

pub(super) fn peer_v6() -> SocketAddr {
    "[2001:db8:2::5]:6000".parse().unwrap()
}

pub(super) fn family(value: u8) -> [u8; 4] {
    [value, 0, 0, 0]
}

pub(super) fn codes(answer: &Answer) -> Option<(u8, u16)> {
    let value = answer.get(A::ADDRESS_ERROR_CODE)?;
    Some((value[0], u16::from(value[2]) * 100 + u16::from(value[3])))
}
