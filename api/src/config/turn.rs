//! The settings of the TURN relay: `--turn-…`, `SABHA_TURN_…`, and the table `[turn]` of a file.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use clap::{ArgAction, Args, ValueEnum};
use serde::{Deserialize, Deserializer, de};
use turn::{
    channel::ChannelRange,
    credentials::Secret,
    io::Certificate,
    meter::Rate,
    policy::{Prefix, Reach},
    server::ServerConfig,
};

use super::{
    ConfigError,
    values::{self, KeyPairs, Port, Span},
};

/// The port of TURN (RFC 8656 §3.1).
const PORT: u16 = 3_478;
/// The port of TURN over TLS.
const TLS_PORT: u16 = 5_349;
/// RFC 8656 §7.2 asks for the dynamic range.
const RELAY_PORTS: PortRange = PortRange { first: 49_152, last: 65_535 };
/// Shorter secrets can be guessed by trying.
const SECRET_LEN_MIN: usize = 32;
/// How long minted credentials begin allocations. Higher: reconnects late in a call work without new ones. Lower: what is
/// stolen is worth less.
const TTL: Duration = Duration::from_secs(4 * 3_600);
/// The longest realm that leaves an answer room.
const REALM_MAX: usize = 127;

/// What was said about the relay; `None` is nothing.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TurnSettings {
    /// Whether the TURN relay runs in this process. Clients whose network blocks UDP, or everything but web pages, reach
    /// calls through it. Default: true.
    #[arg(id = "turn_enabled", long = "turn", env = "SABHA_TURN", value_name = "BOOL", action = ArgAction::Set)]
    pub enabled: Option<bool>,

    /// The name clients reach the relay by; over TLS it has to be in the certificate. Default: the addresses of --node-ip.
    #[arg(id = "turn_domain", long = "turn-domain", env = "SABHA_TURN_DOMAIN", value_name = "NAME")]
    pub domain: Option<String>,

    /// The address clients come in at. Default: all addresses, IPv6 and IPv4; in development mode too, as for media.
    #[arg(id = "turn_bind", long = "turn-bind", env = "SABHA_TURN_BIND", value_name = "IP")]
    pub bind: Option<IpAddr>,

    /// The port over UDP; "off" for none. Default: 3478.
    #[arg(id = "turn_udp_port", long = "turn-udp-port", env = "SABHA_TURN_UDP_PORT", value_name = "PORT")]
    pub udp_port: Option<Port>,

    /// The port over TCP; "off" for none. Default: 3478.
    #[arg(id = "turn_tcp_port", long = "turn-tcp-port", env = "SABHA_TURN_TCP_PORT", value_name = "PORT")]
    pub tcp_port: Option<Port>,

    /// The port over TLS; "off" for none. 443 gets through most firewalls, when nothing else is there. Without a
    /// certificate there is no TLS. Default: 5349.
    #[arg(id = "turn_tls_port", long = "turn-tls-port", env = "SABHA_TURN_TLS_PORT", value_name = "PORT")]
    pub tls_port: Option<Port>,

    /// The certificate chain for TLS, a PEM file, our own certificate first.
    #[arg(id = "turn_tls_cert", long = "turn-tls-cert", env = "SABHA_TURN_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The key of the certificate, a PEM file.
    #[arg(id = "turn_tls_key", long = "turn-tls-key", env = "SABHA_TURN_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Makes a certificate at each start, for laboratories: clients have to be told not to look at it. Default: false.
    #[arg(id = "turn_tls_self_signed", long = "turn-tls-self-signed", env = "SABHA_TURN_TLS_SELF_SIGNED")]
    #[arg(value_name = "BOOL", action = ArgAction::Set)]
    pub tls_self_signed: Option<bool>,

    /// The secret credentials are minted from, at least 32 random characters. Needed when the relay runs alone, or beside
    /// other nodes. Default: a random one at each start.
    #[arg(id = "turn_secret", long = "turn-secret", env = "SABHA_TURN_SECRET", value_name = "SECRET")]
    #[arg(hide_env_values = true)]
    pub secret: Option<String>,

    /// The secret before this one: accepted while a new one spreads.
    #[arg(id = "turn_secret_previous", long = "turn-secret-previous", env = "SABHA_TURN_SECRET_PREVIOUS")]
    #[arg(value_name = "SECRET", hide_env_values = true)]
    pub secret_previous: Option<String>,

    /// Users with a password that never expires, as "name: password", for laboratories. In a file: a table [turn.users].
    #[arg(id = "turn_users", long = "turn-users", env = "SABHA_TURN_USERS", value_name = "NAME: PASSWORD")]
    #[arg(hide_env_values = true)]
    pub users: Option<KeyPairs>,

    /// How long credentials are good to begin an allocation with; one that was begun lives on. Default: 4h.
    #[arg(id = "turn_ttl", long = "turn-ttl", env = "SABHA_TURN_TTL", value_name = "TIME")]
    pub ttl: Option<Span>,

    /// The realm of the relay. Default: sabha.
    #[arg(id = "turn_realm", long = "turn-realm", env = "SABHA_TURN_REALM", value_name = "NAME")]
    pub realm: Option<String>,

    /// The addresses peers see, at most one of each version of IP is used at a time. Default: the addresses of --node-ip.
    #[arg(id = "turn_relay_ip", long = "turn-relay-ip", env = "SABHA_TURN_RELAY_IP", value_name = "IP")]
    #[arg(value_delimiter = ',')]
    #[serde(deserialize_with = "values::address_list")]
    pub relay_ip: Option<Vec<IpAddr>>,

    /// The ports peers see, as first-last. A firewall has to let them in only when peers are outside. Default:
    /// 49152-65535.
    #[arg(id = "turn_relay_ports", long = "turn-relay-ports", env = "SABHA_TURN_RELAY_PORTS")]
    #[arg(value_name = "PORTS")]
    pub relay_ports: Option<PortRange>,

    /// Who may be reached through the relay: "neighbours" are our own media addresses and relays; "open" is the whole
    /// Internet, except what is private, local or ours. Default: neighbours.
    #[arg(id = "turn_peers", long = "turn-peers", env = "SABHA_TURN_PEERS", value_name = "WHO", value_enum)]
    pub peers: Option<Peers>,

    /// Addresses that may be reached besides, as prefixes: 10.1.0.0/16. For media servers elsewhere. Default: none.
    #[arg(id = "turn_allow_peers", long = "turn-allow-peers", env = "SABHA_TURN_ALLOW_PEERS")]
    #[arg(value_name = "PREFIX", value_delimiter = ',')]
    pub allow_peers: Option<Vec<String>>,

    /// Addresses that may not be reached, as prefixes. Default: none.
    #[arg(id = "turn_deny_peers", long = "turn-deny-peers", env = "SABHA_TURN_DENY_PEERS")]
    #[arg(value_name = "PREFIX", value_delimiter = ',')]
    pub deny_peers: Option<Vec<String>>,

    /// Allocations one user may have at a time. Default: 12.
    #[arg(id = "turn_user_quota", long = "turn-user-quota", env = "SABHA_TURN_USER_QUOTA")]
    #[arg(value_name = "COUNT")]
    pub user_quota: Option<u32>,

    /// Allocations all users may have together. Default: 10000.
    #[arg(id = "turn_total_quota", long = "turn-total-quota", env = "SABHA_TURN_TOTAL_QUOTA")]
    #[arg(value_name = "COUNT")]
    pub total_quota: Option<u32>,

    /// Bytes a second of all allocations of one user, in each direction; 0 is no limit. Default: 0.
    #[arg(id = "turn_user_bytes", long = "turn-user-bytes", env = "SABHA_TURN_USER_BYTES")]
    #[arg(value_name = "BYTES")]
    pub user_bytes: Option<u64>,

    /// Bytes a second of one allocation, in each direction; 0 is no limit. Default: 6250000.
    #[arg(id = "turn_allocation_bytes", long = "turn-allocation-bytes", env = "SABHA_TURN_ALLOCATION_BYTES")]
    #[arg(value_name = "BYTES")]
    pub allocation_bytes: Option<u64>,

    /// Packets a second of one allocation, in each direction; 0 is no limit. Default: 10000.
    #[arg(id = "turn_allocation_packets", long = "turn-allocation-packets")]
    #[arg(env = "SABHA_TURN_ALLOCATION_PACKETS", value_name = "COUNT")]
    pub allocation_packets: Option<u64>,

    /// How often a second a network is answered over UDP that has not shown credentials, ten times that at once; 0 is no
    /// limit. Who forges addresses can make us send so much to others. Default: 10.
    #[arg(id = "turn_unauthenticated_rate", long = "turn-unauthenticated-rate")]
    #[arg(env = "SABHA_TURN_UNAUTHENTICATED_RATE", value_name = "COUNT")]
    pub unauthenticated_rate: Option<u64>,

    /// Whether channels up to 0x7FFF may be bound, for clients that still follow RFC 5766. Default: false.
    #[arg(id = "turn_old_channels", long = "turn-old-channels", env = "SABHA_TURN_OLD_CHANNELS")]
    #[arg(value_name = "BOOL", action = ArgAction::Set)]
    pub old_channels: Option<bool>,

    /// Relay threads. Default: one per processor core, at most 32.
    #[arg(id = "turn_workers", long = "turn-workers", env = "SABHA_TURN_WORKERS", value_name = "COUNT")]
    pub workers: Option<u16>,

    /// TURN servers elsewhere that clients are told of beside ours (or instead, with turn = false), as
    /// turn:host:3478?transport=udp. Default: none.
    #[arg(id = "turn_servers", long = "turn-servers", env = "SABHA_TURN_SERVERS", value_name = "URL")]
    #[arg(value_delimiter = ',')]
    pub servers: Option<Vec<String>>,

    /// The secret of those servers: coturn's static-auth-secret. Credentials for them are minted from it.
    #[arg(id = "turn_servers_secret", long = "turn-servers-secret", env = "SABHA_TURN_SERVERS_SECRET")]
    #[arg(value_name = "SECRET", hide_env_values = true)]
    pub servers_secret: Option<String>,
}

