//! Refresh (RFC 8656 §8.2): an allocation lives on, or ends.

use std::time::{Duration, Instant};

use super::{
    Server,
    allocate::family,
    host::Host,
    reply::seconds,
    request::{Granted, Request},
};
use crate::{
    stun::{AttributeType, ErrorCode, Message},
    tuple::Family,
};

impl Server {
    /// How long an allocation is to live: what is asked for, within bounds (RFC 8656 §7.2).
    pub(super) fn lifetime(&self, message: &Message<'_>) -> Result<Duration, ErrorCode> {
        let Some(value) = message.attribute(AttributeType::LIFETIME) else { return Ok(self.config.lifetime) };
        let value: [u8; 4] = value.try_into().map_err(|_| ErrorCode::BAD_REQUEST)?;
        let asked = Duration::from_secs(u32::from_be_bytes(value).into());
        Ok(asked.min(self.config.lifetime_max).max(self.config.lifetime))
    }

    pub(super) fn refresh(
        &mut self,
        request: Request<'_>,
        key: usize,
        host: &mut impl Host,
        now: Instant,
    ) -> Result<Granted, ErrorCode> {
        let message = request.message;
        let one = message.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY).map(family).transpose()?;
        let lifetime = self.lifetime(message)?;
        let ends = message.attribute(AttributeType::LIFETIME) == Some(&[0; 4]);
        let allocation = self.allocations.get_mut(key).ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if one.is_some_and(|family| allocation.leg(family).is_none()) {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        if ends {
            let is_last = allocation.legs().count() == 1;
            let Some(family) = one.filter(|_| !is_last) else { return Ok(Granted::Ended) };
            self.close_leg(key, family, host);
            return Ok(Granted::Refreshed { seconds: 0 });
        }
        let before = allocation.deadline();
        for family in
            [Family::V4, Family::V6].into_iter().filter(|family| one.is_none_or(|one| one == *family))
        {
            if let Some(leg) = allocation.leg_mut(family) {
                leg.expires = now + lifetime;
            }
        }
        let after = allocation.deadline();
        if let Some(at) = before {
            self.deadlines.remove(&(at, key));
        }
        if let Some(at) = after {
            self.deadlines.insert((at, key));
        }
        Ok(Granted::Refreshed { seconds: seconds(lifetime) })
    }
}
