//! How much the path to one subscriber carries, from what the subscriber tells of what arrived
//! (draft-ietf-rmcat-gcc-02; requirements in RFC 8836).
//!
//! ```text
//! sent ──► History ──feedback──► Groups ─► Trend ─► DelayRate ─┐
//!                     │                                        ├─► estimate
//!                     ├──► Throughput (what arrives)           │
//!                     ├──► Queue (what waits) ─────────────────┤
//!                     ├──► Losses ─────────────────────────────┤
//!                     └──► Probes (what the path could carry) ─┘
//! ```
//!
//! Invariants:
//! - it is told the time, and sends nothing itself;
//! - per packet sent: one record; everything else happens once per feedback message;
//! - nothing is allocated in steady work, and all memory has bounds: up to 64 KiB of history, 2 KiB of the rest;
//! - whoever tells nothing has no estimate, and so no limit.

mod aimd;
mod groups;
mod history;
mod loss;
mod probe;
mod queue;
mod throughput;
mod trend;

use std::time::{Duration, Instant};

use self::{
    aimd::DelayRate,
    groups::Groups,
    history::{Cluster, History, Told},
    loss::Losses,
    probe::Probes,
    queue::{Level, Queue},
    throughput::Throughput,
    trend::{Trend, Usage},
};
use crate::{
    rtcp::twcc,
    units::{Bitrate, SeqNo},
};

/// The least and the most a path is said to carry, in bits per second.
const RATE_MIN: f64 = 50_000.0;
const RATE_MAX: f64 = 100_000_000.0;
/// Where estimating begins: the two lower of three encodings. The first probes tell more within half a second.
const RATE_START: f64 = 600_000.0;
/// A client that told nothing for so long of what it is sent speaks no transport-wide feedback.
const SILENT_FROM_THE_START: Micros = Micros(3_000_000);
/// One that fell silent while it is sent to: the path is broken or so full that feedback is stuck in it.
const SILENCE: Micros = Micros(1_000_000);
/// So many packets have to have been sent meanwhile: a single one may have been lost, and nobody would tell.
const SILENCE_PACKETS: u32 = 10;
/// What is left of the estimate for each such time.
const SILENCE_FACTOR: f64 = 0.5;
/// Assumed while the round trip is unknown.
const RTT_ASSUMED: Micros = Micros(100_000);
/// How long a full queue takes to drain after a cut.
const DRAINING: Micros = Micros(700_000);
/// What was seen of queues and losses this long ago says nothing of now.
const STALE: Micros = Micros(1_500_000);
/// The delay's own rate is kept within this of what losses allow: when they end, it is not far off.
const ABOVE_LOSSES: f64 = 1.5;

/// A moment or a stretch in microseconds: of our clock, or of a receiver's that begins anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Micros(pub(crate) i64);

