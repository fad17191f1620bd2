//! Finding out whether a path carries more than is sent: short clusters of padding at a higher rate, and what arrives
//! of them.
//!
//! Invariants:
//! - there is one cluster at a time, and none while queues grow;
//! - clusters come at most every [`SPACING_MIN`], except one that follows a success;
//! - nobody is probed who has all they want.

use super::{Micros, history::Cluster};

/// How long a cluster is sent, and the least it takes to tell anything.
const LENGTH: Micros = Micros(25_000);
const PACKETS_LEAST: u32 = 5;
const BYTES_LEAST: u32 = 1_500;
/// One step of it: what is due since the last is sent at once.
const STEP: Micros = Micros(5_000);
/// What is tried: so many times the estimate.
const FIRST_FACTOR: f64 = 2.5;
const FACTOR: f64 = 2.0;
/// More than is wanted is not tried; a little more, because what is wanted varies.
const WANTED_FACTOR: f64 = 1.1;
/// What has to arrive of a cluster, and how much more than was known, for the next to follow at once.
const SUCCESS: f64 = 0.7;
const GAIN: f64 = 1.15;
/// The path was not full: what arrived came as fast as it was sent.
const UNDISTURBED: f64 = 0.9;
/// A full path gave this rate: a little less keeps its queue empty.
const FULL_FACTOR: f64 = 0.95;
/// Between two clusters of which the first brought nothing; half as much more each time, up to a limit.
const SPACING_MIN: Micros = Micros(1_500_000);
const SPACING_MAX: Micros = Micros(5_000_000);
/// After queues grew: they have to drain first.
const AFTER_CUT: Micros = Micros(1_000_000);
/// A cluster nobody tells of is given up.
const PATIENCE: Micros = Micros(1_000_000);

/// How far a cluster is.
#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Idle,
    /// It is being sent.
    Sending { began: Micros, sent: u32, packets: u32, next: Micros },
    /// It was sent; the receiver has not told all of it.
    Waiting { since: Micros, sent: u32 },
}

/// What arrived of a cluster.
#[derive(Clone, Copy, Debug, Default)]
struct Got {
    packets: u32,
    bytes: u64,
    first_len: u16,
    last_len: u16,
    first_sent: Micros,
    last_sent: Micros,
    first_arrived: Micros,
    last_arrived: Micros,
}

/// The probes of one path.
#[derive(Debug)]
pub(crate) struct Probes {
    stage: Stage,
    cluster: Cluster,
    rate: f64,
    /// The estimate when the cluster began.
    known: f64,
    got: Got,
    spacing: Micros,
    ended: Option<Micros>,
    follow: bool,
    began: bool,
    full: bool,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            stage: Stage::Idle,
            cluster: Cluster::NONE,
            rate: 0.0,
            known: 0.0,
            got: Got::default(),
            spacing: SPACING_MIN,
            ended: None,
            follow: false,
            began: false,
            full: false,
        }
    }
}

impl Probes {
    /// What packets that go out now belong to.
    pub(crate) const fn cluster(&self) -> Cluster {
        match self.stage {
            Stage::Sending { .. } => self.cluster,
            Stage::Idle | Stage::Waiting { .. } => Cluster::NONE,
        }
    }

    /// A packet went out while a cluster was being sent.
    pub(crate) fn sent(&mut self, len: usize) {
        if let Stage::Sending { sent, packets, .. } = &mut self.stage {
            *sent = sent.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
            *packets += 1;
        }
    }

    /// Begins a cluster if it is time, `wanted` being more than the estimate allows.
    pub(crate) fn plan(&mut self, estimate: f64, wanted: f64, cut: Option<Micros>, now: Micros) {
        self.give_up(now);
        if !matches!(self.stage, Stage::Idle) || wanted <= estimate {
            return;
        }
        let drained = cut.is_none_or(|cut| now.since(cut) >= AFTER_CUT);
        let rested = self.ended.is_none_or(|ended| now.since(ended) >= self.spacing);
        if !drained || (!rested && !self.follow) {
            return;
        }
        let factor = if self.began { FACTOR } else { FIRST_FACTOR };
        self.began = true;
        self.follow = false;
        self.rate = (estimate * factor).min(wanted * WANTED_FACTOR);
        self.known = estimate;
        self.cluster = Cluster(self.cluster.0.checked_add(1).unwrap_or(1));
        self.got = Got::default();
        self.stage = Stage::Sending { began: now, sent: 0, packets: 0, next: now };
    }

