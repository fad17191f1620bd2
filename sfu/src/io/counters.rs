//! What a worker's loop counts: totals since its start, beside what the worker itself counts.

use std::time::Instant;

use crate::worker::Counters;

/// Totals of one worker's sockets and queues since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IoCounters {
    /// Calls about the UDP socket: to receive, to send, to wait for it.
    pub socket_calls: u64,
    /// Receive calls that brought something.
    pub receive_calls: u64,
    /// Datagrams that arrived by UDP.
    pub datagrams_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Messages the kernel took: one holds a run of datagrams to one destination.
    pub send_messages: u64,
    /// Datagrams that left by UDP.
    pub datagrams_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Datagrams the kernel refused (unreachable, prohibited, too long).
    pub send_errors: u64,
    /// Times the socket buffer was full and the worker waited for it.
    pub send_waits: u64,
    /// Datagrams given up because the socket buffer stayed full.
    pub send_dropped: u64,
    /// Segmented messages that had to be sent datagram by datagram.
    pub segmentation_refused: u64,
    /// ICE-TCP frames that arrived.
    pub frames_in: u64,
    /// ICE-TCP frames that left.
    pub frames_out: u64,
    /// ICE-TCP frames given up: the connection is gone, or slower than its media.
    pub frames_dropped: u64,
    /// Events given up because a room's queue was full: speakers, reports and lossy messages only.
    pub events_dropped: u64,
    /// Rooms closed because nobody read their events.
    pub rooms_overrun: u64,
    /// Panics that reached the loop and cost the worker all its rooms.
    pub panics: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Time spent working rather than waiting, in microseconds.
    pub busy_us: u64,
}

/// One worker's totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerStats {
    /// Its number.
    pub worker: u16,
    /// When these totals were taken; a worker that stands still takes none.
    pub updated: Option<Instant>,
    /// What it did.
    pub media: Counters,
    /// How its datagrams travelled.
    pub io: IoCounters,
}
