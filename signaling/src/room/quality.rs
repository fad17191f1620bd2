//! How well a participant is connected, from how their streams fare.
//!
//! Invariant: a participant is as well off as the worst of their streams, and changes are smoothed.

use std::time::{Duration, Instant};

use sfu::{
    event::{Report, StreamReport, StreamState},
    ids::ParticipantId,
    params::MediaKind,
};

use super::{Room, link::Progress, timers::Timer};
use crate::wire::{
    Say,
    proto::{self, ConnectionQuality},
};

/// How often quality is judged.
pub(super) const QUALITY_EVERY: Duration = Duration::from_secs(5);

const BEST: f64 = 100.0;
/// A path that does not carry all that is wanted is poor.
const MISSED: f64 = 30.0;
/// What one per cent of loss costs.
const AUDIO_LOSS_WEIGHT: f64 = 8.0;
const VIDEO_LOSS_WEIGHT: f64 = 10.0;
/// How fast good news and bad news are believed.
const RISE: f64 = 0.4;
const FALL: f64 = 0.8;

/// What is known of a participant's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Score {
    smooth: f64,
    window: Option<f64>,
    told: Option<ConnectionQuality>,
}

impl Default for Score {
    fn default() -> Self {
        Self { smooth: BEST, window: None, told: None }
    }
}

impl Score {
    /// One stream fared so.
    fn add(&mut self, kind: MediaKind, report: &StreamReport, rtt: Option<Duration>) {
        if report.expected == 0 {
            return;
        }
        let score = stream_score(kind, report, rtt);
        self.window = Some(self.window.map_or(score, |worst| worst.min(score)));
    }

    /// A stream could not be sent at all.
    fn miss(&mut self) {
        self.window = Some(self.window.map_or(MISSED, |worst| worst.min(MISSED)));
    }

    /// The time is over: what is to be told, when it changed.
    fn close(&mut self) -> Option<ConnectionQuality> {
        // Who sends and receives nothing has nothing to complain about.
        let window = self.window.take().unwrap_or(BEST);
        let factor = if window > self.smooth { RISE } else { FALL };
        self.smooth += factor * (window - self.smooth);
        self.tell(level(self.smooth))
    }

    fn tell(&mut self, quality: ConnectionQuality) -> Option<ConnectionQuality> {
        let changed = self.told != Some(quality);
        self.told = Some(quality);
        changed.then_some(quality)
    }

    fn info(&self, sid: &str) -> Option<proto::ConnectionQualityInfo> {
        let quality = self.told?;
        let score = if quality == ConnectionQuality::Lost { 1.0 } else { opinion(self.smooth) };
        Some(proto::ConnectionQualityInfo {
            participant_sid: sid.to_string(),
            quality: quality as i32,
            score,
        })
    }
}

/// However badly streams fare, they are not lost: `livekit-client` joins anew when it publishes and is told LOST, and a
/// room of overloaded clients that all join anew comes to no rest. Lost is a transport that is gone.
fn level(score: f64) -> ConnectionQuality {
    match score {
        score if score > 80.0 => ConnectionQuality::Excellent,
        score if score > 40.0 => ConnectionQuality::Good,
        _ => ConnectionQuality::Poor,
    }
}

fn stream_score(kind: MediaKind, report: &StreamReport, rtt: Option<Duration>) -> f64 {
    let packets = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let loss = packets(report.lost) / packets(report.expected) * 100.0;
    let weight = match kind {
        MediaKind::Audio => AUDIO_LOSS_WEIGHT,
        MediaKind::Video => VIDEO_LOSS_WEIGHT,
    };
    let one_way = rtt.unwrap_or_default() / 2 + report.jitter * 2;
    // ITU-T G.107 as simplified for one-way delay: mild to 160 ms, steep after.
    let delay = one_way.as_secs_f64() * 1000.0;
    let delay_effect = if delay < 160.0 { delay / 40.0 } else { (delay - 120.0) / 10.0 };
    (BEST - delay_effect - loss * weight).clamp(0.0, BEST)
}

