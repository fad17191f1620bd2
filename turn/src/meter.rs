//! How much may pass: the generic cell rate algorithm, a leaky bucket that is a single number (ITU-T I.371).
//!
//! The number is when the bucket would be empty. What would make it later than a burst from now is refused.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// So much a second, and how much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_second: u64,
    burst: Duration,
}

/// What a bucket said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fits.
    Passes,
    /// It does not; nothing was taken.
    Exceeds,
}

impl Rate {
    /// `None` means without limit, and that is what 0 means.
    #[must_use]
    pub fn new(per_second: u64, burst: Duration) -> Option<Self> {
        (per_second > 0).then_some(Self { per_second, burst })
    }

    fn cost(&self, amount: u64) -> u64 {
        amount.saturating_mul(NANOS).checked_div(self.per_second).unwrap_or(0)
    }

    /// When the bucket is empty after the amount, or `None` when it does not fit.
    fn take(&self, empty_at: u64, amount: u64, since_start: u64) -> Option<u64> {
        let after = empty_at.max(since_start).saturating_add(self.cost(amount));
        let burst = u64::try_from(self.burst.as_nanos()).unwrap_or(u64::MAX);
        (after <= since_start.saturating_add(burst)).then_some(after)
    }
}

const NANOS: u64 = 1_000_000_000;

/// A bucket of one owner. `since_start` is in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket(u64);

impl Bucket {
    /// Takes the amount when it fits.
    pub fn take(&mut self, rate: Rate, amount: u64, since_start: u64) -> Verdict {
        match rate.take(self.0, amount, since_start) {
            Some(after) => {
                self.0 = after;
                Verdict::Passes
            }
            None => Verdict::Exceeds,
        }
    }

    /// Gives an amount back.
    pub fn refund(&mut self, rate: Rate, amount: u64) {
        self.0 = self.0.saturating_sub(rate.cost(amount));
    }
}

/// A bucket of several workers.
#[derive(Debug)]
pub struct SharedBucket {
    rate: Rate,
    empty_at: AtomicU64,
}

impl SharedBucket {
    /// An empty one.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, empty_at: AtomicU64::new(0) }
    }

    /// Takes the amount when it fits.
    pub fn take(&self, amount: u64, since_start: u64) -> Verdict {
        let taken = self.empty_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |empty_at| {
            self.rate.take(empty_at, amount, since_start)
        });
        if taken.is_ok() { Verdict::Passes } else { Verdict::Exceeds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000_000;

    #[test]
    fn a_rate_is_kept_to_the_packet() {
        let rate = Rate::new(1_000, Duration::from_secs(1)).unwrap();
        let mut bucket = Bucket::default();
        let mut passed = 0;
        for at in 0..10_000 {
            for _ in 0..2 {
                passed += u32::from(bucket.take(rate, 1, at * MILLI) == Verdict::Passes);
            }
        }
        assert_eq!(passed, 1_000 + 9_999);
    }

    #[test]
    fn what_is_refused_costs_nothing_and_what_is_given_back_can_be_taken_again() {
        let rate = Rate::new(10, Duration::from_secs(1)).unwrap();
        let mut bucket = Bucket::default();

        assert_eq!(bucket.take(rate, 11, 0), Verdict::Exceeds);
        assert_eq!(bucket.take(rate, 10, 0), Verdict::Passes);
        assert_eq!(bucket.take(rate, 1, 0), Verdict::Exceeds);
        bucket.refund(rate, 1);
        assert_eq!(bucket.take(rate, 1, 0), Verdict::Passes);
    }

    #[test]
    fn several_workers_share_one_rate() {
        let shared = SharedBucket::new(Rate::new(100, Duration::from_secs(1)).unwrap());

        let passed: usize = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..100).filter(|_| shared.take(1, 0) == Verdict::Passes).count()))
                .collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });

        assert_eq!(passed, 100);
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(Rate::new(0, Duration::from_secs(1)), None);
    }
}
