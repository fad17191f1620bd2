//! Which indices of a stream were seen: a sliding window, and the rollover counter that comes with it.
//!
//! Invariant: an index below the window counts as seen, so nothing is ever let through twice.

use super::INDEX_BITS;
use crate::units::SeqNo;

/// A ring of words after RFC 6479: the window moves by whole words, so `64 * (WORDS - 1)` indices behind the
/// highest are always remembered.
#[derive(Clone, Debug)]
pub(super) struct Window<const WORDS: usize> {
    /// One more than the highest index seen.
    next: u64,
    seen: [u64; WORDS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Fresh,
    Seen,
    Old,
}

impl<const WORDS: usize> Default for Window<WORDS> {
    fn default() -> Self {
        Self { next: 0, seen: [0; WORDS] }
    }
}

impl<const WORDS: usize> Window<WORDS> {
    pub(super) const fn highest(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }

    pub(super) fn standing(&self, index: u64) -> Standing {
        if index >= self.next {
            return Standing::Fresh;
        }
        let newest = self.next.saturating_sub(1) >> 6;
        if newest.saturating_sub(index >> 6) >= WORDS as u64 {
            return Standing::Old;
        }
        let word = self.seen.get(slot::<WORDS>(index >> 6)).copied().unwrap_or(u64::MAX);
        if word & bit(index) == 0 { Standing::Fresh } else { Standing::Seen }
    }

    /// To be called with fresh indices only.
    pub(super) fn mark(&mut self, index: u64) {
        if index >= self.next {
            self.advance(index);
        }
        if let Some(word) = self.seen.get_mut(slot::<WORDS>(index >> 6)) {
            *word |= bit(index);
        }
    }

    fn advance(&mut self, index: u64) {
        let newest = index >> 6;
        // Before the first index no word has to be kept; afterwards those after the newest so far are reused.
        let from = self.highest().map_or(0, |highest| (highest >> 6).saturating_add(1));
        let from = from.max(newest.saturating_sub((WORDS as u64).saturating_sub(1)));
        for word in from..=newest {
            if let Some(seen) = self.seen.get_mut(slot::<WORDS>(word)) {
                *seen = 0;
            }
        }
        self.next = index.saturating_add(1);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "less than WORDS")]
#[expect(clippy::arithmetic_side_effects, reason = "there are words")]
const fn slot<const WORDS: usize>(word: u64) -> usize {
    (word % WORDS as u64) as usize
}

const fn bit(index: u64) -> u64 {
    1 << (index & 63)
}

/// 960 packets at least: a retransmission may come a second late at 8 Mbit/s.
pub(super) const RTP_WORDS: usize = 16;

/// What is known of one received stream: its rollover counter and which packets came (RFC 3711 §3.3).
///
/// Keep it as long as the transport's keys live: with it goes the rollover counter.
#[derive(Clone, Debug, Default)]
pub struct ReplayWindow(Window<RTP_WORDS>);

/// What a sequence number may stand for: the likelier index first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// This one.
    Index(u64),
    /// This one; but when it is not authentic, that one.
    Either(u64, u64),
    /// So far behind that it can only be this one, far ahead, or nothing of worth.
    Ahead(u64),
    /// It came before.
    Seen(u64),
    /// RFC 3711 §9.2: past the last index a key may protect.
    UsedUp,
}

const ROLLOVER: u64 = 1 << 16;

impl ReplayWindow {
    /// The highest authentic index: the extended highest sequence number of RFC 3550 §6.4.1.
    #[must_use]
    pub const fn highest(&self) -> Option<u64> {
        self.0.highest()
    }

