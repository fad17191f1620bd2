//! What a user may use, and what is used.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::Denied;
use crate::meter::{Rate, SharedBucket};

/// What one user may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Allocations at a time.
    pub allocations: u32,
    /// Bytes a second over all allocations, in each direction; 0 is no limit.
    pub bytes_per_second: u64,
}

/// Whether a user may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Good,
    /// What was granted is used up: the user's allocations end.
    Exhausted,
}

/// Who knows what people may use: a plan, a bill, a ban. Asked when an allocation begins, and told now and then.
pub trait Accounts: Send {
    /// What a user may use; `None` when nothing.
    fn limits(&mut self, user: &[u8]) -> Option<Limits>;

    /// So many bytes were relayed for a user since the last time.
    fn spend(&mut self, user: &[u8], bytes: u64) -> Standing;
}

/// Everybody may use the same, and nobody counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equal {
    /// Everybody's limits.
    pub each: Limits,
}

impl Accounts for Equal {
    fn limits(&mut self, _: &[u8]) -> Option<Limits> {
        Some(self.each)
    }

    fn spend(&mut self, _: &[u8], _: u64) -> Standing {
        Standing::Good
    }
}

/// What comes with an allocation.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// What all allocations of the user share.
    pub shared: Option<Arc<SharedBuckets>>,
}

/// The buckets of one user.
#[derive(Debug)]
pub struct SharedBuckets {
    /// From the user's clients to peers.
    pub to_peers: SharedBucket,
    /// From peers to the user's clients.
    pub to_clients: SharedBucket,
}

pub(super) struct Quotas {
    accounts: Box<dyn Accounts>,
    users: BTreeMap<Box<[u8]>, User>,
    total: u32,
    total_max: u32,
}

struct User {
    allocations: u32,
    grant: Grant,
}

impl Quotas {
    pub(super) fn new(accounts: Box<dyn Accounts>, total_max: u32) -> Self {
        Self { accounts, users: BTreeMap::new(), total: 0, total_max }
    }

    pub(super) fn admit(&mut self, user: &[u8]) -> Result<Grant, Denied> {
        let grant = self.admit_user(user)?;
        self.total += 1;
        Ok(grant)
    }

    fn admit_user(&mut self, user: &[u8]) -> Result<Grant, Denied> {
        if self.total >= self.total_max {
            return Err(Denied::Total);
        }
        let limits = self.accounts.limits(user).ok_or(Denied::User)?;
        if let Some(known) = self.users.get_mut(user) {
            if known.allocations >= limits.allocations {
                return Err(Denied::User);
            }
            known.allocations += 1;
            return Ok(known.grant.clone());
        }
        if limits.allocations == 0 {
            return Err(Denied::User);
        }
        let rate = Rate::new(limits.bytes_per_second, BURST);
        let buckets =
            |rate| SharedBuckets { to_peers: SharedBucket::new(rate), to_clients: SharedBucket::new(rate) };
        let shared = rate.map(|rate| Arc::new(buckets(rate)));
        let grant = Grant { shared };
        self.users.insert(user.into(), User { allocations: 1, grant: grant.clone() });
        Ok(grant)
    }

    pub(super) fn release(&mut self, user: &[u8]) {
        let Some(known) = self.users.get_mut(user) else { return };
        known.allocations = known.allocations.saturating_sub(1);
        self.total = self.total.saturating_sub(1);
        if known.allocations == 0 {
            self.users.remove(user);
        }
    }

    pub(super) fn spend(&mut self, user: &[u8], bytes: u64) -> Standing {
        self.accounts.spend(user, bytes)
    }
}

/// How much of a second's worth may pass at once. Higher: bursts of key frames pass. Lower: steadier.
const BURST: Duration = Duration::from_secs(1);
