//! Whether queues on the path grow: the slope of the delay over the last groups, against a threshold that adapts
//! (draft-ietf-rmcat-gcc-02 §5.4; the filter is a line fitted by least squares in place of the draft's).
//!
//! Invariant: the threshold follows the slope slowly, so that a flow that fills queues does not starve this one.

use super::groups::Spacing;

/// Groups the line is fitted to: 0.6 s of pictures.
const WINDOW: usize = 20;
/// How much of the delay so far counts against the newest.
const SMOOTHING: f64 = 0.9;
/// A slope counts the more, the more groups stand behind it, up to so many.
const GROUPS_COUNTED: u32 = 60;
/// Brings the slope to the scale of the threshold, which is milliseconds.
const GAIN: f64 = 4.0;
/// §5.4: where the threshold begins and the bounds of it, in milliseconds.
const THRESHOLD: f64 = 12.5;
const THRESHOLD_MIN: f64 = 6.0;
const THRESHOLD_MAX: f64 = 600.0;
/// How fast it follows up and down.
const FOLLOW_UP: f64 = 0.0087;
const FOLLOW_DOWN: f64 = 0.039;
/// A slope so much above the threshold does not move it: it is a jump.
const JUMP: f64 = 15.0;
/// §5.4: the slope has to be too steep for so long.
const OVERUSE_MS: f64 = 10.0;

/// What the queues on the path do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Usage {
    /// Neither.
    #[default]
    Normal,
    /// They grow.
    Over,
    /// They drain.
    Under,
}

/// The delay over the last groups.
#[derive(Debug)]
pub(crate) struct Trend {
    // When, and how much later than the first, both in milliseconds; the oldest is at `oldest` once it is full.
    points: [(f64, f64); WINDOW],
    count: usize,
    oldest: usize,
    groups: u32,
    delay: f64,
    smooth: f64,
    first_at: Option<f64>,
    last_at: f64,
    slope: f64,
    threshold: f64,
    over_for: f64,
    over_times: u32,
    usage: Usage,
}

impl Default for Trend {
    fn default() -> Self {
        Self {
            points: [(0.0, 0.0); WINDOW],
            count: 0,
            oldest: 0,
            groups: 0,
            delay: 0.0,
            smooth: 0.0,
            first_at: None,
            last_at: 0.0,
            slope: 0.0,
            threshold: THRESHOLD,
            over_for: 0.0,
            over_times: 0,
            usage: Usage::Normal,
        }
    }
}

impl Trend {
    /// What the queues do now.
    pub(crate) const fn usage(&self) -> Usage {
        self.usage
    }

    /// One more group.
    pub(crate) fn add(&mut self, spacing: Spacing) {
        let at = spacing.at.as_millis();
        let first = *self.first_at.get_or_insert(at);
        self.groups = (self.groups + 1).min(GROUPS_COUNTED);
        self.delay += spacing.arrived.since(spacing.sent).as_millis();
        self.smooth = SMOOTHING * self.smooth + (1.0 - SMOOTHING) * self.delay;
        if let Some(point) = self.points.get_mut(self.oldest) {
            *point = (at - first, self.smooth);
        }
        self.oldest = (self.oldest + 1) % WINDOW;
        self.count = (self.count + 1).min(WINDOW);
        let slope = if self.count == WINDOW { self.fit().unwrap_or(self.slope) } else { self.slope };
        self.judge(slope, spacing.sent.as_millis(), at);
    }

    /// The slope of the line through the points.
    fn fit(&self) -> Option<f64> {
        let count = self.count as f64;
        let (sum_x, sum_y) = self.points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let mut product = 0.0;
        let mut square = 0.0;
        for (x, y) in self.points {
            product += (x - mean_x) * (y - mean_y);
            square += (x - mean_x) * (x - mean_x);
        }
        (square > 0.0).then(|| product / square)
    }

    fn judge(&mut self, slope: f64, since: f64, at: f64) {
        let scaled = f64::from(self.groups) * slope * GAIN;
        if scaled > self.threshold {
            // Half of the first stretch: nobody knows when in it the threshold was passed.
            self.over_for += if self.over_times == 0 { since / 2.0 } else { since };
            self.over_times += 1;
            if self.over_for > OVERUSE_MS && self.over_times > 1 && slope >= self.slope {
                self.over_for = 0.0;
                self.over_times = 0;
                self.usage = Usage::Over;
            }
        } else {
            self.over_for = 0.0;
            self.over_times = 0;
            self.usage = if scaled < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.slope = slope;
        self.follow(scaled.abs(), at);
    }

    fn follow(&mut self, scaled: f64, at: f64) {
        let since = (at - self.last_at).clamp(0.0, 100.0);
        self.last_at = at;
        if scaled > self.threshold + JUMP {
            return;
        }
        let speed = if scaled < self.threshold { FOLLOW_DOWN } else { FOLLOW_UP };
        let threshold = self.threshold + speed * (scaled - self.threshold) * since;
        self.threshold = threshold.clamp(THRESHOLD_MIN, THRESHOLD_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Micros, *};

    /// Groups every 33 ms, each delayed by so many microseconds more than the one before.
    fn after(groups: i64, more: i64) -> Trend {
        let mut trend = Trend::default();
        feed(&mut trend, 0, groups, more);
        trend
    }

    fn feed(trend: &mut Trend, from: i64, groups: i64, more: i64) {
        let at = |group: i64| Micros((from + group) * 33_000 + group * more);
        for group in 1..=groups {
            let arrived = Micros(33_000 + more);
            trend.add(Spacing { sent: Micros(33_000), arrived, at: at(group) });
        }
    }

    #[test]
    fn a_steady_delay_is_normal() {
        assert_eq!(after(100, 0).usage(), Usage::Normal);
    }

    #[test]
    fn a_growing_delay_is_overuse_within_a_second() {
        assert_eq!(after(30, 10_000).usage(), Usage::Over);
    }

    #[test]
    fn a_draining_queue_is_underuse() {
        let mut trend = after(30, 10_000);
        feed(&mut trend, 30, 30, -8_000);

        assert_eq!(trend.usage(), Usage::Under);
    }

    #[test]
    fn the_threshold_stays_within_its_bounds() {
        let mut trend = Trend::default();
        for round in 0..200 {
            feed(&mut trend, round * 10, 5, 3_000);
            feed(&mut trend, round * 10 + 5, 5, -3_000);
        }

        assert!((THRESHOLD_MIN..=THRESHOLD_MAX).contains(&trend.threshold), "{}", trend.threshold);
    }
}
