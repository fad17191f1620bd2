//! Each client's subscriptions are granted what its path carries.
//!
//! Invariants:
//! - sound is never held back, and neither is anything while nobody knows what the path carries;
//! - nothing is allocated once a room's scratch has grown.

use std::time::{Duration, Instant};

use super::{
    Room,
    allocate::{self, Choice, Choices, Claim, Climb},
    context::Context,
    subscription::Subscription,
    track::{Flow, Track},
};
use crate::{
    event::{EventKind, StreamState},
    forward::layers::{Flowing, Target},
    params::{Delivery, Extension, MediaKind, Shortage},
    units::Bitrate,
    worker::Adaptation,
};

/// How often a path is shared out anew while nothing tells to.
const INTERVAL: Duration = Duration::from_millis(200);
/// An estimate that moves by so much, in per cent, tells to.
const MOVED_PERCENT: u64 = 4;
/// What is left of the estimate for what nobody plans.
const BUDGET_PERCENT: u64 = 97;
/// More is aimed for than is wanted, in per cent: going up takes room.
const WANTED_PERCENT: u64 = 120;
/// What is kept free for sending again what is lost, at most.
const LOST_PERCENT_MAX: u64 = 15;
/// A shortage has to last this long before the most important picture is paused as well.
const SHORTAGE: Duration = Duration::from_secs(3);
/// What a voice takes, if it is counted in the estimate at all.
const VOICE: Bitrate = Bitrate::kbps(36);
/// What encodings take that nobody has measured yet, the lowest first.
const ASSUMED: [Bitrate; 4] =
    [Bitrate::kbps(150), Bitrate::kbps(500), Bitrate::kbps(1_700), Bitrate::kbps(3_000)];
/// More than the path carries is being sent, in per cent of it: there is no time to wait for a key frame.
const FLOOD_PERCENT: u64 = 130;
/// A climb that ends within this did not last.
const LASTING: Duration = Duration::from_secs(6);
/// After one that did not, the next waits; twice as long each time.
const PATIENCE_MIN: Duration = Duration::from_secs(1);
const PATIENCE_MAX: Duration = Duration::from_secs(16);

/// How one client's path was shared out.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// When it is to be shared out again.
    pub(crate) at: Option<Instant>,
    /// The estimate it was shared out by.
    by: Option<Bitrate>,
    /// Since when more is granted than there is.
    short_since: Option<Instant>,
    climbed: Option<Instant>,
    rests_until: Option<Instant>,
    patience: Duration,
}

impl Sharing {
    /// Something changed: it is shared out in this flush.
    pub(crate) fn renew(&mut self, now: Instant) {
        self.at = Some(now);
    }

    /// The estimate may have moved.
    pub(crate) fn estimated(&mut self, estimate: Option<Bitrate>, now: Instant) {
        let moved = match (self.by, estimate) {
            (Some(before), Some(estimate)) => {
                let (before, estimate) = (before.as_bps(), estimate.as_bps());
                before.abs_diff(estimate) > before * MOVED_PERCENT / 100
            }
            (before, estimate) => before != estimate,
        };
        if moved {
            self.renew(now);
        }
    }

    fn climb(&self, now: Instant) -> Climb {
        if self.rests_until.is_some_and(|until| now < until) { Climb::NotYet } else { Climb::Allowed }
    }

    /// Whether a shortage may still pass.
    fn is_patient(&self, now: Instant) -> bool {
        self.short_since.is_none_or(|since| now.saturating_duration_since(since) < SHORTAGE)
    }

    /// So much is granted of so much.
    fn granted(&mut self, granted: u64, budget: u64, now: Instant) {
        if granted > budget + budget / 10 {
            self.short_since.get_or_insert(now);
        } else if granted > 0 {
            self.short_since = None;
        }
    }

    fn climbed(&mut self, now: Instant) {
        self.climbed = Some(now);
    }

    fn fell(&mut self, now: Instant) {
        let lasted =
            self.climbed.take().is_none_or(|climbed| now.saturating_duration_since(climbed) >= LASTING);
        self.patience =
            if lasted { PATIENCE_MIN } else { (self.patience * 2).clamp(PATIENCE_MIN, PATIENCE_MAX) };
        self.rests_until = Some(now + self.patience);
    }
}

/// What a grant changed for one subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Nothing,
    More,
    Less,
}

impl Room {
    /// Shares out anew what this client's path carries, before the next packet goes.
    pub(super) fn reallocate(&mut self, key: usize, cx: &mut Context<'_>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.down.sharing.renew(cx.now);
        self.allocate(key, cx);
        self.touch(key);
    }

