//! The send arena: datagrams are written where the kernel will read them, and leave in as few messages as possible.
//!
//! Invariants:
//! - datagrams leave in the order in which they were committed, per destination;
//! - one message holds datagrams for one destination, all equally long except a shorter last one;
//! - a full socket buffer costs at most [`PATIENCE`] per flush; what does not fit then is dropped and counted.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use rustc_hash::FxHashMap;

use super::{
    counters::IoCounters,
    peers::Peers,
    udp::{DATAGRAM_MAX, Outgoing, SEGMENTS_MAX, SEND_MAX, Socket},
};
use crate::{
    params::{Protocol, Remote},
    worker::Egress,
};

/// Higher: fewer send calls when much is forwarded at once. Lower: it stays in the second-level cache.
const ARENA: usize = 512 * 1_024;
/// How long one flush may wait for a full socket buffer. Higher: fewer losses in bursts. Lower: steadier forwarding.
const PATIENCE: Duration = Duration::from_millis(1);
/// The most a segmented message may carry, with room for the headers of either IP version.
const MESSAGE_MAX: usize = 65_000;
/// Remotes whose local address is remembered. Higher: more memory under an address flood. Lower: fewer clients.
const LOCALS_MAX: usize = 65_536;

/// Whether the kernel cuts long messages into datagrams (`UDP_SEGMENT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segmentation {
    Offloaded,
    Off,
}

/// Through which of our addresses each remote reached us, on hosts where the kernel might choose another one.
#[derive(Debug, Default)]
pub(super) struct Locals {
    known: FxHashMap<SocketAddr, IpAddr>,
    /// Datagrams come in runs: the last one noted is most often the next one too.
    last: Option<(SocketAddr, IpAddr)>,
}

impl Locals {
    /// Notes where a datagram came in.
    pub(super) fn note(&mut self, remote: SocketAddr, local: IpAddr) {
        if self.last == Some((remote, local)) {
            return;
        }
        self.last = Some((remote, local));
        if self.known.len() >= LOCALS_MAX && !self.known.contains_key(&remote) {
            self.known.clear();
        }
        self.known.insert(remote, local);
    }

    fn of(&self, remote: SocketAddr) -> Option<IpAddr> {
        if self.known.is_empty() { None } else { self.known.get(&remote).copied() }
    }
}

/// Datagrams for one destination that leave as one message.
#[derive(Clone, Copy, Debug)]
struct Group {
    to: SocketAddr,
    start: usize,
    len: usize,
    segment: usize,
    count: usize,
    growth: Growth,
}

/// Whether a group takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    Open,
    /// Its last datagram is shorter: nothing can follow.
    Closed,
}

/// The arena and the groups in it.
#[derive(Debug)]
pub(super) struct Outbox {
    arena: Box<[u8]>,
    used: usize,
    groups: Vec<Group>,
    begun: Option<Remote>,
    segmentation: Segmentation,
}

impl Outbox {
    pub(super) fn new(segmentation: Segmentation) -> Self {
        Self {
            arena: vec![0; ARENA].into_boxed_slice(),
            used: 0,
            groups: Vec::with_capacity(SEND_MAX),
            begun: None,
            segmentation,
        }
    }

    /// Puts a datagram of `len` bytes at the end of the arena into its group.
    fn append(&mut self, to: SocketAddr, len: usize) {
        let start = self.used;
        self.used += len;
        if self.segmentation == Segmentation::Offloaded
            && let Some(last) = self.groups.last_mut()
            && last.to == to
            && last.growth == Growth::Open
            && len <= last.segment
            && len > 0
            && last.count < SEGMENTS_MAX
            && last.len + len <= MESSAGE_MAX
        {
            if len < last.segment {
                last.growth = Growth::Closed;
            }
            last.len += len;
            last.count += 1;
            return;
        }
        self.groups.push(Group { to, start, len, segment: len, count: 1, growth: Growth::Open });
    }
}

