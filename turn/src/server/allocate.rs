//! Allocate (RFC 8656 §7.2), step by step in the order of the standard.

use std::{net::SocketAddr, time::Instant};

use super::{
    Admission, Alternate, Server,
    allocation::{Allocation, Beginning, Leg},
    host::{Host, RelayPort},
    relay_of,
    reply::{Allocated, seconds},
    request::{Granted, Request},
};
use crate::{
    auth::Caller,
    registry::{Denied, NoPort, PortWish, ReservationToken},
    stun::{AttributeType, ErrorCode, Message},
    tuple::{Family, FiveTuple},
};

/// REQUESTED-TRANSPORT of UDP (RFC 8656 §18.8), an IP protocol number.
const PROTOCOL_UDP: u8 = 17;

/// What is asked for, once it is known to make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    family: Family,
    port: RelayPort,
    /// A second relay of the other family.
    additional: Option<Family>,
}

impl Wish {
    fn read(message: &Message<'_>) -> Result<Self, ErrorCode> {
        const BAD: ErrorCode = ErrorCode::BAD_REQUEST;
        match message.attribute(AttributeType::REQUESTED_TRANSPORT) {
            Some(&[PROTOCOL_UDP, _, _, _]) => {}
            Some(&[_, _, _, _]) => return Err(ErrorCode::UNSUPPORTED_TRANSPORT),
            Some(_) | None => return Err(BAD),
        }
        let token = message.attribute(AttributeType::RESERVATION_TOKEN);
        let even = message.attribute(AttributeType::EVEN_PORT);
        let requested = message.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY);
        let additional = message.attribute(AttributeType::ADDITIONAL_ADDRESS_FAMILY);
        if let Some(token) = token {
            let token: [u8; 8] = token.try_into().map_err(|_| BAD)?;
            if even.is_some() || requested.is_some() || additional.is_some() {
                return Err(BAD);
            }
            let port = RelayPort::Kept(ReservationToken(token));
            return Ok(Self { family: Family::V4, port, additional: None });
        }
        if requested.is_some() && additional.is_some() {
            return Err(BAD);
        }
        let wish = match even {
            None => PortWish::Any,
            Some(&[bits]) if bits & 0x80 == 0 => PortWish::Even,
            Some(&[_]) if additional.is_some() => return Err(BAD),
            Some(&[_]) => PortWish::EvenAndNext,
            Some(_) => return Err(BAD),
        };
        let additional = additional.map(family).transpose()?;
        if additional == Some(Family::V4) {
            return Err(BAD);
        }
        let family = requested.map(family).transpose()?.unwrap_or(Family::V4);
        Ok(Self { family, port: RelayPort::Free(wish), additional })
    }
}

/// The value of REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §18.6).
pub(super) fn family(value: &[u8]) -> Result<Family, ErrorCode> {
    let &[family, _, _, _] = value else { return Err(ErrorCode::BAD_REQUEST) };
    Family::new(family).ok_or(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)
}

impl Server {
    /// The 5-tuple has an allocation. The same request once more is answered once more.
    pub(super) fn allocate_again(
        &mut self,
        request: Request<'_>,
        key: usize,
        now: Instant,
    ) -> Result<Granted, ErrorCode> {
        let allocation = self.allocations.get(key).ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if allocation.transaction != request.message.transaction_id() {
            return Err(ErrorCode::ALLOCATION_MISMATCH);
        }
        Ok(Granted::Allocated(told(allocation, now)))
    }

