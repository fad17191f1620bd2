//! A thread with many peer connections: waits for their sockets and their deadlines.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs, io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, Waker, unix::SourceFd};
use rustc_hash::FxHashMap;
use sfu::io::testing::{Port, Tray};
use tokio::sync::oneshot;

use super::{
    Counters, Credentials, Figures, PeerId,
    peer::{Context, Demand, Opening, Peer, since_epoch},
};

const WAKE: Token = Token(usize::MAX);
/// Sockets told of in one wait.
const EVENTS: usize = 1_024;
/// The longest wait, so that what is shown is fresh.
const PATIENCE: Duration = Duration::from_millis(100);

/// What an engine is asked.
pub(crate) enum Command {
    Open(PeerId, Box<Opening>),
    /// The server's description: its credentials and where it may be.
    Connect(PeerId, Credentials, Vec<SocketAddr>),
    /// One more place where the server may be.
    Candidate(PeerId, SocketAddr),
    Close(PeerId),
    /// An encoding is wanted or not: device and layer.
    Want(PeerId, (u8, u8), Demand),
    /// A layer of a publisher was asked for.
    Await(PeerId, u32, u8),
    /// What was counted since the last mark.
    Mark(oneshot::Sender<Figures>),
    Stop,
}

/// How an engine works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// One of so many packets is opened.
    pub(crate) sample: u32,
    pub(crate) seed: u64,
}

/// What anybody may look at while it works.
#[derive(Debug, Default)]
struct Shown {
    received: AtomicU64,
    expected: AtomicU64,
}

