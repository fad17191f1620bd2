//! A worker: the rooms it owns, and the way of a datagram to one of them and back out.
//!
//! Invariants:
//! - a room is touched only through this worker; nothing it owns is shared;
//! - a panic costs the room it happened in, never the worker;
//! - nothing is sent except by [`Worker::flush`].

use std::time::{Instant, SystemTime};

use crate::{command::Command, event::Event, params::Remote};

mod counters;
mod egress;

pub use counters::{Counters, DropReason, Drops};
pub use egress::Egress;

pub use crate::dtls::Certificate;

/// How a worker behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Which one it is: the first characters of the ufrags of its transports (see [`crate::params::ufrag_prefix`]).
    pub worker: u16,
    /// RTP padding that may be added to make packets of one frame equally long, so that they leave as one
    /// segmented send; 0: none.
    pub padding_max: u8,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { worker: 0, padding_max: 8 }
    }
}

/// Rooms and their transports on one thread.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    certificate: Certificate,
    counters: Counters,
}

impl Worker {
    /// A worker without rooms. `seed` makes all its choices repeatable, `wall` is the time of day at `now`.
    #[must_use]
    pub fn new(
        config: WorkerConfig,
        certificate: Certificate,
        seed: u64,
        now: Instant,
        wall: SystemTime,
    ) -> Self {
        let _ = (seed, now, wall);
        Self { config, certificate, counters: Counters::default() }
    }

    /// A datagram arrived. What it causes happens at the next [`Self::flush`].
    pub fn receive(&mut self, from: Remote, datagram: &[u8], received: Instant) {
        let _ = (from, datagram, received, self.config, &self.certificate);
    }

    /// The control plane asks for something.
    pub fn command(&mut self, command: Command, now: Instant) {
        let _ = (command, now);
    }

    /// Forwards what arrived, answers, and runs the timers that are due.
    pub fn flush(&mut self, egress: &mut impl Egress, now: Instant) {
        let _ = (egress, now);
    }

    /// What the control plane is to be told next.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// When [`Self::flush`] is to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
