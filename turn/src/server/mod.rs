//! The relay: what a worker does with datagrams of clients and of peers, told the time.
//!
//! Invariants:
//! - who is not authenticated leaves no trace but in counters and in a table of fixed size;
//! - an allocation's relays, permissions and channels end when they should, to the instant, whether or not anybody looks;
//! - whichever way a peer is named, [`PeerPolicy`] is asked;
//! - nothing is allocated on the path of a relayed packet.

mod allocate;
mod allocation;
mod bind;
mod budget;
mod counters;
mod host;
mod refresh;
mod relay;
mod reply;
mod request;

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rustc_hash::FxHashMap;
use slab::Slab;

pub use self::{
    allocation::Usage,
    counters::{Counters, DropReason, Traffic},
    host::{Fragmentation, Host, Opened, RelayId, RelayPort},
};
use self::{
    allocation::{Allocation, Leg},
    budget::Budget,
};
use crate::{
    auth::Authenticator,
    channel::{ChannelData, ChannelRange},
    meter::Rate,
    policy::PeerPolicy,
    registry::Standing,
    tuple::{Family, FiveTuple},
};

/// What the operator decides about allocations.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// How long an allocation lives unless the client asks for more (RFC 8656 §7.2: ten minutes).
    pub lifetime: Duration,
    /// How long it may live at most without a refresh.
    pub lifetime_max: Duration,
    /// Which channel numbers may be bound.
    pub channels: ChannelRange,
    /// Bytes a second of one allocation in each direction; `None` is no limit.
    pub bytes: Option<Rate>,
    /// Packets a second of one allocation in each direction; `None` is no limit.
    pub packets: Option<Rate>,
    /// Answers a second to one network that has not proved anything, over UDP; `None` is no limit.
    pub unauthenticated: Option<Rate>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        const SECOND: Duration = Duration::from_secs(1);
        Self {
            lifetime: Duration::from_secs(600),
            lifetime_max: Duration::from_secs(3_600),
            channels: ChannelRange::default(),
            bytes: Rate::new(6_250_000, SECOND),
            packets: Rate::new(10_000, SECOND),
            unauthenticated: Rate::new(10, 10 * SECOND),
        }
    }
}

/// Where clients are sent when no more allocations are made here (RFC 8489 §10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alternate {
    /// For clients over IPv4.
    pub v4: Option<SocketAddr>,
    /// For clients over IPv6.
    pub v6: Option<SocketAddr>,
}

/// Whether allocations are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Open,
    Draining(Alternate),
}

/// The relay of one worker.
pub struct Server {
    config: ServerConfig,
    auth: Arc<Authenticator>,
    policy: Arc<PeerPolicy>,
    allocations: Slab<Allocation>,
    by_tuple: FxHashMap<FiveTuple, usize>,
    by_relay: FxHashMap<SocketAddr, usize>,
    /// The addresses in `by_relay`, few: most peers are not among them.
    relay_ips: Vec<IpAddr>,
    deadlines: BTreeSet<(Instant, usize)>,
    budget: Budget,
    counters: Counters,
    admission: Admission,
    start: Instant,
    wall: (Instant, SystemTime),
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({} allocations)", self.allocations.len())
    }
}

impl Server {
    /// A relay without allocations. `wall` is the time of day at `now`.
    #[must_use]
    pub fn new(
        config: ServerConfig,
        auth: Arc<Authenticator>,
        policy: Arc<PeerPolicy>,
        now: Instant,
        wall: SystemTime,
    ) -> Self {
        Self {
            budget: Budget::new(config.unauthenticated),
            config,
            auth,
            policy,
            allocations: Slab::new(),
            by_tuple: FxHashMap::default(),
            by_relay: FxHashMap::default(),
            relay_ips: Vec::new(),
            deadlines: BTreeSet::new(),
            counters: Counters::default(),
            admission: Admission::Open,
            start: now,
            wall: (now, wall),
        }
    }

    /// The time of day, told now and then: clocks are set.
    pub fn set_wall(&mut self, now: Instant, wall: SystemTime) {
        self.wall = (now, wall);
    }

    /// From here on no allocations are made; those that are there live on.
    pub fn drain(&mut self, alternate: Alternate) {
        self.admission = Admission::Draining(alternate);
    }

    /// A client's message: one datagram, or one frame of a stream.
    pub fn receive(&mut self, from: &FiveTuple, message: &[u8], host: &mut impl Host, now: Instant) {
        let done = match message.first().map(|first| first >> 6) {
            Some(0) => self.receive_stun(from, message, host, now),
            Some(1) => self.receive_channel_data(from, message, host, now),
            Some(_) | None => Err(DropReason::Unclassified),
        };
        if let Err(reason) = done {
            self.counters.drop(reason);
        }
    }

    /// A peer's datagram.
    pub fn receive_from_peer(
        &mut self,
        relay: RelayId,
        peer: SocketAddr,
        payload: &[u8],
        host: &mut impl Host,
        now: Instant,
    ) {
        if let Err(reason) = self.deliver(key_of(relay), peer, payload, host, now) {
            self.counters.drop(reason);
        }
    }

