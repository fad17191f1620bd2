//! One worker's loop: wait, read the clock once, receive, hand over, send.
//!
//! Invariants:
//! - a source that has much to say is heard again after the others;
//! - nothing here waits but the poller;
//! - a panic costs this worker's allocations, not the thread.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, TryRecvError},
    },
    time::{Duration, Instant, SystemTime},
};

use mio::{Events, Poll, Token, net::TcpListener};
use rustls::ServerConfig as TlsConfig;

use super::{
    hands::{Hands, Listener},
    outbox::SendCounters,
    streams::{Progress, StreamCounters},
    udp::{Inbox, RECEIVE_MAX},
};
use crate::{
    auth::Authenticator,
    frame::Frame,
    policy::PeerPolicy,
    registry::Registry,
    server::{Alternate, Counters, RelayId, Server, ServerConfig},
    tuple::{FiveTuple, Transport},
};

/// How often totals are shown to others, clocks compared and streams swept.
const HOUSEKEEPING: Duration = Duration::from_millis(250);
/// How often accounts are told what was relayed for them.
const REPORTING: Duration = Duration::from_secs(10);
/// Sources told in one look at the poller.
const EVENTS_MAX: usize = 1_024;
/// Connections taken in at once.
const ACCEPTS_MAX: usize = 64;

/// What others ask of a worker.
pub(super) enum Command {
    Drain(Alternate),
    Revoke(Vec<u8>),
    Stop,
}

/// What the poller names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Waker,
    Listener(usize),
    Acceptor(usize),
    Stream(usize),
    Relay(RelayId),
}

impl Place {
    pub(super) fn token(self) -> Token {
        Token(match self {
            Self::Waker => 0,
            Self::Listener(index) => index << 3 | 1,
            Self::Acceptor(index) => index << 3 | 2,
            Self::Stream(key) => key << 3 | 3,
            Self::Relay(relay) => (relay.0 as usize) << 3 | 4,
        })
    }

    fn of(token: Token) -> Option<Self> {
        let index = token.0 >> 3;
        match token.0 & 7 {
            0 => Some(Self::Waker),
            1 => Some(Self::Listener(index)),
            2 => Some(Self::Acceptor(index)),
            3 => Some(Self::Stream(index)),
            4 => u32::try_from(index).ok().map(|id| Self::Relay(RelayId(id))),
            _ => None,
        }
    }
}

/// Where connections come in.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<Arc<TlsConfig>>,
}

/// What a worker did.
#[derive(Clone, Debug, Default)]
pub struct WorkerStats {
    /// What the relay counted.
    pub relay: Counters,
    /// What the kernel took.
    pub sent: SendCounters,
    /// Streams.
    pub streams: StreamCounters,
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Receive calls.
    pub receive_calls: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Time spent working.
    pub busy_us: u64,
    /// Panics that cost the worker its allocations.
    pub panics: u64,
}

/// What a loop is made of.
pub(super) struct Parts {
    pub(super) poll: Poll,
    pub(super) listeners: Vec<Listener>,
    pub(super) acceptors: Vec<Acceptor>,
    pub(super) commands: Receiver<Command>,
    pub(super) shared: Arc<Mutex<Registry>>,
    pub(super) config: ServerConfig,
    pub(super) auth: Arc<Authenticator>,
    pub(super) policy: Arc<PeerPolicy>,
    pub(super) stats: Arc<Mutex<WorkerStats>>,
}

