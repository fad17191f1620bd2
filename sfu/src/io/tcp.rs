//! ICE over TCP, the passive side (RFC 6544): one listener for all workers, RFC 4571 frames on its connections.
//!
//! The first frame has to be a STUN binding request whose USERNAME begins with one of our user fragments; its first
//! characters name the worker, and from then on frames go both ways between the connection and that worker.
//!
//! Invariants:
//! - a stranger, which no worker has answered yet, has little time, few bytes, and few places beside it;
//! - a queue that is full drops frames: media that waits is media that is late.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};
use turn::stun;

use super::mailbox::{Frame, Mailbox};
use crate::params::ufrag_prefix;

/// Connections at a time. Higher: more clients behind strict firewalls. Lower: fewer descriptors.
const CONNECTIONS_MAX: usize = 4_096;
/// Connections no worker has answered yet. Higher: survives join storms. Lower: less for strangers to hold.
const STRANGERS_MAX: usize = 512;
/// The same from one address (one /64 of IPv6): many clients may share it behind a translator.
const STRANGERS_PER_ADDRESS_MAX: usize = 32;
/// How long a stranger may take for its first frame.
const FIRST_FRAME: Duration = Duration::from_secs(5);
/// A first check has a username, a priority, a role and two digests; credentials are short.
const FIRST_FRAME_LEN_MAX: usize = 1_024;
/// How long a worker may take to answer a stranger.
const ANSWER: Duration = Duration::from_secs(10);
/// RFC 7675: a client in good health sends a check every few seconds.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long the far end may refuse to take what is written.
const STALL_MAX: Duration = Duration::from_secs(10);
/// Longer than any packet a client sends; a length above it is not ours.
const FRAME_LEN_MAX: usize = 8_192;
/// Frames that may wait for a connection: half a second of video.
const QUEUE: usize = 256;
/// Frames that are written in one go.
const WRITE_BATCH: usize = 64;
/// What accepting waits when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until it is dropped, and with it every connection.
pub(super) async fn serve(listener: TcpListener, workers: Arc<[Mailbox]>) {
    let gate = Arc::new(Gate::default());
    let mut connections = JoinSet::new();
    loop {
        let (stream, addr) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no ICE-TCP connection can be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let Some(pass) = gate.enter(addr.ip()) else {
            tracing::debug!(%addr, "too many ICE-TCP connections");
            continue;
        };
        let workers = Arc::clone(&workers);
        connections.spawn(async move {
            if let Err(error) = attend(stream, addr, &workers, pass).await {
                tracing::debug!(%addr, %error, "ICE-TCP connection ended");
            }
        });
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("socket")]
    Io(#[from] io::Error),
    #[error("nothing came in time")]
    Silent,
    #[error("the far end takes nothing")]
    Stalled,
    #[error("a frame of {0} bytes")]
    Oversize(usize),
    #[error("the first frame is not a check of one of our transports")]
    Stranger,
    #[error("no worker answered")]
    Unanswered,
    #[error("the worker let go of it")]
    Dismissed,
}

async fn attend(stream: TcpStream, addr: SocketAddr, workers: &[Mailbox], pass: Pass) -> Result<(), Ended> {
    stream.set_nodelay(true)?;
    let (from, to) = stream.into_split();
    let mut frames = Frames { from, buffer: BytesMut::new(), len_max: FIRST_FRAME_LEN_MAX };
    let first = timeout(FIRST_FRAME, frames.next()).await.map_err(|_| Ended::Silent)??;
    let worker = worker_of(&first).and_then(|number| workers.get(number)).ok_or(Ended::Stranger)?;
    frames.len_max = FRAME_LEN_MAX;

    let (queue, outgoing) = mpsc::channel(QUEUE);
    worker.frame(Frame::Opened(addr, queue)).map_err(|_| Ended::Dismissed)?;
    worker.frame(Frame::Received(addr, first)).map_err(|_| Ended::Dismissed)?;
    tokio::select! {
        ended = read(frames, addr, worker) => ended,
        ended = write(to, outgoing, pass) => ended,
    }
}

async fn read(mut frames: Frames, addr: SocketAddr, worker: &Mailbox) -> Result<(), Ended> {
    loop {
        let frame = timeout(SILENCE_MAX, frames.next()).await.map_err(|_| Ended::Silent)??;
        if worker.frame(Frame::Received(addr, frame)).is_err() {
            worker.load.frames_refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn write(mut to: OwnedWriteHalf, mut queue: mpsc::Receiver<Bytes>, pass: Pass) -> Result<(), Ended> {
    let mut batch = Vec::with_capacity(WRITE_BATCH);
    let mut buffer = BytesMut::new();
    let mut stranger = Some(pass);
    let mut friend = None;
    loop {
        let waited = queue.recv_many(&mut batch, WRITE_BATCH);
        let count = match stranger {
            Some(_) => timeout(ANSWER, waited).await.map_err(|_| Ended::Unanswered)?,
            None => waited.await,
        };
        if count == 0 {
            return Err(Ended::Dismissed);
        }
        if let Some(pass) = stranger.take() {
            friend = Some(pass.befriend());
        }
        for frame in batch.drain(..) {
            // RFC 4571 §2: a frame is at most 65,535 bytes; ours are datagrams and never longer.
            let Ok(len) = u16::try_from(frame.len()) else { continue };
            buffer.put_u16(len);
            buffer.put(frame);
        }
        timeout(STALL_MAX, to.write_all_buf(&mut buffer)).await.map_err(|_| Ended::Stalled)??;
        debug_assert!(friend.is_some(), "who is written to was answered");
    }
}

/// Which worker a first frame is for.
fn worker_of(frame: &[u8]) -> Option<usize> {
    let message = stun::Message::parse(frame).ok()?;
    if message.class() != stun::Class::Request || message.method() != stun::Method::BINDING {
        return None;
    }
    // RFC 8445 §7.2.2: the username is our user fragment, a colon, theirs.
    let prefix = message.username()?.first_chunk()?;
    (0..u16::MAX).take(WORKERS_MAX).find(|worker| ufrag_prefix(*worker) == *prefix).map(usize::from)
}

/// Two characters of 36 name this many workers.
const WORKERS_MAX: usize = 36 * 36;

/// Cuts a stream into frames (RFC 4571 §2): two bytes of length, then the packet.
struct Frames<R = OwnedReadHalf> {
    from: R,
    buffer: BytesMut,
    len_max: usize,
}

impl<R: AsyncReadExt + Unpin> Frames<R> {
    async fn next(&mut self) -> Result<Bytes, Ended> {
        loop {
            if let Some(len) = self.buffer.first_chunk().map(|len| usize::from(u16::from_be_bytes(*len))) {
                if len > self.len_max {
                    return Err(Ended::Oversize(len));
                }
                if self.buffer.len() >= 2 + len {
                    self.buffer.advance(2);
                    return Ok(self.buffer.split_to(len).freeze());
                }
            }
            self.buffer.reserve(self.len_max + 2);
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                return Err(Ended::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

/// Counts who is inside.
struct Gate {
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    per_address: Mutex<BTreeMap<IpAddr, usize>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
            per_address: Mutex::default(),
        }
    }
}

impl Gate {
    fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Pass> {
        let connection = Arc::clone(&self.connections).try_acquire_owned().ok()?;
        let stranger = Arc::clone(&self.strangers).try_acquire_owned().ok()?;
        let ip = network(ip);
        let mut per_address = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = per_address.entry(ip).or_default();
        if *count >= STRANGERS_PER_ADDRESS_MAX {
            return None;
        }
        *count += 1;
        Some(Pass { connection, _place: Place { gate: Arc::clone(self), ip }, _stranger: stranger })
    }

    fn leave(&self, ip: IpAddr) {
        let mut per_address = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = per_address.get_mut(&ip) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            per_address.remove(&ip);
        }
    }
}

/// The right to be connected as a stranger.
struct Pass {
    connection: OwnedSemaphorePermit,
    _stranger: OwnedSemaphorePermit,
    _place: Place,
}

impl Pass {
    /// A worker answered: the stranger's places are free again.
    fn befriend(self) -> OwnedSemaphorePermit {
        self.connection
    }
}

struct Place {
    gate: Arc<Gate>,
    ip: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.leave(self.ip);
    }
}

/// What counts as one address: one host of IPv4, one /64 of IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::mailbox::{Tray, mailbox};

    #[tokio::test]
    async fn a_first_check_finds_its_worker_and_frames_go_both_ways() {
        let world = World::start(3).await;
        let mut client = world.connect().await;

        client.send(&check("02abcdef:xyz")).await;
        client.send(b"media").await;
        let (addr, queue) = world.opened(2).await;
        assert_eq!(world.received(2).await, check("02abcdef:xyz"));
        assert_eq!(world.received(2).await, b"media".as_slice());
        queue.send(Bytes::from_static(b"one")).await.unwrap();
        queue.send(Bytes::from_static(b"")).await.unwrap();
        queue.send(Bytes::from_static(b"three")).await.unwrap();

        assert_eq!(addr, client.stream.local_addr().unwrap());
        assert_eq!(client.receive().await.unwrap(), b"one");
        assert_eq!(client.receive().await.unwrap(), b"");
        assert_eq!(client.receive().await.unwrap(), b"three");
    }

    #[tokio::test]
    async fn what_is_not_a_check_of_ours_ends_the_connection() {
        let response = {
            let mut buffer = [0; 256];
            let id = stun::TransactionId([0; 12]);
            let builder = stun::Builder::new(stun::Class::Success, stun::Method::BINDING, id, &mut buffer);
            let len = builder.username(b"00abcdef:xyz").finish().unwrap();
            buffer[..len].to_vec()
        };
        for first in
            [b"GET / HTTP/1.1".to_vec(), check("zzabcdef:xyz"), check("0"), response, vec![], vec![0; 2_000]]
        {
            let world = World::start(1).await;
            let mut client = world.connect().await;

            client.send(&first).await;

            assert!(client.receive().await.is_err(), "{first:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_the_worker_lets_go_of_ends() {
        let world = World::start(1).await;
        let mut client = world.connect().await;
        client.send(&check("00abcdef:xyz")).await;
        let (_, queue) = world.opened(0).await;

        drop(queue);

        assert!(client.receive().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_that_says_nothing_or_is_not_answered_is_sent_away() {
        let world = World::start(1).await;
        let (mut mute, mut unanswered) = (world.connect().await, world.connect().await);
        unanswered.send(&check("00abcdef:xyz")).await;
        let _opened = world.opened(0).await;

        assert!(mute.receive().await.is_err());
        assert!(unanswered.receive().await.is_err());
    }

    #[tokio::test]
    async fn strangers_of_one_address_are_few_until_they_are_answered() {
        let world = World::start(1).await;
        let mut crowd = Vec::new();
        for _ in 0..STRANGERS_PER_ADDRESS_MAX {
            crowd.push(world.connect().await);
        }
        let mut late = world.connect().await;
        assert!(late.receive().await.is_err());

        crowd[0].send(&check("00abcdef:xyz")).await;
        let (_, queue) = world.opened(0).await;
        queue.send(Bytes::from_static(b"answer")).await.unwrap();
        crowd[0].receive().await.unwrap();
        let mut next = world.connect().await;
        next.send(&check("00abcdef:xyz")).await;

        world.opened(0).await;
    }

    #[tokio::test]
    async fn frames_are_cut_however_the_stream_is_sliced() {
        let mut stream = Vec::new();
        for len in [0u16, 1, 500, 1_024] {
            stream.extend_from_slice(&len.to_be_bytes());
            stream.resize(stream.len() + usize::from(len), 9);
        }
        for slice in [1, 2, 3, 7, 1_000, 4_096] {
            let (mut near, far) = tokio::io::duplex(slice);
            let bytes = stream.clone();
            let writer = tokio::spawn(async move { near.write_all(&bytes).await });
            let mut frames = Frames { from: far, buffer: BytesMut::new(), len_max: FIRST_FRAME_LEN_MAX };

            for len in [0, 1, 500, 1_024] {
                assert_eq!(frames.next().await.unwrap().len(), len);
            }

            writer.await.unwrap().unwrap();
            assert!(frames.next().await.is_err());
        }
    }

    /// A listener with workers that only hold what they are given.
    struct World {
        addr: SocketAddr,
        trays: Vec<Tray>,
        _server: JoinSet<()>,
    }

    impl World {
        async fn start(workers: usize) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let (outsides, trays): (Vec<_>, Vec<_>) = (0..workers).map(|_| mailbox().unwrap()).unzip();
            let mut server = JoinSet::new();
            server.spawn(serve(listener, outsides.into()));
            Self { addr, trays, _server: server }
        }

        async fn connect(&self) -> Client {
            Client { stream: TcpStream::connect(self.addr).await.unwrap() }
        }

        async fn frame(&self, worker: usize) -> Frame {
            loop {
                if let Ok(frame) = self.trays[worker].frames.try_recv() {
                    return frame;
                }
                tokio::task::yield_now().await;
            }
        }

        async fn opened(&self, worker: usize) -> (SocketAddr, mpsc::Sender<Bytes>) {
            loop {
                if let Frame::Opened(addr, queue) = self.frame(worker).await {
                    return (addr, queue);
                }
            }
        }

        async fn received(&self, worker: usize) -> Bytes {
            loop {
                if let Frame::Received(_, bytes) = self.frame(worker).await {
                    return bytes;
                }
            }
        }
    }

    struct Client {
        stream: TcpStream,
    }

    impl Client {
        async fn send(&mut self, frame: &[u8]) {
            self.stream.write_u16(frame.len().try_into().unwrap()).await.unwrap();
            self.stream.write_all(frame).await.unwrap();
        }

        async fn receive(&mut self) -> io::Result<Vec<u8>> {
            let mut frame = vec![0; self.stream.read_u16().await?.into()];
            self.stream.read_exact(&mut frame).await?;
            Ok(frame)
        }
    }

    fn check(username: &str) -> Vec<u8> {
        let mut buffer = [0; 256];
        let id = stun::TransactionId([7; 12]);
        let builder = stun::Builder::new(stun::Class::Request, stun::Method::BINDING, id, &mut buffer);
        let len = builder.username(username.as_bytes()).finish().unwrap();
        buffer[..len].to_vec()
    }
}