    /// The same for everybody who gets a track.
    pub(super) fn reallocate_all(&mut self, track: usize, cx: &mut Context<'_>) {
        let Some(track) = self.tracks.get(track) else { return };
        for key in track.subscriptions.clone() {
            if let Some(peer) = self.subscriptions.get(key).map(|subscription| subscription.peer) {
                self.reallocate(peer, cx);
            }
        }
    }

    /// Shares out what this client's path carries, if it is time.
    pub(super) fn allocate(&mut self, key: usize, cx: &mut Context<'_>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.down.sharing.at.is_none_or(|at| at > cx.now) {
            return;
        }
        peer.down.sharing.at = None;
        let mut claims = std::mem::take(&mut self.claims);
        claims.clear();
        let voices = self.gather(key, &mut claims);
        self.grant(key, &mut claims, voices, cx);
        self.claims = claims;
    }

    /// What this client could be sent: tells how many voices besides.
    fn gather(&mut self, key: usize, claims: &mut Vec<Claim>) -> u64 {
        let Self { peers, tracks, subscriptions, .. } = self;
        let Some(peer) = peers.get(key) else { return 0 };
        let mut voices = 0;
        for key in &peer.subscriptions {
            let Some(subscription) = subscriptions.get(*key) else { continue };
            let Some(track) = tracks.get(subscription.track) else { continue };
            if subscription.wish.delivery == Delivery::Paused || track.delivery == Delivery::Paused {
                continue;
            }
            if track.parameters.kind == MediaKind::Audio {
                voices += u64::from(subscription.is_numbered() && track.flowing() != Flowing::default());
                continue;
            }
            let choices = choices(subscription, track);
            if choices.as_slice().is_empty() {
                continue;
            }
            claims.push(Claim {
                key: *key,
                priority: subscription.wish.priority,
                shortage: subscription.wish.shortage,
                choices,
                had: subscription.allowed.and_then(|allowed| choices.within(allowed)),
                gets: None,
            });
        }
        voices
    }

    fn grant(&mut self, key: usize, claims: &mut [Claim], voices: u64, cx: &mut Context<'_>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let down = &mut peer.down;
        if claims.is_empty() {
            down.congestion.want(Bitrate::bps(0));
            return;
        }
        if claims.iter().any(|claim| self.subscriptions.get(claim.key).is_some_and(Subscription::is_numbered))
        {
            down.congestion.begin(cx.now);
        }
        down.sharing.at = Some(cx.now + INTERVAL);
        let estimate = match cx.config.adaptation {
            Adaptation::Measured => down.congestion.estimate(),
            Adaptation::Off => down.congestion.limited(),
        };
        down.sharing.by = estimate;
        let Some(estimate) = estimate else {
            for claim in claims.iter() {
                self.allow(claim.key, Some(Target::ALL), cx);
            }
            return;
        };
        // What is lost is sent again, and takes its share.
        let lost = down.congestion.loss_percent().min(LOST_PERCENT_MAX);
        down.budget.fit(estimate, down.congestion.loss_percent());
        let budget = percent(estimate, BUDGET_PERCENT.saturating_sub(lost));
        let voices = Bitrate::bps(VOICE.as_bps() * voices);
        let budget = Bitrate::bps(budget.as_bps().saturating_sub(voices.as_bps()));
        let climb = down.sharing.climb(cx.now);
        if !down.congestion.is_bounded() {
            // Nobody is paused on account of a beginning.
            claims.iter_mut().for_each(|claim| claim.shortage = Shortage::Keep);
        } else if down.sharing.is_patient(cx.now) {
            let first = claims.iter_mut().filter(|claim| claim.had.is_some());
            let first = first.min_by_key(|claim| (std::cmp::Reverse(claim.priority), claim.key));
            first.into_iter().for_each(|claim| claim.shortage = Shortage::Keep);
        }
        allocate::share(claims, budget, climb);
        let granted = claims.iter().filter_map(Claim::granted).map(|choice| choice.cost.as_bps()).sum();
        down.sharing.granted(granted, budget.as_bps(), cx.now);

        let best: u64 =
            claims.iter().filter_map(|claim| claim.choices.best()).map(|best| best.cost.as_bps()).sum();
        let satisfied = claims
            .iter()
            .all(|claim| claim.gets.map(|gets| gets + 1) == Some(claim.choices.as_slice().len()));
        let wanted = if satisfied { 0 } else { best + voices.as_bps() };
        down.congestion.want(percent(Bitrate::bps(wanted), WANTED_PERCENT + lost));

        let floods = self.given(claims) > percent(estimate, FLOOD_PERCENT).as_bps();
        let (mut more, mut less) = (false, false);
        for claim in claims.iter() {
            let granted = claim.granted().map(|choice| choice.target);
            let change = self.allow(claim.key, granted, cx);
            more |= change == Change::More;
            less |= change == Change::Less;
            if floods {
                self.stop_flooding(claim.key);
            }
        }
        let Some(peer) = self.peers.get_mut(key) else { return };
        if less {
            peer.down.sharing.fell(cx.now);
        } else if more {
            peer.down.sharing.climbed(cx.now);
        }
    }

    /// What is being sent now.
    fn given(&self, claims: &[Claim]) -> u64 {
        let given = claims.iter().filter_map(|claim| {
            let subscription = self.subscriptions.get(claim.key)?;
            let layer =
                self.tracks.get(subscription.track)?.layers.get(usize::from(subscription.layer()?))?;
            layer.rates.up_to(
                subscription.allowed.map_or(Target::ALL, |allowed| Target { spatial: u8::MAX, ..allowed }),
            )
        });
        given.map(Bitrate::as_bps).sum()
    }

    /// An encoding above what is allowed is not sent until the lower one can be entered.
    fn stop_flooding(&mut self, key: usize) {
        let Some(subscription) = self.subscriptions.get_mut(key) else { return };
        let Some((given, allowed)) = subscription.layer().zip(subscription.allowed) else { return };
        if given > allowed.spatial {
            subscription.stop();
            self.seek(key);
        }
    }

    /// From here on the subscription may be sent this much.
    fn allow(&mut self, key: usize, target: Option<Target>, cx: &mut Context<'_>) -> Change {
        let Some(subscription) = self.subscriptions.get_mut(key) else { return Change::Nothing };
        let before = std::mem::replace(&mut subscription.allowed, target);
        let wanted = subscription.wish.layer_max;
        if before == target {
            return Change::Nothing;
        }
        let state = if target.is_some() { StreamState::Active } else { StreamState::Paused };
        if before.is_some() != target.is_some() {
            cx.tell(EventKind::StreamState(subscription.id, state));
        }
        match target {
            None => subscription.stop(),
            Some(_) => self.seek(key),
        }
        let is_less = match (before, target) {
            (_, None) => true,
            (None, _) | (Some(Target::ALL), _) => false,
            // Who gets less because they want less has not fallen.
            (Some(before), Some(target)) => target.spatial < before.spatial && target.spatial < wanted,
        };
        if is_less { Change::Less } else { Change::More }
    }
}