    pub(super) fn allocate<'a>(
        &mut self,
        request: Request<'_>,
        caller: Caller<'a>,
        host: &mut impl Host,
        now: Instant,
    ) -> (Result<Granted, ErrorCode>, Option<Caller<'a>>) {
        let begun = Wish::read(request.message).and_then(|wish| {
            self.is_admitted(request.from)?;
            self.begin(request, wish, &caller, host, now)
        });
        (begun.map(Granted::Allocated), Some(caller))
    }

    /// Where a client is sent that finds us draining: to a server of its own version of IP (RFC 8489 §10).
    pub(super) fn alternate(&self, from: &FiveTuple) -> Option<SocketAddr> {
        let Admission::Draining(Alternate { v4, v6 }) = self.admission else { return None };
        if from.client.is_ipv4() { v4 } else { v6 }
    }

    fn is_admitted(&self, from: &FiveTuple) -> Result<(), ErrorCode> {
        match self.admission {
            Admission::Open => Ok(()),
            Admission::Draining(_) if self.alternate(from).is_some() => Err(ErrorCode::TRY_ALTERNATE),
            Admission::Draining(_) => Err(ErrorCode::INSUFFICIENT_CAPACITY),
        }
    }

    fn begin(
        &mut self,
        request: Request<'_>,
        wish: Wish,
        caller: &Caller<'_>,
        host: &mut impl Host,
        now: Instant,
    ) -> Result<Allocated, ErrorCode> {
        let expires = now + self.lifetime(request.message)?;
        let user = caller.user;
        let key = self.allocations.vacant_key();
        let open = |family, port, host: &mut _| -> Result<(Leg, Option<ReservationToken>), ErrorCode> {
            let relay = relay_of(key, family).ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
            let opened = Host::open_relay(host, relay, family, port, user, now).map_err(code)?;
            // A reservation names its port, and with it the family.
            let relay = relay_of(key, Family::of(opened.told)).unwrap_or(relay);
            Ok((Leg { relay, told: opened.told, expires }, opened.token))
        };
        // A reservation is counted as an allocation until it is redeemed.
        let early = if matches!(wish.port, RelayPort::Kept(_)) {
            Some(open(wish.family, wish.port, &mut *host)?)
        } else {
            None
        };
        let grant = match host.admit(user, now) {
            Ok(grant) => grant,
            Err(denied) => {
                if let Some((leg, _)) = early {
                    host.close_relay(leg.relay, leg.told);
                }
                return Err(match denied {
                    Denied::User => ErrorCode::ALLOCATION_QUOTA_REACHED,
                    Denied::Total => ErrorCode::INSUFFICIENT_CAPACITY,
                });
            }
        };
        let first = early.map_or_else(|| open(wish.family, wish.port, &mut *host), Ok);
        let second = wish.additional.map(|family| {
            let any = RelayPort::Free(PortWish::Any);
            open(family, any, &mut *host).map_err(|code| (family, code))
        });
        let (legs, token, missing) = match (first, second) {
            (Ok((leg, token)), None) => ([Some(leg), None], token, None),
            (Ok((leg, token)), Some(Ok((other, _)))) => ([Some(leg), Some(other)], token, None),
            (Ok((leg, token)), Some(Err(missing))) => ([Some(leg), None], token, Some(missing)),
            (Err(code), Some(Ok((other, _)))) => ([Some(other), None], None, Some((wish.family, code))),
            (Err(code), None | Some(Err(_))) => {
                host.release(user);
                return Err(code);
            }
        };
        let beginning = Beginning {
            tuple: *request.from,
            username: caller.username.into(),
            user: user.into(),
            key: caller.key.clone(),
            transaction: request.message.transaction_id(),
            grant,
        };
        self.insert(Allocation::new(beginning, now), legs);
        let allocation = self.allocations.get(key).ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        Ok(Allocated { token, missing, ..told(allocation, now) })
    }

    fn insert(&mut self, mut allocation: Allocation, legs: [Option<Leg>; 2]) {
        let key = self.allocations.vacant_key();
        for leg in legs.into_iter().flatten() {
            let family = Family::of(leg.told);
            *allocation.leg_mut(family) = Some(leg);
            *self.counters.relay(family) += 1;
            self.by_relay.insert(leg.told, key);
            if !self.relay_ips.contains(&leg.told.ip()) {
                self.relay_ips.push(leg.told.ip());
            }
            self.deadlines.insert((leg.expires, key));
        }
        let tuple = allocation.tuple;
        self.counters.allocations_made += 1;
        *self.counters.allocation(tuple.transport) += 1;
        self.by_tuple.insert(tuple, key);
        tracing::info!(allocation = key, transport = tuple.transport.name(), "allocation made");
        tracing::debug!(allocation = key, client = %tuple.client, "allocation made");
        self.allocations.insert(allocation);
    }
}

fn told(allocation: &Allocation, now: Instant) -> Allocated {
    let left = allocation.deadline().map_or(0, |at| seconds(at.saturating_duration_since(now)));
    let relays = [allocation.v4, allocation.v6].map(|leg| leg.map(|leg| leg.told));
    Allocated { relays, seconds: left, token: None, missing: None }
}

fn code(none: NoPort) -> ErrorCode {
    match none {
        NoPort::Family => ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED,
        NoPort::Taken => ErrorCode::INSUFFICIENT_CAPACITY,
    }
}
