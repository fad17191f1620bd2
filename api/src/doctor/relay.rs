//! Whether the TURN relay works from end to end: it is started with the settings at hand, and a client allocates, sends
//! through it to itself, and waits for the echo, over every transport.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use turn::{
    credentials::{Secret, mint},
    io::{Addresses, ProbeError, Relay, RelayConfig, StartError, probe},
    tuple::{Family, Transport},
};

use super::Finding;
use crate::{
    config::Config,
    turn::{accounts, settings},
};

/// How long the credentials of a test are good.
const TEST: Duration = Duration::from_secs(60);

pub(super) fn examine(config: &Config, now: SystemTime) -> Vec<Finding> {
    if !config.turn.enabled {
        return vec![match config.turn.servers.is_empty() {
            true => Finding::mind(
                "there is no TURN relay: clients whose network blocks UDP may not connect",
                "leave --turn out, or name relays elsewhere with --turn-servers",
            ),
            false => Finding::fine("clients are told of TURN relays elsewhere (not tried)"),
        }];
    }
    let (relay, secret) = match settings(config, Vec::new()) {
        Ok(made) => made,
        Err(error) => {
            return vec![Finding::broken(format!("TURN: {error}"), "name the addresses with --node-ip")];
        }
    };
    let mut findings = Vec::new();
    if config.turn.tls.is_none() {
        findings.push(Finding::mind(
            "TURN over TLS is off: clients whose network lets only the web through will not connect",
            "give --turn-tls-cert and --turn-tls-key, best with --turn-tls-port 443",
        ));
    }
    match Relay::start(relay.clone(), accounts(config)) {
        Ok(running) => findings.extend(try_all(&relay, running.addresses(), &secret, now)),
        // A server that runs already is tried as it is, when we know its secret.
        Err(StartError::Bind { protocol, addr, .. }) if !config.turn.secrets.is_empty() => {
            tracing::debug!(protocol, %addr, "in use");
            let Addresses { udp, tcp, tls } = configured(&relay);
            findings.extend(try_all(&relay, &Addresses { udp, tcp, tls }, &secret, now));
        }
        Err(StartError::Bind { protocol, addr, .. }) => findings.push(Finding::mind(
            format!("TURN could not be tried: {protocol} {addr} is in use"),
            "run `sabha doctor` while the server is stopped, or with its --turn-secret",
        )),
        Err(error) => findings.push(Finding::broken(format!("TURN: {}", causes(&error)), remedy(&error))),
    }
    findings
}

fn configured(relay: &RelayConfig) -> Addresses {
    Addresses { udp: relay.udp.clone(), tcp: relay.tcp.clone(), tls: relay.tls.clone() }
}

fn try_all(relay: &RelayConfig, bound: &Addresses, secret: &Secret, now: SystemTime) -> Vec<Finding> {
    let minted = mint(secret, "doctor", TEST, now);
    let ways = [(Transport::Udp, &bound.udp), (Transport::Tcp, &bound.tcp), (Transport::Tls, &bound.tls)];
    let mut findings = Vec::new();
    for (transport, addrs) in ways {
        for (address, addr) in relay.relays.iter().flat_map(|ip| addrs.iter().map(move |addr| (ip, addr))) {
            let server = SocketAddr::new(address.told, addr.port());
            let family = Family::of(server);
            let place = format!("TURN over {} at {server}", transport.name().to_uppercase());
            findings.push(match probe(server, transport, family, &minted) {
                Ok(_) => Finding::fine(format!("{place} relays there and back")),
                Err(error) => Finding::mind(format!("{place}: {}", causes(&error)), hint(&error, server)),
            });
        }
    }
    findings
}

fn hint(error: &ProbeError, server: SocketAddr) -> String {
    match error {
        ProbeError::Io(_) => format!(
            "a firewall drops it, or {} is not translated to this machine: let port {} in",
            server.ip(),
            server.port()
        ),
        ProbeError::Client(_) => {
            "is it another server that answers there? --turn-secret has to be its secret".into()
        }
        ProbeError::Tls(_) => "look at --turn-tls-cert and --turn-tls-key".into(),
        ProbeError::Lost => "set --turn-relay-ip to an address that this machine can reach itself at".into(),
    }
}

fn remedy(error: &StartError) -> &'static str {
    match error {
        StartError::Tls(_) => "look at --turn-tls-cert and --turn-tls-key",
        StartError::Bind { .. } => "choose another port",
        StartError::Random | StartError::Thread(_) => "see what the system says: ulimit -n, ulimit -u",
    }
}

/// What went wrong, cause by cause.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
