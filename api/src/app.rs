//! A running server: the parts, made and joined, and their end.
//!
//! A stop goes outside in: no new connections are ready, everybody is told to leave, HTTP drains, media ends. It takes
//! at most `stop_timeout`; a second signal ends it at once.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use sfu::{
    io::{Sfu, StartError},
    params::Protocol,
};
use signaling::Signaling;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::{JoinSet, spawn_blocking},
    time::timeout,
};
use turn::{
    io::{Addresses, Relay},
    server::Alternate,
};

use crate::{
    config::{Config, DEV_KEY, Mode, SECRET_LEN_MIN},
    http::{self, State, web},
    turn::{Turn, TurnError},
};

/// Why the server does not start or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The media plane does not start.
    #[error("the media plane does not start (`sabha doctor` says more)")]
    Sfu(#[from] StartError),
    /// The relay does not start.
    #[error(transparent)]
    Turn(#[from] TurnError),
    /// An HTTP port cannot be had.
    #[error("TCP {addr} cannot be bound (`sabha doctor` says more)")]
    Http {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system refuses signals.
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
}

/// A server whose ports are bound.
pub struct App {
    config: Config,
    sfu: Sfu,
    state: Arc<State>,
    http: Vec<TcpListener>,
    metrics: Option<TcpListener>,
}

impl App {
    /// Binds everything and starts the media plane.
    pub async fn start(mut config: Config) -> Result<Self, AppError> {
        let (http, metrics) = listen(&config).await?;
        config.http = http.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        if config.node_id.is_empty() {
            config.node_id = format!("ND_{:012x}", random() >> 16);
        }
        let sfu = Sfu::start(config.sfu.clone())?;
        let turn = Arc::new(Turn::start(&config, &sfu)?);
        let signaling = Signaling::new(conversations(&config, &turn), sfu.clone());
        let state = Arc::new(State::new(&config, signaling, sfu.clone(), turn));
        for (key, secret) in &config.keys {
            if config.mode == Mode::Production && secret.0.len() < SECRET_LEN_MIN {
                tracing::error!(
                    key,
                    "the secret has fewer than {SECRET_LEN_MIN} characters: it can be guessed"
                );
            }
        }
        Ok(Self { config, sfu, state, http, metrics })
    }

    /// Where HTTP listens.
    #[must_use]
    pub fn http(&self) -> &[SocketAddr] {
        &self.config.http
    }

    /// What it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Serves until `stop` says so once, then ends in order; said twice, at once.
    pub async fn run(self, mut stop: mpsc::Receiver<()>) -> Result<(), AppError> {
        let (quit, quitting) = watch::channel(());
        let mut servers = JoinSet::new();
        let main = http::router(&self.state);
        for listener in self.http {
            servers.spawn(http::serve(listener, main.clone(), quitting.clone()));
        }
        if let Some(listener) = self.metrics {
            servers.spawn(http::serve(listener, http::metrics_router(&self.state), quitting.clone()));
        }
        drop(quitting);
        tracing::info!("serving");

        stop.recv().await;
        tracing::info!("stopping");
        self.state.drain();
        if let Some(relay) = &self.state.turn.relay {
            relay.drain(Alternate::default());
        }
        let orderly = async {
            self.state.signaling.shutdown().await;
            quit.send_replace(());
            while servers.join_next().await.is_some() {}
            self.sfu.stop().await;
            let state = Arc::clone(&self.state);
            let _ = spawn_blocking(move || state.turn.relay.as_ref().map(Relay::stop)).await;
        };
        tokio::select! {
            ended = timeout(self.config.stop_timeout, orderly) => {
                if ended.is_err() {
                    tracing::warn!("some connections did not end in time");
                }
            }
            Some(()) = stop.recv() => tracing::warn!("stopped at once"),
        }
        Ok(())
    }

    /// One screen: where to click, what runs, what to mind.
    #[must_use]
    pub fn first_screen(&self) -> String {
        let config = &self.config;
        let host = self.host();
        let port = config.http.first().map_or(0, SocketAddr::port);
        let mut screen = format!("\n  Sabha {}\n\n", env!("CARGO_PKG_VERSION"));
        let mut line = |name: &str, text: String| screen.push_str(&format!("  {name:<9}{text}\n"));
        line("Open", format!("http://{host}:{port}/"));
        match config.mode {
            Mode::Development => {
                line("API", format!("ws://{host}:{port}   key {}   secret {}", DEV_KEY.0, DEV_KEY.1))
            }
            Mode::Production => line("API", format!("ws://{host}:{port}   {} key(s)", config.keys.len())),
        }
        line("Media", self.media());
        line("Relay", self.relay());
        line(
            "Metrics",
            match config.metrics {
                Some(addr) => format!("http://{addr}/metrics"),
                None => format!("http://{host}:{port}/metrics"),
            },
        );
        line("Token", "sabha token create --room demo --identity ann".into());
        line("Stuck?", "sabha doctor".into());
        line("Stop", "Ctrl-C".into());
        if config.mode == Mode::Development {
            screen.push_str(&format!("\n  {DEVELOPMENT}\n"));
            if config.http.iter().any(|addr| !addr.ip().is_loopback()) {
                screen.push_str(&format!("  {EXPOSED}\n"));
            }
        }
        if !web::is_built() {
            screen.push_str(&format!("\n  {}\n", web::MISSING));
        }
        screen.push('\n');
        screen
    }

    /// A name this machine can be asked at: browsers treat localhost as safe, so that cameras work there.
    fn host(&self) -> String {
        let local = |addr: &SocketAddr| addr.ip().is_loopback() || addr.ip().is_unspecified();
        match self.config.http.first() {
            Some(addr) if !self.config.http.iter().any(local) => match addr.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            },
            Some(_) | None => "localhost".into(),
        }
    }

    fn relay(&self) -> String {
        let Some(relay) = &self.state.turn.relay else { return "off".into() };
        let Addresses { udp, tcp, tls } = relay.addresses();
        format!("TURN on UDP {}, TCP {}, TLS {}", ports(udp), ports(tcp), ports(tls))
    }

    fn media(&self) -> String {
        let candidates: Vec<_> = self.sfu.endpoints().flat_map(|endpoint| &endpoint.candidates).collect();
        let ports = |protocol| {
            let of = candidates.iter().filter(|candidate| candidate.protocol == protocol);
            let ports: BTreeSet<u16> = of.map(|candidate| candidate.addr.port()).collect();
            match (ports.first(), ports.last()) {
                (Some(first), Some(last)) if first != last => format!("{first}-{last}"),
                (Some(first), _) => first.to_string(),
                (None, _) => "off".into(),
            }
        };
        let mut ips: Vec<String> = Vec::new();
        for candidate in &candidates {
            let ip = candidate.addr.ip().to_string();
            if !ips.contains(&ip) {
                ips.push(ip);
            }
        }
        let (udp, tcp) = (ports(Protocol::Udp), ports(Protocol::Tcp));
        let offload = if self.sfu.segments() { "segmentation offload" } else { "no segmentation offload" };
        let workers = self.config.sfu.workers;
        format!("UDP {udp}, TCP {tcp} at {}   ({workers} worker(s), {offload})", ips.join(", "))
    }
}

/// Where the relay is.
fn ports(addrs: &[SocketAddr]) -> String {
    addrs.first().map_or("off".into(), |addr| addr.port().to_string())
}

const DEVELOPMENT: &str = "Development mode: everybody knows this key, and the page lets anybody in. For others, give your own --keys.";
const EXPOSED: &str = "It can be reached from other machines: do not leave it like this on the Internet.";

/// Says so at every SIGINT and SIGTERM.
pub fn stop_signals() -> mpsc::Receiver<()> {
    let (stop, stopped) = mpsc::channel(2);
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let stop = stop.clone();
        tokio::spawn(async move {
            let Ok(mut signals) = signal(kind) else {
                tracing::error!("signals cannot be received: only a kill ends this process");
                return;
            };
            while signals.recv().await.is_some() {
                let _ = stop.send(()).await;
            }
        });
    }
    stopped
}

