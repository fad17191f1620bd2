//! The path of a packet: from a client to a peer and back (RFC 8656 §11, §12.5 to §12.7).
//!
//! A peer that is a relay of ours on this worker gets the payload in memory: neither of the two sockets is touched.

use std::{net::SocketAddr, time::Instant};

use super::{
    Server,
    allocation::{Allocation, Buckets},
    counters::DropReason,
    host::{Fragmentation, Host},
};
use crate::{
    channel::ChannelData,
    meter::{SharedBucket, Verdict},
    stun::{AttributeType, Builder, Class, HEADER_LEN, Message, Method, TransactionId, padded},
    tuple::{Family, FiveTuple, Transport},
};

/// A Data indication up to its payload: header, peer, and the header of DATA.
const DATA_HEAD_MAX: usize = HEADER_LEN + 24 + 4;

/// What a client wants sent.
#[derive(Clone, Copy)]
struct Datagram<'a> {
    peer: SocketAddr,
    payload: &'a [u8],
    fragmentation: Fragmentation,
}

impl Server {
    pub(super) fn send_on_channel(
        &mut self,
        key: usize,
        data: ChannelData<'_>,
        host: &mut impl Host,
        now: Instant,
    ) -> Result<(), DropReason> {
        let allocation = self.allocations.get(key).ok_or(DropReason::NoAllocation)?;
        let peer = allocation.peer_of(data.number, now).ok_or(DropReason::NoChannel)?;
        let datagram = Datagram { peer, payload: data.payload, fragmentation: Fragmentation::Allowed };
        self.forward(key, datagram, host, now)
    }

    /// RFC 8656 §11.2.
    pub(super) fn send_indication(
        &mut self,
        message: &Message<'_>,
        from: &FiveTuple,
        host: &mut impl Host,
        now: Instant,
    ) -> Result<(), DropReason> {
        let (key, _) = self.allocation_of(from)?;
        let peer = message.attribute(AttributeType::XOR_PEER_ADDRESS);
        let peer = peer.and_then(|value| message.xor_address(value));
        let data = message.attribute(AttributeType::DATA);
        let (Some(peer), Some(data), true) = (peer, data, Self::is_understood(message)) else {
            return Err(DropReason::Malformed);
        };
        if !self.policy.reaches(peer) {
            return Err(DropReason::Policy);
        }
        let fragmentation = match message.attribute(AttributeType::DONT_FRAGMENT) {
            Some(_) => Fragmentation::Refused,
            None => Fragmentation::Allowed,
        };
        self.forward(key, Datagram { peer, payload: data, fragmentation }, host, now)
    }

    fn forward(
        &mut self,
        key: usize,
        datagram: Datagram<'_>,
        host: &mut impl Host,
        now: Instant,
    ) -> Result<(), DropReason> {
        let Datagram { peer, payload, fragmentation } = datagram;
        let at = self.since_start(now);
        let allocation = self.allocations.get_mut(key).ok_or(DropReason::NoAllocation)?;
        if !allocation.is_permitted(peer.ip(), now) {
            return Err(DropReason::NoPermission);
        }
        let leg = allocation.leg(Family::of(peer)).copied().ok_or(DropReason::NoPermission)?;
        let shared = allocation.grant.shared.as_ref().map(|shared| &shared.to_peers);
        fits(&mut allocation.to_peers, shared, &self.config, payload, at)?;
        allocation.usage.to_peers.count(payload);
        self.counters.to_peers.count(payload);
        let hairpin =
            if self.relay_ips.contains(&peer.ip()) { self.by_relay.get(&peer).copied() } else { None };
        match hairpin {
            Some(other) => {
                self.counters.hairpinned.count(payload);
                self.deliver(other, leg.told, payload, host, now)
            }
            None => {
                host.to_peer(leg.relay, peer, payload, fragmentation);
                Ok(())
            }
        }
    }

    /// Hands a peer's payload to the client: on the channel when there is one, else in a Data indication.
    pub(super) fn deliver(
        &mut self,
        key: usize,
        peer: SocketAddr,
        payload: &[u8],
        host: &mut impl Host,
        now: Instant,
    ) -> Result<(), DropReason> {
        let at = self.since_start(now);
        let allocation = self.allocations.get_mut(key).ok_or(DropReason::NoAllocation)?;
        if !allocation.is_permitted(peer.ip(), now) {
            return Err(DropReason::NoPermission);
        }
        let shared = allocation.grant.shared.as_ref().map(|shared| &shared.to_clients);
        fits(&mut allocation.to_client, shared, &self.config, payload, at)?;
        allocation.usage.to_client.count(payload);
        self.counters.to_clients.count(payload);
        write_to_client(allocation, peer, payload, host, now)
    }
}

fn write_to_client(
    allocation: &Allocation,
    peer: SocketAddr,
    payload: &[u8],
    host: &mut impl Host,
    now: Instant,
) -> Result<(), DropReason> {
    let padding = [0; 3];
    let padding = padding.get(..padded(payload.len()) - payload.len()).unwrap_or_default();
    if let Some(number) = allocation.channel_of(peer, now) {
        let header = ChannelData::header(number, payload).ok_or(DropReason::Malformed)?;
        // RFC 8656 §12.5: only streams need the padding.
        let padding = match allocation.tuple.transport {
            Transport::Udp => &[],
            Transport::Tcp | Transport::Tls => padding,
        };
        host.to_client(&allocation.tuple, [&header, payload, padding]);
        return Ok(());
    }
    let mut head = [0; DATA_HEAD_MAX];
    let len = data_head(peer, payload, &mut head).ok_or(DropReason::Malformed)?;
    host.to_client(&allocation.tuple, [head.get(..len).unwrap_or_default(), payload, padding]);
    Ok(())
}

/// Everything of a Data indication (RFC 8656 §11.4) before the payload: it is not copied to be wrapped.
fn data_head(peer: SocketAddr, payload: &[u8], head: &mut [u8; DATA_HEAD_MAX]) -> Option<usize> {
    // Indications are not answered: what names the transaction may be anything (RFC 8489 §6.1 wants it random for requests).
    let id = TransactionId([0; 12]);
    let len = Builder::new(Class::Indication, Method::DATA, id, head)
        .xor_address(AttributeType::XOR_PEER_ADDRESS, peer)
        .attribute(AttributeType::DATA, &[])
        .finish()
        .ok()?;
    let body = u16::try_from(len.checked_sub(HEADER_LEN)?.checked_add(padded(payload.len()))?).ok()?;
    let value = u16::try_from(payload.len()).ok()?;
    head.get_mut(2..4)?.copy_from_slice(&body.to_be_bytes());
    head.get_mut(len.checked_sub(2)?..len)?.copy_from_slice(&value.to_be_bytes());
    Some(len)
}

/// Whether allocation and user may have one more packet.
fn fits(
    buckets: &mut Buckets,
    shared: Option<&SharedBucket>,
    config: &super::ServerConfig,
    payload: &[u8],
    at: u64,
) -> Result<(), DropReason> {
    let bytes = payload.len() as u64;
    let packets = config.packets.map(|rate| buckets.packets.take(rate, 1, at));
    let octets = config.bytes.map(|rate| buckets.bytes.take(rate, bytes, at));
    let verdicts = [packets, octets, shared.map(|shared| shared.take(bytes, at))];
    if verdicts.contains(&Some(Verdict::Exceeds)) { Err(DropReason::Rate) } else { Ok(()) }
}