    /// Whether a cluster ever found the path full.
    pub(crate) const fn has_failed(&self) -> bool {
        self.full
    }

    /// When something is to be sent.
    pub(crate) const fn deadline(&self) -> Option<Micros> {
        match self.stage {
            Stage::Sending { next, .. } => Some(next),
            Stage::Idle | Stage::Waiting { .. } => None,
        }
    }

    /// Bytes of padding that are to be sent now.
    pub(crate) fn take_due(&mut self, now: Micros) -> usize {
        let Stage::Sending { began, sent, packets, next } = &mut self.stage else { return 0 };
        if *next > now {
            return 0;
        }
        let elapsed = now.since(*began);
        let enough = *packets >= PACKETS_LEAST && *sent >= BYTES_LEAST;
        if (elapsed >= LENGTH && enough) || elapsed >= LENGTH.times(4) {
            self.stage = Stage::Waiting { since: now, sent: *sent };
            return 0;
        }
        *next = now.plus(STEP);
        // The first step sends what belongs to it, or nothing would be sent for as long.
        let due = self.rate / 8.0 * (elapsed.plus(STEP).as_millis() / 1_000.0);
        let missing = due - f64::from(*sent);
        whole(missing)
    }

    /// Nothing can be sent: there is no stream to pad.
    pub(crate) fn abort(&mut self, now: Micros) {
        self.stage = Stage::Idle;
        self.ended = Some(now);
    }

    /// A packet of a cluster arrived.
    pub(crate) fn arrived(&mut self, cluster: Cluster, len: u16, sent: Micros, arrived: Micros) {
        if cluster == Cluster::NONE || cluster != self.cluster {
            return;
        }
        let got = &mut self.got;
        if got.packets == 0 || sent < got.first_sent {
            (got.first_sent, got.first_len) = (sent, len);
        }
        if got.packets == 0 || arrived < got.first_arrived {
            got.first_arrived = arrived;
        }
        if got.packets == 0 || sent >= got.last_sent {
            (got.last_sent, got.last_len) = (sent, len);
        }
        got.last_arrived = if got.packets == 0 { arrived } else { got.last_arrived.max(arrived) };
        got.packets += 1;
        got.bytes += u64::from(len);
    }

    /// The rate the cluster proved, once enough of it arrived.
    pub(crate) fn result(&mut self, now: Micros) -> Option<f64> {
        let Stage::Waiting { sent, .. } = self.stage else { return None };
        if self.got.packets < PACKETS_LEAST - 1 || self.got.bytes * 10 < u64::from(sent) * 8 {
            return None;
        }
        let proved = self.got.rate();
        self.stage = Stage::Idle;
        self.ended = Some(now);
        let least = (self.rate * SUCCESS).max(self.known * GAIN);
        let success = proved.is_some_and(|proved| proved >= least);
        self.follow = success;
        self.full |= !success;
        self.spacing = if success { SPACING_MIN } else { self.longer() };
        proved
    }

    /// Queues grew, or the cluster was lost on the way: the path is full.
    pub(crate) fn failed(&mut self, now: Micros) {
        if matches!(self.stage, Stage::Idle) {
            return;
        }
        self.stage = Stage::Idle;
        self.ended = Some(now);
        self.follow = false;
        self.full = true;
        self.spacing = self.longer();
    }

    fn give_up(&mut self, now: Micros) {
        if let Stage::Waiting { since, .. } = self.stage
            && now.since(since) >= PATIENCE
        {
            self.failed(now);
        }
    }

    fn longer(&self) -> Micros {
        self.spacing.plus(Micros(self.spacing.0 / 2)).min(SPACING_MAX)
    }
}

