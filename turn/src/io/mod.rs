//! The relay's hands: sockets, threads and the clock.
//!
//! Every worker is a thread with its own listeners at the shared ports (`SO_REUSEPORT`): the kernel gives a client's
//! datagrams always to the same one. Connections are accepted by whoever comes first and stay there.
//!
//! Invariants:
//! - an allocation lives and ends on the worker its client was given to;
//! - what workers share, ports and quotas, is asked when allocations begin and end, never for a packet.
#![expect(clippy::disallowed_methods, reason = "the clock is read and threads are begun here, and only here")]
#![expect(
    clippy::disallowed_types,
    reason = "figures and quotas are shared by threads, and sockets are opened"
)]

mod hands;
mod outbox;
mod probe;
mod streams;
mod tls;
mod udp;
mod worker;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use mio::{Interest, Poll, Waker, net::TcpListener, unix::SourceFd};
use rustls::ServerConfig as TlsConfig;

use self::{
    hands::Listener,
    udp::{Purpose, Socket},
    worker::{Acceptor, Command, Parts, Place},
};
pub use self::{
    outbox::SendCounters,
    probe::{ProbeError, Probed, probe},
    streams::StreamCounters,
    tls::{Certificate, TlsError},
    worker::WorkerStats,
};
use crate::{
    auth::{Authenticator, OfferSha256},
    credentials::{Credentials, Secret},
    policy::PeerPolicy,
    registry::{Accounts, Registry, RelayAddress},
    server::{Alternate, ServerConfig},
};

/// How the relay is started.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Where clients come over UDP; the unspecified IPv6 address serves IPv4 too. Port 0 is any free one.
    pub udp: Vec<SocketAddr>,
    /// Where clients come over TCP.
    pub tcp: Vec<SocketAddr>,
    /// Where clients come over TLS.
    pub tls: Vec<SocketAddr>,
    /// What is shown to clients over TLS.
    pub certificate: Certificate,
    /// Threads.
    pub workers: u16,
    /// What peers see.
    pub relays: Vec<RelayAddress>,
    /// The ports of each relay address, both ends included.
    pub ports: (u16, u16),
    /// Allocations of all users together.
    pub allocations_max: u32,
    /// Who we say we are (RFC 8489 §9.2).
    pub realm: String,
    /// What credentials are minted from: the one of today, and the one before it during a rotation.
    pub secrets: Vec<Secret>,
    /// Users with a password, for laboratories.
    pub users: BTreeMap<Vec<u8>, Secret>,
    /// To whom SHA-256 is offered.
    pub offer: OfferSha256,
    /// How long a nonce is good.
    pub nonce_lifetime: Duration,
    /// Who may be a peer.
    pub policy: PeerPolicy,
    /// Lifetimes and rates.
    pub server: ServerConfig,
    /// Bytes each listener buffers in each direction, as far as the kernel grants them.
    pub socket_buffer: usize,
}

