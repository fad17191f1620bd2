//! The relay between clients and peers who say anything, in any order, at any time; with the right password and without.
//!
//! An input is a list of steps, each behind two bytes of length: what happens, who, and bytes.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "what fails here is a finding")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, OnceLock},
    time::{Duration, Instant, UNIX_EPOCH},
};

use turn::{
    auth::{Authenticator, OfferSha256},
    credentials::{Credentials, Secret},
    policy::{Neighbour, PeerPolicy},
    registry::{Denied, Equal, Grant, Limits, NoPort, Registry, RelayAddress, Standing},
    server::{Fragmentation, Host, Opened, RelayId, RelayPort, Server, ServerConfig, Usage},
    stun::{AttributeType, Builder, Class, IntegrityKey, Message, Method, TransactionId},
    tuple::{Family, FiveTuple, Transport},
};

use super::datagrams;

const REALM: &str = "r";
const PORTS: (u16, u16) = (50_000, 50_015);

pub fn run(data: &[u8]) {
    let mut world = World::new();
    for step in datagrams(data) {
        let Some((&[what, who], bytes)) = step.split_first_chunk::<2>() else { continue };
        world.step(what, who, bytes);
        let alive: u64 = world.server.counters().allocations.iter().sum();
        assert_eq!(alive, world.server.len() as u64);
        let relays: u64 = world.server.counters().relays.iter().sum();
        assert_eq!(relays, world.outside.open.len() as u64);
    }
    world.server.close(&mut world.outside);
    world.outside.registry.expire(world.now + Duration::from_secs(60));
    assert!(world.outside.open.is_empty());
    assert_eq!(world.outside.registry.free_ports(), 32, "every port is free again");
}

struct World {
    server: Server,
    outside: Outside,
    now: Instant,
    nonces: BTreeMap<u8, Vec<u8>>,
    key: IntegrityKey,
}

struct Outside {
    registry: Registry,
    open: BTreeMap<RelayId, SocketAddr>,
    random: u64,
    said: Vec<(FiveTuple, Vec<u8>)>,
    bytes_out: usize,
}

