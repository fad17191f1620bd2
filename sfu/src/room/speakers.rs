//! Who is speaking, from the audio levels clients put beside their packets (RFC 6464).
//!
//! Invariants:
//! - somebody speaks who was loud for 40 % of an interval, smoothed over two;
//! - only changes are told, and who falls silent or leaves is told once, at level 0.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    event::{Speaker, SpeakerState},
    forward::wall::from_ticks,
    ids::ParticipantId,
    units::RtpTime,
};

/// How often it is decided.
const INTERVAL: Duration = Duration::from_millis(400);
/// Loud is at most this many decibels below overload.
const LOUD_MAX: u8 = 35;
/// So much of an interval has to be loud: 40 %.
const ACTIVE_MIN: Duration = Duration::from_millis(160);
/// The weight of the newest interval in a moving average over two: 2 / (2 + 1).
const NEWEST: f32 = 2.0 / 3.0;
/// Levels are told in steps of an eighth, rounded up.
const STEPS: f32 = 8.0;
/// The duration of a packet whose timestamp does not tell it.
const PACKET: Duration = Duration::from_millis(20);
/// Longer steps of the timestamp are pauses.
const PACKET_MAX: Duration = Duration::from_millis(120);

/// What one microphone sent in this interval, and how it sounded before.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    active: Duration,
    loudest: Option<u8>,
    smoothed: f32,
    last: Option<RtpTime>,
}

impl Voice {
    /// A packet whose loudness is this many decibels below overload.
    pub(crate) fn heard(&mut self, attenuation: u8, timestamp: RtpTime, clock_rate: u32) {
        let duration = self.duration(timestamp, clock_rate);
        if attenuation > LOUD_MAX {
            return;
        }
        self.active += duration;
        self.loudest = Some(self.loudest.map_or(attenuation, |loudest| loudest.min(attenuation)));
    }

    /// Nothing of it is heard by anyone.
    pub(crate) fn hush(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }

    fn duration(&mut self, timestamp: RtpTime, clock_rate: u32) -> Duration {
        let Some(last) = self.last.replace(timestamp) else { return PACKET };
        let Ok(since) = u32::try_from(timestamp.since(last)) else { return Duration::ZERO };
        let since = from_ticks(since, clock_rate);
        if since > PACKET_MAX { PACKET } else { since }
    }

    /// Ends the interval: the level it leaves behind, 0 for silence.
    fn close(&mut self) -> f32 {
        let linear = match self.loudest.take() {
            Some(loudest) if self.active >= ACTIVE_MIN => {
                let share = self.active.as_secs_f32() / INTERVAL.as_secs_f32();
                from_attenuation(f32::from(loudest)) * share.min(1.0)
            }
            Some(_) | None => 0.0,
        };
        self.active = Duration::ZERO;
        self.smoothed += (linear - self.smoothed) * NEWEST;
        if self.smoothed >= from_attenuation(f32::from(LOUD_MAX)) { self.smoothed } else { 0.0 }
    }
}

fn from_attenuation(decibels: f32) -> f32 {
    10.0_f32.powf(-decibels / 20.0)
}

fn quantised(level: f32) -> f32 {
    (level * STEPS).ceil().min(STEPS) / STEPS
}

/// What was told of whom.
#[derive(Debug, Default)]
pub(crate) struct Speakers {
    told: BTreeMap<ParticipantId, f32>,
    due: Option<Instant>,
}