/// Runs until it is told to stop.
pub(super) fn run(parts: Parts) -> io::Result<()> {
    let mut worker = Worker::new(parts, Instant::now())?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    while worker.turn(&mut events)? == Flow::On {}
    worker.keep_house(Instant::now());
    Ok(())
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

struct Worker {
    poll: Poll,
    acceptors: Vec<Acceptor>,
    commands: Receiver<Command>,
    config: ServerConfig,
    auth: Arc<Authenticator>,
    policy: Arc<PeerPolicy>,
    shown: Arc<Mutex<WorkerStats>>,
    server: Server,
    hands: Hands,
    inbox: Inbox,
    /// Sources that had more to say than a turn takes.
    ready: Vec<Place>,
    stats: WorkerStats,
    kept: Instant,
    reported: Instant,
    flow: Flow,
}

impl Worker {
    fn new(parts: Parts, now: Instant) -> io::Result<Self> {
        let Parts { poll, listeners, acceptors, commands, shared, config, auth, policy, stats } = parts;
        let hands = Hands::new(poll.registry().try_clone()?, listeners, shared);
        let server =
            Server::new(config.clone(), Arc::clone(&auth), Arc::clone(&policy), now, SystemTime::now());
        Ok(Self {
            poll,
            acceptors,
            commands,
            config,
            auth,
            policy,
            shown: stats,
            server,
            hands,
            inbox: Inbox::new(),
            ready: Vec::new(),
            stats: WorkerStats::default(),
            kept: now,
            reported: now,
            flow: Flow::On,
        })
    }

    fn turn(&mut self, events: &mut Events) -> io::Result<Flow> {
        let before = Instant::now();
        let patience = if self.ready.is_empty() { self.patience(before) } else { Duration::ZERO };
        match self.poll.poll(events, Some(patience)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let now = Instant::now();
        let again = std::mem::take(&mut self.ready);
        let done = catch_unwind(AssertUnwindSafe(|| {
            for place in again {
                self.attend(place, now);
            }
            for event in events.iter() {
                let Some(place) = Place::of(event.token()) else { continue };
                if let (Place::Stream(key), true) = (place, event.is_writable()) {
                    self.hands.streams.writable(key);
                    if !event.is_readable() {
                        continue;
                    }
                }
                self.attend(place, now);
            }
            self.server.expire(&mut self.hands, now);
            self.hands.flush();
            self.flush_streams();
        }));
        if done.is_err() {
            self.lose_allocations(now);
        }
        self.stats.turns += 1;
        self.stats.busy_us += u64::try_from(now.elapsed().as_micros()).unwrap_or(0);
        if now.saturating_duration_since(self.kept) >= HOUSEKEEPING {
            self.keep_house(now);
        }
        Ok(self.flow)
    }

    fn patience(&self, now: Instant) -> Duration {
        let deadline = self.server.deadline().map_or(HOUSEKEEPING, |at| at.saturating_duration_since(now));
        deadline.min(HOUSEKEEPING)
    }

    fn attend(&mut self, place: Place, now: Instant) {
        match place {
            Place::Waker => self.obey(),
            Place::Listener(index) => self.read_listener(index, now),
            Place::Acceptor(index) => self.accept(index, now),
            Place::Stream(key) => self.read_stream(key, now),
            Place::Relay(relay) => self.read_relay(relay, now),
        }
    }

    fn read_listener(&mut self, index: usize, now: Instant) {
        let Some(listener) = self.hands.listeners.get(index) else { return };
        let count = listener.socket.receive(&mut self.inbox);
        let addr = listener.addr;
        self.stats.receive_calls += 1;
        for datagram in self.inbox.datagrams() {
            self.stats.datagrams_in += 1;
            // Nobody can be answered there; who says so wants our answer to go to somebody else.
            if datagram.from.port() == 0 {
                continue;
            }
            let ip = datagram.local.unwrap_or(addr.ip());
            let server = std::net::SocketAddr::new(ip, addr.port());
            let tuple = FiveTuple { transport: Transport::Udp, client: datagram.from, server };
            self.server.receive(&tuple, datagram.bytes, &mut self.hands, now);
        }
        if count == RECEIVE_MAX {
            self.ready.push(Place::Listener(index));
        }
    }

    fn read_relay(&mut self, relay: RelayId, now: Instant) {
        let Some(socket) = self.hands.relay(relay) else { return };
        let count = socket.receive(&mut self.inbox);
        self.stats.receive_calls += 1;
        for datagram in self.inbox.datagrams() {
            self.stats.datagrams_in += 1;
            self.server.receive_from_peer(relay, datagram.from, datagram.bytes, &mut self.hands, now);
        }
        if count == RECEIVE_MAX {
            self.ready.push(Place::Relay(relay));
        }
    }

    fn accept(&mut self, index: usize, now: Instant) {
        for _ in 0..ACCEPTS_MAX {
            let Some(acceptor) = self.acceptors.get(index) else { return };
            match acceptor.listener.accept() {
                Ok((socket, client)) => {
                    let poller =
                        (self.poll.registry(), (|key| Place::Stream(key).token()) as fn(usize) -> Token);
                    self.hands.streams.open(socket, client, acceptor.tls.as_ref(), poller, now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // One connection failed, or there are no descriptors left: the rest is tried in a later turn.
                Err(_) => break,
            }
        }
        self.ready.push(Place::Acceptor(index));
    }

    fn read_stream(&mut self, key: usize, now: Instant) {
        let progress = self.hands.streams.read(key);
        let Some((tuple, input)) = self.hands.streams.take_input(key) else { return };
        let mut taken = 0;
        let verdict = loop {
            match Frame::next(input.get(taken..).unwrap_or_default()) {
                Frame::Message(message, len) => {
                    self.server.receive(&tuple, message, &mut self.hands, now);
                    taken += len;
                }
                Frame::Incomplete(_) => break progress,
                Frame::Garbage => {
                    self.hands.streams.counters.misbehaved += 1;
                    break Progress::Ended;
                }
            }
        };
        self.hands.streams.keep_input(key, input, taken);
        match verdict {
            Progress::More => self.ready.push(Place::Stream(key)),
            Progress::Drained => {}
            Progress::Ended => self.close_stream(key),
        }
    }

    fn close_stream(&mut self, key: usize) {
        if let Some(tuple) = self.hands.streams.close(key, self.poll.registry()) {
            self.server.disconnect(&tuple, &mut self.hands);
        }
    }

    fn flush_streams(&mut self) {
        let mut broken = Vec::new();
        self.hands.streams.flush(|key| broken.push(key));
        for key in broken {
            self.close_stream(key);
        }
    }

    fn obey(&mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Drain(alternate)) => self.server.drain(alternate),
                Ok(Command::Revoke(user)) => {
                    self.server.revoke(&user, &mut self.hands);
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => {
                    self.server.close(&mut self.hands);
                    self.hands.flush();
                    self.flow = Flow::Stop;
                    return;
                }
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    fn keep_house(&mut self, now: Instant) {
        self.kept = now;
        self.server.set_wall(now, SystemTime::now());
        let server = &self.server;
        let overdue = self.hands.streams.overdue(|tuple| server.has_allocation(tuple), now);
        for key in overdue {
            self.hands.streams.counters.misbehaved += 1;
            self.close_stream(key);
        }
        if now.saturating_duration_since(self.reported) >= REPORTING {
            self.reported = now;
            self.server.report(&mut self.hands);
        }
        self.stats.relay = self.server.counters().clone();
        self.stats.sent = self.hands.outbox.counters;
        self.stats.streams = self.hands.streams.counters;
        if let Ok(mut shown) = self.shown.try_lock() {
            shown.clone_from(&self.stats);
        }
    }

    /// What the relay holds cannot be trusted: its clients have to begin anew.
    fn lose_allocations(&mut self, now: Instant) {
        self.stats.panics += 1;
        tracing::error!(allocations = self.server.len(), "a panic cost a worker its allocations");
        // Closing them may meet the same fault; sockets are closed in any case.
        let _ = catch_unwind(AssertUnwindSafe(|| self.server.close(&mut self.hands)));
        self.hands.relays.clear();
        for key in self.hands.streams.keys() {
            self.hands.streams.close(key, self.poll.registry());
        }
        let (config, auth, policy) = (self.config.clone(), Arc::clone(&self.auth), Arc::clone(&self.policy));
        self.server = Server::new(config, auth, policy, now, SystemTime::now());
    }
}
