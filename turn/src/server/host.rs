//! What the relay asks of whoever runs it: to send, to open and close sockets, to know quotas.

use std::{net::SocketAddr, time::Instant};

use super::allocation::Usage;
use crate::{
    registry::{Denied, Grant, NoPort, PortWish, ReservationToken, Standing},
    tuple::{Family, FiveTuple},
};

/// A relay socket of an allocation. Told to the host when it opens the socket, and by the host when a datagram comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayId(pub u32);

/// Whether routers may cut a datagram into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragmentation {
    /// They may.
    Allowed,
    /// DONT-FRAGMENT (RFC 8656 §18.9).
    Refused,
}

/// Which port a relay has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayPort {
    /// A free one.
    Free(PortWish),
    /// One that was kept.
    Kept(ReservationToken),
}

/// A relay socket that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What the client and its peers are told.
    pub told: SocketAddr,
    /// For the next port, when it is kept.
    pub token: Option<ReservationToken>,
}

/// Runs the relay.
pub trait Host {
    /// Sends one message to a client: the parts, one after the other.
    fn to_client(&mut self, to: &FiveTuple, parts: [&[u8]; 3]);

    /// Sends one datagram to a peer.
    fn to_peer(&mut self, relay: RelayId, to: SocketAddr, payload: &[u8], fragmentation: Fragmentation);

    /// Opens a relay socket.
    fn open_relay(
        &mut self,
        relay: RelayId,
        family: Family,
        port: RelayPort,
        user: &[u8],
        now: Instant,
    ) -> Result<Opened, NoPort>;

    /// Closes a relay socket and gives its port back.
    fn close_relay(&mut self, relay: RelayId, told: SocketAddr);

    /// A user begins an allocation.
    fn admit(&mut self, user: &[u8], now: Instant) -> Result<Grant, Denied>;

    /// A user's allocation ended.
    fn release(&mut self, user: &[u8]);

    /// So many bytes were relayed for a user since the last time.
    fn spend(&mut self, user: &[u8], bytes: u64) -> Standing;

    /// An allocation ended.
    fn ended(&mut self, user: &[u8], usage: &Usage);
}
