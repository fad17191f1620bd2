//! One worker's loop: receive, read the clock once, hand over, send, tell, wait.
//!
//! Invariants:
//! - a turn takes a bounded number of datagrams, frames and requests, so that none of them starves the others;
//! - nothing here waits but the wait at the end of an idle turn;
//! - a panic that the worker did not keep to one room costs this worker's rooms, not the thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use super::{
    counters::{IoCounters, WorkerStats},
    desk::Desks,
    mailbox::{Frame, Request, Tray},
    outbox::{Locals, Outbox, Segmentation, Wire},
    peers::Peers,
    udp::{Inbox, LocalAddress, Socket},
};
use crate::{
    command::Command,
    event::{Event, EventKind},
    params::{Protocol, Remote},
    worker::{Certificate, Worker, WorkerConfig},
};

/// ICE-TCP frames taken in one turn, as many as datagrams in one receive call without coalescing.
const FRAMES_PER_TURN: usize = 64;
/// Requests taken in one turn. Higher: joins storm through. Lower: media waits less for them.
const REQUESTS_PER_TURN: usize = 256;
/// How often totals are shown to others and queues are swept.
const HOUSEKEEPING: Duration = Duration::from_millis(250);
/// How soon a reader that fell behind is tried again.
const CATCH_UP: Duration = Duration::from_millis(5);
/// A datagram cannot have waited longer in the kernel; what says so was stamped by a clock that was set since.
const QUEUED_MAX: Duration = Duration::from_millis(200);

/// What a loop is made of.
pub(super) struct Parts {
    pub(super) socket: Socket,
    pub(super) local: LocalAddress,
    pub(super) segmentation: Segmentation,
    pub(super) config: WorkerConfig,
    pub(super) certificate: Certificate,
    pub(super) tray: Tray,
    pub(super) stats: Arc<Mutex<WorkerStats>>,
}

/// Runs until it is told to stop.
pub(super) fn run(parts: Parts) {
    let mut turner = Turner::new(parts, Instant::now());
    while turner.turn() == Flow::On {}
    turner.keep_house(Instant::now());
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

/// What a turn found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Some,
    None,
}

struct Turner {
    parts: Parts,
    worker: Worker,
    inbox: Inbox,
    outbox: Outbox,
    locals: Locals,
    peers: Peers,
    desks: Desks,
    counters: IoCounters,
    clock: Clock,
    flow: Flow,
}

/// When housekeeping was done, and how long the loop waited since.
struct Clock {
    kept: Instant,
    waited: Duration,
}

impl Turner {
    fn new(parts: Parts, now: Instant) -> Self {
        Self {
            worker: worker(&parts, now),
            inbox: Inbox::new(parts.socket.coalescing()),
            outbox: Outbox::new(parts.segmentation),
            locals: Locals::default(),
            peers: Peers::default(),
            desks: Desks::default(),
            counters: IoCounters::default(),
            clock: Clock { kept: now, waited: Duration::ZERO },
            flow: Flow::On,
            parts,
        }
    }

    fn turn(&mut self) -> Flow {
        self.counters.socket_calls += 1;
        let received = self.parts.socket.receive(&mut self.inbox);
        let now = Instant::now();
        let work = catch_unwind(AssertUnwindSafe(|| self.work(received, now)));
        let Ok(work) = work else {
            self.lose_rooms(now);
            return self.flow;
        };
        self.counters.turns += 1;
        if now.saturating_duration_since(self.clock.kept) >= HOUSEKEEPING {
            self.keep_house(now);
        }
        if work == Work::None && self.flow == Flow::On {
            self.wait(now);
        }
        self.flow
    }

    fn work(&mut self, received: usize, now: Instant) -> Work {
        // Requests first: a client may only send because of what the control plane asked for before.
        let requests = self.read_requests(now);
        if received > 0 {
            self.read_datagrams(now);
        }
        let frames = self.read_frames(now);
        let mut wire = Wire {
            outbox: &mut self.outbox,
            socket: &self.parts.socket,
            locals: &self.locals,
            peers: &mut self.peers,
            counters: &mut self.counters,
        };
        self.worker.flush(&mut wire, now);
        wire.flush();
        self.tell(now);
        if received + frames + requests > 0 { Work::Some } else { Work::None }
    }

    fn read_datagrams(&mut self, now: Instant) {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.counters.receive_calls += 1;
        for datagram in self.inbox.datagrams() {
            self.counters.datagrams_in += 1;
            self.counters.bytes_in += datagram.bytes.len() as u64;
            if self.parts.local == LocalAddress::Tracked
                && let Some(local) = datagram.local
            {
                self.locals.note(datagram.from, local);
            }
            let queued = datagram.stamp.map_or(Duration::ZERO, |stamp| wall.saturating_sub(stamp));
            let received = if queued <= QUEUED_MAX { now.checked_sub(queued).unwrap_or(now) } else { now };
            let from = Remote { protocol: Protocol::Udp, addr: datagram.from };
            self.worker.receive(from, datagram.bytes, received);
        }
    }

    fn read_frames(&mut self, now: Instant) -> usize {
        let mut count = 0;
        while count < FRAMES_PER_TURN
            && let Ok(frame) = self.parts.tray.frames.try_recv()
        {
            self.take_frame(frame, now);
            count += 1;
        }
        count
    }

