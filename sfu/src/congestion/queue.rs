//! How long packets wait in queues on the path: the time they take beyond the least they took lately.
//!
//! Invariant: the least is forgotten after [`FORGOTTEN`] at the latest: clocks drift apart, and paths change.

use super::Micros;

/// The least of this stretch and of the one before it count.
const FORGOTTEN: Micros = Micros(20_000_000);

/// The time packets take, on two clocks that began anywhere.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    least: Option<Micros>,
    before: Option<Micros>,
    since: Micros,
    // The least since it was last asked.
    lately: Option<Micros>,
    wait: Micros,
}

/// What a queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Short,
    /// It does not grow, but nothing may be added to it.
    Stands,
    /// It grew by so much since it was last asked that nobody has to look at trends.
    Jumps,
}

/// A queue this long stands. Higher: slower to drain. Lower: jitter counts as a queue.
const STANDING: Micros = Micros(80_000);
/// A queue this long that grew by so much between two messages jumps: no key frame does that on a path that carries it.
const JUMPED: Micros = Micros(120_000);
const JUMP: Micros = Micros(50_000);

impl Queue {
    /// A packet arrived.
    pub(crate) fn arrived(&mut self, sent: Micros, arrived: Micros) {
        let took = arrived.since(sent);
        if sent.since(self.since) >= FORGOTTEN {
            self.before = self.least.take();
            self.since = sent;
        }
        let less = |least: Option<Micros>| Some(least.map_or(took, |least| least.min(took)));
        self.least = less(self.least);
        self.lately = less(self.lately);
    }

    /// What the queue does, by the packets that arrived since this was last asked: by the fastest of them.
    pub(crate) fn take(&mut self) -> Option<Level> {
        let least = self.least.into_iter().chain(self.before).min()?;
        let wait = self.lately.take()?.since(least);
        let before = std::mem::replace(&mut self.wait, wait);
        if wait < STANDING {
            return Some(Level::Short);
        }
        Some(if wait >= JUMPED && wait.since(before) >= JUMP { Level::Jumps } else { Level::Stands })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_what_is_more_than_the_least_lately() {
        let mut queue = Queue::default();
        queue.arrived(Micros(0), Micros(500_000));
        queue.arrived(Micros(1_000_000), Micros(1_700_000));
        assert_eq!(queue.take(), Some(Level::Short));

        queue.arrived(Micros(2_000_000), Micros(2_700_000));
        assert_eq!(queue.take(), Some(Level::Jumps));
        assert_eq!(queue.take(), None);
        queue.arrived(Micros(2_100_000), Micros(2_800_000));
        assert_eq!(queue.take(), Some(Level::Stands));
    }

    #[test]
    fn a_longer_way_is_no_queue_for_ever() {
        let mut queue = Queue::default();
        queue.arrived(Micros(0), Micros(0));
        for second in 1..50 {
            queue.arrived(Micros(second * 1_000_000), Micros(second * 1_000_000 + 300_000));
        }
        queue.take();
        queue.arrived(Micros(50_000_000), Micros(50_300_000));

        assert_eq!(queue.take(), Some(Level::Short));
    }
}
