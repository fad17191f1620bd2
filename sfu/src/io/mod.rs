//! The media plane's hands: sockets, threads and the clock.
//!
//! [`Sfu::start`] binds one UDP port per worker and one TCP port for all, and gives each worker a thread. Clients learn
//! their worker's port from its candidates, so the kernel delivers every packet to the thread that owns its room.
//!
//! Invariants:
//! - a room stays with the worker it was placed on;
//! - between the control plane and a worker there are only bounded queues: full is an answer.
#![expect(clippy::disallowed_methods, reason = "the clock is read and threads are begun here, and only here")]
#![expect(clippy::disallowed_types, reason = "figures are shown to other threads, and sockets are opened")]

mod advertise;
mod counters;
mod desk;
mod mailbox;
mod outbox;
mod peers;
mod tcp;
#[cfg(feature = "testing")]
pub mod testing;
mod thread;
mod udp;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::{AbortHandle, spawn_blocking},
    time::sleep,
};

pub use self::{
    advertise::{Advertise, LocalAddr, Loopback, local_addresses},
    counters::{IoCounters, WorkerStats},
    mailbox::Full,
};
use self::{
    mailbox::{Mailbox, Request, mailbox},
    outbox::{Segmentation, probe_segmentation},
    thread::Parts,
    udp::{LocalAddress, Options, Socket},
};
use crate::{
    command::Command,
    event::Event,
    ids::RoomId,
    params::{Candidate, Endpoint, Protocol},
    worker::{Adaptation, Certificate, WorkerConfig},
};

/// How the media plane is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SfuConfig {
    /// Where sockets are bound; the unspecified IPv6 address serves IPv4 too.
    pub bind: IpAddr,
    /// The first worker's UDP port; the others follow. 0: any free ports.
    pub udp_port: u16,
    /// The port for ICE over TCP, if any. 0: any free port.
    pub tcp_port: Option<u16>,
    /// Threads, each with its own UDP port.
    pub workers: u16,
    /// Where clients are told to reach us.
    pub advertise: Advertise,
    /// Bytes each socket buffers in each direction, as far as the kernel grants them.
    pub socket_buffer: usize,
    /// RTP padding that may be added to make packets equally long.
    pub padding_max: u8,
    /// Whether what a path was measured to carry bounds what is sent on it.
    pub adaptation: Adaptation,
}

impl Default for SfuConfig {
    fn default() -> Self {
        Self {
            bind: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            udp_port: 7_882,
            tcp_port: Some(7_881),
            workers: 1,
            advertise: Advertise::Local(Loopback::Hidden),
            socket_buffer: 4 << 20,
            padding_max: WorkerConfig::default().padding_max,
            adaptation: WorkerConfig::default().adaptation,
        }
    }
}

impl SfuConfig {
    /// The addresses clients are told: what the operator lists, as it is; or of our own those that the sockets can be
    /// reached at.
    pub fn advertised(&self) -> io::Result<Vec<IpAddr>> {
        match &self.advertise {
            Advertise::Addresses(addresses) => Ok(addresses.clone()),
            Advertise::Local(_) if !self.bind.is_unspecified() => Ok(vec![self.bind]),
            Advertise::Local(loopback) => {
                let mut ips = advertise::local(*loopback)?;
                ips.retain(|ip| self.bind.is_ipv6() || ip.is_ipv4());
                Ok(ips)
            }
        }
    }
}

