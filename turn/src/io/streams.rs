//! Clients over TCP and TLS: a stream each, read and written without waiting.
//!
//! Invariants:
//! - a client that reads slower than its media loses media; it holds nobody up and costs at most [`OUTPUT_MAX`] bytes;
//! - what is not TURN, not in time, or longer than a message can be, ends the stream.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Interest, Registry, Token, net::TcpStream};
use rustc_hash::FxHashMap;
use rustls::{ServerConfig, ServerConnection};
use slab::Slab;

use crate::{
    frame::FRAME_MAX,
    tuple::{FiveTuple, Transport},
};

/// What may wait for a slow client. Higher: longer stalls are borne. Lower: less memory, less delay behind a stall.
const OUTPUT_MAX: usize = 256 * 1_024;
/// What is read at once.
const READ_MAX: usize = 64 * 1_024;
/// What is put into one TLS record.
const RECORD_MAX: usize = 16 * 1_024;
/// Streams of a worker.
const STREAMS_MAX: usize = 16_384;
/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// How long a client may stay without an allocation.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// What was seen of streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// Open ones.
    pub open: u64,
    /// Ever accepted.
    pub accepted: u64,
    /// Refused because there were too many.
    pub refused: u64,
    /// Ended because of what they said, or did not say.
    pub misbehaved: u64,
    /// Messages that did not wait for a slow client.
    pub dropped: u64,
}

/// Whether a stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There may be more at once.
    More,
    /// Nothing more waits.
    Drained,
    /// The far end closed it, or broke it.
    Ended,
}

pub(super) struct Stream {
    pub(super) tuple: FiveTuple,
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// The beginning of a message.
    pub(super) input: Vec<u8>,
    output: Vec<u8>,
    /// How much of `output` is gone.
    sent: usize,
    opened: Instant,
    /// When it was last seen to have an allocation.
    useful: Instant,
    is_dirty: bool,
}

/// The streams of one worker.
pub(super) struct Streams {
    streams: Slab<Stream>,
    by_tuple: FxHashMap<FiveTuple, usize>,
    dirty: Vec<usize>,
    scratch: Box<[u8]>,
    pub(super) counters: StreamCounters,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self {
            streams: Slab::new(),
            by_tuple: FxHashMap::default(),
            dirty: Vec::new(),
            scratch: vec![0; READ_MAX].into_boxed_slice(),
            counters: StreamCounters::default(),
        }
    }

    /// Takes a connection in.
    pub(super) fn open(
        &mut self,
        mut socket: TcpStream,
        client: SocketAddr,
        tls: Option<&Arc<ServerConfig>>,
        poller: (&Registry, fn(usize) -> Token),
        now: Instant,
    ) {
        if self.streams.len() >= STREAMS_MAX {
            self.counters.refused += 1;
            return;
        }
        let key = self.streams.vacant_key();
        let (registry, token) = poller;
        let both = Interest::READABLE | Interest::WRITABLE;
        let (Ok(server), Ok(()), Ok(())) =
            (socket.local_addr(), socket.set_nodelay(true), registry.register(&mut socket, token(key), both))
        else {
            return;
        };
        let transport = if tls.is_some() { Transport::Tls } else { Transport::Tcp };
        let tls = match tls.map(|config| ServerConnection::new(Arc::clone(config))) {
            Some(Ok(connection)) => Some(Box::new(connection)),
            Some(Err(_)) => return,
            None => None,
        };
        let tuple = FiveTuple { transport, client: canonical(client), server: canonical(server) };
        let stream = Stream {
            tuple,
            socket,
            tls,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            opened: now,
            useful: now,
            is_dirty: false,
        };
        self.by_tuple.insert(tuple, key);
        self.streams.insert(stream);
        self.counters.accepted += 1;
        self.counters.open += 1;
    }

    /// Reads what waits, at most [`READ_MAX`] bytes, behind what is in the stream's input.
    pub(super) fn read(&mut self, key: usize) -> Progress {
        let Some(stream) = self.streams.get_mut(key) else { return Progress::Drained };
        match stream.read(&mut self.scratch) {
            Ok(progress) => {
                if stream.tls.as_ref().is_some_and(|tls| tls.wants_write()) {
                    mark(&mut self.dirty, stream, key);
                }
                progress
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Progress::Drained,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Progress::More,
            Err(_) => Progress::Ended,
        }
    }

    /// The input of a stream, to be cut into messages.
    pub(super) fn take_input(&mut self, key: usize) -> Option<(FiveTuple, Vec<u8>)> {
        let stream = self.streams.get_mut(key)?;
        Some((stream.tuple, std::mem::take(&mut stream.input)))
    }

    /// What is left of the input, without its first `taken` bytes.
    pub(super) fn keep_input(&mut self, key: usize, mut input: Vec<u8>, taken: usize) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        input.drain(..taken.min(input.len()));
        stream.input = input;
    }

    /// Queues a message for a client.
    pub(super) fn write(&mut self, to: &FiveTuple, parts: [&[u8]; 3]) {
        let Some(key) = self.by_tuple.get(to).copied() else { return };
        let Some(stream) = self.streams.get_mut(key) else { return };
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if stream.output.len() - stream.sent + len > OUTPUT_MAX {
            self.counters.dropped += 1;
            return;
        }
        for part in parts {
            stream.output.extend_from_slice(part);
        }
        mark(&mut self.dirty, stream, key);
    }

    /// The socket takes more.
    pub(super) fn writable(&mut self, key: usize) {
        if let Some(stream) = self.streams.get_mut(key) {
            mark(&mut self.dirty, stream, key);
        }
    }

    /// Writes what waits, as far as sockets take it. Those that broke are told.
    pub(super) fn flush(&mut self, mut broken: impl FnMut(usize)) {
        for key in self.dirty.drain(..) {
            let Some(stream) = self.streams.get_mut(key) else { continue };
            stream.is_dirty = false;
            match stream.flush() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => broken(key),
            }
        }
    }

    /// Ends a stream; tells whose it was.
    pub(super) fn close(&mut self, key: usize, registry: &Registry) -> Option<FiveTuple> {
        let mut stream = self.streams.try_remove(key)?;
        let _ = registry.deregister(&mut stream.socket);
        self.by_tuple.remove(&stream.tuple);
        self.counters.open = self.counters.open.saturating_sub(1);
        Some(stream.tuple)
    }

    /// Those whose time is over: without a handshake, or without an allocation.
    pub(super) fn overdue(
        &mut self,
        has_allocation: impl Fn(&FiveTuple) -> bool,
        now: Instant,
    ) -> Vec<usize> {
        let mut overdue = Vec::new();
        for (key, stream) in &mut self.streams {
            if has_allocation(&stream.tuple) {
                stream.useful = now;
            }
            let shaking = stream.tls.as_ref().is_some_and(|tls| tls.is_handshaking());
            let late = shaking && now.saturating_duration_since(stream.opened) > HANDSHAKE_MAX;
            if late || now.saturating_duration_since(stream.useful) > IDLE_MAX {
                overdue.push(key);
            }
        }
        overdue
    }

    /// All of them.
    pub(super) fn keys(&self) -> Vec<usize> {
        self.streams.iter().map(|(key, _)| key).collect()
    }
}

