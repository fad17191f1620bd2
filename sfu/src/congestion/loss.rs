//! The rate that losses allow. A path loses some packets whatever is sent, and all that it cannot carry: which of the
//! two explains best what was seen lately decides, and of equals the one that leaves the higher rate.
//!
//! Invariants:
//! - losses up to [`INHERENT_MAX`] that do not depend on the rate cost nothing for long;
//! - where little is lost there is no limit, and judging costs nothing.

use super::{Micros, RATE_MIN};

/// One observation: at least so long, and so many packets.
const LEAST: Micros = Micros(250_000);
const PACKETS_LEAST: u32 = 12;
/// No longer than that, however few the packets.
const MOST: Micros = Micros(2_000_000);
/// Observations kept: 5 s of a busy stream.
const KEPT: usize = 20;
/// How much less each older observation counts.
const FADES: f64 = 0.85;
/// Below this share, losses are borne.
const BEARABLE: f64 = 0.02;
/// And so many over the last observations: of a few packets all may have arrived by chance.
const BEARABLE_LATELY: f64 = 0.06;
/// Losses that may be the path's own. Above, a lower rate is tried: sound suffers from here on.
const INHERENT_MAX: f64 = 0.14;
/// Above this share the rate goes down whatever explains the losses: fewer packets are sooner repaired.
const DREADFUL: f64 = 0.16;
const INHERENT_STEPS: u32 = 14;
/// Nothing below this is asked for on account of losses: the smallest picture and sound fit.
const FLOOR: f64 = 200_000.0;
/// Growth from one observation to the next, once losses are bearable.
const GROWTH: f64 = 1.04;

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    packets: f64,
    lost: f64,
    // Bits per second that were sent meanwhile.
    rate: f64,
}

/// What is being gathered for the next observation.
#[derive(Clone, Copy, Debug, Default)]
struct Gathered {
    packets: u32,
    lost: u32,
    bytes: u64,
    first: Option<Micros>,
    last: Micros,
}

/// What was lost lately.
#[derive(Debug)]
pub(crate) struct Losses {
    seen: [Seen; KEPT],
    count: usize,
    next: usize,
    gathered: Gathered,
    limit: Option<f64>,
    bearable: bool,
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            seen: [Seen::default(); KEPT],
            count: 0,
            next: 0,
            gathered: Gathered::default(),
            limit: None,
            bearable: true,
        }
    }
}

impl Losses {
    /// One packet arrived.
    pub(crate) fn arrived(&mut self, sent: Micros, len: u16) {
        let gathered = &mut self.gathered;
        let first = *gathered.first.get_or_insert(sent);
        gathered.first = Some(first.min(sent));
        gathered.last = gathered.last.max(sent);
        gathered.packets += 1;
        gathered.bytes += u64::from(len);
    }

    /// One packet did not.
    pub(crate) fn lost(&mut self, sent: Micros, len: u16) {
        self.arrived(sent, len);
        self.gathered.lost += 1;
    }

    /// A packet that was told as lost came after all.
    pub(crate) fn take_back(&mut self) {
        self.gathered.lost = self.gathered.lost.saturating_sub(1);
    }

    /// The rate losses allow; `None`: as much as anything else allows.
    pub(crate) const fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// Whether little was lost when this was last looked at.
    pub(crate) const fn is_bearable(&self) -> bool {
        self.bearable
    }

    /// Nothing was told for long: what was lost then is forgotten.
    pub(crate) fn fade(&mut self) {
        self.count = 0;
        self.bearable = true;
    }

    /// The path was seen to carry this much.
    pub(crate) fn raise(&mut self, rate: f64) {
        self.limit = self.limit.map(|limit| limit.max(rate));
    }

    /// The share of packets lost lately.
    pub(crate) fn share(&self) -> f64 {
        let (mut sum, mut weights, mut weight) = (0.0, 0.0, 1.0);
        for seen in self.newest_first() {
            sum += seen.lost / seen.packets.max(1.0) * weight;
            weights += weight;
            weight *= FADES;
        }
        if weights > 0.0 { sum / weights } else { 0.0 }
    }

    /// A feedback message was read: `arriving` is what arrives, `other` what anything else allows.
    pub(crate) fn update(&mut self, arriving: Option<f64>, other: f64) {
        let Some(seen) = self.gathered.finish() else { return };
        self.gathered = Gathered::default();
        // A path that carried nothing at all was broken, whatever the rate.
        if seen.lost >= seen.packets {
            return;
        }
        if let Some(slot) = self.seen.get_mut(self.next) {
            *slot = seen;
        }
        self.next = (self.next + 1) % KEPT;
        self.count = (self.count + 1).min(KEPT);
        self.bearable = seen.lost < seen.packets * BEARABLE && self.share() < BEARABLE_LATELY;
        if self.bearable {
            // What was sent all arrived: growth starts there, or where the limit stands.
            self.limit = self.limit.map(|limit| limit.max(seen.rate) * GROWTH).filter(|limit| *limit < other);
            return;
        }
        let current = self.limit.unwrap_or(other).min(other);
        let likely = self.most_likely(current, arriving);
        let likely = if self.share() > DREADFUL { likely.min(current * 0.85) } else { likely };
        let likely = likely.max(FLOOR.min(current)).max(RATE_MIN);
        self.limit = (likely < other).then_some(likely);
    }