/// Who may be reached through the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Peers {
    /// Our own media addresses and relays.
    Neighbours,
    /// The whole Internet.
    Open,
}

/// Ports from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first > 0 && first <= last => Ok(Self { first, last }),
            (_, _) => Err(format!("{text:?} is no range of ports: write it as 49152-65535")),
        }
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl TurnSettings {
    /// What is said here, and where nothing is, what `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            enabled: self.enabled.or(other.enabled),
            domain: self.domain.or(other.domain),
            bind: self.bind.or(other.bind),
            udp_port: self.udp_port.or(other.udp_port),
            tcp_port: self.tcp_port.or(other.tcp_port),
            tls_port: self.tls_port.or(other.tls_port),
            tls_cert: self.tls_cert.or(other.tls_cert),
            tls_key: self.tls_key.or(other.tls_key),
            tls_self_signed: self.tls_self_signed.or(other.tls_self_signed),
            secret: self.secret.or(other.secret),
            secret_previous: self.secret_previous.or(other.secret_previous),
            users: self.users.or(other.users),
            ttl: self.ttl.or(other.ttl),
            realm: self.realm.or(other.realm),
            relay_ip: self.relay_ip.or(other.relay_ip),
            relay_ports: self.relay_ports.or(other.relay_ports),
            peers: self.peers.or(other.peers),
            allow_peers: self.allow_peers.or(other.allow_peers),
            deny_peers: self.deny_peers.or(other.deny_peers),
            user_quota: self.user_quota.or(other.user_quota),
            total_quota: self.total_quota.or(other.total_quota),
            user_bytes: self.user_bytes.or(other.user_bytes),
            allocation_bytes: self.allocation_bytes.or(other.allocation_bytes),
            allocation_packets: self.allocation_packets.or(other.allocation_packets),
            unauthenticated_rate: self.unauthenticated_rate.or(other.unauthenticated_rate),
            old_channels: self.old_channels.or(other.old_channels),
            workers: self.workers.or(other.workers),
            servers: self.servers.or(other.servers),
            servers_secret: self.servers_secret.or(other.servers_secret),
        }
    }
}

