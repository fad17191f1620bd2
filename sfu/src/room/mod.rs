//! A room: its clients, their tracks and who gets them. Each input is handed to one part.
//!
//! Invariants:
//! - a key in a list names something that exists: what ends is taken out of every list first;
//! - what concerns a client is put on `touched` and looked after in the same flush.

mod allocate;
mod bind;
mod context;
mod control;
mod copies;
mod deliver;
mod feedback;
mod formats;
mod grant;
mod padding;
mod peer;
mod post;
mod rates;
mod receive;
mod roster;
mod speakers;
mod streams;
mod subscription;
mod telling;
mod track;

pub(crate) use self::{
    context::{Context, Gone},
    roster::{Asked, Opening},
};

use std::{collections::BTreeMap, time::Instant};

use slab::Slab;

use self::{
    allocate::Claim,
    peer::Peer,
    speakers::Speakers,
    subscription::Subscription,
    track::{Layer, Track},
};
use crate::{
    forward::pool::Pool,
    ids::{SubscriptionId, TrackId, TransportId},
    params::Remote,
    rtcp::twcc,
    transport::StunVerdict,
    units::SeqNo,
    worker::{Deadlines, DropReason, Egress, StunMessage},
};

/// One room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    peers: Slab<Peer>,
    tracks: Slab<Track>,
    subscriptions: Slab<Subscription>,
    transports_by_id: BTreeMap<TransportId, usize>,
    tracks_by_id: BTreeMap<TrackId, usize>,
    subscriptions_by_id: BTreeMap<SubscriptionId, usize>,
    pool: Pool,
    speakers: Speakers,
    deadlines: Deadlines,
    /// When the control plane is told how streams fare.
    report_at: Option<Instant>,
    /// Tracks with something to forward.
    news: Vec<usize>,
    /// Clients to look after in this flush.
    touched: Vec<usize>,
    /// Kept for their capacity.
    looked_at: Vec<usize>,
    destinations: Vec<usize>,
    missing: Vec<SeqNo>,
    claims: Vec<Claim>,
    arrived: Vec<twcc::Arrival>,
}

impl Room {
    /// A check whose user fragment is this client's.
    pub(crate) fn receive_stun(
        &mut self,
        key: usize,
        message: &StunMessage<'_>,
        from: Remote,
        cx: &Context<'_>,
    ) -> StunVerdict {
        let Some(peer) = self.peers.get_mut(key) else { return StunVerdict::Ignored };
        let verdict = peer.transport.handle_stun(message, from, cx.now);
        self.touch(key);
        verdict
    }

    /// A DTLS datagram of this client.
    pub(crate) fn receive_dtls(
        &mut self,
        key: usize,
        datagram: &[u8],
        from: Remote,
        cx: &Context<'_>,
    ) -> Result<(), DropReason> {
        let peer = self.peers.get_mut(key).ok_or(DropReason::UnknownRemote)?;
        peer.transport.handle_dtls(datagram, from, cx.now);
        self.touch(key);
        Ok(())
    }

    /// Whether this client may send one more datagram.
    pub(crate) fn admit(&mut self, key: usize, cx: &Context<'_>) -> Result<(), DropReason> {
        let peer = self.peers.get_mut(key).ok_or(DropReason::UnknownRemote)?;
        if peer.allowance.admit(cx.now) { Ok(()) } else { Err(DropReason::Flood) }
    }

    /// Forwards what arrived, answers, and runs the timers that are due.
    pub(crate) fn flush(&mut self, egress: &mut impl Egress, cx: &mut Context<'_>) {
        if !self.news.is_empty() {
            self.deliver(egress, cx);
        }
        while let Some(key) = self.deadlines.pop_due(cx.now) {
            self.touch(key);
        }
        // Looking after one client may ask something of another: that is done in the same flush.
        while !self.touched.is_empty() {
            let spare = std::mem::take(&mut self.looked_at);
            let mut touched = std::mem::replace(&mut self.touched, spare);
            for key in touched.drain(..) {
                self.look_at(key, egress, cx);
            }
            self.looked_at = touched;
        }
        self.tell_speakers(cx);
        self.tell_report(cx);
    }

    /// When [`Self::flush`] is to be called at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.deadlines.next(), self.speakers.deadline(), self.report_at].into_iter().flatten().min()
    }

    /// Does what a client's transport wants, answers its requests and sends what is due.
    fn look_at(&mut self, key: usize, egress: &mut impl Egress, cx: &mut Context<'_>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.is_touched = false;
        if peer.transport.deadline().is_some_and(|at| at <= cx.now) {
            peer.transport.tick(cx.now);
        }
        self.drain_transport(key, egress, cx);
        self.resend_to(key, egress, cx);
        self.allocate(key, cx);
        self.pad(key, egress, cx);
        self.send_feedback(key, egress, cx);
        let at = self.deadline_of(key, cx.now);
        self.deadlines.set(key, at);
    }

    /// This client is looked after in this flush.
    fn touch(&mut self, key: usize) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if !peer.is_touched {
            peer.is_touched = true;
            self.touched.push(key);
        }
    }

    fn layer_mut(&mut self, track: usize, layer: u8) -> Option<&mut Layer> {
        self.tracks.get_mut(track)?.layers.get_mut(usize::from(layer))
    }
}
