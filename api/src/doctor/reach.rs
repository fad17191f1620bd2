//! Whether clients can reach the addresses they are told: the first thing that goes wrong with every media server.
//!
//! Each address is tried from here: a datagram is sent to it and has to come back to the port that is advertised. For an
//! address of this machine that proves that no local firewall stands between; for one that a router or a cloud
//! translates it proves that the translation is there, as far as the router lets its own side use it.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use sfu::io::{Advertise, LocalAddr, SfuConfig, local_addresses};

use super::Finding;

/// How long a test packet may take: to our router and back.
const PATIENCE: Duration = Duration::from_millis(700);
/// How often it is sent: one may get lost.
const TRIES: u32 = 3;

pub(super) fn examine(config: &SfuConfig) -> Vec<Finding> {
    let told = match config.advertised() {
        Ok(told) => told,
        Err(error) => {
            let remedy = "name the addresses with --node-ip";
            return vec![Finding::broken(
                format!("the addresses of this machine cannot be listed: {error}"),
                remedy,
            )];
        }
    };
    let local = local_addresses().unwrap_or_default();
    let mut findings: Vec<Finding> = told.iter().map(|ip| try_udp(*ip, config, &local)).collect();
    findings.extend(told.first().and_then(|ip| try_tcp(*ip, config)));
    findings.extend(audience(&told, config));
    findings
}

/// What a self-test of an address came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Echo {
    /// It came to the advertised port.
    Back,
    /// It did not.
    Lost,
    /// The port is in use, so there was nobody to listen.
    Untried,
}

fn try_udp(ip: IpAddr, config: &SfuConfig, local: &[LocalAddr]) -> Finding {
    let ours = local.iter().any(|addr| addr.ip == ip);
    let port = config.udp_port;
    match (echo(ip, config), ours) {
        (Echo::Back, true) => Finding::fine(format!("media address {ip} is of this machine and takes UDP")),
        (Echo::Back, false) => {
            Finding::fine(format!("media address {ip} is translated to this machine for UDP {port}"))
        }
        (Echo::Untried, true) => {
            Finding::fine(format!("media address {ip} is of this machine (not tried: the port is in use)"))
        }
        (Echo::Untried, false) => Finding::mind(
            format!(
                "media address {ip} is not of this machine, and could not be tried: UDP {port} is in use"
            ),
            "run `sabha doctor` while the server is stopped",
        ),
        (Echo::Lost, true) => Finding::broken(
            format!(
                "media address {ip} is of this machine, but a test datagram to UDP {port} did not arrive"
            ),
            format!("a firewall drops it: let UDP {} in", range(config)),
        ),
        (Echo::Lost, false) => Finding::broken(
            format!("media address {ip} is not of this machine, and a test datagram to it did not come back"),
            remedy(ip, config, local),
        ),
    }
}

fn remedy(ip: IpAddr, config: &SfuConfig, local: &[LocalAddr]) -> String {
    let mut lines = vec![
        format!(
            "clients would send their media to {ip}, where nobody answers: they see \"could not establish pc connection\""
        ),
        format!(
            "if {ip} is the public address of your router or cloud: forward UDP {} to this machine",
            range(config)
        ),
    ];
    if let Some(port) = config.tcp_port {
        lines.push(format!("    and TCP {port} too, for networks that block UDP"));
    }
    let usable: Vec<String> =
        local.iter().filter(|addr| is_useful(addr.ip)).map(|addr| addr.ip.to_string()).collect();
    if usable.is_empty() {
        lines.push("if not: name the right one with --node-ip".into());
    } else {
        lines.push(format!(
            "if not: leave --node-ip out, or set it to an address of this machine: {}",
            usable.join(", ")
        ));
    }
    lines.push("(some routers do not let their own side use the public address; then only a test from outside tells)".into());
    lines.join("\n")
}

fn range(config: &SfuConfig) -> String {
    let (first, last) = (config.udp_port, config.udp_port.saturating_add(config.workers.saturating_sub(1)));
    if first == last || first == 0 { first.to_string() } else { format!("{first}-{last}") }
}

