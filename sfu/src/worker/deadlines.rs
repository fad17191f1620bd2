//! Who wants to be woken when.
//!
//! Invariants:
//! - each key has one time; setting it anew replaces it;
//! - a heap with stale entries, skipped as they surface: steady work allocates nothing.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

/// Wake-up times by small integer keys, as slabs hand them out.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    at: Vec<Option<Instant>>,
}

impl Deadlines {
    /// The key wants to be woken at this time; `None`: not at all.
    pub(crate) fn set(&mut self, key: usize, at: Option<Instant>) {
        if self.at.len() <= key {
            self.at.resize(key + 1, None);
        }
        let Some(slot) = self.at.get_mut(key) else { return };
        if *slot == at {
            return;
        }
        *slot = at;
        if let Some(at) = at {
            self.heap.push(Reverse((at, key)));
        }
        self.skip_stale();
        // A key that moves its time often leaves a stale entry each time.
        if self.heap.len() > 64 + 4 * self.at.len() {
            self.rebuild();
        }
    }

    /// The earliest time anybody wants to be woken.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// A key whose time has come; its time is spent.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        let Reverse((at, key)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        if let Some(slot) = self.at.get_mut(key) {
            *slot = None;
        }
        self.skip_stale();
        Some(key)
    }

    /// Afterwards the top of the heap, if any, is a time that counts.
    fn skip_stale(&mut self) {
        while let Some(Reverse((at, key))) = self.heap.peek() {
            if self.at.get(*key).copied().flatten() == Some(*at) {
                return;
            }
            self.heap.pop();
        }
    }

    fn rebuild(&mut self) {
        self.heap.clear();
        for (key, at) in self.at.iter().enumerate() {
            if let Some(at) = at {
                self.heap.push(Reverse((*at, key)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixture;

    #[test]
    fn the_earliest_comes_first_and_once() {
        let start = fixture::start();
        let later = start + Duration::from_secs(1);
        let mut deadlines = Deadlines::default();
        deadlines.set(3, Some(later));
        deadlines.set(7, Some(start));

        assert_eq!(deadlines.next(), Some(start));
        assert_eq!(deadlines.pop_due(start), Some(7));
        assert_eq!(deadlines.pop_due(start), None);
        assert_eq!(deadlines.next(), Some(later));
    }

    #[test]
    fn a_time_set_anew_replaces_the_old_one() {
        let start = fixture::start();
        let later = start + Duration::from_secs(1);
        let mut deadlines = Deadlines::default();
        deadlines.set(1, Some(start));

        deadlines.set(1, Some(later));

        assert_eq!(deadlines.pop_due(start), None);
        assert_eq!(deadlines.pop_due(later), Some(1));
        deadlines.set(1, Some(later));
        deadlines.set(1, None);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn keys_that_move_often_do_not_grow_the_heap() {
        let start = fixture::start();
        let mut deadlines = Deadlines::default();
        deadlines.set(0, Some(start));

        for step in 1..100_000 {
            deadlines.set(1, Some(start + Duration::from_millis(step)));
        }

        assert!(deadlines.heap.len() < 200);
    }
}
