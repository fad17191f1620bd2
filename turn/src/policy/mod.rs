//! Which peers may be reached through us.
//!
//! By default only neighbours: the addresses our own media plane is told at, and our own relays. That alone closes the
//! ways in which relays are abused: into the operator's network, onto the server itself, as a free proxy. An open relay is
//! a choice of the operator; then still nothing that is not global unicast is reached, and none of our own addresses.
//!
//! Invariants:
//! - every address is asked about here and nowhere else, whichever way it came (CreatePermission, ChannelBind, Send);
//! - an address that carries another one inside (mapped, translated, tunnelled) is never what it says it is: refused.

mod prefix;
mod special;

use std::net::{IpAddr, SocketAddr};

pub use self::prefix::{Prefix, PrefixError};
use self::special::is_global_unicast;

/// Who may be a peer beside our neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Nobody.
    #[default]
    Neighbours,
    /// The whole Internet: an open relay.
    Open,
}

/// Ports of an address, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Whose.
    pub ip: IpAddr,
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl Neighbour {
    /// One port.
    #[must_use]
    pub const fn at(addr: SocketAddr) -> Self {
        Self { ip: addr.ip(), first: addr.port(), last: addr.port() }
    }

    fn holds(&self, peer: SocketAddr) -> bool {
        self.ip == peer.ip() && (self.first..=self.last).contains(&peer.port())
    }
}

/// What the operator decides about peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerPolicy {
    /// Who may be a peer beside our neighbours.
    pub reach: Reach,
    /// The media plane and our own relays: always allowed.
    pub neighbours: Vec<Neighbour>,
    /// Allowed although they are not global: a laboratory, a media server in the same private network.
    pub allow: Vec<Prefix>,
    /// Refused although they are global.
    pub deny: Vec<Prefix>,
    /// Our own addresses: nothing on them is reached but our neighbours.
    pub own: Vec<IpAddr>,
}

/// The lowest port a stranger is reached at. Below live the services that abuse is about: mail, names, files.
const STRANGER_PORT_MIN: u16 = 1_024;
/// The one exception: media servers hide behind it from firewalls.
const STRANGER_PORT_HTTPS: u16 = 443;

impl PeerPolicy {
    /// Whether datagrams of this address may come in: ports are not part of a permission (RFC 8656 §9).
    #[must_use]
    pub fn permits(&self, ip: IpAddr) -> bool {
        self.neighbours.iter().any(|neighbour| neighbour.ip == ip) || self.permits_stranger(ip)
    }

    /// Whether datagrams may be sent there.
    #[must_use]
    pub fn reaches(&self, peer: SocketAddr) -> bool {
        if peer.port() == 0 {
            return false;
        }
        if self.neighbours.iter().any(|neighbour| neighbour.holds(peer)) {
            return true;
        }
        let port = peer.port();
        let useful = port >= STRANGER_PORT_MIN || port == STRANGER_PORT_HTTPS;
        useful && self.permits_stranger(peer.ip())
    }

    fn permits_stranger(&self, ip: IpAddr) -> bool {
        let listed = |list: &[Prefix]| list.iter().any(|prefix| prefix.contains(ip));
        if self.own.contains(&ip) || listed(&self.deny) {
            return false;
        }
        listed(&self.allow) || (self.reach == Reach::Open && is_global_unicast(ip))
    }
}

#[cfg(test)]
mod tests;