/// Why the relay does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be had.
    #[error("{protocol} {addr} cannot be bound")]
    Bind {
        /// UDP or TCP.
        protocol: &'static str,
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// There is no TLS.
    #[error("turn over tls")]
    Tls(#[from] TlsError),
    /// The system has no randomness.
    #[error("there is no randomness")]
    Random,
    /// The system refuses a thread or a descriptor.
    #[error("a worker cannot be started")]
    Thread(#[source] io::Error),
}

/// The relay. Dropped, it ends.
pub struct Relay {
    workers: Vec<Handle>,
    shared: Arc<Mutex<Registry>>,
    addresses: Addresses,
}

/// A secret for as long as this process lives.
pub fn make_secret() -> Result<Secret, StartError> {
    tls::random::<32>().map(Secret::new).map_err(|_| StartError::Random)
}

/// Where clients come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Over UDP.
    pub udp: Vec<SocketAddr>,
    /// Over TCP.
    pub tcp: Vec<SocketAddr>,
    /// Over TLS.
    pub tls: Vec<SocketAddr>,
}

struct Handle {
    commands: Sender<Command>,
    waker: Arc<Waker>,
    stats: Arc<Mutex<WorkerStats>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    fn tell(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

impl Relay {
    /// Binds the ports and starts the workers.
    pub fn start(config: RelayConfig, accounts: Box<dyn Accounts>) -> Result<Self, StartError> {
        let credentials = Credentials::new(&config.realm, &config.secrets, config.users.clone());
        let key = tls::random().map_err(|_| StartError::Random)?;
        let auth = Authenticator::new(&config.realm, credentials, config.offer, key, config.nonce_lifetime);
        let (auth, policy) = (Arc::new(auth), Arc::new(config.policy.clone()));
        let registry = Registry::new(&config.relays, config.ports, config.allocations_max, accounts);
        let shared = Arc::new(Mutex::new(registry));
        let tls = if config.tls.is_empty() { None } else { Some(config.certificate.load()?) };

        let mut addresses = Addresses::default();
        let tcp = listen(&config.tcp, &mut addresses.tcp)?;
        let secure = listen(&config.tls, &mut addresses.tls)?;
        let mut workers = Vec::new();
        for number in 0..config.workers.max(1) {
            let poll = Poll::new().map_err(StartError::Thread)?;
            let listeners = bind(&config, &mut addresses.udp, &poll)?;
            let acceptors = acceptors(&tcp, &secure, tls.as_ref(), &poll).map_err(StartError::Thread)?;
            let waker = Waker::new(poll.registry(), Place::Waker.token()).map_err(StartError::Thread)?;
            let (commands, received) = channel();
            let stats = Arc::new(Mutex::new(WorkerStats::default()));
            let parts = Parts {
                poll,
                listeners,
                acceptors,
                commands: received,
                shared: Arc::clone(&shared),
                config: config.server.clone(),
                auth: Arc::clone(&auth),
                policy: Arc::clone(&policy),
                stats: Arc::clone(&stats),
            };
            let thread = std::thread::Builder::new()
                .name(format!("sabha-turn-{number}"))
                .spawn(move || {
                    if let Err(error) = worker::run(parts) {
                        tracing::error!(%error, "a relay worker ended");
                    }
                })
                .map_err(StartError::Thread)?;
            let thread = Mutex::new(Some(thread));
            workers.push(Handle { commands, waker: Arc::new(waker), stats, thread });
        }
        Ok(Self { workers, shared, addresses })
    }

    /// Where clients come in.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The totals of every worker, at most a moment old.
    #[must_use]
    pub fn stats(&self) -> Vec<WorkerStats> {
        let stats = |worker: &Handle| worker.stats.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.workers.iter().map(stats).collect()
    }

    /// Relay ports that are free.
    #[must_use]
    pub fn free_ports(&self) -> usize {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).free_ports()
    }

    /// From here on no allocations are made; those that are there live on.
    pub fn drain(&self, alternate: Alternate) {
        for worker in &self.workers {
            worker.tell(Command::Drain(alternate));
        }
    }

    /// Ends every allocation of a user.
    pub fn revoke(&self, user: &[u8]) {
        for worker in &self.workers {
            worker.tell(Command::Revoke(user.into()));
        }
    }

    /// Ends every allocation, then the threads.
    pub fn stop(&self) {
        for worker in &self.workers {
            worker.tell(Command::Stop);
        }
        for worker in &self.workers {
            let thread = worker.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread {
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A worker's own listeners. The first worker decides what port 0 means.
fn bind(config: &RelayConfig, known: &mut Vec<SocketAddr>, poll: &Poll) -> Result<Vec<Listener>, StartError> {
    let mut listeners: Vec<Listener> = Vec::new();
    for (index, wished) in config.udp.iter().enumerate() {
        let wished = known.get(index).copied().unwrap_or(*wished);
        let failed = |source| StartError::Bind { protocol: "UDP", addr: wished, source };
        let first = known.get(index).is_none();
        let open = |addr: SocketAddr| {
            // Whoever shares a port shares its datagrams too: another program, or another of us, must not be there.
            if first && addr.port() != 0 {
                drop(std::net::UdpSocket::bind(addr)?);
            }
            Socket::bind(addr, Purpose::Listener, Some(config.socket_buffer))
        };
        let socket = open(wished).or_else(|error| match without_v6(wished, &error) {
            Some(addr) => open(addr),
            None => Err(error),
        });
        let socket = socket.map_err(failed)?;
        let addr = socket.local_addr().map_err(failed)?;
        let fd = socket.as_raw_fd();
        let token = Place::Listener(listeners.len()).token();
        poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE).map_err(failed)?;
        if first {
            known.push(addr);
        }
        listeners.push(Listener { socket, addr });
    }
    Ok(listeners)
}

fn listen(
    addrs: &[SocketAddr],
    known: &mut Vec<SocketAddr>,
) -> Result<Vec<std::net::TcpListener>, StartError> {
    let mut listeners = Vec::new();
    for addr in addrs {
        let open = |addr: SocketAddr| {
            let listener = std::net::TcpListener::bind(addr)?;
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        };
        let opened: io::Result<_> = open(*addr).or_else(|error| match without_v6(*addr, &error) {
            Some(addr) => open(addr),
            None => Err(error),
        });
        let (bound, listener) =
            opened.map_err(|source| StartError::Bind { protocol: "TCP", addr: *addr, source })?;
        known.push(bound);
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Every worker accepts from the same sockets.
fn acceptors(
    tcp: &[std::net::TcpListener],
    secure: &[std::net::TcpListener],
    tls: Option<&Arc<TlsConfig>>,
    poll: &Poll,
) -> io::Result<Vec<Acceptor>> {
    let plain = tcp.iter().map(|listener| (listener, None));
    let all = plain.chain(secure.iter().map(|listener| (listener, tls.cloned())));
    let mut acceptors = Vec::new();
    for (index, (listener, tls)) in all.enumerate() {
        let mut listener = TcpListener::from_std(listener.try_clone()?);
        poll.registry().register(&mut listener, Place::Acceptor(index).token(), Interest::READABLE)?;
        acceptors.push(Acceptor { listener, tls });
    }
    Ok(acceptors)
}

/// On a host without IPv6 the unspecified address means that of IPv4.
fn without_v6(addr: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let missing = matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL));
    let any = addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    (missing && any).then(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), addr.port()))
}

#[cfg(test)]
mod tests;