impl World {
    fn new() -> Self {
        static START: OnceLock<Instant> = OnceLock::new();
        let now = *START.get_or_init(Instant::now);
        let users = BTreeMap::from([(b"u".to_vec(), Secret::new("p"))]);
        let credentials = Credentials::new(REALM, &[], users);
        let hour = Duration::from_secs(3_600);
        let auth = Authenticator::new(REALM, credentials, OfferSha256::Nowhere, [1; 32], hour);
        let ips = [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let neighbours = ips.map(|ip| Neighbour { ip, first: PORTS.0, last: PORTS.1 });
        let peer = Neighbour::at(SocketAddr::from(([203, 0, 113, 1], 6_000)));
        let policy = PeerPolicy {
            neighbours: neighbours.into_iter().chain([peer]).collect(),
            ..PeerPolicy::default()
        };
        let relays = ips.map(|ip| RelayAddress { bind: ip, told: ip });
        let each = Limits { allocations: 6, bytes_per_second: 1_000_000 };
        let config = ServerConfig { unauthenticated: None, ..ServerConfig::default() };
        let wall = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        Self {
            server: Server::new(config, Arc::new(auth), Arc::new(policy), now, wall),
            outside: Outside {
                registry: Registry::new(&relays, PORTS, 100, Box::new(Equal { each })),
                open: BTreeMap::new(),
                random: 7,
                said: Vec::new(),
                bytes_out: 0,
            },
            now,
            nonces: BTreeMap::new(),
            // MD5 of "u:r:p".
            key: IntegrityKey::raw(&KEY),
        }
    }

    fn step(&mut self, what: u8, who: u8, bytes: &[u8]) {
        let tuple = tuple(who);
        match what % 6 {
            0 => self.hear(tuple, bytes),
            1 => self.request(who, tuple, bytes),
            2 => {
                let relays: Vec<_> = self.outside.open.keys().copied().collect();
                let Some(relay) = relays.get(usize::from(who) % relays.len().max(1)) else { return };
                let peer = match self.outside.open.get(relay) {
                    Some(SocketAddr::V4(_)) => SocketAddr::from(([203, 0, 113, 1], 6_000)),
                    _ => SocketAddr::from((Ipv6Addr::LOCALHOST, PORTS.0)),
                };
                self.server.receive_from_peer(*relay, peer, bytes, &mut self.outside, self.now);
            }
            3 => {
                self.now += Duration::from_secs(u64::from(who) * 5);
                self.server.expire(&mut self.outside, self.now);
                assert!(self.server.deadline().is_none_or(|at| at > self.now));
            }
            4 => self.server.disconnect(&tuple, &mut self.outside),
            _ => self.server.report(&mut self.outside),
        }
    }

    /// Anything at all; strangers get no more than two and a half times what they sent.
    fn hear(&mut self, tuple: FiveTuple, bytes: &[u8]) {
        let known = self.server.has_allocation(&tuple);
        self.outside.bytes_out = 0;
        self.server.receive(&tuple, bytes, &mut self.outside, self.now);
        assert!(known || self.outside.bytes_out * 2 <= bytes.len().max(28) * 5, "amplified");
        for (_, said) in self.outside.said.drain(..) {
            assert!(said.first().is_some_and(|first| first >> 6 == 1) || Message::parse(&said).is_ok());
        }
    }

    /// A request with the right password: the method, then attributes as they are.
    fn request(&mut self, who: u8, tuple: FiveTuple, bytes: &[u8]) {
        let Some((method, attributes)) = bytes.split_first() else { return };
        let methods = [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND];
        let method = methods[usize::from(*method) % 4];
        // One transaction in four comes again.
        let id = TransactionId([u8::try_from(bytes.len() % 4).unwrap(); 12]);
        if !self.nonces.contains_key(&who) {
            let nonce = self.challenge(tuple);
            self.nonces.insert(who, nonce);
        }
        for _ in 0..2 {
            let nonce = self.nonces[&who].clone();
            let mut buffer = [0; 8_192];
            let mut builder = Builder::new(Class::Request, method, id, &mut buffer);
            let mut rest = attributes;
            while let Some((&[t0, t1, len], after)) = rest.split_first_chunk::<3>() {
                let (value, after) = after.split_at(usize::from(len).min(after.len()));
                builder = builder.attribute(AttributeType(u16::from_be_bytes([t0, t1])), value);
                rest = after;
            }
            let builder = builder.username(b"u").attribute(AttributeType::REALM, REALM.as_bytes());
            let Ok(len) = builder.attribute(AttributeType::NONCE, &nonce).integrity(&self.key).finish()
            else {
                return;
            };
            self.server.receive(&tuple, &buffer[..len], &mut self.outside, self.now);
            let Some((_, said)) = self.outside.said.pop() else { return };
            let answer = Message::parse(&said).expect("an answer is a message");
            assert_eq!((answer.method(), answer.transaction_id()), (method, id));
            match answer.error_code().map(|code| code.value()) {
                Some(438) => {
                    self.nonces.insert(who, answer.attribute(AttributeType::NONCE).unwrap().to_vec())
                }
                _ => return,
            };
        }
    }

    fn challenge(&mut self, tuple: FiveTuple) -> Vec<u8> {
        let mut buffer = [0; 64];
        let len = Builder::new(Class::Request, Method::ALLOCATE, TransactionId([9; 12]), &mut buffer)
            .finish()
            .unwrap_or(0);
        self.server.receive(&tuple, &buffer[..len], &mut self.outside, self.now);
        let (_, said) = self.outside.said.pop().expect("a challenge");
        Message::parse(&said).unwrap().attribute(AttributeType::NONCE).unwrap().to_vec()
    }
}

/// MD5 of "u:r:p".
const KEY: [u8; 16] =
    [0x44, 0xad, 0xd2, 0x2b, 0x6f, 0x31, 0x79, 0xb7, 0x51, 0xea, 0xfd, 0x68, 0xee, 0x37, 0x0f, 0x7d];

fn tuple(who: u8) -> FiveTuple {
    let transport = Transport::ALL[usize::from(who >> 3) % 3];
    let client = SocketAddr::from(([198, 51, 100, 1 + who % 8], 5_000));
    FiveTuple { transport, client, server: SocketAddr::from(([192, 0, 2, 1], 3_478)) }
}

impl Host for Outside {
    fn to_client(&mut self, to: &FiveTuple, parts: [&[u8]; 3]) {
        let bytes = parts.concat();
        self.bytes_out += bytes.len();
        self.said.push((*to, bytes));
    }

    fn to_peer(&mut self, relay: RelayId, to: SocketAddr, _: &[u8], _: Fragmentation) {
        let from = self.open.get(&relay).expect("an open relay");
        assert_eq!(from.is_ipv4(), to.is_ipv4());
        let allowed = [SocketAddr::from(([203, 0, 113, 1], 6_000))];
        let own = (PORTS.0..=PORTS.1).contains(&to.port());
        assert!(allowed.contains(&to) || own, "{to} is nobody's neighbour");
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
        let relay = RelayId(relay.0 & !1 | u32::from(taken.told.is_ipv6()));
        let known: BTreeSet<_> = self.open.values().collect();
        assert!(!known.contains(&taken.told), "a port is given once");
        assert!(self.open.insert(relay, taken.told).is_none());
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

    fn spend(&mut self, _: &[u8], bytes: u64) -> Standing {
        if bytes > 5_000 { Standing::Exhausted } else { Standing::Good }
    }

    fn ended(&mut self, _: &[u8], _: &Usage) {}
}