    /// RFC 3711 §3.3.1 takes the index nearest to the highest. That one is worth nothing when it is behind
    /// the window, while a sender may well have gone on for more than half a rollover unheard: then the next
    /// index with this sequence number is tried. The first packet heard may follow the first rollover.
    pub(super) fn guess(&self, seq: SeqNo) -> Guess {
        let Some(highest) = self.0.highest() else {
            return Guess::Either(u64::from(seq.0), u64::from(seq.0) | ROLLOVER);
        };
        let ahead = i64::from(seq.since(SeqNo((highest & 0xffff) as u16)));
        let nearest = highest.checked_add_signed(ahead);
        let (guess, index) = match nearest.map(|index| (index, self.0.standing(index))) {
            Some((index, Standing::Fresh)) => (Guess::Index(index), index),
            Some((index, Standing::Seen)) => (Guess::Seen(index), index),
            Some((_, Standing::Old)) | None => {
                let index = highest.wrapping_add_signed(ahead).wrapping_add(ROLLOVER);
                (Guess::Ahead(index), index)
            }
        };
        if index >> INDEX_BITS == 0 { guess } else { Guess::UsedUp }
    }

    /// To be called when the packet is authentic.
    pub(super) fn mark(&mut self, index: u64) {
        self.0.mark(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_is_let_through_once() {
        let mut window = Window::<2>::default();
        for index in [5, 0, 63, 64, 65, 1, 127] {
            assert_eq!(window.standing(index), Standing::Fresh, "{index}");
            window.mark(index);
            assert_eq!(window.standing(index), Standing::Seen, "{index}");
        }
        assert_eq!(window.standing(2), Standing::Fresh);
    }

    #[test]
    fn what_falls_behind_the_window_is_old() {
        let mut window = Window::<2>::default();
        window.mark(0);
        window.mark(128);

        assert_eq!(window.standing(0), Standing::Old);
        assert_eq!(window.standing(63), Standing::Old);
        assert_eq!(window.standing(64), Standing::Fresh, "64 behind the highest are remembered");
    }

    #[test]
    fn a_jump_forgets_what_the_ring_held() {
        let mut window = Window::<2>::default();
        (0..128).for_each(|index| window.mark(index));
        window.mark(10_000 * 64);

        for index in 9_999 * 64..10_000 * 64 {
            assert_eq!(window.standing(index), Standing::Fresh);
        }
    }

    #[test]
    fn the_window_agrees_with_a_plain_set() {
        let mut window = Window::<3>::default();
        let mut plain = std::collections::BTreeSet::new();
        let mut random = 7_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let highest = plain.last().copied().unwrap_or(0_u64);
            let index = (highest + 40).saturating_sub(random >> 56);
            match window.standing(index) {
                Standing::Fresh => {
                    assert!(plain.insert(index), "{index} twice");
                    window.mark(index);
                }
                Standing::Seen => assert!(plain.contains(&index)),
                Standing::Old => assert!(index + 128 < highest),
            }
        }
    }

    #[test]
    fn a_first_packet_may_follow_the_first_rollover() {
        assert_eq!(ReplayWindow::default().guess(SeqNo(3)), Guess::Either(3, 65_539));
    }

    #[test]
    fn the_index_nearest_to_the_highest_is_taken() {
        let mut window = ReplayWindow::default();
        window.mark(65_530);

        assert_eq!(window.guess(SeqNo(2)), Guess::Index(65_538));
        assert_eq!(window.guess(SeqNo(65_000)), Guess::Index(65_000));
        assert_eq!(window.guess(SeqNo(65_530)), Guess::Seen(65_530));
    }

    #[test]
    fn a_gap_of_more_than_half_a_rollover_is_tried_forwards() {
        let mut window = ReplayWindow::default();
        window.mark(100);
        assert_eq!(window.guess(SeqNo(40_100)), Guess::Ahead(40_100));

        window.mark(60_000);
        assert_eq!(window.guess(SeqNo(40_000)), Guess::Ahead(105_536));
    }

    #[test]
    fn the_last_index_is_the_last() {
        let mut window = ReplayWindow::default();
        window.mark((1 << 48) - 2);

        assert_eq!(window.guess(SeqNo(0xffff)), Guess::Index((1 << 48) - 1));
        assert_eq!(window.guess(SeqNo(0)), Guess::UsedUp);
    }
}