    fn take_frame(&mut self, frame: Frame, now: Instant) {
        match frame {
            Frame::Opened(addr, queue) => self.peers.open(addr, queue),
            Frame::Received(addr, bytes) => {
                self.counters.frames_in += 1;
                self.worker.receive(Remote { protocol: Protocol::Tcp, addr }, &bytes, now);
            }
        }
    }

    fn read_requests(&mut self, now: Instant) -> usize {
        let mut count = 0;
        while count < REQUESTS_PER_TURN
            && let Ok(request) = self.parts.tray.requests.try_recv()
        {
            self.take_request(request, now);
            count += 1;
        }
        count
    }

    fn take_request(&mut self, request: Request, now: Instant) {
        match request {
            Request::Open(room, reader) => {
                self.desks.open(room, reader);
                self.worker.command(Command::OpenRoom(room), now);
            }
            Request::Command(command) => {
                let closed = if let Command::CloseRoom(room) = &command { Some(*room) } else { None };
                self.worker.command(command, now);
                if let Some(room) = closed {
                    self.tell(now);
                    self.desks.close(room);
                }
            }
            Request::Stop => {
                let rooms: Vec<_> = self.desks.rooms().collect();
                for room in rooms {
                    self.worker.command(Command::CloseRoom(room), now);
                    self.desks.close(room);
                }
                self.flow = Flow::Stop;
            }
            #[cfg(test)]
            Request::Panic => panic!("as asked"),
        }
    }

    /// Hands the worker's news to the rooms' readers.
    fn tell(&mut self, now: Instant) {
        while let Some(event) = self.worker.poll_event() {
            if let Some(room) = self.desks.deliver(event, &mut self.counters) {
                self.worker.command(Command::CloseRoom(room), now);
            }
        }
        if self.desks.is_behind() {
            self.catch_up(now);
        }
    }

    fn catch_up(&mut self, now: Instant) {
        for room in self.desks.catch_up(&mut self.counters) {
            self.worker.command(Command::CloseRoom(room), now);
        }
    }

    fn keep_house(&mut self, now: Instant) {
        self.catch_up(now);
        self.peers.sweep();
        let span = now.saturating_duration_since(self.clock.kept);
        let busy = span.saturating_sub(self.clock.waited);
        self.counters.busy_us += u64::try_from(busy.as_micros()).unwrap_or(0);
        let share = busy.as_micros() * 1_000 / span.as_micros().max(1);
        let load = &self.parts.tray.load;
        let before = load.busy.load(Ordering::Relaxed);
        load.busy.store((before * 3 + u32::try_from(share).unwrap_or(1_000)) / 4, Ordering::Relaxed);
        load.rooms.store(u32::try_from(self.desks.len()).unwrap_or(u32::MAX), Ordering::Relaxed);
        if let Ok(mut stats) = self.parts.stats.try_lock() {
            stats.worker = self.parts.config.worker;
            stats.updated = Some(now);
            stats.media.clone_from(self.worker.counters());
            stats.io.clone_from(&self.counters);
            stats.io.frames_dropped += load.frames_refused.load(Ordering::Relaxed);
        }
        self.clock = Clock { kept: now, waited: Duration::ZERO };
    }

    /// Waits for the next thing to do. Who queues something between the last look and the wait ends the wait.
    fn wait(&mut self, now: Instant) {
        let tray = &self.parts.tray;
        tray.prepare_to_wait();
        if let Ok(request) = tray.requests.try_recv() {
            tray.stay_awake();
            return self.take_late(|turner| turner.take_request(request, now), now);
        }
        if let Ok(frame) = tray.frames.try_recv() {
            tray.stay_awake();
            return self.take_late(|turner| turner.take_frame(frame, now), now);
        }
        let mut patience = HOUSEKEEPING;
        if let Some(deadline) = self.worker.deadline() {
            patience = patience.min(deadline.saturating_duration_since(Instant::now()));
        }
        if self.desks.is_behind() {
            patience = patience.min(CATCH_UP);
        }
        self.counters.socket_calls += 1;
        tray.wait(&self.parts.socket, Some(patience));
        self.clock.waited += now.elapsed();
    }

    fn take_late(&mut self, take: impl FnOnce(&mut Self), now: Instant) {
        if catch_unwind(AssertUnwindSafe(|| take(self))).is_err() {
            self.lose_rooms(now);
        }
    }

    /// The worker's state cannot be trusted: everyone in its rooms has to come back.
    fn lose_rooms(&mut self, now: Instant) {
        self.counters.panics += 1;
        tracing::error!(
            worker = self.parts.config.worker,
            rooms = self.desks.len(),
            "a panic cost a worker its rooms"
        );
        self.worker = worker(&self.parts, now);
        self.outbox = Outbox::new(self.parts.segmentation);
        let rooms: Vec<_> = self.desks.rooms().collect();
        for room in rooms {
            self.desks.deliver(Event { room, kind: EventKind::RoomLost }, &mut self.counters);
        }
    }
}

fn worker(parts: &Parts, now: Instant) -> Worker {
    Worker::new(parts.config, parts.certificate.clone(), super::random(), now, SystemTime::now())
}
