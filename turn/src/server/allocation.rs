//! An allocation (RFC 8656 §3.2): relayed addresses, permissions and channels of one client.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use super::{counters::Traffic, host::RelayId};
use crate::{
    auth::SigningKey,
    channel::ChannelNumber,
    meter::Bucket,
    registry::Grant,
    stun::TransactionId,
    tuple::{Family, FiveTuple},
};

/// RFC 8656 §9: permissions last five minutes.
pub(super) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// RFC 8656 §12: channels last ten minutes.
pub(super) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// RFC 8656 §12: number and peer are not bound to others for five minutes after a channel expired.
const CHANNEL_REST: Duration = Duration::from_secs(300);
/// Peers an allocation may have at a time. Higher: larger meshes. Lower: less is scanned for a packet.
const PERMISSIONS_MAX: usize = 64;
/// Channels an allocation may have at a time.
const CHANNELS_MAX: usize = 32;

/// A relayed transport address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    pub(super) relay: RelayId,
    pub(super) told: SocketAddr,
    pub(super) expires: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Permission {
    peer: IpAddr,
    expires: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    number: ChannelNumber,
    peer: SocketAddr,
    expires: Instant,
}

/// What an allocation was used for.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// When it was made.
    pub began: Instant,
    /// From the client to peers.
    pub to_peers: Traffic,
    /// From peers to the client.
    pub to_client: Traffic,
    /// Bytes of both that the user's account was told of.
    pub(super) reported: u64,
}

impl Usage {
    /// Bytes since the last time.
    pub(super) fn unreported(&mut self) -> u64 {
        let total = self.to_peers.bytes + self.to_client.bytes;
        let since = total.saturating_sub(self.reported);
        self.reported = total;
        since
    }
}

/// Buckets of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buckets {
    pub(super) bytes: Bucket,
    pub(super) packets: Bucket,
}

/// Why a permission or channel is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Number or peer are bound to others.
    Bound,
    /// There are too many.
    Capacity,
}

#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) tuple: FiveTuple,
    /// As it stood in the Allocate: all that follows has to come from the same (RFC 8656 §5).
    pub(super) username: Box<[u8]>,
    /// Whom quotas and bills name.
    pub(super) user: Box<[u8]>,
    pub(super) key: SigningKey,
    /// Of the Allocate: when it comes again, so does the answer (RFC 8656 §7.2).
    pub(super) transaction: TransactionId,
    pub(super) v4: Option<Leg>,
    pub(super) v6: Option<Leg>,
    pub(super) grant: Grant,
    pub(super) to_peers: Buckets,
    pub(super) to_client: Buckets,
    pub(super) usage: Usage,
    permissions: Vec<Permission>,
    channels: Vec<Channel>,
}

/// What an allocation begins with.
pub(super) struct Beginning {
    pub(super) tuple: FiveTuple,
    pub(super) username: Box<[u8]>,
    pub(super) user: Box<[u8]>,
    pub(super) key: SigningKey,
    pub(super) transaction: TransactionId,
    pub(super) grant: Grant,
}

impl Allocation {
    pub(super) fn new(beginning: Beginning, now: Instant) -> Self {
        let Beginning { tuple, username, user, key, transaction, grant } = beginning;
        let usage =
            Usage { began: now, to_peers: Traffic::default(), to_client: Traffic::default(), reported: 0 };
        Self {
            tuple,
            username,
            user,
            key,
            transaction,
            v4: None,
            v6: None,
            grant,
            to_peers: Buckets::default(),
            to_client: Buckets::default(),
            usage,
            permissions: Vec::new(),
            channels: Vec::new(),
        }
    }

    pub(super) fn leg(&self, family: Family) -> Option<&Leg> {
        match family {
            Family::V4 => self.v4.as_ref(),
            Family::V6 => self.v6.as_ref(),
        }
    }

    pub(super) fn leg_mut(&mut self, family: Family) -> &mut Option<Leg> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    pub(super) fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.v4.iter().chain(&self.v6)
    }

    /// When something of it ends next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.legs().map(|leg| leg.expires).min()
    }

    pub(super) fn is_permitted(&self, peer: IpAddr, now: Instant) -> bool {
        self.permissions.iter().any(|permission| permission.peer == peer && permission.expires > now)
    }

    /// Installs permissions or refreshes them, all or none (RFC 8656 §10.2).
    pub(super) fn permit(&mut self, peers: &[IpAddr], now: Instant) -> Result<(), Refusal> {
        self.permissions.retain(|permission| permission.expires > now);
        let known = |peer: &IpAddr| self.permissions.iter().any(|permission| permission.peer == *peer);
        let added = peers
            .iter()
            .enumerate()
            .filter(|(at, peer)| !known(peer) && !peers.get(..*at).unwrap_or_default().contains(peer));
        if self.permissions.len() + added.count() > PERMISSIONS_MAX {
            return Err(Refusal::Capacity);
        }
        let expires = now + PERMISSION_LIFETIME;
        for peer in peers {
            match self.permissions.iter_mut().find(|permission| permission.peer == *peer) {
                Some(permission) => permission.expires = expires,
                None => self.permissions.push(Permission { peer: *peer, expires }),
            }
        }
        Ok(())
    }

    /// Binds a channel or refreshes it, and permits its peer (RFC 8656 §12.2).
    pub(super) fn bind(
        &mut self,
        number: ChannelNumber,
        peer: SocketAddr,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.channels.retain(|channel| channel.expires + CHANNEL_REST > now);
        let same = self.channels.iter().position(|channel| channel.number == number && channel.peer == peer);
        let taken = self.channels.iter().any(|channel| channel.number == number || channel.peer == peer);
        match same {
            None if taken => return Err(Refusal::Bound),
            None if self.channels.len() >= CHANNELS_MAX => return Err(Refusal::Capacity),
            None | Some(_) => {}
        }
        self.permit(&[peer.ip()], now)?;
        let expires = now + CHANNEL_LIFETIME;
        match same.and_then(|at| self.channels.get_mut(at)) {
            Some(channel) => channel.expires = expires,
            None => self.channels.push(Channel { number, peer, expires }),
        }
        Ok(())
    }

    /// The peer of a channel.
    pub(super) fn peer_of(&self, number: ChannelNumber, now: Instant) -> Option<SocketAddr> {
        let bound = |channel: &&Channel| channel.number == number && channel.expires > now;
        self.channels.iter().find(bound).map(|channel| channel.peer)
    }

    /// The channel of a peer.
    pub(super) fn channel_of(&self, peer: SocketAddr, now: Instant) -> Option<ChannelNumber> {
        let bound = |channel: &&Channel| channel.peer == peer && channel.expires > now;
        self.channels.iter().find(bound).map(|channel| channel.number)
    }
}
