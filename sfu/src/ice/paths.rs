//! The addresses a client was heard from, and which of them is used.
//!
//! Invariants:
//! - the selected path is one of them;
//! - a client that keeps nominating two paths in turn ends up on one of them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::params::Remote;

/// How many addresses of one client are remembered. Higher: more interfaces. Lower: less memory.
const PATHS_MAX: usize = 16;
/// RFC 7675 §5.1: consent expires after 30 seconds.
const PATH_LIFETIME: Duration = Duration::from_secs(30);
/// Silence after which any other path is better than the selected one. Above the 2.5 s between the checks of libwebrtc
/// on a stable path, or each check on one of its spare paths would pull the media there. Higher: a client that does not
/// nominate again is deaf for longer after its address changed.
const SILENCE: Duration = Duration::from_secs(3);
/// A path that was left not longer ago than this is not returned to lightly.
const FLAP_WINDOW: Duration = Duration::from_secs(10);

/// What a check says about the path it came over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    /// Which of our credentials signed it.
    pub(super) generation: u32,
    /// PRIORITY.
    pub(super) priority: u32,
    /// USE-CANDIDATE.
    pub(super) nominates: bool,
}

#[derive(Debug)]
struct Path {
    heard: Instant,
    generation: u32,
    priority: u32,
    nominated: Option<Instant>,
    /// When the client last preferred another one to it.
    left: Option<Instant>,
}

/// Where one client is.
#[derive(Debug, Default)]
pub(super) struct Paths {
    known: BTreeMap<Remote, Path>,
    selected: Option<Remote>,
}

impl Paths {
    /// An authentic check came from `from`.
    pub(super) fn heard(&mut self, from: Remote, check: Check, now: Instant) {
        if !self.known.contains_key(&from) {
            self.make_room(now);
        }
        let path = self.known.entry(from).or_insert(Path {
            heard: now,
            generation: check.generation,
            priority: check.priority,
            nominated: None,
            left: None,
        });
        path.heard = now;
        path.generation = path.generation.max(check.generation);
        path.priority = check.priority;
        if check.nominates {
            path.nominated = Some(now);
        }
        self.reselect(from, check, now);
    }

    /// Forgets what only a generation of credentials speaks for.
    pub(super) fn forget(&mut self, generation: u32) {
        self.known.retain(|_, path| path.generation != generation);
        if self.selected_path().is_none() {
            self.selected = self.known.iter().max_by_key(|(_, path)| path.heard).map(|(remote, _)| *remote);
        }
    }

    pub(super) fn selected(&self) -> Option<Remote> {
        self.selected
    }

    pub(super) fn selected_heard(&self) -> Option<Instant> {
        Some(self.selected_path()?.heard)
    }

    pub(super) fn knows(&self, remote: Remote, now: Instant) -> bool {
        self.known.get(&remote).is_some_and(|path| now < path.heard + PATH_LIFETIME)
    }

    fn selected_path(&self) -> Option<&Path> {
        self.known.get(&self.selected?)
    }

    fn reselect(&mut self, from: Remote, check: Check, now: Instant) {
        if self.selected == Some(from) {
            return;
        }
        match self.decide(from, check, now) {
            Decision::Stay => {}
            Decision::StayAndRemember => {
                if let Some(path) = self.known.get_mut(&from) {
                    path.left = Some(now);
                }
            }
            Decision::Move { preferred } => {
                let old = self.selected.replace(from);
                if let Some(path) = old.and_then(|old| self.known.get_mut(&old)) {
                    path.left = preferred.then_some(now);
                }
                if let Some(path) = self.known.get_mut(&from) {
                    path.left = None;
                }
            }
        }
    }

    /// What a check on a path that is not selected changes.
    ///
    /// The last nomination wins: towards a lite agent libwebrtc puts USE-CANDIDATE on the checks of the pair it uses and
    /// on no other. A client that nominates every pair (RFC 5245 §8.1.1.2) settles on the one of highest priority.
    fn decide(&self, from: Remote, check: Check, now: Instant) -> Decision {
        let Some(selected) = self.selected_path() else { return Decision::Move { preferred: false } };
        if selected.heard + SILENCE < now {
            return Decision::Move { preferred: false };
        }
        if check.generation < selected.generation {
            return Decision::Stay;
        }
        if !check.nominates {
            let anything_is_nominated = selected.nominated.is_some();
            return if anything_is_nominated { Decision::Stay } else { Decision::Move { preferred: false } };
        }

        let left_lately =
            self.known.get(&from).and_then(|path| path.left).is_some_and(|left| now < left + FLAP_WINDOW);
        let still_nominated = selected.nominated.is_some_and(|at| now < at + SILENCE);
        if left_lately && still_nominated && check.priority <= selected.priority {
            return Decision::StayAndRemember;
        }
        Decision::Move { preferred: true }
    }

    /// Forgets what is too old, and if that is not enough the path that was silent for longest.
    fn make_room(&mut self, now: Instant) {
        let selected = self.selected;
        self.known.retain(|remote, path| Some(*remote) == selected || now < path.heard + PATH_LIFETIME);
        while self.known.len() >= PATHS_MAX {
            let oldest = self
                .known
                .iter()
                .filter(|(remote, _)| Some(**remote) != selected)
                .min_by_key(|(_, path)| path.heard)
                .map(|(remote, _)| *remote);
            let Some(oldest) = oldest else { return };
            self.known.remove(&oldest);
        }
    }
}

enum Decision {
    Stay,
    /// Refused as a mere return; until the client stops asking.
    StayAndRemember,
    /// `preferred`: the client chose it over the one before.
    Move {
        preferred: bool,
    },
}
