//! What clients are told of STUN and TURN servers, with credentials minted for each of them.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use signaling::wire::proto;
use turn::{
    credentials::{Secret, mint},
    io::{Addresses, RelayConfig},
};

use crate::config::Config;

/// Servers that share a secret.
#[derive(Clone, Debug)]
pub struct Told {
    urls: Vec<String>,
    secret: Secret,
}

impl Told {
    /// Our own relay, at the ports it is bound to: UDP first, TCP for networks that block it, TLS for those that let only
    /// the web through. Of several addresses one of each version of IP is told: a client allocates at every one.
    #[must_use]
    pub fn new(config: &Config, relay: &RelayConfig, bound: &Addresses, secret: Secret) -> Self {
        let hosts: Vec<String> = match &config.turn.domain {
            Some(domain) => vec![domain.clone()],
            None => {
                let told = || relay.relays.iter().map(|relay| relay.told);
                let first = [told().find(IpAddr::is_ipv4), told().find(IpAddr::is_ipv6)];
                first.into_iter().flatten().map(host).collect()
            }
        };
        let mut urls = Vec::new();
        for (scheme, bound, transport) in
            [("turn", &bound.udp, "udp"), ("turn", &bound.tcp, "tcp"), ("turns", &bound.tls, "tcp")]
        {
            let ports = bound.iter().map(std::net::SocketAddr::port);
            let each = ports.flat_map(|port| hosts.iter().map(move |host| (host, port)));
            urls.extend(each.map(|(host, port)| format!("{scheme}:{host}:{port}?transport={transport}")));
        }
        Self { urls, secret }
    }

    /// Where clients find them.
    #[must_use]
    pub fn urls(&self) -> &[String] {
        &self.urls
    }
}

/// Everything clients are told.
#[derive(Clone, Debug)]
pub struct IceServers {
    stun: Vec<String>,
    turn: Vec<Told>,
    ttl: Duration,
}

impl IceServers {
    /// Those that are not ours.
    #[must_use]
    pub fn elsewhere(config: &Config) -> Self {
        let turn = &config.turn;
        let told = turn.servers_secret.clone().map(|secret| Told { urls: turn.servers.clone(), secret });
        let told = told.filter(|told| !told.urls.is_empty());
        Self { stun: config.stun_servers.clone(), turn: told.into_iter().collect(), ttl: turn.ttl }
    }

    /// Ours come first.
    #[must_use]
    pub fn with(mut self, told: Told) -> Self {
        self.turn.insert(0, told);
        self
    }

    /// For somebody, from now on.
    #[must_use]
    pub fn mint(&self, identity: &str, now: SystemTime) -> Vec<proto::IceServer> {
        let stun = (!self.stun.is_empty())
            .then(|| proto::IceServer { urls: self.stun.clone(), ..proto::IceServer::default() });
        let turn = self.turn.iter().map(|told| {
            let minted = mint(&told.secret, identity, self.ttl, now);
            let credential = minted.password();
            proto::IceServer { urls: told.urls.clone(), username: minted.username, credential }
        });
        stun.into_iter().chain(turn).collect()
    }

    /// How long the credentials are good to begin with.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Where TURN servers are.
    pub fn turn_urls(&self) -> impl Iterator<Item = &String> {
        self.turn.iter().flat_map(|told| &told.urls)
    }
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
