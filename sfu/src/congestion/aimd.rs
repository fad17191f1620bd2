//! The rate the delay allows: up while queues are empty, down at once when they grow
//! (draft-ietf-rmcat-gcc-02 §5.5).
//!
//! Invariants:
//! - growing never takes the rate far beyond what was seen to arrive; only a probe does;
//! - a rate that is not used is kept, not grown.

use super::{Micros, RATE_MAX, RATE_MIN, trend::Usage};

/// §5.5: what is left of the arriving rate when queues grow.
const DECREASE: f64 = 0.85;
/// §5.5: growth per second far from where the path was full before.
const GROWTH: f64 = 0.08;
/// §5.5: near there it grows by half a packet each response time.
const RESPONSE_SLACK_MS: f64 = 100.0;
const PACKET_BITS: f64 = 9_600.0;
const ADDED_MIN: f64 = 4_000.0;
/// §5.5: growth beyond what arrives is bounded.
const BEYOND: f64 = 1.5;
const BEYOND_BPS: f64 = 10_000.0;
/// How fast the mean of what arrives when the path is full forgets.
const CAPACITY_FORGETS: f64 = 0.05;
/// Its deviation, as a share of the mean: bounds, and how many of it are near.
const DEVIATION_MIN: f64 = 0.02;
const DEVIATION_MAX: f64 = 0.1;
const DEVIATIONS: f64 = 3.0;
/// Two cuts are a round trip and so much apart, and never closer than the other: the first has to show.
const CUT_SPACING_MS: f64 = 50.0;
const CUT_SPACING_MIN_MS: f64 = 300.0;

/// Where the path was full before.
#[derive(Clone, Copy, Debug)]
struct Capacity {
    mean: f64,
    deviation: f64,
}

impl Capacity {
    fn add(before: Option<Self>, arriving: f64) -> Self {
        let Some(before) = before.filter(|before| before.holds(arriving)) else {
            return Self { mean: arriving, deviation: DEVIATION_MAX };
        };
        let off = (arriving - before.mean).abs() / before.mean.max(1.0);
        let deviation = before.deviation + CAPACITY_FORGETS * (off - before.deviation);
        Self {
            mean: before.mean + CAPACITY_FORGETS * (arriving - before.mean),
            deviation: deviation.clamp(DEVIATION_MIN, DEVIATION_MAX),
        }
    }

    fn holds(&self, rate: f64) -> bool {
        (rate - self.mean).abs() <= DEVIATIONS * self.deviation * self.mean
    }
}

/// The rate the delay allows, in bits per second.
#[derive(Debug)]
pub(crate) struct DelayRate {
    rate: f64,
    capacity: Option<Capacity>,
    updated: Option<Micros>,
    cut: Option<Micros>,
    /// Queues drain: growth waits for it.
    held: bool,
}

impl DelayRate {
    pub(crate) const fn new(rate: f64) -> Self {
        Self { rate, capacity: None, updated: None, cut: None, held: false }
    }

    pub(crate) const fn rate(&self) -> f64 {
        self.rate
    }

    /// When it was cut last.
    pub(crate) const fn cut_at(&self) -> Option<Micros> {
        self.cut
    }

    /// A feedback message: what queues do, and what arrives.
    pub(crate) fn update(&mut self, usage: Usage, arriving: Option<f64>, rtt: Micros, now: Micros) {
        let since = self.updated.map_or(Micros(0), |updated| now.since(updated));
        self.updated = Some(now);
        match usage {
            Usage::Over => self.cut(arriving, rtt, now),
            // §5.5: hold until they are empty.
            Usage::Under => self.held = true,
            Usage::Normal if self.held => self.held = false,
            Usage::Normal => self.grow(arriving, rtt, since),
        }
    }

    /// The path carried this much.
    pub(crate) fn raise(&mut self, rate: f64) {
        if rate > self.rate {
            self.rate = rate.min(RATE_MAX);
            if self.capacity.is_some_and(|capacity| !capacity.holds(rate)) {
                self.capacity = None;
            }
        }
    }

