//! The peer connections of a participant.
//!
//! Invariants: subscriptions of one participant all travel on one connection; at most one offer of ours waits for its
//! answer.

use std::time::Instant;

use sfu::ids::TransportId;

use crate::{
    negotiate::{PeerConnection, Sections},
    wire::join::Topology,
};

/// Which of a client's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    /// Where it publishes; the only one of a client with a single connection.
    Publisher,
    /// Where it receives.
    Subscriber,
}

/// How far a transport is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not connected yet.
    New,
    /// Media can flow.
    Connected,
    /// Nothing is heard.
    Disconnected,
    /// Lost.
    Failed,
}

/// One peer connection.
pub(super) struct Peer {
    pub(super) transport: TransportId,
    pub(super) connection: PeerConnection,
    pub(super) progress: Progress,
    /// Ours, when we offer; the client's latest, when it does.
    pub(super) offer: OfferState,
}

/// How far the negotiation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfferState {
    /// Nothing was negotiated yet.
    Never,
    /// Nothing waits.
    Settled {
        /// How many wishes in a row brought nothing new.
        tries: u32,
    },
    /// Our offer of this id, or our wish for an offer, waits for the client.
    Waiting {
        /// The id of the offer, where we offer.
        id: u32,
        /// How many wishes in a row brought nothing new.
        tries: u32,
        /// What was missing when the wish was sent.
        missing: Sections,
    },
}

/// The peer connections of one participant.
pub(super) struct Link {
    topology: Topology,
    primary: Side,
    publisher: Option<Peer>,
    subscriber: Option<Peer>,
    /// The id of our next offer.
    pub(super) next_offer: u32,
    /// Since when the primary connection is lost.
    pub(super) lost_since: Option<Instant>,
}

impl Link {
    pub(super) fn new(topology: Topology, primary: Side, next_offer: u32) -> Self {
        Self { topology, primary, publisher: None, subscriber: None, next_offer, lost_since: None }
    }

    pub(super) fn topology(&self) -> Topology {
        self.topology
    }

    /// The connection that makes a participant active.
    pub(super) fn primary(&self) -> Side {
        self.primary
    }

    /// Where subscriptions travel.
    pub(super) fn receiving(&self) -> Side {
        match self.topology {
            Topology::Single => Side::Publisher,
            Topology::Dual => Side::Subscriber,
        }
    }

    pub(super) fn peer(&self, side: Side) -> Option<&Peer> {
        match side {
            Side::Publisher => self.publisher.as_ref(),
            Side::Subscriber => self.subscriber.as_ref(),
        }
    }

    pub(super) fn peer_mut(&mut self, side: Side) -> Option<&mut Peer> {
        match side {
            Side::Publisher => self.publisher.as_mut(),
            Side::Subscriber => self.subscriber.as_mut(),
        }
    }

    pub(super) fn insert(&mut self, side: Side, peer: Peer) {
        match side {
            Side::Publisher => self.publisher = Some(peer),
            Side::Subscriber => self.subscriber = Some(peer),
        }
    }

    pub(super) fn receiving_peer_mut(&mut self) -> Option<&mut Peer> {
        self.peer_mut(self.receiving())
    }

    /// Where messages to the client go: its primary connection carries the channels both sides know.
    pub(super) fn data_transport(&self) -> Option<TransportId> {
        self.peer(self.primary).map(|peer| peer.transport)
    }

    pub(super) fn side_of(&self, transport: TransportId) -> Option<Side> {
        [Side::Publisher, Side::Subscriber]
            .into_iter()
            .find(|side| self.peer(*side).is_some_and(|peer| peer.transport == transport))
    }

    pub(super) fn transports(&self) -> impl Iterator<Item = TransportId> {
        self.publisher.iter().chain(self.subscriber.iter()).map(|peer| peer.transport)
    }

    /// Whether any connection is lost.
    pub(super) fn any_failed(&self) -> bool {
        let failed = |peer: &Peer| peer.progress == Progress::Failed;
        self.publisher.iter().any(failed) || self.subscriber.iter().any(failed)
    }
}
