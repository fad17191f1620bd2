//! Which protocol a datagram speaks, and whose it is.
//!
//! Invariants:
//! - an address belongs to a transport only after one of its checks was authenticated there;
//! - an address belongs to one transport; a transport holds at most [`REMOTES_MAX`] addresses.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::{ids::TransportId, params::Remote};

/// Addresses one client may be heard from. Higher: more candidate pairs survive. Lower: less memory per client.
const REMOTES_MAX: usize = 16;

/// What the first bytes of a datagram say (RFC 7983 §7, RFC 5761 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Unknown,
}

impl Class {
    pub(crate) fn of(datagram: &[u8]) -> Self {
        match datagram {
            [0..=3, ..] => Self::Stun,
            [20..=63, ..] => Self::Dtls,
            // RFC 5761 §4: RTCP packet types 192 to 223 collide with no RTP payload type in use.
            [128..=191, 192..=223, ..] => Self::Rtcp,
            [128..=191, _, ..] => Self::Rtp,
            _ => Self::Unknown,
        }
    }
}

/// A transport's place: its room's key in the worker and its own key in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) room: usize,
    pub(crate) peer: usize,
}

#[derive(Debug)]
struct Entry {
    place: Place,
    ufrags: Vec<Box<str>>,
    remotes: Vec<Remote>,
}

/// The tables from ufrag and address to transport.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    by_remote: FxHashMap<Remote, (TransportId, Place)>,
    by_ufrag: BTreeMap<Box<str>, TransportId>,
    entries: BTreeMap<TransportId, Entry>,
}

impl Demux {
    /// A transport begins to be found by its ufrag.
    pub(crate) fn insert(&mut self, transport: TransportId, place: Place, ufrag: &str) {
        self.entries.insert(transport, Entry { place, ufrags: vec![Box::from(ufrag)], remotes: Vec::new() });
        self.by_ufrag.insert(Box::from(ufrag), transport);
    }

    /// ICE restarts: the transport is found by its last two ufrags from here on.
    pub(crate) fn add_ufrag(&mut self, transport: TransportId, ufrag: &str) {
        let Some(entry) = self.entries.get_mut(&transport) else { return };
        if entry.ufrags.len() > 1 {
            let oldest = entry.ufrags.remove(0);
            self.by_ufrag.remove(&oldest);
        }
        entry.ufrags.push(Box::from(ufrag));
        self.by_ufrag.insert(Box::from(ufrag), transport);
    }

    /// The transport that announced this ufrag.
    pub(crate) fn by_ufrag(&self, ufrag: &str) -> Option<(TransportId, Place)> {
        let transport = *self.by_ufrag.get(ufrag)?;
        Some((transport, self.entries.get(&transport)?.place))
    }

    /// Where a transport is.
    pub(crate) fn place(&self, transport: TransportId) -> Option<Place> {
        self.entries.get(&transport).map(|entry| entry.place)
    }

    /// A room ends with its transports; how many there were.
    pub(crate) fn remove_room(&mut self, room: usize) -> u64 {
        let inside = self.entries.iter().filter(|(_, entry)| entry.place.room == room);
        let transports: Vec<_> = inside.map(|(transport, _)| *transport).collect();
        transports.iter().for_each(|transport| self.remove(*transport));
        transports.len() as u64
    }

    /// The transport that was heard from this address.
    pub(crate) fn by_remote(&self, remote: Remote) -> Option<Place> {
        self.by_remote.get(&remote).map(|(_, place)| *place)
    }

    /// An authenticated check came from here.
    pub(crate) fn vouch(&mut self, transport: TransportId, remote: Remote) {
        if self.by_remote.get(&remote).is_some_and(|(known, _)| *known == transport) {
            return;
        }
        self.forget_remote(remote);
        let Some(entry) = self.entries.get_mut(&transport) else { return };
        if entry.remotes.len() >= REMOTES_MAX {
            let oldest = entry.remotes.remove(0);
            self.by_remote.remove(&oldest);
        }
        entry.remotes.push(remote);
        self.by_remote.insert(remote, (transport, entry.place));
    }