    /// Of a few rates, the one that explains the losses best.
    fn most_likely(&self, current: f64, arriving: Option<f64>) -> f64 {
        let careful = arriving.map_or(current * 0.7, |arriving| (arriving * 0.95).min(current));
        let mut best = (current, f64::NEG_INFINITY);
        for candidate in [current * GROWTH, current, current * 0.95, current * 0.85, careful] {
            let likelihood = self.likelihood(candidate);
            // A small bonus for more: of equals the higher rate.
            let value = likelihood + 0.02 * candidate.ln();
            if value > best.1 {
                best = (candidate, value);
            }
        }
        best.0
    }

    /// How likely the losses are on a path of this capacity, with the best guess at its own losses.
    fn likelihood(&self, capacity: f64) -> f64 {
        let mut best = f64::NEG_INFINITY;
        for step in 0..=INHERENT_STEPS {
            let inherent = INHERENT_MAX * f64::from(step) / f64::from(INHERENT_STEPS);
            let (mut sum, mut weight) = (0.0, 1.0);
            for seen in self.newest_first() {
                let over = ((seen.rate - capacity) / seen.rate.max(1.0)).max(0.0);
                let lost = (inherent + (1.0 - inherent) * over).clamp(0.001, 0.999);
                sum += weight * (seen.lost * lost.ln() + (seen.packets - seen.lost) * (1.0 - lost).ln());
                weight *= FADES;
            }
            best = best.max(sum);
        }
        best
    }

    fn newest_first(&self) -> impl Iterator<Item = &Seen> {
        (1..=self.count).filter_map(|back| self.seen.get((self.next + KEPT - back) % KEPT))
    }
}

impl Gathered {
    fn finish(&self) -> Option<Seen> {
        let span = self.last.since(self.first?);
        let enough = span >= LEAST && self.packets >= PACKETS_LEAST;
        if !enough && span < MOST {
            return None;
        }
        let rate = self.bytes as f64 * 8.0 / (span.as_millis() / 1_000.0);
        Some(Seen { packets: f64::from(self.packets), lost: f64::from(self.lost), rate })
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers of a test")]
mod tests {
    use super::*;

    /// Seconds of a path: sends at what is allowed up to `wish`, loses `inherent` and what is over `capacity`.
    fn run(losses: &mut Losses, seconds: i64, wish: f64, inherent: f64, capacity: f64) -> f64 {
        let mut owed: f64 = 0.0;
        let from = losses.gathered.last.0.max(losses.next as i64 * 1_000_000_000);
        let mut at = from;
        let mut sent = wish;
        while at < from + seconds * 1_000_000 {
            sent = losses.limit().unwrap_or(wish).min(wish);
            let over = ((sent - capacity) / sent).max(0.0);
            owed += inherent + (1.0 - inherent) * over;
            let lost = owed >= 1.0;
            if lost {
                owed -= 1.0;
            }
            if lost {
                losses.lost(Micros(at), 1_200)
            } else {
                losses.arrived(Micros(at), 1_200)
            }
            at += (9_600.0 / sent * 1_000_000.0) as i64;
            let arriving = sent * (1.0 - inherent) * (1.0 - over);
            losses.update(Some(arriving), wish * 1.2);
        }
        sent
    }

    #[test]
    fn where_nothing_is_lost_there_is_no_limit() {
        let mut losses = Losses::default();
        run(&mut losses, 10, 2_000_000.0, 0.0, 1e9);

        assert_eq!(losses.limit(), None);
    }

    #[test]
    fn losses_of_the_path_itself_cost_nothing_for_long() {
        let mut losses = Losses::default();
        let sent = run(&mut losses, 20, 2_000_000.0, 0.1, 1e9);

        assert!(sent > 1_900_000.0, "{sent}");
    }

    #[test]
    fn what_a_full_path_drops_is_found_out() {
        let mut losses = Losses::default();
        let sent = run(&mut losses, 10, 2_000_000.0, 0.0, 500_000.0);

        assert!((350_000.0..600_000.0).contains(&sent), "{sent}");
    }

    #[test]
    fn dreadful_losses_lead_down_to_the_floor_and_no_further() {
        let mut losses = Losses::default();
        let sent = run(&mut losses, 60, 2_000_000.0, 0.3, 1e9);

        assert!((FLOOR - 1.0..600_000.0).contains(&sent), "{sent}");
    }

    #[test]
    fn when_they_end_the_limit_goes() {
        let mut losses = Losses::default();
        run(&mut losses, 10, 2_000_000.0, 0.0, 500_000.0);
        run(&mut losses, 20, 2_000_000.0, 0.0, 1e9);

        assert_eq!(losses.limit(), None);
    }
}
