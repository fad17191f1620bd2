//! The peer connection: its state, and the doors into it.

use sfu::{
    ids::{SubscriptionId, TrackId},
    params::{Endpoint, IceCredentials},
};

use super::{Answer, Change, Expected, Format, NegotiationError, Policy, Sections, Source};

/// Who offers on a peer connection, and what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client offers what it publishes.
    Publisher,
    /// We offer what it subscribes to.
    Subscriber,
    /// The client offers both: what it publishes, and empty m-sections for what it subscribes to.
    Single,
}

/// Our side of the transport.
#[derive(Clone, Debug)]
pub struct Local {
    /// Our ICE credentials.
    pub ice: IceCredentials,
    /// Where we listen, and with which certificate.
    pub endpoint: Endpoint,
}

/// One peer connection of a client.
pub struct PeerConnection {
    role: Role,
    local: Local,
}

impl PeerConnection {
    /// A connection on which nothing was said yet; SSRCs and the session id come from `seed`.
    #[must_use]
    pub fn new(role: Role, local: Local, policy: Policy, seed: u64) -> Self {
        let _ = (policy, seed);
        Self { role, local }
    }

    /// A track was announced. It is told [`Change::Published`] with the answer to the offer that has it, or at once
    /// when that offer came earlier.
    pub fn expect(&mut self, track: Expected) -> Vec<Change> {
        let _ = track;
        Vec::new()
    }

    /// A track will not be published any more: its m-section, when it has one, is answered inactive.
    pub fn forget(&mut self, track: TrackId) {
        let _ = track;
    }

    /// A track is to be sent to the client. With an id that is known, what it carries changes.
    pub fn subscribe(&mut self, subscription: SubscriptionId, source: Source) {
        let _ = (subscription, source);
    }

    /// A track is not to be sent any more.
    pub fn unsubscribe(&mut self, subscription: SubscriptionId) {
        let _ = subscription;
    }

    /// Answers a client's offer ([`Role::Publisher`], [`Role::Single`]). `fresh` are credentials never used before:
    /// they become ours when the offer restarts ICE ([`Change::RestartedIce`]), else they are dropped.
    pub fn answer(&mut self, offer: &str, fresh: IceCredentials) -> Result<Answer, NegotiationError> {
        let _ = (offer, fresh, &self.local);
        Err(NegotiationError::Role("subscriber"))
    }

    /// Our offer ([`Role::Subscriber`]).
    pub fn offer(&mut self) -> Result<String, NegotiationError> {
        Err(NegotiationError::Role("publisher"))
    }

    /// The client's answer to our offer.
    pub fn accept_answer(&mut self, answer: &str) -> Result<Vec<Change>, NegotiationError> {
        let _ = answer;
        Err(NegotiationError::Role("publisher"))
    }

    /// Whether something waits for the next offer: ours ([`Role::Subscriber`]) or the client's ([`Role::Single`]).
    #[must_use]
    pub fn needs_negotiation(&self) -> bool {
        self.role == Role::Subscriber
    }

    /// How many m-sections more the client must offer for what it subscribes to ([`Role::Single`]).
    #[must_use]
    pub fn sections_missing(&self) -> Sections {
        Sections::default()
    }

    /// Our next offer restarts ICE with these credentials ([`Role::Subscriber`]); the transport learns them from the caller.
    pub fn restart_ice(&mut self, local: IceCredentials) {
        self.local.ice = local;
    }

    /// What a published track may be sent as, first choice first; empty while it is not published.
    #[must_use]
    pub fn formats(&self, track: TrackId) -> &[Format] {
        let _ = track;
        &[]
    }
}
