//! CreatePermission (RFC 8656 §10.2) and ChannelBind (§12.2): who may speak with the client, and how it is called.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use super::{
    Server,
    allocation::{Allocation, Refusal},
    request::{Granted, Request},
};
use crate::{
    channel::ChannelNumber,
    stun::{AttributeType, ErrorCode},
    tuple::Family,
};

/// Peers in one CreatePermission. Higher: fewer requests of large meshes. Lower: a smaller stack.
const PEERS_MAX: usize = 32;

impl Server {
    pub(super) fn create_permission(
        &mut self,
        request: Request<'_>,
        key: usize,
        now: Instant,
    ) -> Result<Granted, ErrorCode> {
        let message = request.message;
        let allocation = self.allocations.get_mut(key).ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        let mut peers = [IpAddr::from([0; 4]); PEERS_MAX];
        let mut count = 0;
        for attribute in message.attributes().filter(|a| a.kind == AttributeType::XOR_PEER_ADDRESS) {
            let peer = message.xor_address(attribute.value).ok_or(ErrorCode::BAD_REQUEST)?;
            has_leg(allocation, peer)?;
            if !self.policy.permits(peer.ip()) {
                tracing::debug!(allocation = key, %peer, "peer refused by policy");
                return Err(ErrorCode::FORBIDDEN);
            }
            *peers.get_mut(count).ok_or(ErrorCode::INSUFFICIENT_CAPACITY)? = peer.ip();
            count += 1;
        }
        if count == 0 {
            return Err(ErrorCode::BAD_REQUEST);
        }
        allocation.permit(peers.get(..count).unwrap_or_default(), now).map_err(code)?;
        Ok(Granted::Plain)
    }

    pub(super) fn channel_bind(
        &mut self,
        request: Request<'_>,
        key: usize,
        now: Instant,
    ) -> Result<Granted, ErrorCode> {
        let message = request.message;
        let allocation = self.allocations.get_mut(key).ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        let number = match message.attribute(AttributeType::CHANNEL_NUMBER) {
            Some(&[high, low, _, _]) => {
                ChannelNumber::new(u16::from_be_bytes([high, low]), self.config.channels)
            }
            Some(_) | None => None,
        };
        let peer = message.attribute(AttributeType::XOR_PEER_ADDRESS);
        let peer = peer.and_then(|value| message.xor_address(value));
        let (Some(number), Some(peer)) = (number, peer) else { return Err(ErrorCode::BAD_REQUEST) };
        has_leg(allocation, peer)?;
        if !self.policy.reaches(peer) {
            tracing::debug!(allocation = key, %peer, "peer refused by policy");
            return Err(ErrorCode::FORBIDDEN);
        }
        allocation.bind(number, peer, now).map_err(code)?;
        Ok(Granted::Plain)
    }
}

/// A peer is spoken to from a relay of its own version of IP.
fn has_leg(allocation: &Allocation, peer: SocketAddr) -> Result<(), ErrorCode> {
    match allocation.leg(Family::of(peer)) {
        Some(_) => Ok(()),
        None => Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH),
    }
}

fn code(refusal: Refusal) -> ErrorCode {
    match refusal {
        Refusal::Bound => ErrorCode::BAD_REQUEST,
        Refusal::Capacity => ErrorCode::INSUFFICIENT_CAPACITY,
    }
}