/// Why the media plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A UDP port cannot be had.
    #[error("UDP {addr} cannot be bound")]
    Udp {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The TCP port cannot be had.
    #[error("TCP {addr} cannot be bound")]
    Tcp {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// So many workers reach over the last port.
    #[error("{workers} workers from UDP port {port} reach over port 65535")]
    Ports {
        /// The first port.
        port: u16,
        /// How many.
        workers: u16,
    },
    /// There has to be one.
    #[error("there has to be at least one worker")]
    NoWorkers,
    /// The host's addresses cannot be listed.
    #[error("the addresses of this host cannot be listed")]
    Addresses(#[source] io::Error),
    /// No certificate can be made.
    #[error("no certificate can be made")]
    Certificate,
    /// The system refuses a thread or a descriptor.
    #[error("a worker cannot be started")]
    Thread(#[source] io::Error),
}

/// All workers refuse a room: their queues are full, or they are stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no worker takes a room")]
pub struct Busy;

/// The media plane. Clones are the same one.
#[derive(Clone)]
pub struct Sfu(Arc<Inner>);

struct Inner {
    workers: Vec<Handle>,
    tcp: Option<AbortHandle>,
    segmentation: Segmentation,
}

struct Handle {
    mailbox: Mailbox,
    endpoint: Endpoint,
    stats: Arc<Mutex<WorkerStats>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A room on its worker. When `events` is dropped the room is closed.
#[derive(Debug)]
pub struct Room {
    /// What clients must know of its worker.
    pub endpoint: Endpoint,
    /// How to ask for something.
    pub commands: Commands,
    /// What happens in it; it ends when the room is closed.
    pub events: mpsc::Receiver<Event>,
}

/// Sends commands to the worker of one room.
#[derive(Clone)]
pub struct Commands(Mailbox);

impl Commands {
    /// Queues a command. `Full` means it will not be done.
    pub fn send(&self, command: Command) -> Result<(), Full> {
        self.0.request(Request::Command(command))
    }
}

impl std::fmt::Debug for Commands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Commands")
    }
}

impl Sfu {
    /// Binds the ports and starts the workers. To be called within a tokio runtime, which carries ICE over TCP.
    pub fn start(config: SfuConfig) -> Result<Self, StartError> {
        if config.workers == 0 {
            return Err(StartError::NoWorkers);
        }
        let local = local_addresses().map_err(StartError::Addresses)?;
        let tracked =
            if advertise::has_several(&local) { LocalAddress::Tracked } else { LocalAddress::Chosen };
        let segmentation = probe_segmentation();
        let listener = config.tcp_port.map(|port| listen(config.bind, port)).transpose()?;
        let tcp_port =
            listener.as_ref().and_then(|listener| listener.local_addr().ok()).map(|addr| addr.port());
        let certificate = Certificate::generate().map_err(|_| StartError::Certificate)?;
        let sockets = bind(&config, tracked)?;

        let mut workers = Vec::new();
        for (worker, socket) in (0..config.workers).zip(sockets) {
            let bound = socket.local_addr().map_err(StartError::Thread)?;
            let buffer = socket.receive_buffer().map_err(StartError::Thread)?;
            if buffer < config.socket_buffer {
                tracing::warn!(
                    buffer,
                    wanted = config.socket_buffer,
                    "the kernel grants a smaller UDP buffer"
                );
            }
            let candidates = candidates(&config, bound, tcp_port)?;
            let endpoint = Endpoint { worker, fingerprint: certificate.fingerprint(), candidates };
            let (mailbox, tray) = mailbox().map_err(StartError::Thread)?;
            let stats = Arc::new(Mutex::new(WorkerStats { worker, ..WorkerStats::default() }));
            let parts = Parts {
                socket,
                local: tracked,
                segmentation,
                config: WorkerConfig {
                    worker,
                    padding_max: config.padding_max,
                    adaptation: config.adaptation,
                },
                certificate: certificate.clone(),
                tray,
                stats: Arc::clone(&stats),
            };
            let thread = std::thread::Builder::new()
                .name(format!("sabha-media-{worker}"))
                .spawn(move || thread::run(parts))
                .map_err(StartError::Thread)?;
            workers.push(Handle { mailbox, endpoint, stats, thread: Mutex::new(Some(thread)) });
        }
        let mailboxes: Arc<[Mailbox]> = workers.iter().map(|worker| worker.mailbox.clone()).collect();
        let tcp = listener.map(|listener| tokio::spawn(tcp::serve(listener, mailboxes)).abort_handle());
        Ok(Self(Arc::new(Inner { workers, tcp, segmentation })))
    }

    /// Places a room on the worker that has most to spare; the room is open when this returns.
    pub fn open_room(&self, room: RoomId) -> Result<Room, Busy> {
        let load = |handle: &&Handle| {
            let load = &handle.mailbox.load;
            // Small differences of load are noise; below them the number of rooms decides.
            (load.busy.load(Ordering::Relaxed) / 100, load.rooms.load(Ordering::Relaxed))
        };
        let handle = self.0.workers.iter().min_by_key(load).ok_or(Busy)?;
        let (reader, events) = mpsc::channel(desk::QUEUE);
        handle.mailbox.request(Request::Open(room, reader)).map_err(|Full| Busy)?;
        handle.mailbox.load.rooms.fetch_add(1, Ordering::Relaxed);
        Ok(Room { endpoint: handle.endpoint.clone(), commands: Commands(handle.mailbox.clone()), events })
    }

    /// What clients must know of each worker.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.0.workers.iter().map(|worker| &worker.endpoint)
    }

    /// The totals of every worker, at most a moment old.
    #[must_use]
    pub fn counters(&self) -> Vec<WorkerStats> {
        let stats = |worker: &Handle| worker.stats.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.0.workers.iter().map(stats).collect()
    }

    /// Whether runs of packets leave as one segmented message.
    #[must_use]
    pub fn segments(&self) -> bool {
        self.0.segmentation == Segmentation::Offloaded
    }

    /// Closes every room and ends the threads. Rooms that are opened meanwhile are refused or closed.
    pub async fn stop(self) {
        if let Some(tcp) = &self.0.tcp {
            tcp.abort();
        }
        for worker in &self.0.workers {
            let thread = worker.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(thread) = thread else { continue };
            while worker.mailbox.request(Request::Stop).is_err() && !thread.is_finished() {
                sleep(Duration::from_millis(1)).await;
            }
            let _ = spawn_blocking(move || thread.join()).await;
        }
    }
}

/// Whether this kernel cuts long messages into datagrams (`UDP_SEGMENT`): tried over loopback.
#[must_use]
pub fn segmentation_works() -> bool {
    probe_segmentation() == Segmentation::Offloaded
}

fn bind(config: &SfuConfig, local: LocalAddress) -> Result<Vec<Socket>, StartError> {
    let too_many = StartError::Ports { port: config.udp_port, workers: config.workers };
    let options = Options { buffer: config.socket_buffer, local };
    let mut sockets = Vec::new();
    for worker in 0..config.workers {
        let port = if config.udp_port == 0 { Some(0) } else { config.udp_port.checked_add(worker) };
        let Some(port) = port else { return Err(too_many) };
        let addr = SocketAddr::new(config.bind, port);
        let bound = Socket::bind(addr, options).or_else(|error| match without_v6(addr, &error) {
            Some(addr) => Socket::bind(addr, options),
            None => Err(error),
        });
        sockets.push(bound.map_err(|source| StartError::Udp { addr, source })?);
    }
    Ok(sockets)
}

fn listen(ip: IpAddr, port: u16) -> Result<TcpListener, StartError> {
    let addr = SocketAddr::new(ip, port);
    let open = |addr: SocketAddr| {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    let opened = open(addr).or_else(|error| match without_v6(addr, &error) {
        Some(addr) => open(addr),
        None => Err(error),
    });
    opened.map_err(|source| StartError::Tcp { addr, source })
}

/// On a host without IPv6 the unspecified address means that of IPv4.
fn without_v6(addr: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let missing = matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL));
    let any = addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    (missing && any).then(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), addr.port()))
}

/// Every advertised address at the worker's port, and again at the TCP port.
fn candidates(
    config: &SfuConfig,
    bound: SocketAddr,
    tcp_port: Option<u16>,
) -> Result<Vec<Candidate>, StartError> {
    let config = SfuConfig { bind: bound.ip(), ..config.clone() };
    let ips = config.advertised().map_err(StartError::Addresses)?;
    let at = |protocol, port| {
        let candidate = move |ip: &IpAddr| Candidate { protocol, addr: SocketAddr::new(*ip, port) };
        ips.iter().map(candidate)
    };
    let udp = at(Protocol::Udp, bound.port());
    let tcp = tcp_port.into_iter().flat_map(|port| at(Protocol::Tcp, port));
    Ok(udp.chain(tcp).collect())
}

/// A number nobody can foresee: the standard library seeds its hashers from the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
