//! How much arrives: bytes the receiver told of, by its own clock.

use super::Micros;

/// One bucket, and how many make the window: 300 ms, ten pictures.
const BUCKET: i64 = 20_000;
const BUCKETS: usize = 16;
/// A shorter window.
const LATELY: usize = 6;
/// A dozen packets of 1,200 bytes within it. Fewer tell nothing.
const LATELY_LEAST: f64 = 900_000.0;
/// Of the window, so much has to have passed before there is a rate.
const LEAST: f64 = 100_000.0;

/// What arrived lately.
#[derive(Debug, Default)]
pub(crate) struct Throughput {
    bytes: [u32; BUCKETS],
    // The bucket that is being filled, counted from the receiver's zero.
    current: Option<i64>,
    first: i64,
}

impl Throughput {
    /// A packet arrived.
    pub(crate) fn arrived(&mut self, len: u16, at: Micros) {
        let bucket = at.0.div_euclid(BUCKET);
        let current = *self.current.get_or_insert_with(|| {
            self.first = at.0;
            bucket
        });
        if bucket > current {
            let passed = usize::try_from(bucket.saturating_sub(current)).unwrap_or(BUCKETS).min(BUCKETS);
            for step in 0..passed {
                if let Some(bytes) = self.bytes.get_mut(place(bucket - step as i64)) {
                    *bytes = 0;
                }
            }
            self.current = Some(bucket);
        } else if current - bucket >= BUCKETS as i64 {
            return;
        }
        if let Some(bytes) = self.bytes.get_mut(place(bucket)) {
            *bytes = bytes.saturating_add(u32::from(len));
        }
    }

    /// Bits per second, when enough time has passed to tell.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.over(BUCKETS)
    }

    /// The same over the last 120 ms, if enough came: what a full path carries at this moment, with nothing of before it
    /// was full.
    pub(crate) fn rate_lately(&self) -> Option<f64> {
        self.over(LATELY).filter(|rate| *rate >= LATELY_LEAST)
    }

    fn over(&self, buckets: usize) -> Option<f64> {
        let current = self.current?;
        let newest = (0..buckets as i64).filter_map(|back| self.bytes.get(place(current - back)));
        let bytes: u64 = newest.map(|bytes| u64::from(*bytes)).sum();
        let window = BUCKET * buckets as i64;
        // The bucket that is being filled counts as half a bucket.
        let end = current * BUCKET + BUCKET / 2;
        let span = end.saturating_sub(self.first).clamp(0, window - BUCKET / 2) as f64;
        (span >= LEAST).then(|| bytes as f64 * 8.0 / span * 1_000_000.0)
    }
}

fn place(bucket: i64) -> usize {
    usize::try_from(bucket.rem_euclid(BUCKETS as i64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_has_its_rate_and_a_change_shows_within_the_window() {
        let mut throughput = Throughput::default();
        // 1,000 bytes every 8 ms are 1 Mbit/s.
        for packet in 0..250 {
            throughput.arrived(1_000, Micros(7_000_000 + packet * 8_000));
        }
        let before = throughput.rate().unwrap();
        for packet in 0..10 {
            throughput.arrived(1_000, Micros(9_000_000 + packet * 32_000));
        }
        let after = throughput.rate().unwrap();

        assert!((950_000.0..1_080_000.0).contains(&before), "{before}");
        assert!((200_000.0..320_000.0).contains(&after), "{after}");
    }

    #[test]
    fn there_is_no_rate_before_there_is_time() {
        let mut throughput = Throughput::default();
        assert_eq!(throughput.rate(), None);
        throughput.arrived(1_000, Micros(5));
        assert_eq!(throughput.rate(), None);
    }

    #[test]
    fn any_jump_of_the_clock_is_borne() {
        let mut throughput = Throughput::default();
        for at in [0, i64::MAX / 4, 3, -90_000_000, i64::MAX / 4 + 1_000_000] {
            throughput.arrived(u16::MAX, Micros(at));
            let _ = throughput.rate();
        }
    }
}
