//! The relay as part of a server: made from the settings, told to clients, ended with the rest.
//!
//! Invariant: unless the operator opens it, the relay reaches what clients are told of our media plane, and nothing else.

mod alone;
mod servers;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sfu::{
    io::{Sfu, local_addresses},
    params::Protocol,
};
use turn::{
    auth::OfferSha256,
    credentials::Secret,
    io::{Certificate, Relay, RelayConfig, StartError, make_secret},
    policy::{Neighbour, PeerPolicy},
    registry::{Equal, Limits, RelayAddress},
};

pub use self::{
    alone::{AloneError, run_alone},
    servers::{IceServers, Told},
};
use crate::config::Config;

/// How long a nonce is good (RFC 8656 §5: an hour at most).
const NONCE_LIFETIME: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Why there is no relay.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// It does not start.
    #[error("the turn relay does not start (`sabha doctor` says more)")]
    Start(#[from] StartError),
    /// What peers would see is not known.
    #[error("the addresses of this host cannot be listed")]
    Addresses(#[source] std::io::Error),
}

/// The relay, when it runs here, and what clients are told of it and of others.
pub struct Turn {
    /// Ours.
    pub relay: Option<Relay>,
    /// For clients.
    pub servers: IceServers,
}

impl Turn {
    /// Starts the relay beside a media plane. When nobody asked for it by name and its ports are taken, it is left out:
    /// calls work without it, for most.
    pub fn start(config: &Config, sfu: &Sfu) -> Result<Self, TurnError> {
        let endpoints = sfu.endpoints().flat_map(|endpoint| &endpoint.candidates);
        let media = endpoints.filter(|candidate| candidate.protocol == Protocol::Udp);
        let media: Vec<_> = media.map(|candidate| Neighbour::at(candidate.addr)).collect();
        let elsewhere = IceServers::elsewhere(config);
        if !config.turn.enabled {
            return Ok(Self { relay: None, servers: elsewhere });
        }
        let (relay_config, secret) = settings(config, media)?;
        match Relay::start(relay_config.clone(), accounts(config)) {
            Ok(relay) => {
                let told = Told::new(config, &relay_config, relay.addresses(), secret);
                Ok(Self { relay: Some(relay), servers: elsewhere.with(told) })
            }
            Err(error @ StartError::Bind { .. }) if !config.turn.demanded => {
                tracing::warn!(error = %error, "no turn relay: its port is taken; clients behind strict firewalls will not connect");
                Ok(Self { relay: None, servers: elsewhere })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Everybody may use the same.
pub(crate) fn accounts(config: &Config) -> Box<Equal> {
    let turn = &config.turn;
    Box::new(Equal { each: Limits { allocations: turn.user_quota, bytes_per_second: turn.user_bytes } })
}

/// How the relay is started, and what credentials for it are minted from.
pub(crate) fn settings(config: &Config, media: Vec<Neighbour>) -> Result<(RelayConfig, Secret), TurnError> {
    let turn = &config.turn;
    let local = local_addresses().map_err(TurnError::Addresses)?;
    let own: Vec<IpAddr> = local.iter().map(|addr| addr.ip).collect();
    let told = match turn.relay_ip.as_slice() {
        [] => config.sfu.advertised().map_err(TurnError::Addresses)?,
        told => told.to_vec(),
    };
    let relays: Vec<_> = told.iter().map(|ip| RelayAddress { bind: bound(*ip, &own), told: *ip }).collect();
    let (first, last) = (turn.relay_ports.first, turn.relay_ports.last);
    let neighbours = relays.iter().map(|relay| Neighbour { ip: relay.told, first, last });
    let neighbours = media.into_iter().chain(neighbours).collect();
    let policy = PeerPolicy {
        reach: turn.reach,
        neighbours,
        allow: turn.allow.clone(),
        deny: turn.deny.clone(),
        own: own.into_iter().chain(told).collect(),
    };
    let secrets = if turn.secrets.is_empty() { vec![make_secret()?] } else { turn.secrets.clone() };
    let secret = secrets.first().cloned().unwrap_or_else(|| Secret::new([]));
    let at = |port: Option<u16>| port.map(|port| SocketAddr::new(turn.bind, port)).into_iter().collect();
    let config = RelayConfig {
        udp: at(turn.udp_port),
        tcp: at(turn.tcp_port),
        tls: at(turn.tls.as_ref().map(|(port, _)| *port)),
        certificate: match &turn.tls {
            Some((_, certificate)) => certificate.clone(),
            None => Certificate::SelfSigned(Vec::new()),
        },
        workers: turn.workers,
        relays,
        ports: (first, last),
        allocations_max: turn.total_quota,
        realm: turn.realm.clone(),
        secrets,
        users: turn.users.clone(),
        offer: OfferSha256::default(),
        nonce_lifetime: NONCE_LIFETIME,
        policy,
        server: turn.server.clone(),
        socket_buffer: config.sfu.socket_buffer,
    };
    Ok((config, secret))
}

/// Where a relay is bound whose address is told: there when it is this machine's, else somebody translates it to us.
fn bound(told: IpAddr, own: &[IpAddr]) -> IpAddr {
    match told {
        ip if own.contains(&ip) => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}
