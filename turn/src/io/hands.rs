//! What a worker does for its relay: opens and closes sockets, sends, asks what all workers share.

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    os::fd::AsRawFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use mio::{Interest, unix::SourceFd};

use super::{
    outbox::{Outbox, Route, Way},
    streams::Streams,
    udp::{Purpose, Socket},
    worker::Place,
};
use crate::{
    registry::{Denied, Grant, NoPort, Registry, Standing, Taken},
    server::{Fragmentation, Host, Opened, RelayId, RelayPort, Usage},
    tuple::{Family, FiveTuple, Transport},
};

/// Ports that may be found taken by other programs before an allocation is refused.
const TRIES: usize = 16;

/// A socket clients speak to.
pub(super) struct Listener {
    pub(super) socket: Socket,
    /// Where it is bound.
    pub(super) addr: SocketAddr,
}

pub(super) struct Hands {
    pub(super) poller: mio::Registry,
    pub(super) listeners: Vec<Listener>,
    /// By [`RelayId`].
    pub(super) relays: Vec<Option<Socket>>,
    pub(super) outbox: Outbox,
    pub(super) streams: Streams,
    pub(super) shared: Arc<Mutex<Registry>>,
    randomness: RandomState,
    drawn: u64,
}

impl Hands {
    pub(super) fn new(poller: mio::Registry, listeners: Vec<Listener>, shared: Arc<Mutex<Registry>>) -> Self {
        Self {
            poller,
            listeners,
            relays: Vec::new(),
            outbox: Outbox::new(),
            streams: Streams::new(),
            shared,
            randomness: RandomState::new(),
            drawn: 0,
        }
    }

    pub(super) fn relay(&self, relay: RelayId) -> Option<&Socket> {
        self.relays.get(relay.0 as usize)?.as_ref()
    }

    /// Hands all datagrams to the kernel.
    pub(super) fn flush(&mut self) {
        let (listeners, relays) = (&self.listeners, &self.relays);
        self.outbox.flush(|way| match way {
            Way::Listener(index) => listeners.get(index).map(|listener| &listener.socket),
            Way::Relay(relay) => relays.get(relay.0 as usize).and_then(Option::as_ref),
        });
    }

    fn write(&mut self, route: Route, parts: [&[u8]; 3]) {
        if self.outbox.is_full(parts.iter().map(|part| part.len()).sum()) {
            self.flush();
        }
        if self.outbox.write(route, parts).is_err() {
            self.outbox.counters.errors += 1;
        }
    }

    /// What all workers share. A worker that panicked over it left it as it was: every change is one step.
    fn shared(&self) -> MutexGuard<'_, Registry> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number nobody can foresee: the standard library keys its hashers from the system.
    fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.randomness.hash_one(self.drawn)
    }

    fn bind(&mut self, relay: RelayId, taken: Taken) -> std::io::Result<Opened> {
        let socket = Socket::bind(taken.bind, Purpose::Relay, None)?;
        let fd = socket.as_raw_fd();
        self.poller.register(&mut SourceFd(&fd), Place::Relay(relay).token(), Interest::READABLE)?;
        let index = relay.0 as usize;
        if self.relays.len() <= index {
            self.relays.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.relays.get_mut(index) {
            *slot = Some(socket);
        }
        Ok(Opened { told: taken.told, token: taken.token })
    }
}

impl Host for Hands {
    fn to_client(&mut self, to: &FiveTuple, parts: [&[u8]; 3]) {
        match to.transport {
            Transport::Tcp | Transport::Tls => self.streams.write(to, parts),
            Transport::Udp => {
                let serves = |listener: &Listener| {
                    let ip = listener.addr.ip();
                    listener.addr.port() == to.server.port()
                        && (ip == to.server.ip()
                            || ip.is_unspecified() && (ip.is_ipv6() || to.server.is_ipv4()))
                };
                let Some(index) = self.listeners.iter().position(serves) else { return };
                let way = Way::Listener(index);
                self.write(Route { way, to: to.client, from: Some(to.server.ip()) }, parts);
            }
        }
    }

    fn to_peer(&mut self, relay: RelayId, to: SocketAddr, payload: &[u8], fragmentation: Fragmentation) {
        let route = Route { way: Way::Relay(relay), to, from: None };
        if fragmentation == Fragmentation::Allowed {
            self.write(route, [payload, &[], &[]]);
            return;
        }
        // The kernel asks it of the socket, not of the datagram.
        self.flush();
        if self.relay(relay).is_some_and(|socket| socket.set_fragmentation(fragmentation).is_ok()) {
            self.write(route, [payload, &[], &[]]);
            self.flush();
        }
        if let Some(socket) = self.relay(relay) {
            let _ = socket.set_fragmentation(Fragmentation::Allowed);
        }
    }

    fn open_relay(
        &mut self,
        relay: RelayId,
        family: Family,
        port: RelayPort,
        user: &[u8],
        now: Instant,
    ) -> Result<Opened, NoPort> {
        let mut elsewhere = Vec::new();
        let mut answer = Err(NoPort::Taken);
        for _ in 0..TRIES {
            let random = self.draw();
            let taken = match port {
                RelayPort::Free(wish) => self.shared().take(family, wish, user, random, now),
                RelayPort::Kept(token) => self.shared().redeem(token, user, now),
            };
            let taken = match taken {
                Ok(taken) => taken,
                Err(none) => {
                    answer = Err(none);
                    break;
                }
            };
            // A reservation names its family by its address.
            let side = u32::from(taken.told.is_ipv6());
            match self.bind(RelayId(relay.0 & !1 | side), taken) {
                Ok(opened) => {
                    answer = Ok(opened);
                    break;
                }
                Err(error) => {
                    tracing::debug!(addr = %taken.bind, %error, "relay port not had");
                    elsewhere.push(taken.told);
                }
            }
        }
        for told in elsewhere {
            self.shared().give_back(told);
        }
        answer
    }

    fn close_relay(&mut self, relay: RelayId, told: SocketAddr) {
        // What was written before still leaves, and never from whoever gets the place next.
        if !self.outbox.is_empty() {
            self.flush();
        }
        if let Some(socket) = self.relays.get_mut(relay.0 as usize).and_then(Option::take) {
            let fd = socket.as_raw_fd();
            let _ = self.poller.deregister(&mut SourceFd(&fd));
        }
        self.shared().give_back(told);
    }

    fn admit(&mut self, user: &[u8], now: Instant) -> Result<Grant, Denied> {
        self.shared().admit(user, now)
    }

    fn release(&mut self, user: &[u8]) {
        self.shared().release(user);
    }

    fn spend(&mut self, user: &[u8], bytes: u64) -> Standing {
        self.shared().spend(user, bytes)
    }

    fn ended(&mut self, _: &[u8], _: &Usage) {}
}
