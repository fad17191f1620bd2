//! The send arena: datagrams are put together where the kernel will read them, and leave in as few messages as possible.
//!
//! Invariants:
//! - datagrams leave in the order in which they were written, per destination;
//! - one message holds datagrams for one destination from one socket, all equally long except a shorter last one.

use std::net::{IpAddr, SocketAddr};

use super::udp::{DATAGRAM_MAX, Outgoing, SEGMENTS_MAX, SEND_MAX, Socket};
use crate::server::RelayId;

/// Higher: fewer send calls when much is relayed at once. Lower: it stays in the second-level cache.
const ARENA: usize = 512 * 1_024;
/// The most a segmented message may carry, with room for the headers of either IP version.
const MESSAGE_MAX: usize = 65_000;

/// From which socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To a client, from a listener.
    Listener(usize),
    /// To a peer.
    Relay(RelayId),
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) way: Way,
    pub(super) to: SocketAddr,
    /// Which of our addresses it leaves from, where the socket has several.
    pub(super) from: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    route: Route,
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

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendCounters {
    /// Datagrams the kernel took.
    pub datagrams: u64,
    /// Messages they left in.
    pub messages: u64,
    /// Datagrams the kernel refused.
    pub errors: u64,
    /// Datagrams dropped because a socket's buffer was full.
    pub full: u64,
}

/// The arena and the groups in it.
pub(super) struct Outbox {
    arena: Box<[u8]>,
    used: usize,
    groups: Vec<Group>,
    pub(super) counters: SendCounters,
}

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            arena: vec![0; ARENA].into_boxed_slice(),
            used: 0,
            groups: Vec::with_capacity(SEND_MAX),
            counters: SendCounters::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether another datagram of this length has to wait for a flush.
    pub(super) fn is_full(&self, len: usize) -> bool {
        self.used + len > self.arena.len() || self.groups.len() >= SEND_MAX
    }

    /// Puts a datagram together from its parts. One that is longer than a datagram can be is dropped.
    pub(super) fn write(&mut self, route: Route, parts: [&[u8]; 3]) -> Result<(), NoRoom> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let place = self.arena.get_mut(self.used..self.used + len);
        let Some(mut place) = place.filter(|_| len <= DATAGRAM_MAX) else { return Err(NoRoom) };
        for part in parts {
            let (head, rest) = place.split_at_mut(part.len());
            head.copy_from_slice(part);
            place = rest;
        }
        self.append(route, len);
        Ok(())
    }

    fn append(&mut self, route: Route, len: usize) {
        let start = self.used;
        self.used += len;
        if let Some(last) = self.groups.last_mut()
            && last.route == route
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
        self.groups.push(Group { route, start, len, segment: len, count: 1, growth: Growth::Open });
    }

    /// Hands everything to the kernel. A socket that is gone takes nothing.
    pub(super) fn flush<'s>(&mut self, socket: impl Fn(Way) -> Option<&'s Socket>) {
        let mut first = 0;
        while let Some(group) = self.groups.get(first) {
            let way = group.route.way;
            let run = self.groups.iter().skip(first).take_while(|group| group.route.way == way).count();
            if let Some(socket) = socket(way) {
                self.send(socket, first, first + run);
            }
            first += run;
        }
        self.groups.clear();
        self.used = 0;
    }

    fn send(&mut self, socket: &Socket, mut first: usize, end: usize) {
        while first < end {
            let groups = self.groups.get(first..end).unwrap_or_default();
            let (sent, error) = send_groups(socket, &self.arena, groups);
            for group in groups.iter().take(sent) {
                self.counters.messages += 1;
                self.counters.datagrams += group.count as u64;
            }
            first += sent;
            let Some(error) = error else { continue };
            let kind = error.kind();
            if kind == std::io::ErrorKind::Interrupted {
                continue;
            }
            if kind == std::io::ErrorKind::WouldBlock {
                let rest = self.groups.get(first..end).unwrap_or_default();
                self.counters.full += rest.iter().map(|group| group.count as u64).sum::<u64>();
                return;
            }
            self.refused(socket, first, &error);
            first += 1;
        }
    }

    /// The kernel will not take this message. A segmented one goes once more datagram by datagram: the path may have a
    /// smaller MTU than the segment, or the device no offload.
    fn refused(&mut self, socket: &Socket, index: usize, error: &std::io::Error) {
        let Some(group) = self.groups.get(index).copied() else { return };
        if group.count == 1 {
            self.counters.errors += 1;
            tracing::trace!(%error, "datagram refused");
            return;
        }
        let end = group.start + group.len;
        for start in (group.start..end).step_by(group.segment.max(1)) {
            let single = Group { start, len: group.segment.min(end - start), count: 1, ..group };
            match send_groups(socket, &self.arena, &[single]) {
                (0, Some(_)) => self.counters.errors += 1,
                (_, _) => {
                    self.counters.messages += 1;
                    self.counters.datagrams += 1;
                }
            }
        }
    }
}

fn send_groups(socket: &Socket, arena: &[u8], groups: &[Group]) -> (usize, Option<std::io::Error>) {
    const NOTHING: Outgoing<'static> = Outgoing {
        to: SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0)),
        from: None,
        bytes: &[],
        segment: None,
    };
    if let [group] = groups {
        return socket.send(&[outgoing(arena, group)]);
    }
    let mut messages = [NOTHING; SEND_MAX];
    for (message, group) in messages.iter_mut().zip(groups) {
        *message = outgoing(arena, group);
    }
    socket.send(messages.get(..groups.len().min(SEND_MAX)).unwrap_or_default())
}

fn outgoing<'a>(arena: &'a [u8], group: &Group) -> Outgoing<'a> {
    Outgoing {
        to: group.route.to,
        from: group.route.from,
        bytes: arena.get(group.start..group.start + group.len).unwrap_or_default(),
        segment: if group.count > 1 { u16::try_from(group.segment).ok() } else { None },
    }
}