    /// Something else says that the path carries no more.
    pub(crate) fn cap(&mut self, rate: f64) {
        self.rate = self.rate.min(rate).max(RATE_MIN);
    }

    fn cut(&mut self, arriving: Option<f64>, rtt: Micros, now: Micros) {
        let spacing = (rtt.as_millis() + CUT_SPACING_MS).max(CUT_SPACING_MIN_MS);
        if self.cut.is_some_and(|cut| now.since(cut).as_millis() < spacing) {
            return;
        }
        self.cut = Some(now);
        self.held = true;
        let Some(arriving) = arriving else {
            self.rate = (self.rate * DECREASE).max(RATE_MIN);
            return;
        };
        let target = (arriving * DECREASE).max(RATE_MIN);
        if target < self.rate {
            self.rate = target;
            self.capacity = Some(Capacity::add(self.capacity, arriving));
        }
    }

    fn grow(&mut self, arriving: Option<f64>, rtt: Micros, since: Micros) {
        if self.capacity.is_some_and(|capacity| {
            arriving
                .is_some_and(|arriving| arriving > capacity.mean * (1.0 + DEVIATIONS * capacity.deviation))
        }) {
            self.capacity = None;
        }
        let seconds = since.as_millis().min(1_000.0) / 1_000.0;
        let added = if self.capacity.is_some_and(|capacity| capacity.holds(self.rate)) {
            let response = (rtt.as_millis() + RESPONSE_SLACK_MS) / 1_000.0;
            (PACKET_BITS / 2.0 / response).max(ADDED_MIN) * seconds
        } else {
            self.rate * ((1.0 + GROWTH).powf(seconds) - 1.0)
        };
        let most = arriving.map_or(self.rate, |arriving| BEYOND * arriving + BEYOND_BPS);
        if self.rate < most {
            self.rate = (self.rate + added).min(most).min(RATE_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Micros = Micros(50_000);

    fn second(rate: &mut DelayRate, from: i64, arriving: f64) {
        for step in 0..10 {
            rate.update(Usage::Normal, Some(arriving), RTT, Micros((from * 10 + step) * 100_000));
        }
    }

    #[test]
    fn it_grows_by_eight_per_cent_a_second_and_not_beyond_what_arrives() {
        let mut rate = DelayRate::new(1_000_000.0);
        second(&mut rate, 0, 1_000_000.0);
        second(&mut rate, 1, 1_000_000.0);
        assert!((1_140_000.0..1_170_000.0).contains(&rate.rate()), "{}", rate.rate());

        for round in 2..60 {
            second(&mut rate, round, 1_000_000.0);
        }
        assert!(rate.rate() <= 1_510_000.0, "{}", rate.rate());
    }

    #[test]
    fn growing_queues_cut_it_below_what_arrives() {
        let mut rate = DelayRate::new(3_000_000.0);
        rate.update(Usage::Over, Some(500_000.0), RTT, Micros(0));

        assert!((rate.rate() - 425_000.0).abs() < 1.0);
    }

    #[test]
    fn near_where_the_path_was_full_it_grows_slowly() {
        let mut rate = DelayRate::new(1_000_000.0);
        rate.update(Usage::Over, Some(1_000_000.0), RTT, Micros(0));
        let cut = rate.rate();
        second(&mut rate, 1, cut);
        second(&mut rate, 2, cut);

        assert!(rate.rate() - cut < 100_000.0, "{}", rate.rate());
    }

    #[test]
    fn what_is_not_used_is_kept() {
        let mut rate = DelayRate::new(2_000_000.0);
        for round in 0..30 {
            second(&mut rate, round, 200_000.0);
        }

        assert!((rate.rate() - 2_000_000.0).abs() < 1.0);
    }

    #[test]
    fn a_probe_raises_it_at_once_and_never_lowers_it() {
        let mut rate = DelayRate::new(500_000.0);
        rate.raise(2_000_000.0);
        rate.raise(1_000_000.0);

        assert!((rate.rate() - 2_000_000.0).abs() < 1.0);
    }
}
