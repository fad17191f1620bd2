//! What a path carries, shared out among the pictures that go over it.
//!
//! Sound is not shared out: it always goes. Everybody gets the smallest picture first, the most important first; what is
//! left makes pictures larger, again the most important first and among equals the smallest. What does not fit at all is
//! paused, if its viewer agreed, rather than that all suffer.
//!
//! Invariants:
//! - going up takes more room than staying: a path that wavers does not make pictures waver;
//! - with the same wishes and rates, more to share never gives anybody of the highest priority less.

use crate::{forward::layers::Target, params::Shortage, units::Bitrate};

/// Going up takes so much of the step's cost more than the step, in per cent.
const CLIMB_PERCENT: u64 = 15;
/// Staying is allowed although it takes so much more than there is, in per cent: rates waver.
const STAY_PERCENT: u64 = 5;

/// One way to forward a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) target: Target,
    pub(crate) cost: Bitrate,
}

/// Ways to forward one track: encodings, and frame rates of each.
const CHOICES_MAX: usize = 12;

/// How a track can be forwarded: each choice is better and dearer than the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choices {
    all: [Choice; CHOICES_MAX],
    len: usize,
}

impl Default for Choices {
    fn default() -> Self {
        let nothing = Choice { target: Target { spatial: 0, temporal: 0 }, cost: Bitrate::bps(0) };
        Self { all: [nothing; CHOICES_MAX], len: 0 }
    }
}

impl Choices {
    /// A better choice; those before it that are not cheaper are no choice any more.
    pub(crate) fn add(&mut self, choice: Choice) {
        while self.best().is_some_and(|best| best.cost >= choice.cost) {
            self.len -= 1;
        }
        if let Some(slot) = self.all.get_mut(self.len) {
            *slot = choice;
            self.len += 1;
        }
    }

    /// The best one stands for all there will ever be.
    pub(crate) fn open(&mut self) {
        if let Some(best) = self.len.checked_sub(1).and_then(|last| self.all.get_mut(last)) {
            best.target = Target::ALL;
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Choice> {
        self.as_slice().get(index).copied()
    }

    pub(crate) fn best(&self) -> Option<Choice> {
        self.as_slice().last().copied()
    }

    /// The best of those that stay within a target.
    pub(crate) fn within(&self, target: Target) -> Option<usize> {
        self.as_slice().iter().rposition(|choice| choice.target.min(target) == choice.target)
    }

    pub(crate) fn as_slice(&self) -> &[Choice] {
        self.all.get(..self.len).unwrap_or_default()
    }
}

/// Whether anybody may get more than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Climb {
    Allowed,
    /// The last one did not last.
    NotYet,
}

/// A track that asks for its share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// Whose it is.
    pub(crate) key: usize,
    /// Higher is served first.
    pub(crate) priority: u8,
    pub(crate) shortage: Shortage,
    pub(crate) choices: Choices,
    /// Which of them it had until now; none: it was paused.
    pub(crate) had: Option<usize>,
    /// Which of them it gets.
    pub(crate) gets: Option<usize>,
}

impl Claim {
    fn cost(&self, choice: Option<usize>) -> u64 {
        choice.and_then(|index| self.choices.get(index)).map_or(0, |choice| choice.cost.as_bps())
    }

    /// What going on to the next choice takes; `None`: there is none.
    fn step(&self, climb: Climb) -> Option<Step> {
        let next = self.gets.map_or(0, |gets| gets + 1);
        let choice = self.choices.get(next)?;
        let cost = choice.cost.as_bps().saturating_sub(self.cost(self.gets));
        let climbs = self.had.is_none_or(|had| next > had);
        if climbs && climb == Climb::NotYet {
            return None;
        }
        let room = if climbs { cost + cost * CLIMB_PERCENT / 100 } else { cost };
        Some(Step { next, cost, room })
    }

    /// What it gets.
    pub(crate) fn granted(&self) -> Option<Choice> {
        self.choices.get(self.gets?)
    }
}

struct Step {
    next: usize,
    cost: u64,
    /// What has to be left for it.
    room: u64,
}

/// Shares out what there is; `claims` come back in the order they are served.
pub(crate) fn share(claims: &mut [Claim], budget: Bitrate, climb: Climb) {
    claims.sort_unstable_by_key(|claim| (std::cmp::Reverse(claim.priority), claim.key));
    let had: u64 = claims.iter().map(|claim| claim.cost(claim.had)).sum();
    let slack = budget.as_bps() * STAY_PERCENT / 100;
    // Whoever had a little too much may keep it; whoever wants more gets it only from what there is.
    let mut left = budget.as_bps();
    if had > left && had <= left + slack {
        left = had;
    }
    for claim in claims.iter_mut() {
        claim.gets = None;
        let Some(step) = claim.step(climb) else { continue };
        if step.room <= left || claim.shortage == Shortage::Keep {
            claim.gets = Some(step.next);
            left = left.saturating_sub(step.cost);
        }
    }
    for tier in claims.chunk_by_mut(|one, other| one.priority == other.priority) {
        raise(tier, &mut left, climb);
    }
}

