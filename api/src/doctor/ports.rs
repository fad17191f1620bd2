//! Whether the ports can be had, and if not, who has them.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
};

use sfu::params::Protocol;

use super::Finding;
use crate::config::Config;

/// One port the server needs.
struct Need {
    protocol: Protocol,
    addr: SocketAddr,
    purpose: &'static str,
    setting: &'static str,
}

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    needs(config).iter().map(check).collect()
}

fn needs(config: &Config) -> Vec<Need> {
    let mut needs: Vec<Need> = config
        .http
        .iter()
        .map(|addr| Need { protocol: Protocol::Tcp, addr: *addr, purpose: "HTTP", setting: "--port" })
        .collect();
    if let Some(addr) = config.metrics {
        needs.push(Need { protocol: Protocol::Tcp, addr, purpose: "metrics", setting: "--metrics-bind" });
    }
    let sfu = &config.sfu;
    if let Some(port) = sfu.tcp_port {
        let addr = SocketAddr::new(sfu.bind, port);
        needs.push(Need { protocol: Protocol::Tcp, addr, purpose: "media over TCP", setting: "--tcp-port" });
    }
    for worker in 0..sfu.workers {
        let port = if sfu.udp_port == 0 { 0 } else { sfu.udp_port.saturating_add(worker) };
        let addr = SocketAddr::new(sfu.bind, port);
        needs.push(Need { protocol: Protocol::Udp, addr, purpose: "media", setting: "--udp-port" });
    }
    needs
}

fn check(need: &Need) -> Finding {
    let Need { protocol, addr, purpose, setting } = need;
    let kind = match protocol {
        Protocol::Udp => "UDP",
        Protocol::Tcp => "TCP",
    };
    let place = format!("{kind} {addr} ({purpose})");
    match probe(*protocol, *addr) {
        Ok(()) if addr.port() == 0 => Finding::fine(format!("{place}: any free port")),
        Ok(()) => Finding::fine(format!("{place} is free")),
        Err(error) => refused(&place, setting, *protocol, *addr, &error),
    }
}

fn refused(place: &str, setting: &str, protocol: Protocol, addr: SocketAddr, error: &io::Error) -> Finding {
    match error.kind() {
        io::ErrorKind::AddrInUse => match owner(protocol, addr.port()) {
            Some(owner) if owner.name == "sabha" => Finding::broken(
                format!("{place} is used by sabha itself (pid {})", owner.pid),
                format!(
                    "a server runs already: stop it with `kill {}`, or choose another port with {setting}",
                    owner.pid
                ),
            ),
            Some(owner) => Finding::broken(
                format!("{place} is used by {} (pid {})", owner.name, owner.pid),
                format!("stop {}, or choose another port with {setting}", owner.name),
            ),
            None => Finding::broken(
                format!("{place} is used by another program"),
                format!("see which with `sudo ss -lntup`, stop it, or choose another port with {setting}"),
            ),
        },
        io::ErrorKind::PermissionDenied => Finding::broken(
            format!("{place} is not allowed to this user"),
            format!("choose a port above 1023 with {setting}, or grant CAP_NET_BIND_SERVICE"),
        ),
        io::ErrorKind::AddrNotAvailable => Finding::broken(
            format!("{place}: this machine does not have the address {}", addr.ip()),
            "bind to an address of this machine, or leave --bind and --rtc-bind out",
        ),
        _ => Finding::broken(
            format!("{place} cannot be bound: {error}"),
            format!("choose another port with {setting}"),
        ),
    }
}

/// Binds as the server would, and lets go.
fn probe(protocol: Protocol, addr: SocketAddr) -> io::Result<()> {
    let bind = |addr: SocketAddr| match protocol {
        Protocol::Udp => UdpSocket::bind(addr).map(drop),
        Protocol::Tcp => TcpListener::bind(addr).map(drop),
    };
    match bind(addr) {
        // A machine without IPv6 serves IPv4 alone.
        Err(error)
            if addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && error.kind() != io::ErrorKind::AddrInUse =>
        {
            bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), addr.port()))
        }
        Err(error)
            if addr.ip() == IpAddr::V6(Ipv6Addr::LOCALHOST)
                && error.kind() == io::ErrorKind::AddrNotAvailable =>
        {
            Ok(())
        }
        bound => bound,
    }
}

/// A program that holds a port.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    pid: u32,
    name: String,
}

/// Who holds a port, as far as this user may see.
fn owner(protocol: Protocol, port: u16) -> Option<Owner> {
    let tables = match protocol {
        Protocol::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        Protocol::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let text: String = tables.iter().filter_map(|table| fs::read_to_string(table).ok()).collect();
    let inodes: Vec<String> =
        sockets_at(&text, protocol, port).map(|inode| format!("socket:[{inode}]")).collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut descriptors = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        let holds = descriptors.any(|descriptor| {
            fs::read_link(descriptor.path())
                .is_ok_and(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
        });
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        holds.then(|| Owner { pid, name: name.trim().into() })
    })
}

/// The inodes of the sockets bound to a port, from the kernel's tables (proc(5)).
fn sockets_at(table: &str, protocol: Protocol, port: u16) -> impl Iterator<Item = &str> {
    const LISTENING: &str = "0A";
    table.lines().filter_map(move |line| {
        let mut columns = line.split_whitespace();
        let local = columns.nth(1)?;
        let state = columns.nth(1)?;
        let bound = local.rsplit(':').next().and_then(|port| u16::from_str_radix(port, 16).ok())?;
        let waits = match protocol {
            Protocol::Udp => true,
            Protocol::Tcp => state == LISTENING,
        };
        (bound == port && waits).then(|| columns.nth(5)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_free_port_is_fine() {
        let need = need(Protocol::Udp, SocketAddr::from(([127, 0, 0, 1], 0)));

        assert_eq!(check(&need).level, Level::Fine);
    }

    #[test]
    fn a_port_in_use_names_who_has_it() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();

        for need in
            [need(Protocol::Tcp, tcp.local_addr().unwrap()), need(Protocol::Udp, udp.local_addr().unwrap())]
        {
            let finding = check(&need);

            assert_eq!(finding.level, Level::Broken);
            assert!(finding.what.contains(&format!("(pid {})", std::process::id())), "{finding:?}");
            assert!(finding.remedy.contains("--some-port"), "{finding:?}");
        }
    }

    #[test]
    fn an_address_of_another_machine_cannot_be_bound() {
        let finding = check(&need(Protocol::Tcp, "203.0.113.7:7880".parse().unwrap()));

        assert_eq!(finding.level, Level::Broken);
        assert!(finding.what.contains("does not have the address 203.0.113.7"), "{finding:?}");
    }

    #[test]
    fn the_kernels_tables_are_read_by_port_and_state() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1EC8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41 1 0 100 0 0 10 0\n\
            1: 0100007F:1EC8 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 42 1 0 100 0 0 10 0\n";

        assert_eq!(sockets_at(table, Protocol::Tcp, 7_880).collect::<Vec<_>>(), ["41"]);
        assert_eq!(sockets_at(table, Protocol::Udp, 7_880).collect::<Vec<_>>(), ["41", "42"]);
        assert_eq!(sockets_at(table, Protocol::Tcp, 1).count(), 0);
    }

    fn need(protocol: Protocol, addr: SocketAddr) -> Need {
        Need { protocol, addr, purpose: "a test", setting: "--some-port" }
    }
}
