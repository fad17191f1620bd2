//! A participant: who they are, what they may do, what others see of them.
//!
//! Invariant: every change others can see raises the version, and versions never fall.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Instant, SystemTime},
};

use sfu::{
    ids::{ParticipantId, TrackId},
    params::Shortage,
};

use super::{
    client::Client, data_track::DataTracks, desire::Desires, inbox::DataInbox, link::Link,
    permission::Audience, quality::Score,
};
use crate::{
    ids::SessionId,
    token::{Claims, VideoGrant},
    wire::{
        join::{AdaptiveStream, AutoSubscribe},
        proto::{
            self,
            participant_info::{Kind, State},
        },
    },
};

/// One participant.
pub(super) struct Participant {
    pub(super) id: ParticipantId,
    pub(super) sid: String,
    pub(super) claims: Claims,
    pub(super) client: Client,
    pub(super) session: Option<SessionId>,
    /// Since when there is no session.
    pub(super) away_since: Option<Instant>,
    pub(super) link: Link,
    pub(super) state: State,
    pub(super) joined: SystemTime,
    pub(super) auto_subscribe: AutoSubscribe,
    pub(super) adaptive_stream: AdaptiveStream,
    pub(super) shortage: Shortage,
    /// What they asked to receive, or not.
    pub(super) desires: Desires,
    /// Who may receive what they publish.
    pub(super) audience: Audience,
    /// Messages that came from them and went to them.
    pub(super) data: DataInbox,
    pub(super) data_tracks: DataTracks,
    pub(super) quality: Score,
    /// What they publish, also what they only announced.
    pub(super) tracks: BTreeSet<TrackId>,
    /// Tracks announced under a cid that is taken.
    pub(super) queued: VecDeque<proto::AddTrackRequest>,
    /// Whether what makes them offer waits until the offer that follows their join is answered.
    pub(super) held: Held,
    /// How a test wants the next resume to fail.
    pub(super) sabotage: Sabotage,
    version: u32,
    ever_published: bool,
}

/// What somebody is told later than it happens: whatever would make them offer.
#[derive(Debug, PartialEq)]
pub(super) enum Held {
    /// Nothing.
    Never,
    /// Until their next offer is answered.
    Until(Vec<proto::TrackPublishedResponse>),
}

/// How a test wants the next resume to fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sabotage {
    /// Not at all.
    #[default]
    None,
    /// After the first message.
    AfterReconnect,
    /// Before any message, until then and this often.
    Silent { until: Instant, left: u32 },
}

/// What a participant begins with.
pub(super) struct Beginning {
    pub(super) id: ParticipantId,
    pub(super) sid: String,
    pub(super) claims: Claims,
    pub(super) client: Client,
    pub(super) session: SessionId,
    pub(super) link: Link,
    pub(super) joined: SystemTime,
    pub(super) auto_subscribe: AutoSubscribe,
    pub(super) adaptive_stream: AdaptiveStream,
    pub(super) shortage: Shortage,
}

impl Participant {
    pub(super) fn new(beginning: Beginning) -> Self {
        let Beginning {
            id,
            sid,
            claims,
            client,
            session,
            link,
            joined,
            auto_subscribe,
            adaptive_stream,
            shortage,
        } = beginning;
        Self {
            id,
            sid,
            claims,
            client,
            session: Some(session),
            away_since: None,
            link,
            state: State::Joining,
            joined,
            auto_subscribe,
            adaptive_stream,
            shortage,
            desires: Desires::default(),
            audience: Audience::default(),
            data: DataInbox::default(),
            data_tracks: DataTracks::default(),
            quality: Score::default(),
            tracks: BTreeSet::new(),
            queued: VecDeque::new(),
            held: Held::Never,
            sabotage: Sabotage::default(),
            version: 0,
            ever_published: false,
        }
    }

    pub(super) fn identity(&self) -> &str {
        &self.claims.identity
    }

    pub(super) fn kind(&self) -> Kind {
        self.claims.participant_kind()
    }

    /// What they may do; everything is refused to a token without a grant.
    pub(super) fn grant(&self) -> VideoGrant {
        self.claims.video.clone().unwrap_or_else(|| VideoGrant {
            can_publish: Some(false),
            can_subscribe: Some(false),
            ..VideoGrant::default()
        })
    }

    pub(super) fn permission(&self) -> proto::ParticipantPermission {
        self.grant().permission()
    }

    pub(super) fn may_subscribe(&self) -> bool {
        self.claims.video.as_ref().is_some_and(|grant| grant.can_subscribe.unwrap_or(true))
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.claims.video.as_ref().is_some_and(|grant| grant.hidden)
    }

    pub(super) fn is_recorder(&self) -> bool {
        self.kind() == Kind::Egress || self.claims.video.as_ref().is_some_and(|grant| grant.recorder)
    }

    pub(super) fn is_agent(&self) -> bool {
        self.kind() == Kind::Agent || self.claims.video.as_ref().is_some_and(|grant| grant.agent)
    }

    /// Whether they are in the room for the sake of others.
    pub(super) fn is_dependent(&self) -> bool {
        self.is_recorder() || self.is_agent()
    }

    pub(super) fn has_published(&self) -> bool {
        self.ever_published
    }

    /// They publish something from here on.
    pub(super) fn set_published(&mut self) {
        self.ever_published = true;
    }

    /// Something others can see changed.
    pub(super) fn touch(&mut self) {
        self.version = self.version.saturating_add(1);
    }

    /// What others see, with the tracks they publish.
    pub(super) fn info(&self, tracks: Vec<proto::TrackInfo>) -> proto::ParticipantInfo {
        let joined = self.joined.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let details = self.claims.kind_details.iter();
        proto::ParticipantInfo {
            sid: self.sid.clone(),
            identity: self.identity().to_string(),
            state: self.state as i32,
            tracks,
            metadata: self.claims.metadata.clone(),
            joined_at: i64::try_from(joined.as_secs()).unwrap_or(i64::MAX),
            joined_at_ms: i64::try_from(joined.as_millis()).unwrap_or(i64::MAX),
            name: self.claims.name.clone(),
            version: self.version,
            permission: Some(self.permission()),
            is_publisher: self.ever_published,
            kind: self.kind() as i32,
            attributes: self.claims.attributes.clone().into_iter().collect(),
            kind_details: details.filter_map(|detail| kind_detail(detail)).collect(),
            client_protocol: self.client.client_protocol(),
            capabilities: self.client.capabilities().to_vec(),
            ..Default::default()
        }
    }
}

fn kind_detail(name: &str) -> Option<i32> {
    proto::participant_info::KindDetail::from_str_name(&name.to_ascii_uppercase()).map(|detail| detail as i32)
}

/// Merges attributes: an empty value removes its key.
pub(super) fn merge_attributes(
    attributes: &mut BTreeMap<String, String>,
    changes: impl IntoIterator<Item = (String, String)>,
) {
    for (key, value) in changes {
        if value.is_empty() {
            attributes.remove(&key);
        } else {
            attributes.insert(key, value);
        }
    }
}
