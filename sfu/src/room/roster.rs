//! What the control plane asks of a room: transports, tracks and subscriptions come, change and go.
//!
//! Invariants:
//! - every command can be given twice, and names of what is gone are ignored;
//! - what ends takes with it what depended on it, and its names are handed back for the worker's tables.

use bytes::Bytes;

use super::{
    Gone, Room, context::Context, formats::Formats, peer::Peer, subscription::Subscription, track::Track,
};
use crate::{
    ids::{ParticipantId, SubscriptionId, TrackId, TransportId},
    params::{
        Channel, ChannelSetup, Consent, Delivery, IceCredentials, ReceiveParameters, RemoteParameters,
        SendParameters, TrackParameters, Wish,
    },
    transport::Transport,
    units::{Bitrate, Ssrc},
};

/// Tracks of one transport. Higher: busier publishers. Lower: less memory for one who floods.
const TRACKS_MAX: usize = 64;
/// Subscriptions of one transport.
const SUBSCRIPTIONS_MAX: usize = 2_048;
/// Transports of one room.
const TRANSPORTS_MAX: usize = 8_192;

/// A transport that is to be opened.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) participant: ParticipantId,
    pub(crate) transport: TransportId,
    pub(crate) local: IceCredentials,
    pub(crate) channels: ChannelSetup,
    pub(crate) consent: Consent,
}

/// A subscription that is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) subscription: SubscriptionId,
    pub(crate) transport: TransportId,
    pub(crate) track: TrackId,
    pub(crate) send: SendParameters,
    pub(crate) wish: Wish,
}

impl Room {
    /// Returns the key of the transport; `None` when it was open already or the room is full.
    pub(crate) fn open_transport(&mut self, opening: Opening, cx: &mut Context<'_>) -> Option<usize> {
        if self.transports_by_id.contains_key(&opening.transport) || self.peers.len() >= TRANSPORTS_MAX {
            return None;
        }
        let seed = cx.random.next_u64();
        let Opening { participant, transport: id, local, channels, consent } = opening;
        let transport = Transport::new(local, channels, consent, cx.certificate, seed, cx.now);
        let key =
            self.peers.insert(Peer::new(id, participant, transport, Ssrc(cx.random.next_u32()), cx.now));
        self.transports_by_id.insert(id, key);
        cx.counters.transports += 1;
        self.expect_report(cx.now);
        self.touch(key);
        Some(key)
    }

    pub(crate) fn set_remote(&mut self, id: TransportId, remote: RemoteParameters, cx: &Context<'_>) {
        let Some((key, peer)) = self.peer_mut(id) else { return };
        peer.transport.set_remote(remote, cx.now);
        self.touch(key);
    }

    pub(crate) fn restart_ice(&mut self, id: TransportId, local: IceCredentials, cx: &Context<'_>) {
        let Some((key, peer)) = self.peer_mut(id) else { return };
        peer.transport.restart_ice(local, cx.now);
        self.touch(key);
    }

    pub(crate) fn set_receive(&mut self, id: TransportId, parameters: &ReceiveParameters) {
        let Some((_, peer)) = self.peer_mut(id) else { return };
        peer.up.formats = Formats::new(&parameters.formats);
        peer.up.extensions = parameters.extensions;
    }

    pub(crate) fn close_transport(&mut self, id: TransportId, cx: &mut Context<'_>) {
        let Some(key) = self.transports_by_id.get(&id).copied() else { return };
        let Some(peer) = self.peers.get(key) else { return };
        let (tracks, subscriptions) = (peer.tracks.clone(), peer.subscriptions.clone());
        tracks.into_iter().for_each(|track| self.end_track(track, cx));
        subscriptions.into_iter().for_each(|subscription| self.end_subscription(subscription, cx));
        self.transports_by_id.remove(&id);
        self.peers.remove(key);
        self.deadlines.set(key, None);
        self.touched.retain(|touched| *touched != key);
        cx.counters.transports -= 1;
    }

