//! The peer connection: its state, and the doors into it.

use std::collections::BTreeMap;

use sfu::{
    ids::{SubscriptionId, TrackId},
    params::{Endpoint, IceCredentials, MediaKind, ReceiveParameters, RemoteParameters, SendParameters},
    units::Ssrc,
};

use super::{
    Answer, Change, Expected, Format, NegotiationError, Policy, Sections, Source,
    line::{self, Line, Use},
    ssrcs::Ssrcs,
};
use crate::sdp::{Description, Origin};

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
///
/// Invariant: a method that fails leaves it as it was; it works on a copy until all is known to be well.
#[derive(Clone, Debug)]
pub struct PeerConnection {
    pub(super) role: Role,
    pub(super) local: Local,
    pub(super) policy: Policy,
    pub(super) origin: Origin,
    pub(super) ssrcs: Ssrcs,
    pub(super) lines: Vec<Line>,
    pub(super) expected: BTreeMap<TrackId, Expected>,
    pub(super) subscriptions: BTreeMap<SubscriptionId, Subscribed>,
    pub(super) told: Told,
    pub(super) news: News,
}

/// A subscription of the client's.
#[derive(Clone, Debug)]
pub(super) struct Subscribed {
    pub(super) source: Source,
    pub(super) ssrc: Ssrc,
    pub(super) rtx_ssrc: Ssrc,
    /// What was told last.
    pub(super) send: Option<SendParameters>,
}

/// What the caller knows already.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) remote: Option<RemoteParameters>,
    pub(super) receive: ReceiveParameters,
    pub(super) data: Data,
}

/// Whether there are data channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Data {
    #[default]
    None,
    Accepted,
}

/// Whether a description of ours would say something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    None,
    Some,
}

impl PeerConnection {
    /// A connection on which nothing was said yet; SSRCs and the session id come from `seed`.
    #[must_use]
    pub fn new(role: Role, local: Local, policy: Policy, seed: u64) -> Self {
        let mut ssrcs = Ssrcs::new(seed);
        // RFC 8866 §5.2 leaves the range open; some readers take a signed number.
        let origin = Origin { session: ssrcs.number() >> 2, version: 0 };
        let news = if role == Role::Subscriber { News::Some } else { News::None };
        Self {
            role,
            local,
            policy,
            origin,
            ssrcs,
            lines: Vec::new(),
            expected: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            told: Told::default(),
            news,
        }
    }

    /// A track was announced. It is told [`Change::Published`] with the answer to the offer that has it, or at once
    /// when that offer came earlier.
    pub fn expect(&mut self, track: Expected) -> Vec<Change> {
        self.expected.insert(track.track, track);
        let mut next = self.clone();
        let mut changes = Vec::new();
        // What is wrong with an m-section is told when the client offers it again.
        if next.match_lines(&mut changes).is_err() {
            return Vec::new();
        }
        *self = next;
        changes
    }

    /// A track will not be published any more: its m-section, when it has one, is answered inactive.
    pub fn forget(&mut self, track: TrackId) {
        self.expected.remove(&track);
        for line in &mut self.lines {
            if line.published().is_some_and(|published| published.track == track) {
                line.use_ = Use::Forgotten(line.theirs.as_ref().and_then(line::cid));
            }
        }
    }

    /// A track is to be sent to the client. With an id that is known, what it carries changes.
    pub fn subscribe(&mut self, subscription: SubscriptionId, source: Source) {
        match self.subscriptions.get_mut(&subscription) {
            Some(known) if known.source == source => return,
            Some(known) => known.source = source,
            None => {
                let (ssrc, rtx_ssrc) = (self.ssrcs.give(), self.ssrcs.give());
                let new = Subscribed { source, ssrc, rtx_ssrc, send: None };
                self.subscriptions.insert(subscription, new);
            }
        }
        self.news = News::Some;
    }

    /// A track is not to be sent any more.
    pub fn unsubscribe(&mut self, subscription: SubscriptionId) {
        if self.subscriptions.remove(&subscription).is_none() {
            return;
        }
        let Some(line) = self.lines.iter_mut().find(|line| line.subscription() == Some(subscription)) else {
            return;
        };
        line.use_ = Use::Ending;
        self.news = News::Some;
    }

    /// Answers a client's offer ([`Role::Publisher`], [`Role::Single`]). `fresh` are credentials never used before:
    /// they become ours when the offer restarts ICE ([`Change::RestartedIce`]), else they are dropped.
    pub fn answer(&mut self, offer: &str, fresh: IceCredentials) -> Result<Answer, NegotiationError> {
        if self.role == Role::Subscriber {
            return Err(NegotiationError::Role("subscriber"));
        }
        let offer = Description::parse(offer)?;
        let mut next = self.clone();
        let answer = next.answer_to(&offer, fresh)?;
        *self = next;
        Ok(answer)
    }

    /// Our offer ([`Role::Subscriber`]).
    pub fn offer(&mut self) -> Result<String, NegotiationError> {
        if self.role != Role::Subscriber {
            return Err(NegotiationError::Role("publisher"));
        }
        Ok(self.make_offer().to_string())
    }

    /// The client's answer to our offer.
    pub fn accept_answer(&mut self, answer: &str) -> Result<Vec<Change>, NegotiationError> {
        if self.role != Role::Subscriber {
            return Err(NegotiationError::Role("publisher"));
        }
        let answer = Description::parse(answer)?;
        let mut next = self.clone();
        let changes = next.take_answer(&answer)?;
        *self = next;
        Ok(changes)
    }

    /// Whether something waits for the next offer: ours ([`Role::Subscriber`]) or the client's ([`Role::Single`]).
    #[must_use]
    pub fn needs_negotiation(&self) -> bool {
        self.news == News::Some
    }

    /// How many m-sections more the client must offer for what it subscribes to ([`Role::Single`]).
    #[must_use]
    pub fn sections_missing(&self) -> Sections {
        if self.role != Role::Single {
            return Sections::default();
        }
        Sections { audio: self.missing(MediaKind::Audio), video: self.missing(MediaKind::Video) }
    }

    fn missing(&self, kind: MediaKind) -> u32 {
        let wanted = self
            .subscriptions
            .iter()
            .filter(|(id, known)| known.source.kind == kind && self.line_of(**id).is_none())
            .count();
        let free = self.lines.iter().filter(|line| line.could_send(kind)).count();
        u32::try_from(wanted.saturating_sub(free)).unwrap_or(u32::MAX)
    }

    /// Our next offer restarts ICE with these credentials ([`Role::Subscriber`]); the transport learns them from the caller.
    pub fn restart_ice(&mut self, local: IceCredentials) {
        self.local.ice = local;
        self.news = News::Some;
    }

    /// What a published track may be sent as, first choice first; empty while it is not published.
    #[must_use]
    pub fn formats(&self, track: TrackId) -> &[Format] {
        self.lines
            .iter()
            .filter_map(Line::published)
            .find(|published| published.track == track)
            .map_or(&[], |published| published.formats.as_slice())
    }

    /// The line a subscription is sent on.
    pub(super) fn line_of(&self, subscription: SubscriptionId) -> Option<usize> {
        self.lines.iter().position(|line| line.subscription() == Some(subscription))
    }
}
