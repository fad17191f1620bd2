//! Numbers for what we send: SSRCs that no two streams of a connection share, and the session id.

use std::collections::BTreeSet;

use sfu::units::Ssrc;

/// Gives out SSRCs of one connection, from a seed.
#[derive(Clone, Debug)]
pub(super) struct Ssrcs {
    state: u64,
    given: BTreeSet<u32>,
}

impl Ssrcs {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed, given: BTreeSet::new() }
    }

    /// One that was not given before.
    pub(super) fn give(&mut self) -> Ssrc {
        loop {
            let [_, _, _, _, a, b, c, d] = self.number().to_be_bytes();
            let candidate = u32::from_be_bytes([a, b, c, d]);
            if candidate != 0 && self.given.insert(candidate) {
                return Ssrc(candidate);
            }
        }
    }

    /// One that the client uses itself is not given.
    pub(super) fn reserve(&mut self, ssrc: Ssrc) {
        self.given.insert(ssrc.0);
    }

    /// Any number: SplitMix64, which visits each once.
    pub(super) fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ssrc_is_given_twice() {
        let mut ssrcs = Ssrcs::new(7);
        let given: BTreeSet<u32> = (0..1000).map(|_| ssrcs.give().0).collect();

        assert_eq!(given.len(), 1000);
    }
}
