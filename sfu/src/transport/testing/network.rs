//! One transport and one client with a network between them that loses, repeats and delays, as its seed says.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use turn::stun;

use super::{Client, ClientEvent};
use crate::{
    dtls::Certificate,
    params::{Channel, ChannelSetup, Consent, Fingerprint, IceCredentials, Remote},
    transport::{Output, StunVerdict, Transport, TransportEvent},
};

/// A small generator (splitmix64): the same seed is the same run.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator with a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit.max(1)
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What the network does to a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Impairment {
    /// How many of a hundred are lost.
    pub loss: u64,
    /// How many of a hundred arrive twice.
    pub duplication: u64,
    /// How long the way is.
    pub delay: Duration,
    /// How much longer it may take: more than the gap between two datagrams puts them out of order.
    pub jitter: Duration,
}

impl Impairment {
    /// A good network.
    pub const NONE: Self =
        Self { loss: 0, duplication: 0, delay: Duration::from_millis(10), jitter: Duration::ZERO };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up { from: Remote },
    Down { to: Remote },
}

/// The two sides and what is between them.
#[derive(Debug)]
pub struct Network {
    /// Ours.
    pub transport: Transport,
    /// Theirs.
    pub client: Client,
    /// Of our certificate.
    pub fingerprint: Fingerprint,
    /// When it began.
    pub begin: Instant,
    /// Virtual time.
    pub now: Instant,
    /// How bad the network is.
    pub impairment: Impairment,
    /// What the transport told.
    pub events: Vec<TransportEvent>,
    /// What the client told.
    pub client_events: Vec<ClientEvent>,
    /// How many datagrams the transport sent to each address.
    pub sent: BTreeMap<Remote, u64>,
    rng: Rng,
    /// By arrival, then by order of sending.
    travelling: BTreeMap<(Instant, u64), (Direction, Vec<u8>)>,
    sequence: u64,
}

impl Network {
    /// Connects a client to a transport with these credentials, which does not have the client's description yet.
    #[must_use]
    #[expect(clippy::expect_used, reason = "test support: without a certificate there is nothing to test")]
    pub fn connect(
        client: Client,
        local: IceCredentials,
        setup: ChannelSetup,
        impairment: Impairment,
        seed: u64,
        now: Instant,
    ) -> Self {
        let certificate = Certificate::for_simulation().expect("a certificate");
        let transport = Transport::new(local, setup, Consent::default(), &certificate, seed, now);
        Self {
            transport,
            client,
            fingerprint: certificate.fingerprint(),
            begin: now,
            now,
            impairment,
            events: Vec::new(),
            client_events: Vec::new(),
            sent: BTreeMap::new(),
            rng: Rng::new(seed),
            travelling: BTreeMap::new(),
            sequence: 0,
        }
    }

    /// Lets time pass until `done`, for `limit` at most; tells whether it came to that.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            let next = [
                self.travelling.first_key_value().map(|((at, _), _)| *at),
                self.transport.deadline(),
                self.client.deadline(),
            ];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= end) else {
                self.now = end;
                return false;
            };
            self.now = self.now.max(next);
            self.deliver();
            self.transport.tick(self.now);
            self.client.tick(self.now);
        }
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Whether the transport told this.
    #[must_use]
    pub fn told(&self, event: &TransportEvent) -> bool {
        self.events.contains(event)
    }

    /// How often the transport told this.
    #[must_use]
    pub fn count(&self, event: &TransportEvent) -> usize {
        self.events.iter().filter(|told| *told == event).count()
    }

    /// How often the transport told that it is connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, TransportEvent::Connected { .. })).count()
    }

    /// Whether the transport told that it is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connections() > 0
    }

    /// Whether the transport told that it failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.events.iter().any(|event| matches!(event, TransportEvent::Failed(_)))
    }

    /// Whether both sides told that a channel is open.
    #[must_use]
    pub fn is_open(&self, channel: &Channel) -> bool {
        self.told(&TransportEvent::ChannelOpen(channel.clone()))
            && self.client_events.contains(&ClientEvent::ChannelOpen(channel.clone()))
    }

    /// The messages that the transport got.
    #[must_use]
    pub fn messages_up(&self) -> Vec<&Bytes> {
        let mut messages = Vec::new();
        for event in &self.events {
            if let TransportEvent::Message(_, message) = event {
                messages.push(message);
            }
        }
        messages
    }

    /// The messages that the client got.
    #[must_use]
    pub fn messages_down(&self) -> Vec<&Bytes> {
        let mut messages = Vec::new();
        for event in &self.client_events {
            if let ClientEvent::Message(_, message) = event {
                messages.push(message);
            }
        }
        messages
    }

    /// A datagram from anywhere, at once. Tells what came of it if it was STUN.
    pub fn inject(&mut self, datagram: &[u8], from: Remote) -> Option<StunVerdict> {
        match stun::Message::parse(datagram) {
            Ok(message) => Some(self.transport.handle_stun(&message, from, self.now)),
            Err(_) => {
                self.transport.handle_dtls(datagram, from, self.now);
                None
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.transport.poll() {
            match output {
                Output::Datagram { to, bytes } => {
                    *self.sent.entry(to).or_default() += 1;
                    self.send(Direction::Down { to }, bytes);
                }
                Output::Event(event) => self.events.push(event),
            }
        }
        while let Some(bytes) = self.client.poll() {
            let from = self.client.address();
            self.send(Direction::Up { from }, bytes);
        }
        while let Some(event) = self.client.poll_event() {
            self.client_events.push(event);
        }
    }

    fn send(&mut self, direction: Direction, bytes: Vec<u8>) {
        let copies = 1 + u64::from(self.rng.percent(self.impairment.duplication));
        for _ in 0..copies {
            if self.rng.percent(self.impairment.loss) {
                continue;
            }
            let jitter = u64::try_from(self.impairment.jitter.as_micros()).unwrap_or(u64::MAX);
            let jitter = Duration::from_micros(self.rng.below(jitter.saturating_add(1)));
            let at = self.now + self.impairment.delay + jitter;
            self.sequence += 1;
            self.travelling.insert((at, self.sequence), (direction, bytes.clone()));
        }
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.travelling.first_entry() {
            if entry.key().0 > self.now {
                return;
            }
            let (direction, bytes) = entry.remove();
            match direction {
                Direction::Up { from } => {
                    self.inject(&bytes, from);
                }
                Direction::Down { to } if to == self.client.address() => self.client.handle(&bytes, self.now),
                Direction::Down { .. } => {}
            }
            self.drain();
        }
    }
}