impl Micros {
    const fn since(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    const fn times(self, factor: i64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    fn as_millis(self) -> f64 {
        self.0 as f64 / 1_000.0
    }
}

/// What the receiver told so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Heard {
    /// Nothing; packets are numbered since then, if at all.
    #[default]
    Never,
    /// Transport-wide feedback.
    Arrivals,
    /// A rate of the receiver's own making (draft-alvestrand-rmcat-remb-03).
    Rate(f64),
}

/// What one path carries.
#[derive(Debug)]
pub(crate) struct Congestion {
    epoch: Instant,
    history: History,
    throughput: Throughput,
    groups: Groups,
    trend: Trend,
    queue: Queue,
    level: Level,
    delay: DelayRate,
    losses: Losses,
    probes: Probes,
    heard: Heard,
    told_at: Option<Micros>,
    began: Option<Micros>,
    /// Packets sent since the receiver last told something, or since the estimate was cut on account of its silence.
    untold: u32,
    untold_since: Option<Micros>,
    rtt: Option<Micros>,
    /// Set from outside.
    limit: Option<Bitrate>,
    /// What the subscriber would be sent if the path carried all.
    wanted: f64,
    told: Vec<Told>,
}

impl Congestion {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            history: History::default(),
            throughput: Throughput::default(),
            groups: Groups::default(),
            trend: Trend::default(),
            queue: Queue::default(),
            level: Level::Short,
            delay: DelayRate::new(RATE_START),
            losses: Losses::default(),
            probes: Probes::default(),
            heard: Heard::Never,
            told_at: None,
            began: None,
            untold: 0,
            untold_since: None,
            rtt: None,
            limit: None,
            wanted: 0.0,
            told: Vec::new(),
        }
    }

    /// This moment on the clock that [`Self::sent`] takes: read once for many packets.
    pub(crate) fn clock(&self, now: Instant) -> Micros {
        Micros(i64::try_from(now.saturating_duration_since(self.epoch).as_micros()).unwrap_or(i64::MAX))
    }

    /// The transport-wide number of the next packet.
    pub(crate) const fn next(&self) -> SeqNo {
        self.history.next()
    }

    /// Packets are going to be numbered: until the receiver tells something, what is usual is assumed.
    pub(crate) fn begin(&mut self, now: Instant) {
        let now = self.clock(now);
        self.began.get_or_insert(now);
    }

    /// The packet with that number went out.
    pub(crate) fn sent(&mut self, len: usize, at: Micros) {
        self.began.get_or_insert(at);
        self.untold_since.get_or_insert(at);
        self.untold = self.untold.saturating_add(1);
        let cluster = self.probes.cluster();
        if cluster != Cluster::NONE {
            self.probes.sent(len);
        }
        self.history.sent(len, cluster, at);
    }

    /// What may be sent. `None`: nobody tells, so nothing limits.
    pub(crate) fn estimate(&self) -> Option<Bitrate> {
        let estimate = self.carries();
        estimate.into_iter().chain(self.limit).min()
    }

    /// No more than this counts, whatever the path carries.
    pub(crate) fn limit(&mut self, limit: Option<Bitrate>) {
        self.limit = limit;
    }

    /// What was commanded, whatever the path carries.
    pub(crate) const fn limited(&self) -> Option<Bitrate> {
        self.limit
    }

    /// What the path carries.
    fn carries(&self) -> Option<Bitrate> {
        match self.heard {
            // Before the first word, what is usual; but only for who may still speak.
            Heard::Never => self.began.map(|_| bitrate(self.rate())).filter(|_| !self.is_mute()),
            Heard::Arrivals | Heard::Rate(_) => Some(bitrate(self.rate())),
        }
    }

    /// Whether the path was ever seen to carry no more than it does: until then the estimate is a beginning.
    pub(crate) fn is_bounded(&self) -> bool {
        self.limit.is_some()
            || matches!(self.heard, Heard::Rate(_))
            || self.delay.cut_at().is_some()
            || self.losses.limit().is_some()
            || self.probes.has_failed()
    }

    /// The share of packets that was lost lately, in per cent.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
    pub(crate) fn loss_percent(&self) -> u64 {
        (self.losses.share() * 100.0).clamp(0.0, 100.0) as u64
    }

    /// What the subscriber would be sent if the path carried all: probes aim at it.
    pub(crate) fn want(&mut self, wanted: Bitrate) {
        self.wanted = rate(wanted);
    }

    /// What arrived, as the receiver tells.
    pub(crate) fn feedback(&mut self, feedback: &twcc::Feedback<'_>, now: Instant) {
        let now = self.clock(now);
        let mut all = std::mem::take(&mut self.told);
        all.clear();
        self.history.read(feedback, |told| all.push(told));
        for told in &all {
            self.take(told, now);
        }
        if !all.is_empty() {
            self.heard = Heard::Arrivals;
            self.told_at = Some(now);
            self.untold_since = None;
            self.untold = 0;
            self.judge(now);
        }
        self.told = all;
    }

    /// What the receiver reckons itself; counts only where it tells no arrivals.
    pub(crate) fn remb(&mut self, told: Bitrate) {
        if !matches!(self.heard, Heard::Arrivals) {
            self.heard = Heard::Rate(rate(told).clamp(RATE_MIN, RATE_MAX));
        }
    }

    /// Runs what is due; tells the bytes of padding that are to be sent now.
    pub(crate) fn tick(&mut self, now: Instant) -> usize {
        let now = self.clock(now);
        self.notice_silence(now);
        if self.told_at.is_some_and(|told| now.since(told) >= STALE) {
            self.level = Level::Short;
            self.losses.fade();
            self.told_at = None;
        }
        // A cluster that nobody tells of proves nothing.
        if matches!(self.heard, Heard::Rate(_)) || self.is_mute() {
            return 0;
        }
        if self.trend.usage() != Usage::Over && self.level == Level::Short && self.losses.is_bearable() {
            self.probes.plan(self.rate(), self.wanted, self.delay.cut_at(), now);
        }
        self.probes.take_due(now)
    }

    /// There is nothing that could be padded.
    pub(crate) fn cannot_pad(&mut self, now: Instant) {
        let now = self.clock(now);
        self.probes.abort(now);
    }

    /// When padding is to be sent next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let micros = u64::try_from(self.probes.deadline()?.0).unwrap_or(0);
        Some(self.epoch + Duration::from_micros(micros))
    }

    fn take(&mut self, told: &Told, now: Micros) {
        let Some(arrived) = told.arrived else {
            self.losses.lost(told.sent, told.len);
            return;
        };
        if told.was_lost {
            self.losses.take_back();
        } else {
            self.losses.arrived(told.sent, told.len);
        }
        self.throughput.arrived(told.len, arrived);
        self.queue.arrived(told.sent, arrived);
        self.probes.arrived(told.cluster, told.len, told.sent, arrived);
        if let Some(spacing) = self.groups.arrived(told.sent, arrived) {
            self.trend.add(spacing);
        }
        let rtt = now.since(told.sent);
        self.rtt = Some(self.rtt.map_or(rtt, |before| Micros((before.0 * 31 + rtt.0) / 32)));
    }

    fn judge(&mut self, now: Micros) {
        let usage = self.usage(now);
        let arriving = self.throughput.rate();
        let carried = self.throughput.rate_lately().filter(|_| usage == Usage::Over).or(arriving);
        self.delay.update(usage, carried, self.rtt.unwrap_or(RTT_ASSUMED), now);
        if usage == Usage::Over {
            self.probes.failed(now);
        } else if let Some(proved) = self.probes.result(now) {
            self.delay.raise(proved);
            self.losses.raise(proved);
        }
        self.losses.update(arriving, self.delay.rate());
        if let Some(limit) = self.losses.limit() {
            self.delay.cap(limit * ABOVE_LOSSES);
        }
    }

    /// What queues do: one that stands does not grow, but nothing may be added to it, and one that spills is full.
    fn usage(&mut self, now: Micros) -> Usage {
        if let Some(level) = self.queue.take() {
            self.level = level;
        }
        // A queue needs time to drain after a cut, and spills meanwhile.
        let drains = self.delay.cut_at().is_some_and(|cut| now.since(cut) < DRAINING);
        match (self.level, self.trend.usage()) {
            (Level::Jumps, _) if !drains => Usage::Over,
            (Level::Stands, Usage::Normal) if !drains && !self.losses.is_bearable() => Usage::Over,
            (Level::Stands | Level::Jumps, Usage::Normal | Usage::Under) => Usage::Under,
            (_, usage) => usage,
        }
    }

    /// What was sent and is not told of: less is sent, until somebody speaks again.
    fn notice_silence(&mut self, now: Micros) {
        let (Heard::Arrivals, Some(since)) = (self.heard, self.untold_since) else { return };
        let patience = SILENCE.plus(self.rtt.unwrap_or(RTT_ASSUMED).times(2));
        if now.since(since) < patience || self.untold < SILENCE_PACKETS {
            return;
        }
        self.untold_since = None;
        self.untold = 0;
        self.probes.failed(now);
        self.delay.cap(self.delay.rate() * SILENCE_FACTOR);
    }

    fn rate(&self) -> f64 {
        match self.heard {
            Heard::Rate(rate) => rate,
            Heard::Never | Heard::Arrivals => {
                let delay = self.delay.rate();
                self.losses.limit().map_or(delay, |limit| limit.min(delay))
            }
        }
    }

    /// Nothing was ever told although there was something to tell.
    fn is_mute(&self) -> bool {
        let (Some(since), Some(last)) = (self.untold_since, self.history.last()) else { return false };
        self.heard == Heard::Never && last.since(since) >= SILENT_FROM_THE_START
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between the least and the most rate"
)]
fn bitrate(bps: f64) -> Bitrate {
    Bitrate::bps(bps.clamp(0.0, RATE_MAX) as u64)
}

fn rate(bitrate: Bitrate) -> f64 {
    bitrate.as_bps() as f64
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers of a test")]
pub(crate) mod tests;