impl Stream {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<Progress> {
        let Some(tls) = &mut self.tls else {
            let len = self.socket.read(scratch)?;
            self.input.extend_from_slice(scratch.get(..len).unwrap_or_default());
            return Ok(match len {
                0 => Progress::Ended,
                len if len == scratch.len() => Progress::More,
                _ => Progress::Drained,
            });
        };
        let mut total = 0;
        while total < READ_MAX && self.input.len() <= FRAME_MAX + READ_MAX {
            let len = match tls.read_tls(&mut self.socket) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Drained),
                Err(error) => return Err(error),
            };
            if len == 0 {
                return Ok(Progress::Ended);
            }
            total += len;
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            let plain = state.plaintext_bytes_to_read();
            if plain > 0 {
                let start = self.input.len();
                self.input.resize(start + plain, 0);
                tls.reader().read_exact(self.input.get_mut(start..).unwrap_or_default())?;
            }
        }
        Ok(Progress::More)
    }

    fn flush(&mut self) -> io::Result<()> {
        loop {
            let waiting = self.output.get(self.sent..).unwrap_or_default();
            match &mut self.tls {
                None if waiting.is_empty() => break,
                None => self.sent += self.socket.write(waiting)?,
                Some(tls) => {
                    while tls.wants_write() {
                        tls.write_tls(&mut self.socket)?;
                    }
                    if waiting.is_empty() || tls.is_handshaking() {
                        break;
                    }
                    let record = waiting.get(..waiting.len().min(RECORD_MAX)).unwrap_or_default();
                    self.sent += tls.writer().write(record)?;
                }
            }
        }
        if self.sent >= self.output.len() {
            self.output.clear();
            self.sent = 0;
        }
        Ok(())
    }
}

fn mark(dirty: &mut Vec<usize>, stream: &mut Stream, key: usize) {
    if !stream.is_dirty {
        stream.is_dirty = true;
        dirty.push(key);
    }
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
