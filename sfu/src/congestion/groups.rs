//! How much more one burst of packets was delayed than the burst before it (draft-ietf-rmcat-gcc-02 §5.2, §5.3).
//!
//! Invariant: packets that were sent within [`BURST`] count as one, so that our own bursts are no delay.

use super::Micros;

/// Sent within this of the first packet of a group: one group.
const BURST: Micros = Micros(5_000);
/// Packets that queued somewhere and arrive together are one group as well, but not for ever.
const BURST_MAX: Micros = Micros(100_000);
/// Groups that arrive before the one before them, in a row, after which all begins anew.
const DISORDER_MAX: u32 = 3;

/// The times between two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spacing {
    pub(crate) sent: Micros,
    pub(crate) arrived: Micros,
    /// When the later group was complete, on the receiver's clock.
    pub(crate) at: Micros,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: Micros,
    last_sent: Micros,
    first_arrived: Micros,
    last_arrived: Micros,
}

/// The groups that packets fall into.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    current: Option<Group>,
    before: Option<Group>,
    disorder: u32,
}

impl Groups {
    /// A packet arrived; tells of the two groups before, when this one begins a third.
    pub(crate) fn arrived(&mut self, sent: Micros, arrived: Micros) -> Option<Spacing> {
        let Some(group) = &mut self.current else {
            self.current = Some(Group::new(sent, arrived));
            return None;
        };
        if sent < group.first_sent {
            return None;
        }
        if group.takes(sent, arrived) {
            group.last_sent = group.last_sent.max(sent);
            group.last_arrived = group.last_arrived.max(arrived);
            return None;
        }
        let (current, before) = (*group, self.before);
        self.before = Some(current);
        self.current = Some(Group::new(sent, arrived));
        let before = before?;
        let spacing = Spacing {
            sent: current.last_sent.since(before.last_sent),
            arrived: current.last_arrived.since(before.last_arrived),
            at: current.last_arrived,
        };
        if spacing.arrived < Micros(0) {
            self.disorder += 1;
            if self.disorder >= DISORDER_MAX {
                *self = Self::default();
            }
            return None;
        }
        self.disorder = 0;
        Some(spacing)
    }
}

impl Group {
    const fn new(sent: Micros, arrived: Micros) -> Self {
        Self { first_sent: sent, last_sent: sent, first_arrived: arrived, last_arrived: arrived }
    }

    fn takes(&self, sent: Micros, arrived: Micros) -> bool {
        if sent.since(self.first_sent) <= BURST {
            return true;
        }
        // §5.2: it arrived right behind, sooner than it was sent after: something had held both back.
        let behind = arrived.since(self.last_arrived);
        behind <= BURST
            && behind < sent.since(self.last_sent)
            && arrived.since(self.first_arrived) < BURST_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_one_group_and_the_third_group_tells_of_the_first_two() {
        let mut groups = Groups::default();
        let mut told = Vec::new();
        for (sent, arrived) in
            [(0, 50_000), (1_000, 52_000), (33_000, 84_000), (34_000, 86_000), (66_000, 118_000)]
        {
            told.extend(groups.arrived(Micros(sent), Micros(arrived)));
        }

        assert_eq!(told, [Spacing { sent: Micros(33_000), arrived: Micros(34_000), at: Micros(86_000) }]);
    }

    #[test]
    fn what_overtook_its_group_changes_nothing() {
        let mut groups = Groups::default();
        groups.arrived(Micros(10_000), Micros(50_000));

        assert_eq!(groups.arrived(Micros(1_000), Micros(51_000)), None);
        assert_eq!(groups.current.unwrap().first_sent, Micros(10_000));
    }
}
