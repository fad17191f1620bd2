//! The ICE-TCP connections of one worker, as the worker's thread sees them: an address and a bounded queue each.
//!
//! Invariant: a connection that reads slower than its media loses frames; it never holds the worker up.

use std::net::SocketAddr;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use tokio::sync::mpsc::{Sender, error::TrySendError};

use super::counters::IoCounters;

/// Connections by their far end.
#[derive(Debug, Default)]
pub(super) struct Peers(FxHashMap<SocketAddr, Sender<Bytes>>);

impl Peers {
    /// A connection begins; an address that comes again replaces what was there.
    pub(super) fn open(&mut self, addr: SocketAddr, queue: Sender<Bytes>) {
        self.0.insert(addr, queue);
    }

    /// Queues one frame for a connection.
    pub(super) fn send(&mut self, addr: SocketAddr, frame: &[u8], counters: &mut IoCounters) {
        let Some(queue) = self.0.get(&addr) else {
            counters.frames_dropped += 1;
            return;
        };
        match queue.try_send(Bytes::copy_from_slice(frame)) {
            Ok(()) => counters.frames_out += 1,
            Err(TrySendError::Full(_)) => counters.frames_dropped += 1,
            Err(TrySendError::Closed(_)) => {
                counters.frames_dropped += 1;
                self.0.remove(&addr);
            }
        }
    }

    /// Forgets connections that ended.
    pub(super) fn sweep(&mut self) {
        self.0.retain(|_, queue| !queue.is_closed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_connection_loses_frames_and_a_closed_one_is_forgotten() {
        let (mut peers, mut counters) = (Peers::default(), IoCounters::default());
        let addr = SocketAddr::from(([192, 0, 2, 1], 5));
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        peers.open(addr, sender);

        peers.send(addr, b"one", &mut counters);
        peers.send(addr, b"two", &mut counters);
        drop(receiver);
        peers.send(addr, b"three", &mut counters);

        assert_eq!((counters.frames_out, counters.frames_dropped), (1, 2));
        assert!(peers.0.is_empty());
    }
}
