//! How often a network is answered that has not proved anything.
//!
//! Whoever can forge a source address can have us send our answers there. The answers are small; here they are also few.
//! The table has a fixed size: an invented source costs no memory, only shares a place with another.
//!
//! Invariant: who then authenticates gets what the challenge cost back, so that an office of hundreds behind one address is
//! not held up.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
};

use crate::meter::{Bucket, Rate, Verdict};

/// Places. Higher: fewer networks share one. Lower: less memory per worker.
const PLACES: usize = 8_192;

pub(super) struct Budget {
    rate: Option<Rate>,
    places: Box<[Bucket]>,
    hasher: RandomState,
}

impl Budget {
    /// `None` answers everybody always.
    pub(super) fn new(rate: Option<Rate>) -> Self {
        let places = if rate.is_some() { PLACES } else { 0 };
        Self { rate, places: vec![Bucket::default(); places].into(), hasher: RandomState::new() }
    }

    pub(super) fn take(&mut self, ip: IpAddr, since_start: u64) -> Verdict {
        let (Some(rate), Some(bucket)) = (self.rate, self.place(ip)) else { return Verdict::Passes };
        bucket.take(rate, 1, since_start)
    }

    pub(super) fn refund(&mut self, ip: IpAddr) {
        if let (Some(rate), Some(bucket)) = (self.rate, self.place(ip)) {
            bucket.refund(rate, 1);
        }
    }

    fn place(&mut self, ip: IpAddr) -> Option<&mut Bucket> {
        let hash = usize::try_from(self.hasher.hash_one(network(ip)) & 0xffff_ffff).unwrap_or(0);
        let place = hash.checked_rem(self.places.len())?;
        self.places.get_mut(place)
    }
}

/// As much of an address as one owner has: /24 of IPv4, /56 of IPv6.
fn network(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8),
        IpAddr::V6(ip) => u64::try_from(ip.to_bits() >> 72).unwrap_or(0) | 1 << 63,
    }
}
