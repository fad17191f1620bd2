//! Which layers of a track are worth sending: the best that anybody receives.
//!
//! Invariant: more is asked for at once, less only after nobody wanted more for a while.

use std::time::{Duration, Instant};

use sfu::params::{Delivery, MediaKind, Wish};

use super::{Room, subscription::Carrier, timers::Timer, track::Track};
use crate::wire::{
    Say,
    proto::{self, VideoQuality},
};

/// How long less must have been enough. Higher: fewer key frames for people who scroll to and fro. Lower: what nobody sees
/// costs for a shorter time; LiveKit waits five seconds, from which the client's own delay is to be taken.
const DOWNGRADE_AFTER: Duration = Duration::from_secs(3);
/// How long a fresh track is sent in full although nobody receives it.
const FIRST_OFF_AFTER: Duration = Duration::from_secs(10);

/// How much of a track is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Nothing.
    Off,
    /// The smallest picture.
    Low,
    /// The middle one.
    Medium,
    /// All.
    High,
}

impl Level {
    /// What a wish needs of a track with this many spatial layers.
    pub(super) fn of(wish: Wish, layers: u8) -> Self {
        match (wish.delivery, wish.layer_max, layers) {
            (Delivery::Paused, _, _) => Self::Off,
            (Delivery::On, 0, 2..) => Self::Low,
            (Delivery::On, 1, 3..) => Self::Medium,
            (Delivery::On, _, _) => Self::High,
        }
    }

    fn includes(self, quality: VideoQuality) -> bool {
        match quality {
            VideoQuality::Low => self >= Self::Low,
            VideoQuality::Medium => self >= Self::Medium,
            VideoQuality::High => self >= Self::High,
            VideoQuality::Off => false,
        }
    }
}

/// What was asked of a publisher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Demand {
    told: Option<Level>,
    less_since: Option<Instant>,
}

/// What is to be done about a demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is said.
    Settled,
    /// Tell the publisher.
    Tell(Level),
    /// Look again then.
    Later(Instant),
}

impl Demand {
    /// This much is wanted.
    pub(super) fn want(&mut self, level: Level, now: Instant) -> Verdict {
        let sent = self.told.unwrap_or(Level::High);
        if level >= sent {
            self.less_since = None;
            if level == sent {
                // All layers are sent until something else is asked for.
                return Verdict::Settled;
            }
            self.told = Some(level);
            return Verdict::Tell(level);
        }
        let unseen = self.told.is_none() && level == Level::Off;
        let patience = if unseen { FIRST_OFF_AFTER } else { DOWNGRADE_AFTER };
        let since = *self.less_since.get_or_insert(now);
        let due = since.checked_add(patience).unwrap_or(now);
        if now < due {
            return Verdict::Later(due);
        }
        self.less_since = None;
        self.told = Some(level);
        Verdict::Tell(level)
    }

    /// Nothing is sent before it is asked for.
    pub(super) const fn silent() -> Self {
        Self { told: Some(Level::Off), less_since: None }
    }

    /// How much is sent, as far as it was told.
    fn level(self) -> Level {
        self.told.unwrap_or(Level::High)
    }

    /// The publisher forgot, or was not listening: what was told is to be told again.
    pub(super) fn forget(&mut self) {
        *self = Self { told: self.told.map(|_| Level::Off), less_since: None };
    }
}