/// The relay's settings, checked and complete.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Whether it runs in this process.
    pub enabled: bool,
    /// Whether that was said, rather than left to us: then it has to.
    pub demanded: bool,
    /// The name clients reach it by.
    pub domain: Option<String>,
    /// Where clients come in.
    pub bind: IpAddr,
    /// Over UDP.
    pub udp_port: Option<u16>,
    /// Over TCP.
    pub tcp_port: Option<u16>,
    /// Over TLS: the port and what is shown.
    pub tls: Option<(u16, Certificate)>,
    /// What credentials are minted from, the present one first; empty: one is made up.
    pub secrets: Vec<Secret>,
    /// Users with a password.
    pub users: BTreeMap<Vec<u8>, Secret>,
    /// How long credentials are good to begin with.
    pub ttl: Duration,
    /// Who we say we are.
    pub realm: String,
    /// What peers see; empty: what media clients are told.
    pub relay_ip: Vec<IpAddr>,
    /// The ports peers see.
    pub relay_ports: PortRange,
    /// Who may be a peer.
    pub reach: Reach,
    /// Who may besides.
    pub allow: Vec<Prefix>,
    /// Who may not.
    pub deny: Vec<Prefix>,
    /// Allocations of one user.
    pub user_quota: u32,
    /// Allocations of all.
    pub total_quota: u32,
    /// Bytes a second of one user.
    pub user_bytes: u64,
    /// Lifetimes and rates.
    pub server: ServerConfig,
    /// Threads.
    pub workers: u16,
    /// TURN servers elsewhere.
    pub servers: Vec<String>,
    /// Their secret.
    pub servers_secret: Option<Secret>,
}

/// Settings that make no sense together.
fn wrong<T>(text: &'static str) -> Result<T, ConfigError> {
    Err(ConfigError::Contradiction(text))
}