/// Sends a datagram to an advertised address and listens where it should arrive.
fn echo(ip: IpAddr, config: &SfuConfig) -> Echo {
    let any = match config.bind {
        IpAddr::V6(bind) if bind.is_unspecified() && ip.is_ipv4() => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        bind => bind,
    };
    let Ok(listener) = UdpSocket::bind((any, config.udp_port)) else { return Echo::Untried };
    let Ok(port) = listener.local_addr().map(|addr| addr.port()) else { return Echo::Untried };
    let from: IpAddr =
        if ip.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let Ok(sender) = UdpSocket::bind((from, 0)) else { return Echo::Lost };
    let word = format!("sabha doctor {:016x}", crate::app::random());
    let mut buffer = [0; 64];
    for _ in 0..TRIES {
        if sender.send_to(word.as_bytes(), (ip, port)).is_err() {
            return Echo::Lost;
        }
        let until = Instant::now() + PATIENCE;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            let _ = listener.set_read_timeout(Some(left));
            match listener.recv_from(&mut buffer) {
                Ok((len, _)) if buffer.get(..len) == Some(word.as_bytes()) => return Echo::Back,
                // Somebody else's datagram: go on listening.
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
    Echo::Lost
}

fn try_tcp(ip: IpAddr, config: &SfuConfig) -> Option<Finding> {
    const WORD: &[u8] = b"sabha";
    let port = config.tcp_port.filter(|port| *port != 0)?;
    let place = format!("media over TCP at {}", SocketAddr::new(ip, port));
    let listener = TcpListener::bind((config.bind, port))
        .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
        .ok();
    let stream = TcpStream::connect_timeout(&SocketAddr::new(ip, port), PATIENCE);
    let arrived = match (listener, stream) {
        (Some(listener), Ok(mut stream)) => {
            let accepting = thread::spawn(move || {
                let (mut near, _) = listener.accept().ok()?;
                near.set_read_timeout(Some(PATIENCE)).ok()?;
                let mut word = [0; WORD.len()];
                near.read_exact(&mut word).ok()?;
                (word == *WORD).then_some(())
            });
            let sent = stream.write_all(WORD).is_ok();
            // What connected may be somebody else; then nobody comes to our listener, and nobody waits for it.
            sent && wait(&accepting) && accepting.join().ok().flatten().is_some()
        }
        // The port is in use, by the server itself if all is well, and takes connections.
        (None, Ok(_)) => true,
        (_, Err(_)) => false,
    };
    Some(if arrived {
        Finding::fine(format!("{place} takes connections"))
    } else {
        Finding::mind(
            format!("{place} cannot be reached"),
            format!(
                "let TCP {port} in and forward it to this machine, or clients whose network blocks UDP stay outside"
            ),
        )
    })
}

fn wait<T>(thread: &thread::JoinHandle<T>) -> bool {
    let until = Instant::now() + PATIENCE;
    while !thread.is_finished() && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    thread.is_finished()
}

/// Who can use the addresses at all.
fn audience(told: &[IpAddr], config: &SfuConfig) -> Option<Finding> {
    let guessed = matches!(config.advertise, Advertise::Local(_));
    if told.iter().all(IpAddr::is_loopback) {
        return Some(Finding::mind(
            "the only media address is loopback: nobody but this machine can call, and SDKs written in Rust not even there",
            "connect the machine to a network, or name an address with --node-ip",
        ));
    }
    let private = told.iter().all(|ip| is_private(*ip));
    if private && guessed {
        return Some(Finding::mind(
            format!(
                "every media address is private ({}): clients have to be in the same network",
                list(told)
            ),
            "for clients from the Internet, set --node-ip to the public address and forward the media ports to this machine",
        ));
    }
    None
}

fn list(ips: &[IpAddr]) -> String {
    ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn is_useful(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    }
}

/// Not routed on the Internet (RFC 1918, RFC 6598, RFC 4193).
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use sfu::io::Loopback;

    use super::*;
    use crate::doctor::Level;

    #[test]
    fn an_address_of_this_machine_is_fine() {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);

        let findings = examine(&advertising(vec![here]));

        assert_eq!(findings[0].level, Level::Fine, "{findings:?}");
    }

    #[test]
    fn an_address_where_nobody_answers_is_broken_and_the_way_out_is_told() {
        // TEST-NET-3: nobody's.
        let nowhere: IpAddr = "203.0.113.7".parse().unwrap();
        let mut config = advertising(vec![nowhere]);
        config.workers = 3;
        config.udp_port = free_port();

        let findings = examine(&config);

        assert_eq!(findings[0].level, Level::Broken, "{findings:?}");
        let ports = format!("{}-{}", config.udp_port, config.udp_port + 2);
        assert!(findings[0].remedy.contains(&format!("forward UDP {ports} to this machine")), "{findings:?}");
        assert!(findings[0].remedy.contains("--node-ip"), "{findings:?}");
    }

    #[test]
    fn private_and_loopback_addresses_limit_who_can_call() {
        let local = SfuConfig { advertise: Advertise::Local(Loopback::Hidden), ..SfuConfig::default() };
        let told =
            |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };

        assert!(audience(&told(&["127.0.0.1", "::1"]), &local).is_some());
        assert!(audience(&told(&["192.168.1.7", "fd00::7", "100.64.1.1"]), &local).is_some());
        assert!(audience(&told(&["192.168.1.7", "198.51.100.7"]), &local).is_none());
        assert!(
            audience(&told(&["192.168.1.7"]), &advertising(told(&["192.168.1.7"]))).is_none(),
            "it was asked for"
        );
    }

    fn advertising(addresses: Vec<IpAddr>) -> SfuConfig {
        SfuConfig {
            udp_port: 0,
            tcp_port: None,
            advertise: Advertise::Addresses(addresses),
            ..SfuConfig::default()
        }
    }

    fn free_port() -> u16 {
        UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }
}