impl Subscription {
    /// Whether its packets are numbered across the transport, and so tell of the path.
    pub(super) fn is_numbered(&self) -> bool {
        self.copies.is_none() && self.send.extensions.id(Extension::TransportCc).is_some()
    }
}

/// How a track can be forwarded to this subscriber, by what is known of its encodings.
fn choices(subscription: &Subscription, track: &Track) -> Choices {
    let wish = subscription.wish;
    let mut choices = Choices::default();
    if let [only] = track.layers.as_slice() {
        if only.flow == Flow::Silent {
            return choices;
        }
        let highest = only.rates.highest();
        for spatial in 0..=highest.spatial.min(wish.layer_max) {
            for temporal in 0..=highest.temporal.min(wish.temporal_max) {
                let target = Target { spatial, temporal };
                choices.add(Choice { target, cost: only.rates.up_to(target).unwrap_or_default() });
            }
        }
        // Whoever gets all that is known gets what comes to it as well.
        choices.open();
        return choices;
    }
    let flowing = track.flowing();
    let lowest = flowing.aim(0);
    for (spatial, layer) in (0..).zip(&track.layers) {
        if layer.flow == Flow::Silent || (spatial > wish.layer_max && Some(spatial) != lowest) {
            continue;
        }
        let highest = layer.rates.highest().temporal.min(wish.temporal_max);
        // A large picture that moves too slowly is no better than a small one that moves.
        let slowest = if Some(spatial) == lowest { 0 } else { highest.min(1) };
        for temporal in slowest..=highest {
            let known = layer.rates.up_to(Target { spatial: u8::MAX, temporal });
            let assumed = ASSUMED.get(usize::from(spatial)).copied().unwrap_or_default();
            let temporal = if temporal == highest { u8::MAX } else { temporal };
            choices.add(Choice { target: Target { spatial, temporal }, cost: known.unwrap_or(assumed) });
        }
    }
    choices
}

fn percent(of: Bitrate, percent: u64) -> Bitrate {
    Bitrate::bps(of.as_bps().saturating_mul(percent) / 100)
}
