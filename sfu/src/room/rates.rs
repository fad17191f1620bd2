//! How many bits per second each layer of an encoding takes, from what arrives.
//!
//! Invariant: a rate rises soon and falls slowly: a still picture is no reason to promise its bandwidth to others.

use std::time::{Duration, Instant};

use crate::{forward::layers::Target, units::Bitrate};

/// Layers told apart; what is above counts as the highest.
const SPATIAL: usize = 4;
const TEMPORAL: usize = 4;
/// Rates are looked at after so long: eight pictures.
const WINDOW: Duration = Duration::from_millis(250);
/// A longer one is a pause, and tells nothing.
const WINDOW_MAX: Duration = Duration::from_secs(2);
/// How much a window counts, going up and going down: half of a fall is seen after 2 s.
const RISE: f64 = 0.6;
const FALL: f64 = 0.08;
/// What every packet has besides its payload: header, extensions, tag.
const OVERHEAD: usize = 36;

/// The rates of one encoding.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    bytes: [[u32; TEMPORAL]; SPATIAL],
    bps: [[f64; TEMPORAL]; SPATIAL],
    since: Option<Instant>,
    windows: u32,
}

impl Rates {
    /// A packet of so many bytes of payload arrived.
    pub(crate) fn count(&mut self, len: usize, layers: Target, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if passed >= WINDOW {
            self.close(passed);
            self.since = Some(now);
        }
        let spatial = usize::from(layers.spatial).min(SPATIAL - 1);
        let temporal = usize::from(layers.temporal).min(TEMPORAL - 1);
        if let Some(bytes) = self.bytes.get_mut(spatial).and_then(|row| row.get_mut(temporal)) {
            *bytes = bytes.saturating_add(u32::try_from(len.saturating_add(OVERHEAD)).unwrap_or(u32::MAX));
        }
    }

    /// What it takes to forward up to these layers; `None` while nobody knows.
    pub(crate) fn up_to(&self, target: Target) -> Option<Bitrate> {
        if self.windows == 0 {
            return None;
        }
        let rows = self.bps.iter().take(usize::from(target.spatial).saturating_add(1));
        let bps: f64 =
            rows.flat_map(|row| row.iter().take(usize::from(target.temporal).saturating_add(1))).sum();
        Some(bitrate(bps))
    }

    /// The highest layers that take anything.
    pub(crate) fn highest(&self) -> Target {
        let mut highest = Target { spatial: 0, temporal: 0 };
        for (spatial, row) in (0..).zip(&self.bps) {
            for (temporal, bps) in (0..).zip(row) {
                if *bps > 1_000.0 {
                    highest = Target { spatial, temporal: highest.temporal.max(temporal) };
                }
            }
        }
        highest
    }

    fn close(&mut self, passed: Duration) {
        let bytes = std::mem::take(&mut self.bytes);
        if passed > WINDOW_MAX {
            return;
        }
        self.windows = self.windows.saturating_add(1);
        let first = self.windows == 1;
        let cells = bytes.iter().flatten().zip(self.bps.iter_mut().flatten());
        for (bytes, bps) in cells {
            let seen = f64::from(*bytes) * 8.0 / passed.as_secs_f64();
            let weight = if first {
                1.0
            } else if seen > *bps {
                RISE
            } else {
                FALL
            };
            *bps += weight * (seen - *bps);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a sum of what arrived is not negative"
)]
fn bitrate(bps: f64) -> Bitrate {
    Bitrate::bps(bps as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    const ALL: Target = Target::ALL;

    fn run(rates: &mut Rates, from: Instant, packets: u32, len: usize) -> Instant {
        for packet in 0..packets {
            let temporal = u8::try_from(packet % 2).unwrap();
            rates.count(len, Target { spatial: 0, temporal }, from + packet * Duration::from_millis(10));
        }
        from + packets * Duration::from_millis(10)
    }

    #[test]
    fn a_rate_is_known_after_a_quarter_of_a_second_and_by_layer() {
        let mut rates = Rates::default();
        assert_eq!(rates.up_to(ALL), None);

        run(&mut rates, fixture::start(), 30, 1_214);

        let all = rates.up_to(ALL).unwrap().as_bps();
        let half = rates.up_to(Target { spatial: 2, temporal: 0 }).unwrap().as_bps();
        assert!((950_000..1_050_000).contains(&all), "{all}");
        assert!((450_000..550_000).contains(&half), "{half}");
        assert_eq!(rates.highest(), Target { spatial: 0, temporal: 1 });
    }

    #[test]
    fn it_rises_soon_and_falls_slowly() {
        let mut rates = Rates::default();
        let at = run(&mut rates, fixture::start(), 100, 100);
        let at = run(&mut rates, at, 100, 1_214);
        assert!(rates.up_to(ALL).unwrap() > Bitrate::kbps(900));

        let at = run(&mut rates, at, 50, 100);
        assert!(rates.up_to(ALL).unwrap() > Bitrate::kbps(700));
        run(&mut rates, at, 1_500, 100);
        assert!(rates.up_to(ALL).unwrap() < Bitrate::kbps(250));
    }
}
