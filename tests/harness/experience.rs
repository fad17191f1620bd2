//! What somebody sees and hears: when pictures could be shown and how large they were, and where sound was missing.

use std::time::{Duration, Instant};

use crate::sink::Sink;

/// Pictures further apart than this stand still for a viewer (webrtc-stats: `freezeCount` begins at 150 ms above the
/// usual distance).
const FREEZE: Duration = Duration::from_millis(190);
/// One packet of sound.
const SOUND: Duration = Duration::from_millis(20);

/// What a viewer saw of a track.
#[derive(Clone, Debug)]
pub struct Viewing {
    /// When each picture could be shown, and its encoding.
    pub shown: Vec<(Instant, u8)>,
}

impl Viewing {
    /// All of it, on a screen that shows pictures so long after they were taken: receivers that see losses wait longer.
    #[must_use]
    pub fn of(sink: &Sink, delay: Duration) -> Self {
        let pictures = sink.shown();
        let mut shown: Vec<(Instant, u8)> = Vec::new();
        let Some(first) = pictures.first().copied() else { return Self { shown } };
        let mut taken = first.at;
        let mut last = first.timestamp;
        for picture in pictures {
            // The two clocks need not agree: what comes sooner than it was expected moves the origin.
            let step = Duration::from_secs_f64(f64::from(picture.timestamp.wrapping_sub(last)) / 90_000.0);
            taken = (taken + step).min(picture.at);
            last = picture.timestamp;
            // A picture waits for those before it.
            let at = picture.at.max(taken + delay);
            shown.push((shown.last().map_or(at, |(latest, _)| at.max(*latest)), picture.layer));
        }
        Self { shown }
    }

    /// The encoding that was on the screen at a moment.
    #[must_use]
    pub fn layer_at(&self, moment: Instant) -> Option<u8> {
        self.shown.iter().rev().find(|(at, _)| *at <= moment).map(|(_, layer)| *layer)
    }

    /// How long after a moment an encoding was first shown that satisfies.
    #[must_use]
    pub fn until(&self, moment: Instant, satisfies: impl Fn(u8) -> bool) -> Option<Duration> {
        let found = self.shown.iter().find(|(at, layer)| *at >= moment && satisfies(*layer));
        found.map(|(at, _)| *at - moment)
    }

    /// The longest time between two pictures from one moment to another.
    #[must_use]
    pub fn longest_freeze(&self, from: Instant, to: Instant) -> Duration {
        self.stretches(from, to).into_iter().max().unwrap_or_default()
    }

    /// The share of the time in which the picture stood still.
    #[must_use]
    pub fn frozen(&self, from: Instant, to: Instant) -> f64 {
        let frozen: Duration = self.stretches(from, to).into_iter().filter(|time| *time > FREEZE).sum();
        frozen.as_secs_f64() / (to - from).as_secs_f64()
    }

    /// The share of the time in which this encoding or a higher one was on the screen.
    #[must_use]
    pub fn share_at_least(&self, layer: u8, from: Instant, to: Instant) -> f64 {
        let within: Vec<_> = self.shown.iter().filter(|(at, _)| (from..to).contains(at)).collect();
        let time: Duration =
            within.windows(2).filter(|pair| pair[0].1 >= layer).map(|pair| pair[1].0 - pair[0].0).sum();
        time.as_secs_f64() / (to - from).as_secs_f64()
    }

    /// How often the encoding changed.
    #[must_use]
    pub fn changes(&self, from: Instant, to: Instant) -> usize {
        let within: Vec<_> = self.shown.iter().filter(|(at, _)| (from..to).contains(at)).collect();
        within.windows(2).filter(|pair| pair[0].1 != pair[1].1).count()
    }

    fn stretches(&self, from: Instant, to: Instant) -> Vec<Duration> {
        let within = self.shown.iter().map(|(at, _)| *at).filter(|at| (from..to).contains(at));
        let moments: Vec<Instant> = std::iter::once(from).chain(within).chain([to]).collect();
        moments.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).collect()
    }
}

/// What a listener heard of a track.
#[derive(Clone, Copy, Debug)]
pub struct Hearing {
    /// The longest time without sound: nothing came, or what came was not what was missing.
    pub longest_gap: Duration,
    /// The share of packets that never came, and had to be made up.
    pub concealed: f64,
}

impl Hearing {
    /// From one moment to another.
    #[must_use]
    pub fn of(sink: &Sink, from: Instant, to: Instant) -> Self {
        let within: Vec<Instant> =
            sink.packets.iter().map(|packet| packet.at).filter(|at| (from..to).contains(at)).collect();
        let moments: Vec<Instant> = std::iter::once(from).chain(within).chain([to]).collect();
        let silence = moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        let mut within = sink.clone();
        within.packets.retain(|packet| (from..to).contains(&packet.at));
        let numbers = within.sounds();
        let missing: Vec<u32> = numbers.windows(2).map(|pair| pair[1].saturating_sub(pair[0] + 1)).collect();
        let run = missing.iter().max().copied().unwrap_or(0);
        let lost: u32 = missing.iter().sum();
        let all = f64::from(lost) + numbers.len() as f64;
        Self { longest_gap: silence.max(SOUND * run), concealed: f64::from(lost) / all.max(1.0) }
    }
}
