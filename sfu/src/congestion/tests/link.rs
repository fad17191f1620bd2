//! A path for the estimator alone: a queue before a bottleneck, losses, jitter, and somebody else's packets.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use super::{
    super::{Congestion, Micros},
    receiver::Receiver,
};
use crate::{
    fixture,
    rtcp::{self, Packet},
    units::{Bitrate, SeqNo},
};

/// What happens to packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) rate: f64,
    /// How long the queue may get.
    pub(crate) queue: Micros,
    pub(crate) one_way: Micros,
    pub(crate) jitter: Micros,
    /// Of a million.
    pub(crate) loss: u64,
    /// How many more are lost after one that was.
    pub(crate) burst: u64,
    /// Somebody else's bits per second in the same queue.
    pub(crate) other: f64,
}

pub(crate) const GOOD: Path = Path {
    rate: 3_000_000.0,
    queue: Micros(300_000),
    one_way: Micros(25_000),
    jitter: Micros(0),
    loss: 0,
    burst: 0,
    other: 0.0,
};

/// A sender that sends what is allowed, in pictures, over one path.
pub(crate) struct Call {
    pub(crate) path: Path,
    pub(crate) congestion: Congestion,
    /// What it would send if it could.
    pub(crate) wish: f64,
    pub(crate) delay_max: Micros,
    pub(crate) padding: usize,
    start: Instant,
    now: Micros,
    free: f64,
    last_arrival: Micros,
    doomed: u64,
    random: u64,
    receiver: Receiver,
    flying: VecDeque<(Micros, SeqNo)>,
    backward: BinaryHeap<Reverse<(Micros, Vec<u8>)>>,
}

impl Call {
    pub(crate) fn new(path: Path, seed: u64) -> Self {
        let start = fixture::start();
        Self {
            path,
            congestion: Congestion::new(start),
            wish: 10_000_000.0,
            delay_max: Micros(0),
            padding: 0,
            start,
            now: Micros(0),
            free: 0.0,
            last_arrival: Micros(0),
            doomed: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            receiver: Receiver::default(),
            flying: VecDeque::new(),
            backward: BinaryHeap::new(),
        }
    }

    pub(crate) fn rate(&self) -> f64 {
        self.congestion.estimate().map_or(0.0, |estimate| estimate.as_bps() as f64)
    }

    /// Seconds pass; returns the mean of the estimate.
    pub(crate) fn run(&mut self, seconds: f64) -> f64 {
        let end = Micros(self.now.0 + (seconds * 1e6) as i64);
        let (mut sum, mut count) = (0.0, 0.0);
        self.delay_max = Micros(0);
        while self.now < end {
            self.now = Micros(self.now.0 + 1_000);
            self.millisecond();
            sum += self.rate();
            count += 1.0;
        }
        sum / count
    }

    fn millisecond(&mut self) {
        let instant = self.start + Duration::from_micros(self.now.0 as u64);
        self.congestion.want(Bitrate::bps(self.wish as u64));
        let mut padding = self.congestion.tick(instant);
        self.padding += padding;
        while padding > 0 {
            self.send(300);
            padding = padding.saturating_sub(300);
        }
        if self.now.0 % 33_000 == 0 {
            let mut bytes = (self.rate().max(100_000.0).min(self.wish) * 0.95 * 0.033 / 8.0) as usize;
            while bytes > 0 {
                let len = bytes.clamp(60, 1_200);
                self.send(len);
                bytes = bytes.saturating_sub(len);
            }
        }
        let now = self.now.0 as f64;
        if self.free - now < self.path.queue.0 as f64 {
            self.free = self.free.max(now) + self.path.other / self.path.rate * 1_000.0;
        }
        while let Some((at, seq)) = self.flying.front().copied().filter(|(at, _)| *at <= self.now) {
            self.receiver.arrived(seq, at.plus(Micros(1_000_000_000)));
            self.flying.pop_front();
        }
        if self.now.0 % 50_000 == 0
            && let Some(feedback) = self.receiver.feedback()
        {
            self.backward.push(Reverse((self.now.plus(self.path.one_way), feedback)));
        }
        while self.backward.peek().is_some_and(|Reverse((at, _))| *at <= self.now) {
            let Some(Reverse((_, feedback))) = self.backward.pop() else { break };
            for packet in rtcp::parse(&feedback) {
                if let Packet::TransportCc(feedback) = packet.unwrap() {
                    self.congestion.feedback(&feedback, instant);
                }
            }
        }
    }

    fn send(&mut self, len: usize) {
        let seq = self.congestion.next();
        self.congestion.sent(len, self.now);
        let now = self.now.0 as f64;
        let start = self.free.max(now);
        if start - now > self.path.queue.0 as f64 {
            return;
        }
        self.free = start + len as f64 * 8e6 / self.path.rate;
        if self.loses() {
            return;
        }
        let jitter = Micros((self.next() % (self.path.jitter.0 as u64 + 1)) as i64);
        let queued = Micros((self.free - now) as i64);
        self.delay_max = self.delay_max.max(queued);
        let at = self.now.plus(queued).plus(self.path.one_way).plus(jitter).max(self.last_arrival);
        self.last_arrival = at;
        self.flying.push_back((at, seq));
    }

    fn loses(&mut self) -> bool {
        if self.doomed > 0 {
            self.doomed -= 1;
            return true;
        }
        let lost = self.next() % 1_000_000 < self.path.loss;
        if lost {
            self.doomed = self.path.burst;
        }
        lost
    }

    fn next(&mut self) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random >> 33
    }
}
