//! What all workers share: relay ports and what people may use. Asked when an allocation begins and ends, never for a packet.
//!
//! Invariants:
//! - a port is held by one allocation or one reservation, and free again the moment that ends;
//! - a user's allocations and reservations never exceed what the user is granted, whichever worker is asked.

mod ports;
mod quota;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use self::ports::Ports;
use self::quota::Quotas;
pub use self::quota::{Accounts, Equal, Grant, Limits, SharedBuckets, Standing};
use crate::tuple::Family;

/// RFC 8656 §7.2: how long the second port of a pair waits for its allocation.
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);

/// One address that peers are relayed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayAddress {
    /// Where sockets are bound.
    pub bind: IpAddr,
    /// What clients and peers are told: another one behind address translation.
    pub told: IpAddr,
}

/// What a relay is asked to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortWish {
    /// Any port.
    Any,
    /// An even one (RFC 8656 §18.7).
    Even,
    /// An even one, and the next is kept for a later allocation.
    EvenAndNext,
}

/// The word for a port that is kept (RFC 8656 §18.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationToken(pub [u8; 8]);

/// A port that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Where the socket is bound.
    pub bind: SocketAddr,
    /// What clients and peers are told; gives the port back.
    pub told: SocketAddr,
    /// For the next port, when it is kept.
    pub token: Option<ReservationToken>,
}

/// Why there is no port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPort {
    /// There is no relay address of this family.
    #[error("no relay address of this family")]
    Family,
    /// All are taken, or there is no such reservation.
    #[error("no relay port is free")]
    Taken,
}

/// Why a user may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The user has as many allocations as are granted, or has used up what was granted.
    #[error("the user's quota is reached")]
    User,
    /// The server has as many allocations as it may.
    #[error("the server's quota is reached")]
    Total,
}

#[derive(Debug)]
struct Reservation {
    port: Slot,
    user: Box<[u8]>,
    expires: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    pool: usize,
    port: u16,
}

/// Ports and quotas.
pub struct Registry {
    relays: Vec<(RelayAddress, Ports)>,
    reservations: BTreeMap<ReservationToken, Reservation>,
    quotas: Quotas,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("relays", &self.relays).finish_non_exhaustive()
    }
}

impl Registry {
    /// Every relay address has the same ports, both ends included. `allocations_max` is for all users together.
    #[must_use]
    pub fn new(
        relays: &[RelayAddress],
        ports: (u16, u16),
        allocations_max: u32,
        accounts: Box<dyn Accounts>,
    ) -> Self {
        Self {
            relays: relays.iter().map(|relay| (*relay, Ports::new(ports.0, ports.1))).collect(),
            reservations: BTreeMap::new(),
            quotas: Quotas::new(accounts, allocations_max),
        }
    }

    /// A user begins an allocation.
    pub fn admit(&mut self, user: &[u8], now: Instant) -> Result<Grant, Denied> {
        self.expire(now);
        self.quotas.admit(user)
    }

    /// A user's allocation ended.
    pub fn release(&mut self, user: &[u8]) {
        self.quotas.release(user);
    }

    /// So many bytes were relayed for a user since the last time.
    pub fn spend(&mut self, user: &[u8], bytes: u64) -> Standing {
        self.quotas.spend(user, bytes)
    }

    /// Takes a port, chosen by `random`.
    pub fn take(
        &mut self,
        family: Family,
        wish: PortWish,
        user: &[u8],
        random: u64,
        now: Instant,
    ) -> Result<Taken, NoPort> {
        self.expire(now);
        let count = self.relays.len();
        let first = usize::try_from(random >> 32).unwrap_or(0).checked_rem(count).unwrap_or(0);
        let mut answer = NoPort::Family;
        for pool in (first..count).chain(0..first) {
            let Some((relay, ports)) = self.relays.get_mut(pool) else { continue };
            if family != Family::of(SocketAddr::new(relay.told, 0)) {
                continue;
            }
            answer = NoPort::Taken;
            let port = match wish {
                PortWish::Any => ports.take_any(random),
                PortWish::Even => ports.take_even(random),
                PortWish::EvenAndNext => ports.take_pair(random),
            };
            let Some(port) = port else { continue };
            let (bind, told) = (SocketAddr::new(relay.bind, port), SocketAddr::new(relay.told, port));
            let token = (wish == PortWish::EvenAndNext).then(|| self.reserve(pool, port, user, random, now));
            let Some(token) = token.map_or(Some(None), |token| token.map(Some)) else {
                self.give_back(told);
                self.give_back(SocketAddr::new(told.ip(), port.saturating_add(1)));
                return Err(NoPort::Taken);
            };
            return Ok(Taken { bind, told, token });
        }
        Err(answer)
    }

    /// Takes the port that was kept for this user.
    pub fn redeem(&mut self, token: ReservationToken, user: &[u8], now: Instant) -> Result<Taken, NoPort> {
        self.expire(now);
        if self.reservations.get(&token).is_none_or(|reservation| *reservation.user != *user) {
            return Err(NoPort::Taken);
        }
        let reservation = self.reservations.remove(&token).ok_or(NoPort::Taken)?;
        self.quotas.release(user);
        let Slot { pool, port } = reservation.port;
        let (relay, _) = self.relays.get(pool).ok_or(NoPort::Taken)?;
        Ok(Taken {
            bind: SocketAddr::new(relay.bind, port),
            told: SocketAddr::new(relay.told, port),
            token: None,
        })
    }

    /// A port is not needed any more.
    pub fn give_back(&mut self, told: SocketAddr) {
        let pool = self.relays.iter_mut().find(|(relay, _)| relay.told == told.ip());
        if let Some((_, ports)) = pool {
            ports.give_back(told.port());
        }
    }

    /// Ports that are free, over all addresses.
    #[must_use]
    pub fn free_ports(&self) -> usize {
        self.relays.iter().map(|(_, ports)| ports.free()).sum()
    }

    /// Reservations nobody came for end.
    pub fn expire(&mut self, now: Instant) {
        while let Some((token, reservation)) =
            self.reservations.iter().find(|(_, reservation)| reservation.expires <= now)
        {
            let (token, slot, user) = (*token, reservation.port, reservation.user.clone());
            self.reservations.remove(&token);
            self.quotas.release(&user);
            if let Some((_, ports)) = self.relays.get_mut(slot.pool) {
                ports.give_back(slot.port);
            }
        }
    }

    /// Keeps the port after `port`. It counts as an allocation of the user, so that nobody hoards ports.
    fn reserve(
        &mut self,
        pool: usize,
        port: u16,
        user: &[u8],
        random: u64,
        now: Instant,
    ) -> Option<ReservationToken> {
        self.quotas.admit(user).ok()?;
        // Not a secret: only the same user can redeem it.
        let token =
            ReservationToken(random.rotate_left(17).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let port = Slot { pool, port: port.checked_add(1)? };
        let reservation = Reservation { port, user: user.into(), expires: now + RESERVATION_LIFETIME };
        self.reservations.insert(token, reservation);
        Some(token)
    }
}

#[cfg(test)]
mod tests;