/// Raises the lowest of equals until nothing fits.
fn raise(tier: &mut [Claim], left: &mut u64, climb: Climb) {
    loop {
        let fitting = tier.iter_mut().filter_map(|claim| {
            let step = claim.gets.and_then(|_| claim.step(climb))?;
            (step.room <= *left).then_some((claim, step))
        });
        let Some((claim, step)) = fitting.min_by_key(|(_, step)| (step.next, step.cost)) else { return };
        claim.gets = Some(step.next);
        *left = left.saturating_sub(step.cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(key: usize, priority: u8, kbps: &[u64]) -> Claim {
        let mut choices = Choices::default();
        for (spatial, kbps) in (0..).zip(kbps) {
            let target = Target { spatial, temporal: u8::MAX };
            choices.add(Choice { target, cost: Bitrate::kbps(*kbps) });
        }
        Claim { key, priority, shortage: Shortage::Pause, choices, had: None, gets: None }
    }

    fn shared(mut claims: Vec<Claim>, kbps: u64) -> Vec<Option<usize>> {
        share(&mut claims, Bitrate::kbps(kbps), Climb::Allowed);
        claims.sort_unstable_by_key(|claim| claim.key);
        claims.iter().map(|claim| claim.gets).collect()
    }

    const CAMERA: [u64; 3] = [150, 500, 1_700];

    #[test]
    fn where_all_fits_all_is_had() {
        assert_eq!(shared(vec![claim(0, 1, &CAMERA), claim(1, 1, &CAMERA)], 4_000), [Some(2), Some(2)]);
    }

    #[test]
    fn everybody_gets_the_smallest_before_anybody_gets_more() {
        let claims = (0..4).map(|key| claim(key, 1, &CAMERA)).collect();

        assert_eq!(shared(claims, 750), [Some(0), Some(0), Some(0), Some(0)]);
    }

    #[test]
    fn what_is_left_goes_to_the_most_important() {
        let claims = vec![claim(0, 1, &CAMERA), claim(1, 9, &CAMERA), claim(2, 1, &CAMERA)];

        assert_eq!(shared(claims, 2_300), [Some(0), Some(2), Some(0)]);
    }

    #[test]
    fn what_does_not_fit_is_paused_from_the_least_important_up() {
        let claims = || vec![claim(0, 1, &CAMERA), claim(1, 9, &CAMERA), claim(2, 1, &CAMERA)];

        assert_eq!(shared(claims(), 360), [Some(0), Some(0), None]);
        assert_eq!(shared(claims(), 100), [None, None, None]);
    }

    #[test]
    fn who_does_not_agree_to_a_pause_keeps_the_smallest() {
        let stubborn = Claim { shortage: Shortage::Keep, ..claim(0, 1, &CAMERA) };

        assert_eq!(shared(vec![stubborn], 50), [Some(0)]);
    }

    #[test]
    fn a_path_that_wavers_does_not_make_pictures_waver() {
        let mut had = None;
        let mut changes = 0;
        for turn in 0..100 {
            let mut claims = vec![Claim { had, ..claim(0, 1, &CAMERA) }];
            let kbps = if turn % 2 == 0 { 1_640 } else { 1_760 };
            share(&mut claims, Bitrate::kbps(kbps), Climb::Allowed);
            changes += usize::from(claims[0].gets != had);
            had = claims[0].gets;
        }

        assert_eq!(changes, 1);
    }

    #[test]
    fn who_may_not_climb_stays_or_falls() {
        for (kbps, gets) in [(9_000, Some(1)), (200, Some(0)), (10, None)] {
            let mut claims = [Claim { had: Some(1), ..claim(0, 1, &CAMERA) }];
            share(&mut claims, Bitrate::kbps(kbps), Climb::NotYet);

            assert_eq!(claims[0].gets, gets, "{kbps}");
        }
    }

    #[test]
    fn a_choice_that_is_worse_and_not_cheaper_is_none() {
        let choices = claim(0, 1, &[300, 200, 250, 250]).choices;

        assert_eq!(choices.as_slice().iter().map(|choice| choice.target.spatial).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(choices.within(Target { spatial: 2, temporal: u8::MAX }), Some(0));
        assert_eq!(choices.within(Target { spatial: 0, temporal: u8::MAX }), None);
    }

    #[test]
    fn more_to_share_never_gives_the_most_important_less() {
        let mut before = None;
        for kbps in 0..5_000 {
            let gets = shared(vec![claim(0, 9, &CAMERA), claim(1, 1, &CAMERA), claim(2, 1, &[300])], kbps)[0];
            assert!(gets >= before, "{kbps}");
            before = gets;
        }
    }
}