    /// Whether the track is known from here on.
    pub(crate) fn publish(
        &mut self,
        transport: TransportId,
        id: TrackId,
        parameters: TrackParameters,
        cx: &mut Context<'_>,
    ) -> bool {
        if let Some(track) = self.tracks_by_id.get(&id).and_then(|key| self.tracks.get_mut(*key)) {
            track.set(parameters);
            return true;
        }
        let Some((key, peer)) = self.peer_mut(transport) else { return false };
        if peer.tracks.len() >= TRACKS_MAX {
            return false;
        }
        let track = self.tracks.insert(Track::new(id, key, parameters));
        self.tracks_by_id.insert(id, track);
        if let Some((_, peer)) = self.peer_mut(transport) {
            peer.tracks.push(track);
        }
        cx.counters.tracks += 1;
        true
    }

    pub(crate) fn unpublish(&mut self, id: TrackId, cx: &mut Context<'_>) {
        if let Some(key) = self.tracks_by_id.get(&id).copied() {
            self.end_track(key, cx);
        }
    }

    pub(crate) fn set_delivery(&mut self, id: TrackId, delivery: Delivery, cx: &mut Context<'_>) {
        let Some(key) = self.tracks_by_id.get(&id).copied() else { return };
        let Some(track) = self.tracks.get_mut(key) else { return };
        track.delivery = delivery;
        let keys = track.subscriptions.clone();
        self.reallocate_all(key, cx);
        let Some(track) = self.tracks.get_mut(key) else { return };
        match delivery {
            Delivery::On => keys.into_iter().for_each(|key| self.seek(key)),
            Delivery::Paused => {
                track.voice.iter_mut().for_each(super::speakers::Voice::hush);
                for key in keys {
                    self.subscriptions.get_mut(key).into_iter().for_each(Subscription::stop);
                }
            }
        }
    }

