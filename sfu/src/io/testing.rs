//! A UDP port without a worker behind it, for load generators: the batches of `udp` and nothing else.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use super::udp::{Inbox, LocalAddress, Options, Outgoing, RECEIVE_MAX, SEND_MAX, Socket};

/// A bound UDP socket.
#[derive(Debug)]
pub struct Port(Socket);

/// Room for what one receive call brings; one serves any number of ports.
pub struct Tray(Inbox);

/// One datagram to send, or several of equal length that the kernel cuts apart.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub bytes: &'a [u8],
    /// The length of each datagram but the last; `None` for a single one.
    pub segment: Option<u16>,
}

/// One datagram that came.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Where from.
    pub from: SocketAddr,
    /// When it reached the kernel, since the Unix epoch.
    pub stamp: Option<Duration>,
    /// What.
    pub bytes: &'a [u8],
}

impl Port {
    /// Most messages one call receives: fewer means that nothing is left.
    pub const RECEIVE_MAX: usize = RECEIVE_MAX;
    /// Most messages one call sends.
    pub const SEND_MAX: usize = SEND_MAX;

    /// Binds to an address, with this much room in the kernel each way.
    pub fn bind(addr: SocketAddr, buffer: usize) -> io::Result<Self> {
        Socket::bind(addr, Options { buffer, local: LocalAddress::Chosen }).map(Self)
    }

    /// Where it is bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// A tray for ports like this one.
    #[must_use]
    pub fn tray(&self) -> Tray {
        Tray(Inbox::new(self.0.coalescing()))
    }

    /// Fills the tray with what waits, without waiting; tells how many messages that were.
    pub fn receive(&self, tray: &mut Tray) -> usize {
        self.0.receive(&mut tray.0)
    }

    /// Sends up to [`Self::SEND_MAX`] messages; tells how many the kernel took, and why not the next.
    pub fn send(&self, messages: &[Message<'_>]) -> (usize, Option<io::Error>) {
        let Some(first) = messages.first() else { return (0, None) };
        let mut batch = [outgoing_of(first); SEND_MAX];
        let count = messages.len().min(SEND_MAX);
        for (place, message) in batch.iter_mut().zip(messages) {
            *place = outgoing_of(message);
        }
        self.0.send(batch.get(..count).unwrap_or_default())
    }
}

const fn outgoing_of<'a>(message: &Message<'a>) -> Outgoing<'a> {
    Outgoing { to: message.to, from: None, bytes: message.bytes, segment: message.segment }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Tray {
    /// What the last call brought, one datagram at a time.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.0.datagrams().map(|incoming| Datagram {
            from: incoming.from,
            stamp: incoming.stamp,
            bytes: incoming.bytes,
        })
    }
}

impl fmt::Debug for Tray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tray").finish_non_exhaustive()
    }
}
