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
}

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

    /// The wait of those that arrived since this was last asked.
    pub(crate) fn take(&mut self) -> Option<Micros> {
        let least = self.least.into_iter().chain(self.before).min()?;
        Some(self.lately.take()?.since(least))
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
        assert_eq!(queue.take(), Some(Micros(0)));

        queue.arrived(Micros(2_000_000), Micros(2_700_000));
        assert_eq!(queue.take(), Some(Micros(200_000)));
        assert_eq!(queue.take(), None);
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

        assert_eq!(queue.take(), Some(Micros(0)));
    }
}