    /// A client's stream ended, and with it its allocation (RFC 8656 §3.1).
    pub fn disconnect(&mut self, tuple: &FiveTuple, host: &mut impl Host) {
        if let Some(key) = self.by_tuple.get(tuple).copied() {
            self.remove(key, host);
        }
    }

    /// Ends every allocation of a user: banned, or gone.
    pub fn revoke(&mut self, user: &[u8], host: &mut impl Host) -> usize {
        let of_user = |(key, allocation): (usize, &Allocation)| (*allocation.user == *user).then_some(key);
        let keys: Vec<_> = self.allocations.iter().filter_map(of_user).collect();
        for key in &keys {
            self.remove(*key, host);
        }
        keys.len()
    }

    /// Ends every allocation.
    pub fn close(&mut self, host: &mut impl Host) {
        let keys: Vec<_> = self.allocations.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.remove(key, host);
        }
    }

    /// Ends what is over.
    pub fn expire(&mut self, host: &mut impl Host, now: Instant) {
        while let Some((at, key)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.pop_first();
            for family in [Family::V4, Family::V6] {
                let over =
                    |allocation: &Allocation| allocation.leg(family).is_some_and(|leg| leg.expires <= now);
                if self.allocations.get(key).is_some_and(over) {
                    self.close_leg(key, family, host);
                }
            }
            match self.allocations.get(key).and_then(Allocation::deadline) {
                Some(next) => {
                    self.deadlines.insert((next, key));
                }
                None => self.remove(key, host),
            }
        }
    }

    /// When [`Self::expire`] is to be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Tells accounts what was relayed for them since the last time, and ends the allocations of those who may not go on.
    pub fn report(&mut self, host: &mut impl Host) {
        let mut over = Vec::new();
        for (key, allocation) in &mut self.allocations {
            let bytes = allocation.usage.unreported();
            if bytes > 0 && host.spend(&allocation.user, bytes) == Standing::Exhausted {
                over.push(key);
            }
        }
        for key in over {
            self.counters.exhausted += 1;
            self.remove(key, host);
        }
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Allocations alive.
    #[must_use]
    pub fn len(&self) -> usize {
        self.allocations.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allocations.is_empty()
    }

    /// Whether this client has an allocation.
    #[must_use]
    pub fn has_allocation(&self, tuple: &FiveTuple) -> bool {
        self.by_tuple.contains_key(tuple)
    }

    /// Which allocation relays from this address, and by which relay.
    #[must_use]
    pub fn relay_at(&self, told: SocketAddr) -> Option<RelayId> {
        let allocation = self.allocations.get(*self.by_relay.get(&told)?)?;
        allocation.leg(Family::of(told)).map(|leg| leg.relay)
    }

    fn receive_channel_data(
        &mut self,
        from: &FiveTuple,
        message: &[u8],
        host: &mut impl Host,
        now: Instant,
    ) -> Result<(), DropReason> {
        let data = ChannelData::parse(message).ok_or(DropReason::Malformed)?;
        let key = self.by_tuple.get(from).copied().ok_or(DropReason::NoAllocation)?;
        self.send_on_channel(key, data, host, now)
    }

    fn wall_at(&self, now: Instant) -> SystemTime {
        let (at, wall) = self.wall;
        wall + now.saturating_duration_since(at)
    }

    /// In nanoseconds.
    fn since_start(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    fn remove(&mut self, key: usize, host: &mut impl Host) {
        for family in [Family::V4, Family::V6] {
            self.close_leg(key, family, host);
        }
        let Some(mut allocation) = self.allocations.try_remove(key) else { return };
        self.by_tuple.remove(&allocation.tuple);
        let live = self.counters.allocation(allocation.tuple.transport);
        *live = live.saturating_sub(1);
        let unreported = allocation.usage.unreported();
        if unreported > 0 {
            host.spend(&allocation.user, unreported);
        }
        host.release(&allocation.user);
        host.ended(&allocation.user, &allocation.usage);
        tracing::info!(
            allocation = key,
            to_peers = allocation.usage.to_peers.bytes,
            to_client = allocation.usage.to_client.bytes,
            "allocation ended"
        );
    }

    /// Closes one relay of an allocation; the allocation stays, perhaps without any.
    fn close_leg(&mut self, key: usize, family: Family, host: &mut impl Host) {
        let Some(allocation) = self.allocations.get_mut(key) else { return };
        if let Some(at) = allocation.deadline() {
            self.deadlines.remove(&(at, key));
        }
        let closed = allocation.leg_mut(family).take();
        if let Some(next) = allocation.deadline() {
            self.deadlines.insert((next, key));
        }
        let Some(Leg { relay, told, .. }) = closed else { return };
        self.by_relay.remove(&told);
        let live = self.counters.relay(family);
        *live = live.saturating_sub(1);
        host.close_relay(relay, told);
    }
}

/// An allocation has a relay of each family.
fn relay_of(key: usize, family: Family) -> Option<RelayId> {
    let side = match family {
        Family::V4 => 0,
        Family::V6 => 1,
    };
    u32::try_from(key).ok()?.checked_mul(2).map(|id| RelayId(id | side))
}

fn key_of(relay: RelayId) -> usize {
    relay.0 as usize / 2
}

#[cfg(test)]
mod tests;