    /// Whether the subscription is known from here on.
    pub(crate) fn subscribe(&mut self, asked: Asked, cx: &mut Context<'_>) -> bool {
        let Asked { subscription: id, transport, track, send, wish } = asked;
        if let Some(key) = self.subscriptions_by_id.get(&id).copied() {
            if let Some(subscription) = self.subscriptions.get_mut(key) {
                subscription.set(send);
            }
            self.set_wish(id, wish, cx);
            return true;
        }
        let Some(track_key) = self.tracks_by_id.get(&track).copied() else { return false };
        let Some((peer_key, peer)) = self.peer_mut(transport) else { return false };
        let taken = peer.down.by_ssrc.contains_key(&send.ssrc);
        if taken || peer.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return false;
        }
        let ssrc = send.ssrc;
        let key = self.subscriptions.insert(Subscription::new(id, (peer_key, track_key), send, wish));
        self.subscriptions_by_id.insert(id, key);
        if let Some(peer) = self.peers.get_mut(peer_key) {
            peer.subscriptions.push(key);
            peer.down.by_ssrc.insert(ssrc, key);
        }
        if let Some(track) = self.tracks.get_mut(track_key) {
            track.subscriptions.push(key);
        }
        cx.counters.subscriptions += 1;
        self.reallocate(peer_key, cx);
        self.seek(key);
        true
    }

    pub(crate) fn set_wish(&mut self, id: SubscriptionId, wish: Wish, cx: &mut Context<'_>) {
        let Some(key) = self.subscriptions_by_id.get(&id).copied() else { return };
        let Some(subscription) = self.subscriptions.get_mut(key) else { return };
        if subscription.wish == wish {
            return;
        }
        subscription.wish = wish;
        let peer = subscription.peer;
        match wish.delivery {
            Delivery::Paused => subscription.stop(),
            Delivery::On => self.seek(key),
        }
        self.reallocate(peer, cx);
    }

    pub(crate) fn unsubscribe(&mut self, id: SubscriptionId, cx: &mut Context<'_>) {
        if let Some(key) = self.subscriptions_by_id.get(&id).copied() {
            self.end_subscription(key, cx);
        }
    }

    pub(crate) fn limit_bandwidth(&mut self, id: TransportId, limit: Option<Bitrate>, cx: &mut Context<'_>) {
        let Some((key, peer)) = self.peer_mut(id) else { return };
        peer.down.congestion.limit(limit);
        self.reallocate(key, cx);
    }

    /// A message for a data channel. One that finds no room is dropped: the control plane bounds what it sends.
    pub(crate) fn send(&mut self, id: TransportId, channel: Channel, message: Bytes, cx: &mut Context<'_>) {
        let Some((key, peer)) = self.peer_mut(id) else { return };
        if peer.transport.send(channel, message, cx.now).is_err() {
            cx.counters.messages_refused += 1;
        }
        self.touch(key);
    }

    pub(crate) fn ask_keyframe(&mut self, id: TrackId) {
        if let Some(key) = self.tracks_by_id.get(&id).copied() {
            self.request_keyframe(key);
        }
    }

    /// Everything ends.
    pub(crate) fn close(&mut self, cx: &mut Context<'_>) -> Vec<TransportId> {
        let transports: Vec<_> = self.transports_by_id.keys().copied().collect();
        transports.iter().for_each(|transport| self.close_transport(*transport, cx));
        transports
    }

    /// A subscription has nothing it can show: the publisher is asked for a key frame at once. What comes before the
    /// client's transport is ready would be lost, and the next request would have to wait for its turn.
    pub(super) fn seek(&mut self, key: usize) {
        let Some(subscription) = self.subscriptions.get(key) else { return };
        if !self.peers.get_mut(subscription.peer).is_some_and(Peer::takes_media) {
            return;
        }
        let Some(track) = self.tracks.get_mut(subscription.track) else { return };
        let aim = subscription.aim(track).filter(|aim| subscription.layer() != Some(*aim));
        let Some(aim) = aim.filter(|_| !subscription.is_paused(track)) else { return };
        super::deliver::ask(subscription, track, aim);
        let publisher = track.peer;
        self.touch(publisher);
    }

    fn end_track(&mut self, key: usize, cx: &mut Context<'_>) {
        let Some(track) = self.tracks.get(key) else { return };
        let (id, peer) = (track.id, track.peer);
        for subscription in track.subscriptions.clone() {
            self.end_subscription(subscription, cx);
        }
        let Some(mut track) = self.tracks.try_remove(key) else { return };
        track.layers.iter_mut().for_each(|layer| layer.reset(&mut self.pool));
        self.news.retain(|news| *news != key);
        self.tracks_by_id.remove(&id);
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.tracks.retain(|track| *track != key);
            let fed = track.layers.iter().flat_map(|layer| [layer.primary, layer.repair]).flatten();
            fed.for_each(|ssrc| peer.up.streams.release(ssrc));
        }
        cx.counters.tracks -= 1;
        cx.gone.push(Gone::Track(id));
    }

    fn end_subscription(&mut self, key: usize, cx: &mut Context<'_>) {
        let Some(subscription) = self.subscriptions.try_remove(key) else { return };
        self.subscriptions_by_id.remove(&subscription.id);
        if let Some(track) = self.tracks.get_mut(subscription.track) {
            track.subscriptions.retain(|other| *other != key);
        }
        if let Some(peer) = self.peers.get_mut(subscription.peer) {
            peer.subscriptions.retain(|other| *other != key);
            peer.down.by_ssrc.remove(&subscription.send.ssrc);
            peer.down.resend.retain(|(other, _)| *other != key);
            if subscription.packets > 0 {
                peer.farewells.push(subscription.send.ssrc);
            }
        }
        self.reallocate(subscription.peer, cx);
        cx.counters.subscriptions -= 1;
        cx.gone.push(Gone::Subscription(subscription.id));
    }

    fn peer_mut(&mut self, id: TransportId) -> Option<(usize, &mut Peer)> {
        let key = *self.transports_by_id.get(&id)?;
        Some((key, self.peers.get_mut(key)?))
    }
}