/// The outbox together with the ways out: what a worker writes to during one turn.
pub(super) struct Wire<'a> {
    pub(super) outbox: &'a mut Outbox,
    pub(super) socket: &'a Socket,
    pub(super) locals: &'a Locals,
    pub(super) peers: &'a mut Peers,
    pub(super) counters: &'a mut IoCounters,
}

impl Egress for Wire<'_> {
    fn begin(&mut self, to: Remote, len_max: usize) -> &mut [u8] {
        let len_max = len_max.min(DATAGRAM_MAX);
        if self.outbox.used + len_max > self.outbox.arena.len() || self.outbox.groups.len() == SEND_MAX {
            self.flush();
        }
        self.outbox.begun = Some(to);
        let start = self.outbox.used;
        self.outbox.arena.get_mut(start..start + len_max).unwrap_or_default()
    }

    fn commit(&mut self, len: usize) {
        let Some(to) = self.outbox.begun.take() else { return };
        match to.protocol {
            Protocol::Udp => self.outbox.append(to.addr, len.min(DATAGRAM_MAX)),
            Protocol::Tcp => {
                let start = self.outbox.used;
                let bytes = self.outbox.arena.get(start..start + len).unwrap_or_default();
                self.peers.send(to.addr, bytes, self.counters);
            }
        }
    }
}

impl Wire<'_> {
    /// Hands everything to the kernel.
    pub(super) fn flush(&mut self) {
        let mut patience = PATIENCE;
        let mut first = 0;
        while first < self.outbox.groups.len() {
            self.counters.socket_calls += 1;
            let (sent, error) = self.send(self.outbox.groups.get(first..).unwrap_or_default());
            count(self.counters, self.outbox.groups.get(first..first + sent).unwrap_or_default());
            first += sent;
            let Some(error) = error else { continue };
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            if error.kind() != io::ErrorKind::WouldBlock {
                self.refused(first, &error);
                first += 1;
                continue;
            }
            if patience.is_zero() {
                let rest = self.outbox.groups.get(first..).unwrap_or_default();
                self.counters.send_dropped += rest.iter().map(|group| group.count as u64).sum::<u64>();
                break;
            }
            self.counters.send_waits += 1;
            self.counters.socket_calls += 1;
            self.socket.wait_writable(patience);
            patience = Duration::ZERO;
        }
        self.outbox.groups.clear();
        self.outbox.used = 0;
    }

    fn send(&self, groups: &[Group]) -> (usize, Option<io::Error>) {
        const NOTHING: Outgoing<'static> = Outgoing {
            to: SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0)),
            from: None,
            bytes: &[],
            segment: None,
        };
        let mut messages = [NOTHING; SEND_MAX];
        for (message, group) in messages.iter_mut().zip(groups) {
            *message = Outgoing {
                to: group.to,
                from: self.locals.of(group.to),
                bytes: self.outbox.arena.get(group.start..group.start + group.len).unwrap_or_default(),
                segment: if group.count > 1 { u16::try_from(group.segment).ok() } else { None },
            };
        }
        self.socket.send(messages.get(..groups.len()).unwrap_or_default())
    }

    /// The kernel will not take this message. A segmented one is sent again datagram by datagram: the path may have
    /// a smaller MTU than the segment, or the device no checksum offload (then segmentation is given up for good).
    fn refused(&mut self, index: usize, error: &io::Error) {
        let Some(group) = self.outbox.groups.get(index).copied() else { return };
        if group.count == 1 {
            self.counters.send_errors += 1;
            tracing::trace!(%error, "datagram refused");
            return;
        }
        self.counters.segmentation_refused += 1;
        if error.raw_os_error() == Some(libc::EIO) && self.outbox.segmentation == Segmentation::Offloaded {
            tracing::warn!(%error, "segmentation offload is given up: the network device has no checksum offload");
            self.outbox.segmentation = Segmentation::Off;
        }
        let end = group.start + group.len;
        for start in (group.start..end).step_by(group.segment.max(1)) {
            let single = Group { start, len: group.segment.min(end - start), count: 1, ..group };
            self.counters.socket_calls += 1;
            match self.send(&[single]) {
                (0, Some(_)) => self.counters.send_errors += 1,
                (_, _) => count(self.counters, &[single]),
            }
        }
    }
}

