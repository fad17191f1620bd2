//! What an engine counted since it was last asked.

use std::time::Duration;

use crate::measure::Histogram;

/// Sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) sent: u64,
    pub(crate) sent_bytes: u64,
    /// Datagrams the kernel did not take.
    pub(crate) unsent: u64,
    /// RTP packets that came.
    pub(crate) received: u64,
    /// Bytes of their datagrams.
    pub(crate) received_bytes: u64,
    /// Those that sequence numbers promised.
    pub(crate) expected: u64,
    /// Retransmissions and probes.
    pub(crate) repaired: u64,
    /// Packets asked for again, and those of them that came.
    pub(crate) missed: u64,
    pub(crate) recovered: u64,
    pub(crate) opened: u64,
    /// Opened, and not what anybody sent.
    pub(crate) strange: u64,
    /// Not authentic, or not RTP.
    pub(crate) broken: u64,
    /// Calls to receive, and what they brought.
    pub(crate) receive_calls: u64,
    pub(crate) datagrams: u64,
    /// Key frames that the server asked publishers for.
    pub(crate) keyframes_asked: u64,
    /// Key frames that receivers asked the server for.
    pub(crate) keyframes_wanted: u64,
    /// Packets the server asked publishers for again.
    pub(crate) nacked: u64,
    /// Feedback messages from the server, and to it.
    pub(crate) feedback_in: u64,
    pub(crate) feedback_out: u64,
    pub(crate) lost_peers: u64,
}

impl Counters {
    pub(crate) const fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.unsent += other.unsent;
        self.received += other.received;
        self.received_bytes += other.received_bytes;
        self.expected += other.expected;
        self.repaired += other.repaired;
        self.missed += other.missed;
        self.recovered += other.recovered;
        self.opened += other.opened;
        self.strange += other.strange;
        self.broken += other.broken;
        self.receive_calls += other.receive_calls;
        self.datagrams += other.datagrams;
        self.keyframes_asked += other.keyframes_asked;
        self.keyframes_wanted += other.keyframes_wanted;
        self.nacked += other.nacked;
        self.feedback_in += other.feedback_in;
        self.feedback_out += other.feedback_out;
        self.lost_peers += other.lost_peers;
    }
}

/// All that is known of a span of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) counters: Counters,
    /// From before a packet was sealed to when it reached the receiver's kernel.
    pub(crate) delay: Histogram,
    /// From when a receiver asked for another layer to its first packet.
    pub(crate) switching: Histogram,
    /// How much later than due a picture was sent.
    pub(crate) lateness: Histogram,
    /// How long packets waited in the kernel for us.
    pub(crate) waiting: Histogram,
    /// How long the span was, and how long the thread worked in it.
    pub(crate) span: Duration,
    pub(crate) busy: Duration,
    /// The share of the busiest of the threads that were put together.
    pub(crate) busiest: f64,
}

impl Figures {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.counters.merge(&other.counters);
        self.delay.merge(&other.delay);
        self.switching.merge(&other.switching);
        self.lateness.merge(&other.lateness);
        self.waiting.merge(&other.waiting);
        self.span = self.span.max(other.span);
        self.busy += other.busy;
        self.busiest = self.busiest.max(other.busiest);
    }
}
