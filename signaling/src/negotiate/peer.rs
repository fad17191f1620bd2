//! The peer connection: its state, and the doors into it.

use std::collections::{BTreeMap, BTreeSet};

use sfu::{
    ids::{SubscriptionId, TrackId},
    params::{Endpoint, IceCredentials, MediaKind, ReceiveParameters, RemoteParameters, SendParameters},
    units::Ssrc,
};

use super::{
    Answer, Change, DataSection, Expected, Format, NegotiationError, Policy, Sections, Source,
    answer::Place,
    catalogue::Catalogue,
    line::{self, Line, Use},
    ssrcs::Ssrcs,
};
use crate::sdp::{Description, Origin, is_token_byte, limits::MSID_MAX};

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
    /// How many m-sections of ours had a name.
    pub(super) mids: u32,
    pub(super) catalogue: Catalogue,
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

impl Subscribed {
    /// How it is written, when that was not told yet.
    pub(super) fn tell(&mut self, subscription: SubscriptionId, send: SendParameters) -> Option<Change> {
        if self.send.as_ref() == Some(&send) {
            return None;
        }
        self.send = Some(send.clone());
        Some(Change::Subscribed { subscription, mid: send.mid.to_string(), send })
    }
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

/// Whether a description of ours would say something new that its lines do not show.
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
        let first = role == Role::Subscriber && policy.data == DataSection::Offered;
        let news = if first { News::Some } else { News::None };
        Self {
            role,
            local,
            policy,
            origin,
            ssrcs,
            lines: Vec::new(),
            mids: 0,
            catalogue: Catalogue::default(),
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
        if next.match_lines(&BTreeSet::new(), &mut changes).is_err() {
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
    pub fn subscribe(&mut self, subscription: SubscriptionId, mut source: Source) {
        clean(&mut source.stream);
        clean(&mut source.sid);
        if let (Role::Subscriber, Some(primary)) = (self.role, source.formats.first()) {
            self.catalogue.learn(source.kind, primary);
        }
        match self.subscriptions.get_mut(&subscription) {
            Some(known) if known.source == source => {}
            Some(known) => {
                known.source = source;
                self.news = News::Some;
            }
            None => {
                let (ssrc, rtx_ssrc) = (self.ssrcs.give(), self.ssrcs.give());
                self.subscriptions.insert(subscription, Subscribed { source, ssrc, rtx_ssrc, send: None });
            }
        }
    }

    /// A track is not to be sent any more.
    pub fn unsubscribe(&mut self, subscription: SubscriptionId) {
        self.subscriptions.remove(&subscription);
        for line in self.lines.iter_mut().filter(|line| line.subscription() == Some(subscription)) {
            line.use_ = Use::Free;
        }
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
        let placed = self.placed();
        let could_be = |known: &Subscribed| self.role == Role::Single || self.has_room(known.source.kind);
        let waits = |(id, known): (&SubscriptionId, &Subscribed)| !placed.contains_key(id) && could_be(known);
        match self.role {
            Role::Publisher => false,
            Role::Subscriber | Role::Single => {
                self.news == News::Some
                    || self.lines.iter().any(Line::ends)
                    || self.subscriptions.iter().any(waits)
            }
        }
    }

    /// How many m-sections more the client must offer for what it subscribes to ([`Role::Single`]).
    #[must_use]
    pub fn sections_missing(&self) -> Sections {
        if self.role != Role::Single {
            return Sections::default();
        }
        Sections { audio: self.missing(MediaKind::Audio), video: self.missing(MediaKind::Video) }
    }

    /// Lines that a subscription just left do not count as free: one more line is a round trip less, and the next will take
    /// them.
    fn missing(&self, kind: MediaKind) -> u32 {
        let places = self.places();
        let missing = |(id, known): &(&SubscriptionId, &Subscribed)| {
            known.source.kind == kind && matches!(places.get(id), Some(Place::Missing))
        };
        u32::try_from(self.subscriptions.iter().filter(missing).count()).unwrap_or(u32::MAX)
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

    /// The line each subscription is sent on.
    pub(super) fn placed(&self) -> BTreeMap<SubscriptionId, usize> {
        let lines = self.lines.iter().enumerate();
        lines.filter_map(|(index, line)| Some((line.subscription()?, index))).collect()
    }
}

/// RFC 8830 §2: ids of streams and tracks are tokens. A part of them may be a client's word, so it is made one.
fn clean(id: &mut String) {
    if id.is_empty() || !id.bytes().all(is_token_byte) {
        *id = id.chars().map(|c| if c.is_ascii() && is_token_byte(c as u8) { c } else { '-' }).collect();
    }
    id.truncate(MSID_MAX);
    if id.is_empty() {
        id.push('-');
    }
}
