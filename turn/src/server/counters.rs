//! What a worker counted. Totals only grow; what can fall is a gauge.

use crate::{
    stun::{ErrorCode, Method},
    tuple::{Family, Transport},
};

/// Why something went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Neither STUN nor ChannelData.
    Unclassified,
    /// A STUN message that is not well formed, or is none that a client sends.
    Malformed,
    /// FINGERPRINT does not match.
    Fingerprint,
    /// An unauthenticated request, beyond what its network may be answered.
    Budget,
    /// ChannelData or Send without an allocation.
    NoAllocation,
    /// A channel that is not bound.
    NoChannel,
    /// A peer without permission.
    NoPermission,
    /// A peer the operator does not allow.
    Policy,
    /// More than the allocation or its user may have.
    Rate,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Unclassified,
        Self::Malformed,
        Self::Fingerprint,
        Self::Budget,
        Self::NoAllocation,
        Self::NoChannel,
        Self::NoPermission,
        Self::Policy,
        Self::Rate,
    ];

    /// As it stands in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unclassified => "unclassified",
            Self::Malformed => "malformed",
            Self::Fingerprint => "fingerprint",
            Self::Budget => "unauthenticated_rate",
            Self::NoAllocation => "no_allocation",
            Self::NoChannel => "no_channel",
            Self::NoPermission => "no_permission",
            Self::Policy => "peer_policy",
            Self::Rate => "rate",
        }
    }
}

/// What was relayed in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams.
    pub packets: u64,
    /// Their payload.
    pub bytes: u64,
}

impl Traffic {
    pub(super) fn count(&mut self, payload: &[u8]) {
        self.packets += 1;
        self.bytes += payload.len() as u64;
    }
}

/// Methods as they are counted.
const METHODS: [(Method, &str); 5] = [
    (Method::BINDING, "binding"),
    (Method::ALLOCATE, "allocate"),
    (Method::REFRESH, "refresh"),
    (Method::CREATE_PERMISSION, "create_permission"),
    (Method::CHANNEL_BIND, "channel_bind"),
];
/// Codes as they are counted; 0 is success.
const CODES: [u16; 14] = [0, 300, 400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 486, 508];

/// Everything a worker counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    answers: [[u64; CODES.len()]; METHODS.len() + 1],
    dropped: [u64; DropReason::ALL.len()],
    /// Allocations alive, by [`Transport::ALL`].
    pub allocations: [u64; 3],
    /// Allocations ever made.
    pub allocations_made: u64,
    /// Relay sockets open: IPv4, IPv6.
    pub relays: [u64; 2],
    /// From clients to peers.
    pub to_peers: Traffic,
    /// From peers to clients.
    pub to_clients: Traffic,
    /// Of both, what went from one relay to another without a socket.
    pub hairpinned: Traffic,
    /// Allocations ended because their user had used up what was granted.
    pub exhausted: u64,
}

impl Counters {
    /// How often something went no further for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or(0)
    }

    /// Answers: method, code (`None` is success), how often. Those that never happened are left out.
    pub fn answers(&self) -> impl Iterator<Item = (&'static str, Option<u16>, u64)> {
        let names = METHODS.iter().map(|(_, name)| *name).chain(["other"]);
        self.answers.iter().zip(names).flat_map(|(counts, name)| {
            let counts = counts.iter().zip(CODES).filter(|(count, _)| **count > 0);
            counts.map(move |(count, code)| (name, (code != 0).then_some(code), *count))
        })
    }

    pub(super) fn drop(&mut self, reason: DropReason) {
        if let Some(count) = self.dropped.get_mut(reason as usize) {
            *count += 1;
        }
    }

    pub(super) fn answer(&mut self, method: Method, code: Option<ErrorCode>) {
        let method = METHODS.iter().position(|(known, _)| *known == method).unwrap_or(METHODS.len());
        let code = code.map_or(0, ErrorCode::value);
        let code = CODES.iter().position(|known| *known == code).unwrap_or(0);
        if let Some(count) = self.answers.get_mut(method).and_then(|counts| counts.get_mut(code)) {
            *count += 1;
        }
    }

    pub(super) fn allocation(&mut self, transport: Transport) -> &mut u64 {
        let [udp, tcp, tls] = &mut self.allocations;
        match transport {
            Transport::Udp => udp,
            Transport::Tcp => tcp,
            Transport::Tls => tls,
        }
    }

    pub(super) fn relay(&mut self, family: Family) -> &mut u64 {
        let [v4, v6] = &mut self.relays;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    /// Adds what another worker counted.
    pub fn add(&mut self, other: &Self) {
        let pairs = self.answers.iter_mut().flatten().zip(other.answers.iter().flatten());
        let pairs = pairs.chain(self.dropped.iter_mut().zip(&other.dropped));
        let pairs = pairs.chain(self.allocations.iter_mut().zip(&other.allocations));
        for (own, other) in pairs.chain(self.relays.iter_mut().zip(&other.relays)) {
            *own += other;
        }
        for (own, other) in [
            (&mut self.to_peers, other.to_peers),
            (&mut self.to_clients, other.to_clients),
            (&mut self.hairpinned, other.hairpinned),
        ] {
            own.packets += other.packets;
            own.bytes += other.bytes;
        }
        self.allocations_made += other.allocations_made;
        self.exhausted += other.exhausted;
    }
}