pub(super) fn complete(settings: &TurnSettings, workers: u16) -> Result<Turn, ConfigError> {
    let said = settings.clone();
    let port = |port: Option<Port>, default| port.map_or(Some(default), Port::number);
    let realm = said.realm.unwrap_or_else(|| "sabha".into());
    if realm.is_empty() || realm.len() > REALM_MAX || realm.contains(['"', '\\']) {
        return wrong("turn_realm has to be 1 to 127 bytes without quotes");
    }
    if said.relay_ip.as_ref().is_some_and(Vec::is_empty) {
        return wrong("turn_relay_ip is empty: leave it out to have it found");
    }
    if said.workers == Some(0) {
        return wrong("turn_workers has to be at least 1");
    }
    if said.servers.as_ref().is_some_and(|servers| !servers.is_empty()) && said.servers_secret.is_none() {
        return wrong("turn_servers need turn_servers_secret: clients could not use them");
    }
    let users = said.users.map(|users| users.0).unwrap_or_default();
    let user = |pair: values::KeyPair| (pair.key.into_bytes(), Secret::new(pair.secret.0));
    Ok(Turn {
        enabled: said.enabled.unwrap_or(true),
        demanded: said.enabled == Some(true),
        tls: tls(settings)?,
        secrets: secrets(settings)?,
        server: server(settings),
        domain: said.domain.filter(|domain| !domain.is_empty()),
        bind: said.bind.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        udp_port: port(said.udp_port, PORT),
        tcp_port: port(said.tcp_port, PORT),
        users: users.into_iter().map(user).collect(),
        ttl: said.ttl.map_or(TTL, |span| span.0),
        realm,
        relay_ip: said.relay_ip.unwrap_or_default(),
        relay_ports: said.relay_ports.unwrap_or(RELAY_PORTS),
        reach: match said.peers {
            Some(Peers::Open) => Reach::Open,
            Some(Peers::Neighbours) | None => Reach::Neighbours,
        },
        allow: prefixes(said.allow_peers)?,
        deny: prefixes(said.deny_peers)?,
        user_quota: said.user_quota.unwrap_or(12),
        total_quota: said.total_quota.unwrap_or(10_000),
        user_bytes: said.user_bytes.unwrap_or(0),
        workers: said.workers.unwrap_or(workers),
        servers: said.servers.unwrap_or_default(),
        servers_secret: said.servers_secret.map(Secret::new),
    })
}

fn tls(settings: &TurnSettings) -> Result<Option<(u16, Certificate)>, ConfigError> {
    let Some(port) = settings.tls_port.map_or(Some(TLS_PORT), Port::number) else { return Ok(None) };
    let certificate = match (&settings.tls_cert, &settings.tls_key, settings.tls_self_signed) {
        (Some(chain), Some(key), _) => Certificate::Files { chain: chain.clone(), key: key.clone() },
        (None, None, Some(true)) => {
            Certificate::SelfSigned(vec![settings.domain.clone().unwrap_or_else(|| "localhost".into())])
        }
        (None, None, Some(false) | None) => return Ok(None),
        (_, _, _) => return wrong("turn_tls_cert and turn_tls_key go together"),
    };
    Ok(Some((port, certificate)))
}

fn secrets(settings: &TurnSettings) -> Result<Vec<Secret>, ConfigError> {
    let said: Vec<&String> = settings.secret.iter().chain(&settings.secret_previous).collect();
    if said.iter().any(|secret| secret.len() < SECRET_LEN_MIN) {
        return wrong("turn_secret has to have at least 32 characters: `openssl rand -base64 32` makes one");
    }
    if settings.secret.is_none() && settings.secret_previous.is_some() {
        return wrong("turn_secret_previous goes with turn_secret");
    }
    Ok(said.into_iter().map(|secret| Secret::new(secret.clone())).collect())
}

fn server(settings: &TurnSettings) -> ServerConfig {
    const SECOND: Duration = Duration::from_secs(1);
    let default = ServerConfig::default();
    let rate = |said: Option<u64>, burst, default| said.map_or(default, |rate| Rate::new(rate, burst));
    ServerConfig {
        channels: match settings.old_channels {
            Some(true) => ChannelRange::Rfc5766,
            Some(false) | None => ChannelRange::Rfc8656,
        },
        bytes: rate(settings.allocation_bytes, SECOND, default.bytes),
        packets: rate(settings.allocation_packets, SECOND, default.packets),
        unauthenticated: rate(settings.unauthenticated_rate, 10 * SECOND, default.unauthenticated),
        ..default
    }
}

fn prefixes(said: Option<Vec<String>>) -> Result<Vec<Prefix>, ConfigError> {
    let parse = |text: String| text.parse().map_err(ConfigError::Prefix);
    said.unwrap_or_default().into_iter().map(parse).collect()
}
