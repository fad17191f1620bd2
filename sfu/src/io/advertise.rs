//! Which addresses clients are told to reach us at.
//!
//! Invariant: the list is never empty, and the address that the default route leaves from stands first.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

/// What the operator says about our addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advertise {
    /// Those of this host that others can reach; loopback only when there is nothing else.
    Local(Loopback),
    /// Exactly these: behind address translation they need not be of this host.
    Addresses(Vec<IpAddr>),
}

/// Whether clients on this host are told of the loopback addresses too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loopback {
    /// They are not: many SDKs ignore loopback candidates.
    #[default]
    Hidden,
    /// They are.
    Told,
}

/// Interfaces that lead to containers and virtual machines of this very host, not to clients.
const INNER: [&str; 8] = ["docker", "br-", "veth", "virbr", "cni", "flannel", "lxc", "podman"];

/// Any address behind the default route: it is only looked up, nothing is sent.
const AFAR: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)), 9),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111)), 9),
];

/// One address of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAddr {
    /// The address.
    pub ip: IpAddr,
    /// The interface that has it.
    pub interface: String,
}

/// Every address of this host.
pub fn local_addresses() -> io::Result<Vec<LocalAddr>> {
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces.into_iter().map(|found| LocalAddr { ip: found.ip(), interface: found.name }).collect())
}

/// Those of this host that clients can reach, best first.
pub(super) fn local(loopback: Loopback) -> io::Result<Vec<IpAddr>> {
    let default: Vec<IpAddr> = AFAR.into_iter().filter_map(source_towards).collect();
    Ok(choose(&local_addresses()?, &default, loopback))
}

/// Whether a client may reach us at several addresses, so that a reply has to leave from the one it asked.
pub(super) fn has_several(local: &[LocalAddr]) -> bool {
    let reachable = |ip: &IpAddr| !ip.is_loopback() && !is_link_local(*ip);
    let count = |v6: bool| local.iter().filter(|addr| addr.ip.is_ipv6() == v6 && reachable(&addr.ip)).count();
    count(false) > 1 || count(true) > 1
}

fn choose(local: &[LocalAddr], default: &[IpAddr], loopback: Loopback) -> Vec<IpAddr> {
    let usable = |addr: &&LocalAddr| !addr.ip.is_loopback() && !is_link_local(addr.ip);
    let outer = |addr: &&LocalAddr| !INNER.iter().any(|prefix| addr.interface.starts_with(prefix));
    let rank = |ip: &IpAddr| (!default.contains(ip), ip.is_ipv6());
    let mut chosen: Vec<IpAddr> = local.iter().filter(usable).filter(outer).map(|addr| addr.ip).collect();
    if chosen.is_empty() {
        chosen = local.iter().filter(usable).map(|addr| addr.ip).collect();
    }
    chosen.sort_by_key(rank);
    if chosen.is_empty() || loopback == Loopback::Told {
        chosen.extend(local.iter().map(|addr| addr.ip).filter(IpAddr::is_loopback));
    }
    if chosen.is_empty() {
        chosen.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    chosen.dedup();
    chosen
}

/// The address packets to `afar` would leave from.
fn source_towards(afar: SocketAddr) -> Option<IpAddr> {
    let any =
        if afar.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(afar).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_default_route_stands_first() {
        let local = host(&[
            ("lo", "127.0.0.1"),
            ("eth1", "10.0.0.5"),
            ("eth0", "192.0.2.2"),
            ("eth0", "2001:db8::2"),
        ]);

        let chosen = choose(&local, &ips(&["192.0.2.2", "2001:db8::2"]), Loopback::Hidden);

        assert_eq!(chosen, ips(&["192.0.2.2", "2001:db8::2", "10.0.0.5"]));
    }

    #[test]
    fn bridges_to_containers_and_link_local_addresses_are_not_told() {
        let local = host(&[
            ("docker0", "172.17.0.1"),
            ("eth0", "fe80::1"),
            ("eth0", "169.254.3.4"),
            ("eth0", "10.0.0.5"),
        ]);

        assert_eq!(choose(&local, &[], Loopback::Hidden), ips(&["10.0.0.5"]));
    }

    #[test]
    fn loopback_is_told_on_request_or_when_there_is_nothing_else() {
        let alone = host(&[("lo", "127.0.0.1"), ("lo", "::1")]);
        let wired = host(&[("lo", "127.0.0.1"), ("eth0", "10.0.0.5")]);

        assert_eq!(choose(&alone, &[], Loopback::Hidden), ips(&["127.0.0.1", "::1"]));
        assert_eq!(choose(&wired, &[], Loopback::Told), ips(&["10.0.0.5", "127.0.0.1"]));
        assert_eq!(choose(&[], &[], Loopback::Hidden), ips(&["127.0.0.1"]));
    }

    fn host(addresses: &[(&str, &str)]) -> Vec<LocalAddr> {
        let local = |(interface, ip): &(&str, &str)| LocalAddr {
            ip: ip.parse().unwrap(),
            interface: (*interface).into(),
        };
        addresses.iter().map(local).collect()
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }
}