impl Got {
    /// Bits per second between the first packet and the last.
    fn rate(&self) -> Option<f64> {
        let sending = self.last_sent.since(self.first_sent).as_millis();
        let arriving = self.last_arrived.since(self.first_arrived).as_millis();
        if sending < 1.0 || !(1.0..=1_000.0).contains(&arriving) {
            return None;
        }
        // The last packet sent took no time of the sending, the first that arrived none of the arriving.
        let sent = (self.bytes.saturating_sub(u64::from(self.last_len))) as f64 * 8_000.0 / sending;
        let arrived = (self.bytes.saturating_sub(u64::from(self.first_len))) as f64 * 8_000.0 / arriving;
        if arrived < sent * UNDISTURBED { Some(arrived * FULL_FACTOR) } else { Some(sent.min(arrived)) }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between the bounds it is cut to"
)]
fn whole(bytes: f64) -> usize {
    bytes.clamp(0.0, 65_535.0) as usize
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers of a test")]
mod tests {
    use super::*;

    /// Sends one cluster over a path of so many bits per second; tells what was proved and how long it took.
    fn probe(probes: &mut Probes, capacity: f64, from: Micros) -> (Option<f64>, u32) {
        let (mut free, mut now, mut bytes) = (0.0, from, 0);
        while let Some(next) = probes.deadline() {
            now = now.max(next);
            let mut due = probes.take_due(now);
            while due > 0 {
                let cluster = probes.cluster();
                probes.sent(300);
                bytes += 300;
                free = f64::max(free, now.0 as f64) + 2_400.0 / capacity * 1e6;
                probes.arrived(cluster, 300, now, Micros(free as i64 + 20_000));
                due = due.saturating_sub(300);
            }
        }
        (probes.result(now), bytes)
    }

    #[test]
    fn a_wide_path_proves_what_was_tried_and_more_is_tried_at_once() {
        let mut probes = Probes::default();
        probes.plan(400_000.0, 3_000_000.0, None, Micros(0));
        let (proved, _) = probe(&mut probes, 10e6, Micros(0));
        assert!(proved.unwrap() > 850_000.0, "{proved:?}");

        probes.plan(proved.unwrap(), 3_000_000.0, None, Micros(40_000));
        assert!(probes.deadline().is_some());
    }

    #[test]
    fn a_full_path_proves_what_it_carries_and_is_left_alone_for_a_while() {
        let mut probes = Probes::default();
        probes.plan(400_000.0, 3_000_000.0, None, Micros(0));
        let (proved, bytes) = probe(&mut probes, 500_000.0, Micros(0));
        assert!((400_000.0..520_000.0).contains(&proved.unwrap()), "{proved:?}");
        assert!(bytes < 5_000, "{bytes}");

        probes.plan(480_000.0, 3_000_000.0, None, Micros(500_000));
        assert_eq!(probes.deadline(), None);
        probes.plan(480_000.0, 3_000_000.0, None, Micros(4_000_000));
        assert!(probes.deadline().is_some());
    }

    #[test]
    fn nobody_is_probed_who_has_all_they_want_or_whose_queue_just_grew() {
        let mut probes = Probes::default();
        probes.plan(1_000_000.0, 900_000.0, None, Micros(0));
        assert_eq!(probes.deadline(), None);
        probes.plan(1_000_000.0, 2_000_000.0, Some(Micros(-500_000)), Micros(0));
        assert_eq!(probes.deadline(), None);
    }

    #[test]
    fn a_cluster_nobody_tells_of_is_given_up() {
        let mut probes = Probes::default();
        probes.plan(400_000.0, 3_000_000.0, None, Micros(0));
        while let Some(next) = probes.deadline() {
            let due = probes.take_due(next);
            (0..due.div_ceil(300)).for_each(|_| probes.sent(300));
        }
        probes.plan(400_000.0, 3_000_000.0, None, Micros(1_500_000));
        assert!(matches!(probes.stage, Stage::Idle));
        probes.plan(400_000.0, 3_000_000.0, None, Micros(9_000_000));
        assert!(probes.deadline().is_some());
    }
}