    /// A transport ends with its ufrags and addresses.
    pub(crate) fn remove(&mut self, transport: TransportId) {
        let Some(entry) = self.entries.remove(&transport) else { return };
        for ufrag in entry.ufrags {
            self.by_ufrag.remove(&ufrag);
        }
        for remote in entry.remotes {
            self.by_remote.remove(&remote);
        }
    }

    fn forget_remote(&mut self, remote: Remote) {
        let Some((transport, _)) = self.by_remote.remove(&remote) else { return };
        if let Some(entry) = self.entries.get_mut(&transport) {
            entry.remotes.retain(|known| *known != remote);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::params::Protocol;

    const PLACE: Place = Place { room: 1, peer: 2 };

    fn remote(port: u16) -> Remote {
        Remote { protocol: Protocol::Udp, addr: SocketAddr::from(([192, 0, 2, 1], port)) }
    }

    #[test]
    fn the_first_bytes_tell_the_protocol() {
        assert_eq!(Class::of(&[]), Class::Unknown);
        assert_eq!(Class::of(&[0, 1]), Class::Stun);
        assert_eq!(Class::of(&[22]), Class::Dtls);
        assert_eq!(Class::of(&[0x80, 200]), Class::Rtcp);
        assert_eq!(Class::of(&[0x80, 0x80 | 96]), Class::Rtp);
        assert_eq!(Class::of(&[0x80]), Class::Unknown, "a lone first byte is nothing");
        assert_eq!(Class::of(&[70, 0, 0]), Class::Unknown, "TURN channels end elsewhere");
    }

    #[test]
    fn a_transport_takes_its_addresses_with_it() {
        let mut demux = Demux::default();
        demux.insert(TransportId(1), PLACE, "00abcdef");
        demux.vouch(TransportId(1), remote(1));

        assert_eq!(demux.by_remote(remote(1)), Some(PLACE));
        demux.remove(TransportId(1));

        assert_eq!(demux.by_remote(remote(1)), None);
        assert_eq!(demux.by_ufrag("00abcdef"), None);
    }

    #[test]
    fn an_address_follows_the_last_transport_that_was_heard_there() {
        let mut demux = Demux::default();
        demux.insert(TransportId(1), PLACE, "00aaaaaa");
        demux.insert(TransportId(2), Place { room: 1, peer: 3 }, "00bbbbbb");
        demux.vouch(TransportId(1), remote(1));

        demux.vouch(TransportId(2), remote(1));
        demux.remove(TransportId(1));

        assert_eq!(demux.by_remote(remote(1)), Some(Place { room: 1, peer: 3 }));
    }

    #[test]
    fn addresses_per_transport_are_bounded_and_the_oldest_goes() {
        let mut demux = Demux::default();
        demux.insert(TransportId(1), PLACE, "00aaaaaa");

        for port in 0..=REMOTES_MAX {
            demux.vouch(TransportId(1), remote(u16::try_from(port).unwrap()));
        }

        assert_eq!(demux.by_remote(remote(0)), None);
        assert_eq!(demux.by_remote(remote(1)), Some(PLACE));
    }

    #[test]
    fn a_restart_keeps_the_previous_ufrag_and_drops_the_one_before() {
        let mut demux = Demux::default();
        demux.insert(TransportId(1), PLACE, "00aaaaaa");

        demux.add_ufrag(TransportId(1), "00bbbbbb");
        demux.add_ufrag(TransportId(1), "00cccccc");

        assert_eq!(demux.by_ufrag("00aaaaaa"), None);
        assert!(demux.by_ufrag("00bbbbbb").is_some());
        assert!(demux.by_ufrag("00cccccc").is_some());
    }
}