impl Speakers {
    /// When it is to be decided next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// A microphone was heard: it will be decided.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.due.get_or_insert(now + INTERVAL);
    }

    /// Decides, when it is time, and returns those of whom something changed.
    pub(crate) fn decide<'a>(
        &mut self,
        voices: impl Iterator<Item = (ParticipantId, &'a mut Voice)>,
        now: Instant,
    ) -> Vec<Speaker> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut levels: BTreeMap<ParticipantId, f32> = BTreeMap::new();
        for (participant, voice) in voices {
            let level = quantised(voice.close());
            let loudest = levels.entry(participant).or_default();
            *loudest = loudest.max(level);
        }
        levels.retain(|_, level| *level > 0.0);

        let silenced = self.told.keys().filter(|participant| !levels.contains_key(*participant));
        let mut changed: Vec<_> = silenced
            .map(|participant| Speaker { participant: *participant, level: 0.0, state: SpeakerState::Silent })
            .collect();
        for (participant, level) in &levels {
            if self.told.get(participant) != Some(level) {
                changed.push(Speaker {
                    participant: *participant,
                    level: *level,
                    state: SpeakerState::Active,
                });
            }
        }
        self.due = if levels.is_empty() && changed.is_empty() { None } else { Some(now + INTERVAL) };
        self.told = levels;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    const ANN: ParticipantId = ParticipantId(1);

    /// One interval of packets, of which the first `loud` are at -20 dBov.
    fn interval(voice: &mut Voice, speakers: &mut Speakers, loud: u32, now: &mut Instant) -> Vec<Speaker> {
        for packet in 0..20 {
            let timestamp = voice.last.map_or(RtpTime(0), |last| last.plus(960));
            voice.heard(if packet < loud { 20 } else { 90 }, timestamp, 48_000);
            speakers.heard(*now);
        }
        *now += INTERVAL;
        speakers.decide([(ANN, voice)].into_iter(), *now)
    }

    #[test]
    fn who_is_loud_long_enough_speaks_at_once() {
        let mut now = fixture::start();
        let (mut voice, mut speakers) = (Voice::default(), Speakers::default());

        let told = interval(&mut voice, &mut speakers, 20, &mut now);

        assert_eq!(told, [Speaker { participant: ANN, level: 0.125, state: SpeakerState::Active }]);
    }

    #[test]
    fn a_cough_is_no_speech() {
        let mut now = fixture::start();
        let (mut voice, mut speakers) = (Voice::default(), Speakers::default());

        assert_eq!(interval(&mut voice, &mut speakers, 7, &mut now), []);
    }

    #[test]
    fn the_same_is_not_told_twice_and_silence_once() {
        let mut now = fixture::start();
        let (mut voice, mut speakers) = (Voice::default(), Speakers::default());
        interval(&mut voice, &mut speakers, 20, &mut now);

        assert_eq!(interval(&mut voice, &mut speakers, 20, &mut now), []);
        let told: Vec<_> = (0..5).flat_map(|_| interval(&mut voice, &mut speakers, 0, &mut now)).collect();

        assert_eq!(told, [Speaker { participant: ANN, level: 0.0, state: SpeakerState::Silent }]);
    }

    #[test]
    fn who_leaves_while_speaking_is_told_silent_and_then_nothing_is_waited_for() {
        let mut now = fixture::start();
        let (mut voice, mut speakers) = (Voice::default(), Speakers::default());
        interval(&mut voice, &mut speakers, 20, &mut now);

        now += INTERVAL;
        let told = speakers.decide([].into_iter(), now);
        now += INTERVAL;
        let after = speakers.decide([].into_iter(), now);

        assert_eq!(told.len(), 1);
        assert_eq!(told[0].state, SpeakerState::Silent);
        assert!(after.is_empty());
        assert_eq!(speakers.deadline(), None);
    }

    #[test]
    fn the_louder_of_two_microphones_counts() {
        let mut now = fixture::start();
        let mut speakers = Speakers::default();
        let (mut quiet, mut loud) = (Voice::default(), Voice::default());
        for packet in 0..20 {
            quiet.heard(90, RtpTime(packet * 960), 48_000);
            loud.heard(0, RtpTime(packet * 960), 48_000);
        }
        speakers.heard(now);

        now += INTERVAL;
        let told = speakers.decide([(ANN, &mut loud), (ANN, &mut quiet)].into_iter(), now);

        assert_eq!(told.len(), 1);
        assert!(told[0].level > 0.6);
    }
}