impl Room {
    /// Looks again at what is received of a track.
    pub(super) fn update_demand(&mut self, track: sfu::ids::TrackId, now: Instant) {
        let Some(known) = self.tracks.get(&track) else { return };
        if known.kind() != MediaKind::Video || !known.is_published() || known.info.muted {
            return;
        }
        let owner = known.owner;
        let wanted = |carrier: Carrier| {
            let layers = known.spatial_layers(carrier);
            let subscriptions = known.subscribers.iter().filter_map(|id| self.subscriptions.get(id));
            let carried = subscriptions.filter(|subscription| subscription.carrier == carrier);
            carried.map(|subscription| Level::of(subscription.wish, layers)).max().unwrap_or(Level::Off)
        };
        let (main, backup) = (wanted(Carrier::Main), wanted(Carrier::Backup));
        let Some(known) = self.tracks.get_mut(&track) else { return };
        let verdicts = [known.demand.want(main, now), known.backup_demand.want(backup, now)];
        let later = |verdict: Verdict| match verdict {
            Verdict::Later(at) => Some(at),
            Verdict::Settled | Verdict::Tell(_) => None,
        };
        match verdicts.into_iter().filter_map(later).min() {
            Some(at) => self.timers.set(Timer::Dynacast(track), at),
            None => self.timers.cancel(Timer::Dynacast(track)),
        }
        if verdicts.iter().any(|verdict| matches!(verdict, Verdict::Tell(_))) {
            let say = message(known);
            self.say(owner, say);
        }
    }
}

/// What is wanted of each codec, the first first: clients publish the second when it is named with something enabled.
#[expect(deprecated, reason = "old clients read the old field")]
fn message(track: &Track) -> Say {
    let qualities = |level: Level| {
        let qualities = [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High];
        qualities.map(|quality| proto::SubscribedQuality {
            quality: quality as i32,
            enabled: level.includes(quality),
        })
    };
    let codec = |mime: &str, demand: Demand| proto::SubscribedCodec {
        codec: mime.rsplit('/').next().unwrap_or_default().to_ascii_lowercase(),
        qualities: qualities(demand.level()).to_vec(),
    };
    let main = codec(&track.info.mime_type, track.demand);
    let backup = track.backup_mime().map(|mime| codec(mime, track.backup_demand));
    Say::SubscribedQualityUpdate(proto::SubscribedQualityUpdate {
        track_sid: track.sid().to_string(),
        subscribed_qualities: main.qualities.clone(),
        subscribed_codecs: std::iter::once(main).chain(backup).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn more_is_told_at_once_and_less_after_a_while() {
        let start = fixture::start();
        let mut demand = Demand::default();
        assert_eq!(demand.want(Level::High, start), Verdict::Settled, "all is sent anyway");

        let due = start + DOWNGRADE_AFTER;
        assert_eq!(demand.want(Level::Low, start), Verdict::Later(due));
        assert_eq!(demand.want(Level::Low, due), Verdict::Tell(Level::Low));
        assert_eq!(demand.want(Level::Low, due), Verdict::Settled);
        assert_eq!(demand.want(Level::Medium, due), Verdict::Tell(Level::Medium));
    }

    #[test]
    fn somebody_who_comes_back_soon_changes_nothing() {
        let start = fixture::start();
        let mut demand = Demand::default();
        demand.want(Level::High, start);
        demand.want(Level::Off, start);

        assert_eq!(demand.want(Level::High, start + Duration::from_secs(1)), Verdict::Settled);
        let later = start + Duration::from_secs(7);
        assert_eq!(demand.want(Level::Off, later), Verdict::Later(later + FIRST_OFF_AFTER));
    }

    #[test]
    fn a_track_nobody_receives_is_sent_for_ten_seconds() {
        let start = fixture::start();
        let mut demand = Demand::default();

        assert_eq!(demand.want(Level::Off, start), Verdict::Later(start + FIRST_OFF_AFTER));
        assert_eq!(demand.want(Level::Off, start + FIRST_OFF_AFTER), Verdict::Tell(Level::Off));
    }

    #[test]
    fn one_layer_is_all_or_nothing() {
        let wish = Wish::up_to;

        assert_eq!(Level::of(wish(0), 1), Level::High);
        assert_eq!(Level::of(wish(0), 3), Level::Low);
        assert_eq!(Level::of(wish(1), 3), Level::Medium);
        assert_eq!(Level::of(wish(1), 2), Level::High);
    }
}
