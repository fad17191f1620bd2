//! What a participant asked to receive, track by track.
//!
//! Invariant: at most [`DESIRES_MAX`] tracks are remembered; asking for more is not heard.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::wire::proto;

/// Higher: larger rooms for clients that choose every track. Lower: less memory per stranger.
const DESIRES_MAX: usize = 8192;
/// How long a track may be asked for before it is said to be missing.
pub(super) const MISSING_AFTER: Duration = Duration::from_secs(60);

/// What was asked about one track.
#[derive(Clone, Debug, Default)]
struct Desire {
    choice: Option<Choice>,
    settings: Option<proto::UpdateTrackSettings>,
}

/// Whether a track is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Since then.
    Wanted(Instant),
    /// Not at all.
    Unwanted,
}

/// What a participant asked to receive.
#[derive(Debug, Default)]
pub(super) struct Desires {
    by_track: BTreeMap<String, Desire>,
}

impl Desires {
    fn entry(&mut self, track: &str) -> Option<&mut Desire> {
        if self.by_track.len() >= DESIRES_MAX && !self.by_track.contains_key(track) {
            return None;
        }
        Some(self.by_track.entry(track.to_string()).or_default())
    }

    /// A track is wanted, or not.
    pub(super) fn choose(&mut self, track: &str, choice: Choice) {
        if let Some(desire) = self.entry(track) {
            desire.choice = Some(choice);
        }
    }

    /// What was chosen.
    pub(super) fn choice(&self, track: &str) -> Option<Choice> {
        self.by_track.get(track)?.choice
    }

    /// How a track is wanted.
    pub(super) fn set(&mut self, track: &str, settings: &proto::UpdateTrackSettings) {
        if let Some(desire) = self.entry(track) {
            desire.settings = Some(proto::UpdateTrackSettings { track_sids: Vec::new(), ..settings.clone() });
        }
    }

    /// How a track is wanted, when that was told.
    pub(super) fn settings(&self, track: &str) -> Option<&proto::UpdateTrackSettings> {
        self.by_track.get(track)?.settings.as_ref()
    }

    /// The track is gone for ever.
    pub(super) fn forget(&mut self, track: &str) {
        self.by_track.remove(track);
    }

    /// All choices are gone, as when the right to receive is lost.
    pub(super) fn clear_choices(&mut self) {
        self.by_track.values_mut().for_each(|desire| desire.choice = None);
    }

    /// Tracks wanted since, in their order.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (&str, Instant)> {
        self.by_track.iter().filter_map(|(track, desire)| match desire.choice {
            Some(Choice::Wanted(since)) => Some((track.as_str(), since)),
            Some(Choice::Unwanted) | None => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_last_word_about_a_track_counts() {
        let mut desires = Desires::default();
        desires.choose("TR_a", Choice::Wanted(fixture::start()));
        desires.choose("TR_a", Choice::Unwanted);

        assert_eq!(desires.choice("TR_a"), Some(Choice::Unwanted));
        assert_eq!(desires.wanted().count(), 0);
    }

    #[test]
    fn a_stranger_cannot_make_it_grow_without_end() {
        let mut desires = Desires::default();
        for track in 0..=DESIRES_MAX {
            desires.choose(&format!("TR_{track}"), Choice::Unwanted);
        }

        assert_eq!(desires.by_track.len(), DESIRES_MAX);
        desires.set("TR_0", &proto::UpdateTrackSettings { disabled: true, ..Default::default() });
        assert!(desires.settings("TR_0").is_some(), "what is known can still change");
    }
}