fn conversations(config: &Config, turn: &Turn) -> signaling::Config {
    let servers = turn.servers.clone();
    let default = signaling::Config::default();
    signaling::Config {
        keys: config.keys.clone(),
        auto_create: config.rooms.auto_create,
        empty_timeout: config.rooms.empty_timeout,
        departure_timeout: config.rooms.departure_timeout,
        max_participants: config.rooms.max_participants,
        enabled_codecs: match config.rooms.enabled_codecs.as_slice() {
            [] => default.enabled_codecs,
            codecs => codecs.to_vec(),
        },
        ice_servers: Arc::new(move |identity, now| servers.mint(identity, now)),
        remote_unmute: config.rooms.remote_unmute,
        node_id: config.node_id.clone(),
        region: config.region.clone(),
        ..default
    }
}

/// Binds every address; with port 0 the first decides for all.
async fn listen(config: &Config) -> Result<(Vec<TcpListener>, Option<TcpListener>), AppError> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    for addr in &config.http {
        let port = match listeners.first().and_then(|first| first.local_addr().ok()) {
            Some(first) => first.port(),
            None => addr.port(),
        };
        let addr = SocketAddr::new(addr.ip(), port);
        match bind(addr).await {
            Ok(listener) => listeners.push(listener),
            // One address of a version of IP that this machine does not have is not missed beside another.
            Err(source) if !listeners.is_empty() && is_missing(addr.ip(), &source) => {
                tracing::debug!(%addr, %source, "not bound");
            }
            Err(source) => return Err(AppError::Http { addr, source }),
        }
    }
    let metrics = match config.metrics {
        Some(addr) => Some(bind(addr).await.map_err(|source| AppError::Http { addr, source })?),
        None => None,
    };
    Ok((listeners, metrics))
}

/// On a machine without IPv6 its unspecified address means that of IPv4.
async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(addr).await {
        Err(error) if addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && is_missing(addr.ip(), &error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, addr.port())).await
        }
        bound => bound,
    }
}

/// Whether IPv6 is what this machine lacks, rather than a free port.
fn is_missing(ip: IpAddr, error: &io::Error) -> bool {
    ip.is_ipv6() && !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// A number nobody else has: the standard library seeds its hashers from the system.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

/// How long a health check may find the media plane silent.
pub const STALL_MAX: Duration = Duration::from_secs(4);
