//! What others put before a worker: bounded queues, and an alarm that wakes it when it waits.
//!
//! Invariants:
//! - a full queue is an answer, never a wait;
//! - media frames have a queue of their own, so that a flood of them cannot keep a command out;
//! - what was queued before the worker fell asleep wakes it: the queues are looked at once more after the alarm is set.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::udp::{self, Socket, Wake};
use crate::{command::Command, event::Event, ids::RoomId};

/// Commands that may wait for a worker. Higher: survives longer bursts of joins. Lower: less memory, an earlier `Full`.
const COMMANDS_MAX: usize = 8_192;
/// ICE-TCP frames that may wait. Higher: fewer losses in bursts. Lower: less delay behind a busy worker.
const FRAMES_MAX: usize = 2_048;

/// A request to a worker's thread.
pub(super) enum Request {
    /// A room begins; its events go there.
    Open(RoomId, mpsc::Sender<Event>),
    Command(Command),
    /// Every room ends, then the thread.
    Stop,
    /// What only a fault of ours does.
    #[cfg(test)]
    Panic,
}

/// What an ICE-TCP connection says.
pub(super) enum Frame {
    /// It begins; frames for it go there.
    Opened(SocketAddr, mpsc::Sender<Bytes>),
    Received(SocketAddr, Bytes),
}

/// The outside of a worker.
#[derive(Clone)]
pub(super) struct Mailbox {
    requests: SyncSender<Request>,
    frames: SyncSender<Frame>,
    alarm: Arc<Alarm>,
    pub(super) load: Arc<Load>,
}

impl Mailbox {
    /// Queues a request.
    pub(super) fn request(&self, request: Request) -> Result<(), Full> {
        self.requests.try_send(request).map_err(|_| Full)?;
        self.alarm.ring();
        Ok(())
    }

    /// Queues a frame.
    pub(super) fn frame(&self, frame: Frame) -> Result<(), Full> {
        self.frames.try_send(frame).map_err(|_| Full)?;
        self.alarm.ring();
        Ok(())
    }
}

/// The worker has too much to do: what was sent is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker's queue is full")]
pub struct Full;

/// The inside: what the worker's thread reads.
pub(super) struct Tray {
    pub(super) requests: Receiver<Request>,
    pub(super) frames: Receiver<Frame>,
    alarm: Arc<Alarm>,
    pub(super) load: Arc<Load>,
}

impl Tray {
    /// From here on, whoever queues something wakes the worker.
    pub(super) fn prepare_to_wait(&self) {
        self.alarm.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Waits for a datagram, for somebody who queues something, or until `patience` is over.
    pub(super) fn wait(&self, socket: &Socket, patience: Option<Duration>) {
        udp::wait(socket, &self.alarm.wake, patience);
        self.stay_awake();
    }

    /// There is no need to wait after all.
    pub(super) fn stay_awake(&self) {
        self.alarm.asleep.store(false, Ordering::SeqCst);
    }
}

/// How busy a worker is: the control plane reads it to place rooms.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Rooms placed on it.
    pub(super) rooms: AtomicU32,
    /// Share of time spent working, in thousandths.
    pub(super) busy: AtomicU32,
    /// ICE-TCP frames that found the queue full.
    pub(super) frames_refused: AtomicU64,
}

struct Alarm {
    asleep: AtomicBool,
    wake: Wake,
}

impl Alarm {
    /// Wakes the worker when it waits; costs next to nothing when it does not.
    fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.wake.wake();
        }
    }
}

/// Both ends.
pub(super) fn mailbox() -> io::Result<(Mailbox, Tray)> {
    let alarm = Arc::new(Alarm { asleep: AtomicBool::new(false), wake: Wake::new()? });
    let load = Arc::new(Load::default());
    let (requests, requests_in) = sync_channel(COMMANDS_MAX);
    let (frames, frames_in) = sync_channel(FRAMES_MAX);
    let outside = Mailbox { requests, frames, alarm: Arc::clone(&alarm), load: Arc::clone(&load) };
    Ok((outside, Tray { requests: requests_in, frames: frames_in, alarm, load }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::udp::{LocalAddress, Options};

    #[test]
    fn a_full_queue_is_an_answer() {
        let (outside, _inside) = mailbox().unwrap();

        for _ in 0..COMMANDS_MAX {
            outside.request(Request::Command(Command::CloseRoom(RoomId(1)))).unwrap();
        }

        assert_eq!(outside.request(Request::Stop), Err(Full));
        assert_eq!(outside.frame(Frame::Received(SocketAddr::from(([0; 4], 0)), Bytes::new())), Ok(()));
    }

    #[test]
    fn who_queues_something_ends_the_wait() {
        let (outside, inside) = mailbox().unwrap();
        let options = Options { buffer: 4_096, local: LocalAddress::Chosen };
        let socket = Socket::bind("127.0.0.1:0".parse().unwrap(), options).unwrap();
        inside.prepare_to_wait();
        let waiter = std::thread::spawn(move || {
            inside.wait(&socket, None);
            inside.requests.try_recv().is_ok()
        });

        outside.request(Request::Stop).unwrap();

        assert!(waiter.join().unwrap());
    }
}
