//! The relay ports of one address: a bit each.
//!
//! Invariant: which port is next cannot be told from those before (RFC 6056): every choice begins at a random place.

use std::fmt;

/// A range of ports, and which of them are taken.
pub(super) struct Ports {
    first: u16,
    count: usize,
    taken: Vec<u64>,
    free: usize,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ports({} of {} from {} free)", self.free, self.count, self.first)
    }
}

impl Ports {
    /// Both ends included; the other way round it is empty.
    pub(super) fn new(first: u16, last: u16) -> Self {
        let count = (usize::from(last) + 1).saturating_sub(usize::from(first));
        Self { first, count, taken: vec![0; count.div_ceil(64)], free: count }
    }

    pub(super) fn free(&self) -> usize {
        self.free
    }

    pub(super) fn take_any(&mut self, random: u64) -> Option<u16> {
        let index = self.search(random, 1, |ports, index| !ports.is_taken(index))?;
        self.take(index)
    }

    pub(super) fn take_even(&mut self, random: u64) -> Option<u16> {
        let index = self.search(random, 2, |ports, index| !ports.is_taken(index))?;
        self.take(index)
    }

    /// An even port; the next is taken too.
    pub(super) fn take_pair(&mut self, random: u64) -> Option<u16> {
        let is_free = |ports: &Self, index| !ports.is_taken(index) && !ports.is_taken(index + 1);
        let index = self.search(random, 2, is_free)?;
        self.take(index + 1)?;
        self.take(index)
    }

    pub(super) fn give_back(&mut self, port: u16) {
        let Some(index) = port.checked_sub(self.first).map(usize::from) else { return };
        if !self.is_taken(index) || index >= self.count {
            return;
        }
        if let Some(word) = self.taken.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
            self.free += 1;
        }
    }

    /// From a random place once around, in steps of one or, from even port to even port, of two.
    fn search(&self, random: u64, step: usize, fits: impl Fn(&Self, usize) -> bool) -> Option<usize> {
        if self.free == 0 {
            return None;
        }
        let offset = if step == 2 { usize::from(self.first % 2) } else { 0 };
        let places = self.count.saturating_sub(offset).div_ceil(step);
        let start = usize::try_from(random & u64::from(u32::MAX)).unwrap_or(0).checked_rem(places)?;
        let mut place = start;
        let mut left = places;
        while left > 0 {
            let index = offset + place * step;
            if fits(self, index) {
                return Some(index);
            }
            // A word without a gap is passed at once.
            let full = index % 64 < step && self.taken.get(index / 64) == Some(&u64::MAX);
            let ahead = if full { (64 / step).min(places - place) } else { 1 };
            place += ahead;
            left = left.saturating_sub(ahead);
            if place >= places {
                place = 0;
            }
        }
        None
    }

    /// What is outside the range is taken.
    fn is_taken(&self, index: usize) -> bool {
        index >= self.count || self.taken.get(index / 64).is_none_or(|word| word >> (index % 64) & 1 == 1)
    }

    fn take(&mut self, index: usize) -> Option<u16> {
        *self.taken.get_mut(index / 64)? |= 1 << (index % 64);
        self.free = self.free.saturating_sub(1);
        self.first.checked_add(u16::try_from(index).ok()?)
    }
}
