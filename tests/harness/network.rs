//! One direction of a path: when, how often and whether a datagram arrives.

use std::time::{Duration, Instant};

use crate::random::Random;

/// How a path treats datagrams. Chances are per million.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// The least time a datagram takes.
    pub latency: Duration,
    /// Up to so much more, evenly; datagrams overtake each other by it only with [`Self::reorder`].
    pub jitter: Duration,
    /// Losses.
    pub loss: Loss,
    /// Datagrams that are held back long enough for others to overtake.
    pub reorder: u32,
    /// Datagrams that arrive twice.
    pub duplicate: u32,
    /// Bits per second, and how long the queue before it may get; `None`: as fast as it comes.
    pub rate: Option<(u64, Duration)>,
}

/// When datagrams are lost.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// Never.
    None,
    /// Each by itself, per million.
    Even(u32),
    /// Gilbert and Elliott: good and bad times that end by chance, each with its own losses; all per million.
    Bursts {
        /// A good time ends.
        to_bad: u32,
        /// A bad time ends.
        to_good: u32,
        /// Lost in a bad time.
        lost: u32,
    },
    /// Nothing arrives.
    All,
}

impl Default for Conditions {
    /// 10 ms, and nothing goes wrong.
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: Loss::None,
            reorder: 0,
            duplicate: 0,
            rate: None,
        }
    }
}

/// One direction of a path.
#[derive(Debug)]
pub struct Link {
    /// How it behaves; may change at any time.
    pub conditions: Conditions,
    random: Random,
    in_bad_time: bool,
    busy_until: Option<Instant>,
    last_arrival: Option<Instant>,
    /// Datagrams that never arrived.
    pub lost: u64,
}

impl Link {
    /// A path with its own chances.
    #[must_use]
    pub const fn new(conditions: Conditions, seed: u64) -> Self {
        Self {
            conditions,
            random: Random::new(seed),
            in_bad_time: false,
            busy_until: None,
            last_arrival: None,
            lost: 0,
        }
    }

    /// When a datagram that is sent at this moment arrives: not at all, once or twice.
    pub fn send(&mut self, len: usize, now: Instant) -> Vec<Instant> {
        let Some(departure) = self.depart(len, now) else {
            self.lost += 1;
            return Vec::new();
        };
        if self.loses() {
            self.lost += 1;
            return Vec::new();
        }
        let jitter = u64::try_from(self.conditions.jitter.as_micros()).unwrap_or(0);
        let jitter = Duration::from_micros(self.random.below(jitter + 1));
        let mut arrival = departure + self.conditions.latency + jitter;
        if self.random.chance(self.conditions.reorder) {
            arrival += Duration::from_micros(2_000 + self.random.below(20_000));
        } else {
            // Jitter alone keeps the order, as queues do.
            arrival = self.last_arrival.map_or(arrival, |last| arrival.max(last));
            self.last_arrival = Some(arrival);
        }
        let mut arrivals = vec![arrival];
        if self.random.chance(self.conditions.duplicate) {
            arrivals.push(arrival + Duration::from_micros(self.random.below(5_000)));
        }
        arrivals
    }

    /// When the last bit leaves; `None` when the queue is full.
    fn depart(&mut self, len: usize, now: Instant) -> Option<Instant> {
        let Some((rate, queue)) = self.conditions.rate else { return Some(now) };
        let start = self.busy_until.map_or(now, |busy| busy.max(now));
        if start.saturating_duration_since(now) > queue {
            return None;
        }
        // 28 bytes of IPv4 and UDP headers.
        let bits = (len as u64 + 28) * 8;
        let end = start + Duration::from_nanos(bits * 1_000_000_000 / rate.max(1));
        self.busy_until = Some(end);
        Some(end)
    }

    fn loses(&mut self) -> bool {
        match self.conditions.loss {
            Loss::None => false,
            Loss::All => true,
            Loss::Even(per_million) => self.random.chance(per_million),
            Loss::Bursts { to_bad, to_good, lost } => {
                let turns = self.random.chance(if self.in_bad_time { to_good } else { to_bad });
                self.in_bad_time ^= turns;
                self.in_bad_time && self.random.chance(lost)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_come_as_often_as_asked() {
        let mut link = Link::new(Conditions { loss: Loss::Even(100_000), ..Conditions::default() }, 7);
        let now = Instant::now();

        let arrived = (0..10_000).filter(|_| !link.send(100, now).is_empty()).count();

        assert!((8_800..9_200).contains(&arrived), "{arrived}");
    }

    #[test]
    fn a_slow_link_queues_and_then_drops() {
        let rate = Some((80_000, Duration::from_millis(100)));
        let mut link = Link::new(Conditions { rate, ..Conditions::default() }, 7);
        let now = Instant::now();

        let arrived: Vec<_> = (0..100).flat_map(|_| link.send(972, now)).collect();

        // 1,000 bytes on the wire take 100 ms: one is under way and one waits, and the next fits just so.
        assert_eq!(arrived.len(), 2);
        assert!(arrived[1] - arrived[0] == Duration::from_millis(100));
    }
}
