//! Who may do what: publish, receive, be received.
//!
//! Invariant: what a publisher says about its audience replaces what it said before.

use std::collections::{BTreeMap, BTreeSet};

use super::participant::Participant;
use crate::wire::proto::{self, TrackSource};

/// How many participants a publisher may name.
const NAMED_MAX: usize = 8192;
/// How many tracks it may name for each.
const TRACKS_MAX: usize = 256;

/// Who may receive what a participant publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everybody.
    #[default]
    Everybody,
    /// Those who are named, by sid or by identity.
    Named {
        /// By sid.
        sids: BTreeMap<String, Share>,
        /// By identity.
        identities: BTreeMap<String, Share>,
    },
}

/// What somebody may receive of a publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// Every track.
    All,
    /// These tracks, by sid.
    Tracks(BTreeSet<String>),
}

impl Audience {
    /// As the publisher says.
    pub(super) fn new(permission: &proto::SubscriptionPermission) -> Self {
        if permission.all_participants {
            return Self::Everybody;
        }
        let (mut sids, mut identities) = (BTreeMap::new(), BTreeMap::new());
        for track in permission.track_permissions.iter().take(NAMED_MAX) {
            let share = if track.all_tracks {
                Share::All
            } else {
                Share::Tracks(track.track_sids.iter().take(TRACKS_MAX).cloned().collect())
            };
            if track.participant_identity.is_empty() {
                sids.insert(track.participant_sid.clone(), share);
            } else {
                identities.insert(track.participant_identity.clone(), share);
            }
        }
        Self::Named { sids, identities }
    }

    /// Whether somebody may receive a track.
    pub(super) fn includes(&self, subscriber: &Participant, track: &str) -> bool {
        match self {
            Self::Everybody => true,
            Self::Named { .. } if subscriber.is_recorder() => true,
            Self::Named { sids, identities } => {
                let share = sids.get(&subscriber.sid).or_else(|| identities.get(subscriber.identity()));
                match share {
                    Some(Share::All) => true,
                    Some(Share::Tracks(tracks)) => tracks.contains(track),
                    None => false,
                }
            }
        }
    }
}

/// Whether a permission lets a source be published.
pub(super) fn may_publish(permission: &proto::ParticipantPermission, source: i32) -> bool {
    if !permission.can_publish {
        return false;
    }
    let sources = &permission.can_publish_sources;
    sources.is_empty() || sources.contains(&TrackSource::try_from(source).unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_sources_replace_any_source() {
        let mut permission = proto::ParticipantPermission { can_publish: true, ..Default::default() };
        assert!(may_publish(&permission, TrackSource::Camera as i32));

        permission.can_publish_sources = vec![TrackSource::Microphone as i32];
        assert!(!may_publish(&permission, TrackSource::Camera as i32));
        assert!(may_publish(&permission, TrackSource::Microphone as i32));

        permission.can_publish = false;
        assert!(!may_publish(&permission, TrackSource::Microphone as i32), "no still means no");
    }

    #[test]
    fn the_last_word_about_the_audience_counts() {
        let open = proto::SubscriptionPermission { all_participants: true, ..Default::default() };

        assert_eq!(Audience::new(&open), Audience::Everybody);
        assert_ne!(Audience::new(&proto::SubscriptionPermission::default()), Audience::Everybody);
    }
}