/// A thread with many peer connections.
#[derive(Debug)]
pub(crate) struct Engine {
    commands: mpsc::Sender<Command>,
    waker: Waker,
    next: AtomicUsize,
    shown: Arc<Shown>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    pub(crate) fn start(settings: Settings) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let (commands, inbox) = mpsc::channel();
        let shown = Arc::new(Shown::default());
        let mut work = Work {
            poll,
            commands: inbox,
            tray: Port::bind(SocketAddr::from(([127, 0, 0, 1], 0)), 0)?.tray(),
            peers: FxHashMap::default(),
            timers: BinaryHeap::new(),
            cx: Context::new(settings.sample, settings.seed),
            shown: Arc::clone(&shown),
            total: Counters::default(),
            marked: (Instant::now(), Duration::ZERO),
            seed: settings.seed,
        };
        let thread = thread::Builder::new().name("clients".into()).spawn(move || work.run())?;
        Ok(Self { commands, waker, next: AtomicUsize::new(0), shown, thread: Some(thread) })
    }

    /// A name for a new peer connection.
    pub(crate) fn name(&self) -> PeerId {
        PeerId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn ask(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            // A thread that cannot be woken looks within a tenth of a second.
            let _ = self.waker.wake();
        }
    }

    /// What was counted since the last mark.
    pub(crate) async fn mark(&self) -> Figures {
        let (reply, figures) = oneshot::channel();
        self.ask(Command::Mark(reply));
        figures.await.unwrap_or_default()
    }

    /// Packets received and expected since the beginning.
    pub(crate) fn shown(&self) -> (u64, u64) {
        (self.shown.received.load(Ordering::Relaxed), self.shown.expected.load(Ordering::Relaxed))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.ask(Command::Stop);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

struct Work {
    poll: Poll,
    commands: mpsc::Receiver<Command>,
    tray: Tray,
    peers: FxHashMap<usize, Box<Peer>>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    cx: Context,
    shown: Arc<Shown>,
    /// Up to the last mark.
    total: Counters,
    marked: (Instant, Duration),
    seed: u64,
}

impl Work {
    fn run(&mut self) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let patience = self.timers.peek().map_or(PATIENCE, |Reverse((at, _))| {
                at.saturating_duration_since(Instant::now()).min(PATIENCE)
            });
            // An interrupted wait is a short one.
            let _ = self.poll.poll(&mut events, Some(patience));
            let now = Instant::now();
            for event in &events {
                if event.token() == WAKE {
                    if self.obey(now) == Flow::Stop {
                        return;
                    }
                    continue;
                }
                self.receive(event.token().0, now);
            }
            self.run_timers(Instant::now());
            let (total, counters) = (&self.total, &self.cx.figures.counters);
            self.shown.received.store(total.received + counters.received, Ordering::Relaxed);
            self.shown.expected.store(total.expected + counters.expected, Ordering::Relaxed);
        }
    }

    fn obey(&mut self, now: Instant) -> Flow {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Open(id, opening) => self.open(id, *opening, now),
                Command::Connect(id, remote, candidates) => {
                    if let Some(peer) = self.peers.get_mut(&id.0) {
                        peer.connect(&remote, candidates, &mut self.cx, now);
                    }
                    self.schedule(id.0);
                }
                Command::Candidate(id, candidate) => {
                    if let Some(peer) = self.peers.get_mut(&id.0) {
                        peer.add_candidate(candidate, now);
                    }
                    self.schedule(id.0);
                }
                Command::Close(id) => {
                    if let Some(peer) = self.peers.remove(&id.0) {
                        let fd = peer.port().as_fd().as_raw_fd();
                        let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
                    }
                }
                Command::Want(id, place, demand) => {
                    if let Some(peer) = self.peers.get_mut(&id.0) {
                        peer.want(place, demand);
                    }
                }
                Command::Await(id, publisher, layer) => {
                    if let Some(peer) = self.peers.get_mut(&id.0) {
                        peer.await_layer(publisher, layer, now);
                    }
                }
                Command::Mark(reply) => drop(reply.send(self.mark(now))),
                Command::Stop => return Flow::Stop,
            }
        }
        Flow::On
    }

    fn open(&mut self, id: PeerId, opening: Opening, now: Instant) {
        let seed = self.seed ^ (id.0 as u64) << 20;
        let peer = Box::new(Peer::new(opening, seed, now));
        let fd = peer.port().as_fd().as_raw_fd();
        let _ = self.poll.registry().register(&mut SourceFd(&fd), Token(id.0), Interest::READABLE);
        self.peers.insert(id.0, peer);
    }

    fn receive(&mut self, id: usize, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let mut first = true;
        loop {
            let messages = peer.port().receive(&mut self.tray);
            self.cx.figures.counters.receive_calls += 1;
            for datagram in self.tray.datagrams() {
                self.cx.figures.counters.datagrams += 1;
                if let Some(stamp) = datagram.stamp.filter(|_| std::mem::take(&mut first)) {
                    let waited = since_epoch().saturating_sub(stamp);
                    self.cx.figures.waiting.add(u64::try_from(waited.as_nanos()).unwrap_or(0));
                }
                peer.handle(&datagram, &mut self.cx, now);
            }
            if messages < Port::RECEIVE_MAX {
                break;
            }
        }
        self.schedule(id);
    }

    fn schedule(&mut self, id: usize) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(deadline) = peer.deadline() else { return };
        if peer.scheduled.is_none_or(|scheduled| deadline < scheduled) {
            peer.scheduled = Some(deadline);
            self.timers.push(Reverse((deadline, id)));
        }
    }

    fn run_timers(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.timers.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.timers.pop();
            let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.scheduled == Some(at)) else {
                continue;
            };
            peer.scheduled = None;
            peer.tick(&mut self.cx, now);
            self.schedule(id);
        }
    }

    fn mark(&mut self, now: Instant) -> Figures {
        let cpu = thread_time();
        let (since, spent) = std::mem::replace(&mut self.marked, (now, cpu));
        let mut figures = std::mem::take(&mut self.cx.figures);
        figures.span = now.saturating_duration_since(since);
        figures.busy = cpu.saturating_sub(spent);
        figures.busiest = figures.busy.as_secs_f64() / figures.span.as_secs_f64().max(1e-9);
        self.total.merge(&figures.counters);
        figures
    }
}

/// CPU time of this thread: the first number of its schedstat.
fn thread_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}