/// The mean opinion score of a rating (ITU-T G.107 annex B).
#[expect(clippy::cast_possible_truncation, reason = "a number between 1 and 4.5")]
fn opinion(rating: f64) -> f32 {
    let score = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (BEST - rating) * 7.0e-6;
    score.clamp(1.0, 4.5) as f32
}

impl Room {
    /// The media plane tells how streams fared.
    pub(super) fn report(&mut self, report: &Report) {
        for (track, stream) in &report.received {
            let Some(known) = self.tracks.get(track) else { continue };
            let (kind, muted, owner) = (known.kind(), known.info.muted, known.owner);
            if let Some(participant) = self.participants.get_mut(&owner).filter(|_| !muted) {
                participant.quality.add(kind, stream, report.rtt);
            }
        }
        for (subscription, stream) in &report.sent {
            let Some(known) = self.subscriptions.get(subscription) else { continue };
            let Some(track) = self.tracks.get(&known.track).filter(|track| !track.info.muted) else {
                continue;
            };
            let kind = track.kind();
            if let Some(participant) = self.participants.get_mut(&known.subscriber) {
                participant.quality.add(kind, stream, report.rtt);
                if known.state == StreamState::Paused {
                    participant.quality.miss();
                }
            }
        }
    }

    /// The time to judge has come.
    pub(super) fn judge_quality(&mut self, now: Instant) {
        let mut news: Vec<ParticipantId> = Vec::new();
        for (id, participant) in &mut self.participants {
            let primary = participant.link.peer(participant.link.primary());
            let changed = match primary.map(|peer| peer.progress) {
                Some(Progress::Connected) => participant.quality.close(),
                Some(Progress::Disconnected | Progress::Failed) => {
                    participant.quality.tell(ConnectionQuality::Lost)
                }
                Some(Progress::New) | None => None,
            };
            if changed.is_some() {
                news.push(*id);
            }
        }
        for id in news {
            self.tell_quality(id);
        }
        if let Some(next) = now.checked_add(QUALITY_EVERY).filter(|_| !self.participants.is_empty()) {
            self.timers.set(Timer::Quality, next);
        }
    }

    fn tell_quality(&mut self, id: ParticipantId) {
        let Some(say) = self.quality_of(id) else { return };
        self.say(id, say.clone());
        for subscriber in self.audience_of(id) {
            self.say(subscriber, say.clone());
        }
    }

    /// What is told of a participant's connection, when something is.
    pub(super) fn quality_of(&self, id: ParticipantId) -> Option<Say> {
        let participant = self.participants.get(&id)?;
        let update = participant.quality.info(&participant.sid)?;
        Some(Say::ConnectionQuality(proto::ConnectionQualityUpdate { updates: vec![update] }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_stream_is_excellent_and_a_dreadful_one_is_poor() {
        assert_eq!(judge(&[(0, 2)]), Some(ConnectionQuality::Excellent));
        assert_eq!(judge(&[(50, 2)]), Some(ConnectionQuality::Poor));
    }

    #[test]
    fn the_worst_stream_decides() {
        assert_eq!(judge(&[(0, 2), (5, 2)]), Some(ConnectionQuality::Good));
    }

    #[test]
    fn nothing_is_told_twice() {
        let mut score = Score::default();

        assert!(score.close().is_some());
        assert_eq!(score.close(), None);
    }

    #[test]
    fn opinions_are_between_one_and_four_and_a_half() {
        assert!((opinion(100.0) - 4.5).abs() < 0.01);
        assert!((opinion(0.0) - 1.0).abs() < 0.01);
    }

    /// Streams of a hundred packets, with this many lost and this jitter in milliseconds.
    fn judge(streams: &[(u64, u64)]) -> Option<ConnectionQuality> {
        let mut score = Score::default();
        for (lost, jitter) in streams {
            let report = StreamReport {
                expected: 100,
                lost: *lost,
                jitter: Duration::from_millis(*jitter),
                ..Default::default()
            };
            score.add(MediaKind::Video, &report, Some(Duration::from_millis(20)));
        }
        score.close()
    }
}
