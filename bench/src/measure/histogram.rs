//! How often each value was seen, in buckets that are never wider than a thirty-second of the value.

use serde::Serialize;

/// Each power of two is cut into this many buckets.
const CUTS: u32 = 32;
const CUT_BITS: u32 = CUTS.ilog2();
/// Up to 2^40 ns: eighteen minutes.
const BUCKETS: usize = (36 * CUTS) as usize;

/// Values in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, sum: 0, max: 0 }
    }
}

/// What is told of a histogram, in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    /// Upper end of a bucket and the share of values up to it, for plots.
    pub(crate) curve: Vec<(f64, f64)>,
}

/// Points of a curve in a report.
const CURVE: u64 = 100;

impl Histogram {
    pub(crate) fn add(&mut self, nanos: u64) {
        let at = bucket(nanos);
        if let Some(count) = self.buckets.get_mut(at) {
            *count += 1;
        }
        self.count += 1;
        self.sum += u128::from(nanos);
        self.max = self.max.max(nanos);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    /// The value that `per_mille` of a thousand values do not exceed.
    pub(crate) fn quantile(&self, per_mille: u64) -> u64 {
        let rank = (self.count * per_mille).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(at).min(self.max);
            }
        }
        self.max
    }

    pub(crate) fn spread(&self) -> Spread {
        let millis = |nanos: u64| to_millis(nanos);
        let mean = self.sum.checked_div(u128::from(self.count)).unwrap_or(0);
        Spread {
            count: self.count,
            mean: millis(u64::try_from(mean).unwrap_or(u64::MAX)),
            p50: millis(self.quantile(500)),
            p95: millis(self.quantile(950)),
            p99: millis(self.quantile(990)),
            p999: millis(self.quantile(999)),
            max: millis(self.max),
            curve: self.curve(),
        }
    }

    fn curve(&self) -> Vec<(f64, f64)> {
        if self.count == 0 {
            return Vec::new();
        }
        let mut points: Vec<(f64, f64)> = Vec::new();
        for step in (0..CURVE).map(|step| step * 1_000 / CURVE).chain([991, 993, 995, 997, 998, 999, 1_000]) {
            points.push((to_millis(self.quantile(step)), to_ratio(step)));
        }
        points
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
pub(crate) fn to_millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "up to a thousand")]
fn to_ratio(per_mille: u64) -> f64 {
    per_mille as f64 / 1e3
}

fn bucket(nanos: u64) -> usize {
    let cuts = u64::from(CUTS);
    if nanos < cuts {
        return usize::try_from(nanos).unwrap_or(0);
    }
    let shift = nanos.ilog2() - CUT_BITS;
    let at = u64::from(shift + 1) * cuts + ((nanos >> shift) - cuts);
    usize::try_from(at).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn upper(at: usize) -> u64 {
    let (at, cuts) = (at as u64, u64::from(CUTS));
    let (power, cut) = (at / cuts, at % cuts);
    if power == 0 { cut } else { ((cut + cuts + 1) << (power - 1)) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_thirty_second_wide_at_most() {
        for value in (0..200).chain([1_000, 999_999, 123_456_789, 60_000_000_000]) {
            let top = upper(bucket(value));
            assert!(top >= value && top - value <= value / 32 + 1, "{value}: {top}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_added() {
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|value| histogram.add(value * 1_000));

        let spread = histogram.spread();
        assert!((spread.p50 - 0.5).abs() < 0.02 && (spread.p99 - 0.99).abs() < 0.03, "{spread:?}");
        assert!((spread.max - 1.0).abs() < 1e-9);
    }
}