fn count(counters: &mut IoCounters, sent: &[Group]) {
    counters.send_messages += sent.len() as u64;
    counters.datagrams_out += sent.iter().map(|group| group.count as u64).sum::<u64>();
    counters.bytes_out += sent.iter().map(|group| group.len as u64).sum::<u64>();
}

/// Whether the kernel cuts a message of ours into datagrams: two are sent to ourselves over loopback.
pub(super) fn probe_segmentation() -> Segmentation {
    match try_segmentation() {
        Ok(2) => Segmentation::Offloaded,
        Ok(_) | Err(_) => Segmentation::Off,
    }
}

fn try_segmentation() -> io::Result<usize> {
    use super::udp::{Coalescing, Inbox, LocalAddress, Options};
    let options = Options { buffer: 65_536, local: LocalAddress::Chosen };
    let socket = Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), options)?;
    let to = socket.local_addr()?;
    let message = Outgoing { to, from: None, bytes: &[0; 150], segment: Some(100) };
    if let (0, Some(error)) = socket.send(&[message]) {
        return Err(error);
    }
    // Loopback delivers within the send call.
    let mut inbox = Inbox::new(Coalescing::On);
    socket.receive(&mut inbox);
    Ok(inbox.datagrams().filter(|datagram| matches!(datagram.bytes.len(), 100 | 50)).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::udp::{Inbox, LocalAddress, Options};

    #[test]
    fn datagrams_of_one_destination_arrive_in_order_with_their_own_lengths() {
        let mut world = World::new(Segmentation::Offloaded);

        let lengths = [1_200, 1_200, 1_200, 700, 700, 1_200, 0, 3, 3, 2, 2];
        world.send(&lengths);

        assert_eq!(world.received(), lengths);
    }

    #[test]
    fn a_run_of_equal_datagrams_is_one_message() {
        let mut world = World::new(Segmentation::Offloaded);

        world.send(&[1_200; 10]);
        world.send(&[1_200, 1_200, 500]);

        assert_eq!(world.received().len(), 13);
        assert_eq!(world.counters.datagrams_out, 13);
        assert_eq!(world.counters.send_messages, 2);
    }

    #[test]
    fn a_run_longer_than_the_kernel_takes_is_cut() {
        let mut world = World::new(Segmentation::Offloaded);

        world.send(&[1_000; 150]);

        assert_eq!(world.received().len(), 150);
        assert_eq!(world.counters.send_messages, 3);
    }

    #[test]
    fn without_offload_every_datagram_is_a_message() {
        let mut world = World::new(Segmentation::Off);

        world.send(&[100; 5]);

        assert_eq!(world.received(), [100; 5]);
        assert_eq!(world.counters.send_messages, 5);
    }

    #[test]
    fn a_refused_group_is_sent_datagram_by_datagram() {
        let mut world = World::new(Segmentation::Offloaded);

        // Longer than any loopback frame: two of them do not fit one message either, so they go alone and are refused
        // or not on their own; the small ones around them must arrive.
        world.send(&[50, 50, 60_000, 50]);

        let received = world.received();
        assert!(received.iter().filter(|len| **len == 50).count() == 3, "{received:?}");
    }

    #[test]
    fn a_destination_that_cannot_be_reached_costs_nobody_else() {
        let mut world = World::new(Segmentation::Offloaded);

        world.send_to("255.255.255.255:9".parse().unwrap(), &[10, 10]);
        world.send(&[20, 20]);

        assert_eq!(world.received(), [20, 20]);
        assert_eq!(world.counters.send_errors, 2);
    }

    #[test]
    fn a_reply_leaves_from_the_address_that_was_asked() {
        let options = Options { buffer: 65_536, local: LocalAddress::Tracked };
        let socket = Socket::bind("0.0.0.0:0".parse().unwrap(), options).unwrap();
        let port = socket.local_addr().unwrap().port();
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"hello", ("127.0.0.77", port)).unwrap();
        let mut inbox = Inbox::new(socket.coalescing());
        socket.receive(&mut inbox);
        let hello = inbox.datagrams().next().unwrap();
        let mut locals = Locals::default();
        locals.note(hello.from, hello.local.unwrap());

        let mut wire = Wire {
            outbox: &mut Outbox::new(Segmentation::Offloaded),
            socket: &socket,
            locals: &locals,
            peers: &mut Peers::default(),
            counters: &mut IoCounters::default(),
        };
        for _ in 0..2 {
            wire.begin(Remote { protocol: Protocol::Udp, addr: hello.from }, 5).copy_from_slice(b"there");
            wire.commit(5);
        }
        wire.flush();

        let mut buffer = [0; 16];
        for _ in 0..2 {
            let (len, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], b"there");
            assert_eq!(from, SocketAddr::from(([127, 0, 0, 77], port)));
        }
    }

    #[test]
    fn one_socket_serves_both_versions_of_ip() {
        let options = Options { buffer: 65_536, local: LocalAddress::Tracked };
        let socket = Socket::bind("[::]:0".parse().unwrap(), options).unwrap();
        let port = socket.local_addr().unwrap().port();
        let mut inbox = Inbox::new(socket.coalescing());
        for loopback in ["127.0.0.1", "::1"] {
            let ip: IpAddr = loopback.parse().unwrap();
            let client = std::net::UdpSocket::bind((ip, 0)).unwrap();
            client.send_to(b"hello", (ip, port)).unwrap();
            socket.receive(&mut inbox);
            let hello = inbox.datagrams().next().unwrap();

            assert_eq!(hello.from, client.local_addr().unwrap());
            assert_eq!(hello.local, Some(ip));
            assert!(hello.stamp.is_some());
            let reply = Outgoing { to: hello.from, from: Some(ip), bytes: b"onetwo", segment: Some(3) };
            assert_eq!(socket.send(&[reply]).0, 1);
            let mut buffer = [0; 16];
            assert_eq!(client.recv_from(&mut buffer).unwrap(), (3, SocketAddr::new(ip, port)));
        }
    }

    /// A sender, a receiver, and everything between.
    struct World {
        outbox: Outbox,
        socket: Socket,
        sink: Socket,
        counters: IoCounters,
    }

    impl World {
        fn new(segmentation: Segmentation) -> Self {
            let options = Options { buffer: 1 << 20, local: LocalAddress::Chosen };
            let bind = || Socket::bind("127.0.0.1:0".parse().unwrap(), options).unwrap();
            let (socket, sink) = (bind(), bind());
            Self { outbox: Outbox::new(segmentation), socket, sink, counters: IoCounters::default() }
        }

        fn send(&mut self, lengths: &[usize]) {
            let to = self.sink.local_addr().unwrap();
            self.send_to(to, lengths);
        }

        fn send_to(&mut self, addr: SocketAddr, lengths: &[usize]) {
            let mut wire = Wire {
                outbox: &mut self.outbox,
                socket: &self.socket,
                locals: &Locals::default(),
                peers: &mut Peers::default(),
                counters: &mut self.counters,
            };
            for len in lengths {
                wire.begin(Remote { protocol: Protocol::Udp, addr }, *len + 40).fill(7);
                wire.commit(*len);
            }
            wire.flush();
        }

        fn received(&self) -> Vec<usize> {
            let mut inbox = Inbox::new(self.sink.coalescing());
            let mut lengths = Vec::new();
            while self.sink.receive(&mut inbox) > 0 {
                lengths.extend(inbox.datagrams().map(|datagram| datagram.bytes.len()));
            }
            lengths
        }
    }
}
