//! An m-line of a connection: what it carries, what our last description said of it, and what the client's did.
//!
//! Invariant: a line never moves. It changes its kind and its name only after it was rejected (RFC 8829 §5.2.2).

use sfu::{
    ids::{SubscriptionId, TrackId},
    params::{ExtensionMap, MediaKind, TrackParameters},
    units::Mid,
};

use super::Format;
use crate::sdp::{Direction, Kind, Section};

/// One m-line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) kind: Kind,
    pub(super) mid: Option<Mid>,
    pub(super) use_: Use,
    /// What our last description said that we send here.
    pub(super) said: Said,
    /// What the client said of it last: its offer, or its answer to ours.
    pub(super) theirs: Option<Section>,
    /// Whether that can be used: it is not rejected, and on our transport.
    pub(super) usable: bool,
    /// The client's formats of its offer that are enabled, in its order.
    pub(super) accepted: Vec<Format>,
}

/// What a line carries.
#[derive(Clone, Debug, Default)]
pub(super) enum Use {
    /// Nothing.
    #[default]
    Free,
    /// A track of the client's, or one that it did not announce yet.
    Receiving(Received),
    /// A subscription of the client's.
    Sending(SubscriptionId),
    /// A track the client goes on offering under this id, though it is not wanted any more.
    Forgotten(Option<String>),
    /// Data channels.
    Data,
}

/// What a description of ours said of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Said {
    /// That we send nothing on it, or no description had it yet.
    #[default]
    Quiet,
    /// That it carries a subscription: before it carries another one, the client has to learn that this one ended.
    Sends,
    /// That it is not used any more: its place can be taken by another line.
    Rejected,
}

/// What a client sends on a line.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// The track id in the description.
    pub(super) cid: Option<String>,
    /// Which announced track it is.
    pub(super) track: Option<Published>,
}

/// A track that was told as published.
#[derive(Clone, Debug)]
pub(super) struct Published {
    pub(super) track: TrackId,
    pub(super) params: TrackParameters,
    pub(super) mime: String,
    /// What it may be sent as, first choice first.
    pub(super) formats: Vec<Format>,
}

impl Line {
    pub(super) const fn new(kind: Kind, mid: Option<Mid>) -> Self {
        Self {
            kind,
            mid,
            use_: Use::Free,
            said: Said::Quiet,
            theirs: None,
            usable: false,
            accepted: Vec::new(),
        }
    }

    /// Sound or pictures.
    pub(super) const fn media(&self) -> Option<MediaKind> {
        media(&self.kind)
    }

    /// Whether the client would receive something of this kind here: not where it sends layers, or stopped to, as such a
    /// line has only the codec of its track.
    pub(super) fn receives(&self, kind: MediaKind) -> bool {
        let open =
            |theirs: &Section| self.usable && theirs.direction.receives() && theirs.simulcast.send.is_empty();
        self.media() == Some(kind) && self.theirs.as_ref().is_some_and(open)
    }

    /// Whether a subscription of this kind can be put here in an answer.
    pub(super) fn is_free(&self, kind: MediaKind) -> bool {
        let sends = self.theirs.as_ref().is_some_and(sends);
        self.receives(kind) && !sends && matches!(self.use_, Use::Free) && self.said == Said::Quiet
    }

    /// Whether the client does not know yet that what it was sent here ended.
    pub(super) const fn ends(&self) -> bool {
        !matches!(self.use_, Use::Sending(_)) && matches!(self.said, Said::Sends)
    }

    /// The track published here.
    pub(super) fn published(&self) -> Option<&Published> {
        match &self.use_ {
            Use::Receiving(Received { track, .. }) => track.as_ref(),
            Use::Free | Use::Sending(_) | Use::Forgotten(_) | Use::Data => None,
        }
    }

    /// The subscription sent here.
    pub(super) const fn subscription(&self) -> Option<SubscriptionId> {
        match self.use_ {
            Use::Sending(subscription) => Some(subscription),
            Use::Free | Use::Receiving(_) | Use::Forgotten(_) | Use::Data => None,
        }
    }
}

/// Sound or pictures.
pub(super) const fn media(kind: &Kind) -> Option<MediaKind> {
    match kind {
        Kind::Audio => Some(MediaKind::Audio),
        Kind::Video => Some(MediaKind::Video),
        Kind::Application | Kind::Other(_) => None,
    }
}

/// The track id that a client's m-section names.
pub(super) fn cid(section: &Section) -> Option<String> {
    section.msid.as_ref()?.track.clone().filter(|cid| !cid.is_empty())
}

/// Whether the client sends on its m-section.
pub(super) const fn sends(section: &Section) -> bool {
    !section.is_rejected() && section.direction.sends()
}

/// Both maps in one: ids are the same in all m-sections of a connection (RFC 9143 §9.2).
pub(super) fn join(mut one: ExtensionMap, other: ExtensionMap) -> ExtensionMap {
    for extension in sfu::params::Extension::ALL {
        if let (None, Some(id)) = (one.id(extension), other.id(extension)) {
            one = one.with(extension, id);
        }
    }
    one
}

/// Our direction for a line on which we only send, only receive, or do neither.
pub(super) const fn direction(use_: &Use) -> Direction {
    match use_ {
        Use::Receiving(_) => Direction::RecvOnly,
        Use::Sending(_) => Direction::SendOnly,
        Use::Free | Use::Forgotten(_) | Use::Data => Direction::Inactive,
    }
}
