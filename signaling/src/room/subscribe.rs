//! Who receives what: what is wanted and allowed is made so.
//!
//! Invariants: nobody receives what they may not; a publisher is announced before anything of theirs is carried; one
//! track reaches one participant at most once.

use std::time::Instant;

use sfu::{
    command::Command,
    event::StreamState,
    ids::{ParticipantId, SubscriptionId, TrackId},
    params::{SendParameters, Wish},
};

use super::{
    Room,
    desire::{Choice, MISSING_AFTER},
    permission::Audience,
    subscription::{Carrier, Stage, Subscription, wish},
    timers::Timer,
};
use crate::{
    negotiate::Source,
    wire::{
        Say,
        join::AutoSubscribe,
        proto::{self, SubscriptionError, participant_info::State},
    },
};

/// Tracks that one message may name.
const NAMED_MAX: usize = 8192;

impl Room {
    /// Makes it so that exactly those receive a track who should.
    pub(super) fn reconcile_track(&mut self, track: TrackId, now: Instant) {
        for participant in self.participant_ids() {
            self.reconcile(participant, track, now);
        }
    }

    /// Makes it so that a participant receives exactly what they should.
    pub(super) fn reconcile_participant(&mut self, id: ParticipantId, now: Instant) {
        let tracks: Vec<TrackId> = self.tracks.keys().copied().collect();
        for track in tracks {
            self.reconcile(id, track, now);
        }
    }

    fn reconcile(&mut self, id: ParticipantId, track: TrackId, now: Instant) {
        let wanted = self.is_wanted(id, track);
        match (wanted, self.subscription_index.get(&(id, track)).copied()) {
            (true, None) => self.begin_subscription(id, track, now),
            (false, Some(subscription)) => {
                self.drop_subscription(subscription, now);
                self.update_demand(track, now);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    fn is_wanted(&self, id: ParticipantId, track: TrackId) -> bool {
        let Some(track) = self.tracks.get(&track).filter(|track| track.is_published()) else { return false };
        let Some(subscriber) = self.participants.get(&id) else { return false };
        let Some(owner) = self.participants.get(&track.owner) else { return false };
        let ready = subscriber.state == State::Active || subscriber.client.starts_fast();
        if !ready || track.owner == id || !subscriber.may_subscribe() || owner.is_hidden() {
            return false;
        }
        if !owner.audience.includes(subscriber, track.sid()) {
            return false;
        }
        match subscriber.desires.choice(track.sid()) {
            Some(Choice::Wanted(_)) => true,
            Some(Choice::Unwanted) => false,
            None => subscriber.auto_subscribe == AutoSubscribe::On,
        }
    }

    /// What a track is to a subscriber.
    fn source(&self, id: ParticipantId, track: TrackId, carrier: Carrier) -> Option<Source> {
        let track = self.tracks.get(&track)?;
        let carried = track.carried(carrier)?;
        let owner = self.participants.get(&track.owner)?;
        let subscriber = self.participants.get(&id)?;
        let peer = owner.link.peer(super::link::Side::Publisher)?;
        let together = self.life.syncs_streams() && subscriber.client.syncs_streams();
        let group = if together { &track.info.stream } else { &track.info.sid };
        Some(Source {
            sid: track.sid().to_string(),
            stream: format!("{}|{group}", owner.sid),
            kind: track.kind(),
            formats: peer.connection.formats(carried).to_vec(),
            stereo: track.stereo(),
            encryption: track.encryption(),
        })
    }

    fn begin_subscription(&mut self, id: ParticipantId, track: TrackId, now: Instant) {
        let Some(source) = self.source(id, track, Carrier::Main) else { return };
        let receiving = self.participants.get(&id).map(|participant| participant.link.receiving());
        if let Some(side) = receiving {
            self.open_peer(id, side);
        }
        let (Some(subscriber), Some(known)) = (self.participants.get_mut(&id), self.tracks.get_mut(&track))
        else {
            return;
        };
        let settings = subscriber.desires.settings(known.sid());
        let wish = wish(settings, subscriber.adaptive_stream, known, Carrier::Main);
        let wish = Wish { shortage: subscriber.shortage, ..wish };
        let owner = known.owner;
        let Some(peer) = subscriber.link.receiving_peer_mut() else { return };
        let subscription = self.numbers.subscription();
        peer.connection.subscribe(subscription, source);
        let (key, begun) = Subscription::new(id, peer.transport, known, wish);
        known.subscribers.insert(subscription);
        self.subscription_index.insert(key, subscription);
        self.subscriptions.insert(subscription, begun);
        self.want_negotiation(id, now);
        self.update_demand(track, now);
        for say in [self.speaker_state(owner), self.quality_of(owner)].into_iter().flatten() {
            self.say(id, say);
        }
    }

    /// A published track's formats may have changed: those who receive it are to know.
    pub(super) fn renew_subscriptions(&mut self, track: TrackId, now: Instant) {
        let Some(known) = self.tracks.get(&track) else { return };
        let subscriptions: Vec<SubscriptionId> = known.subscribers.iter().copied().collect();
        for subscription in subscriptions {
            let Some(known) = self.subscriptions.get(&subscription) else { continue };
            let (subscriber, carrier) = (known.subscriber, known.carrier);
            let Some(source) = self.source(subscriber, track, carrier) else { continue };
            let Some(participant) = self.participants.get_mut(&subscriber) else { continue };
            let Some(peer) = participant.link.receiving_peer_mut() else { continue };
            peer.connection.subscribe(subscription, source);
            if peer.connection.needs_negotiation() {
                self.want_negotiation(subscriber, now);
            }
            self.renew_wish(subscription, now);
        }
    }

    /// A subscription has its m-section.
    pub(super) fn subscribed(&mut self, subscription: SubscriptionId, send: SendParameters, now: Instant) {
        let Some(known) = self.subscriptions.get_mut(&subscription) else { return };
        known.delivery = Stage::Carried;
        let (transport, track, wish, subscriber) =
            (known.transport, known.track, known.wish, known.subscriber);
        let carrier = known.carrier;
        let Some(carried) = self.tracks.get(&track).and_then(|track| track.carried(carrier)) else { return };
        self.media(Command::Subscribe { subscription, transport, track: carried, send, wish });
        let visible = self.participants.get(&subscriber).is_some_and(|participant| !participant.is_hidden());
        let Some(known) = self.tracks.get_mut(&track).filter(|_| visible) else { return };
        if !known.told_subscribed {
            known.told_subscribed = true;
            let (owner, track_sid) = (known.owner, known.sid().to_string());
            self.say(owner, Say::TrackSubscribed(proto::TrackSubscribed { track_sid }));
        }
        self.update_demand(track, now);
    }

    /// Ends a subscription.
    pub(super) fn drop_subscription(&mut self, subscription: SubscriptionId, now: Instant) {
        let Some(known) = self.subscriptions.remove(&subscription) else { return };
        self.subscription_index.remove(&(known.subscriber, known.track));
        if let Some(track) = self.tracks.get_mut(&known.track) {
            track.subscribers.remove(&subscription);
        }
        if known.delivery == Stage::Carried {
            self.media(Command::Unsubscribe(subscription));
        }
        let Some(participant) = self.participants.get_mut(&known.subscriber) else { return };
        let Some(peer) = participant.link.receiving_peer_mut() else { return };
        peer.connection.unsubscribe(subscription);
        if peer.connection.needs_negotiation() {
            self.want_negotiation(known.subscriber, now);
        }
    }

    /// A subscription cannot be: the subscriber is told, and it is not tried again.
    pub(super) fn refuse_subscription(
        &mut self,
        subscription: SubscriptionId,
        error: SubscriptionError,
        now: Instant,
    ) {
        let Some(known) = self.subscriptions.get(&subscription) else { return };
        let (track, subscriber) = (known.track, known.subscriber);
        let Some(track_sid) = self.tracks.get(&track).map(|track| track.sid().to_string()) else { return };
        if let Some(participant) = self.participants.get_mut(&subscriber) {
            participant.desires.choose(&track_sid, Choice::Unwanted);
        }
        self.drop_subscription(subscription, now);
        self.say(
            subscriber,
            Say::SubscriptionResponse(proto::SubscriptionResponse { track_sid, err: error as i32 }),
        );
        self.update_demand(track, now);
    }

    /// A participant chooses what to receive.
    pub(super) fn update_subscription(
        &mut self,
        id: ParticipantId,
        update: &proto::UpdateSubscription,
        now: Instant,
    ) {
        let named = update.participant_tracks.iter().flat_map(|named| &named.track_sids);
        let sids: Vec<&String> = update.track_sids.iter().chain(named).take(NAMED_MAX).collect();
        let choice = if update.subscribe { Choice::Wanted(now) } else { Choice::Unwanted };
        for sid in sids {
            let Some(participant) = self.participants.get_mut(&id) else { return };
            participant.desires.choose(sid, choice);
            if let Some(track) = self.track_sids.get(sid).copied() {
                self.reconcile(id, track, now);
            } else if let Some(at) = now.checked_add(MISSING_AFTER).filter(|_| update.subscribe) {
                self.timers.set_once(Timer::Wanted(id), at);
            }
        }
    }

    /// Says which tracks that are wanted never came.
    pub(super) fn report_missing(&mut self, id: ParticipantId, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let absent = |sid: &str| !self.track_sids.contains_key(sid);
        let waiting: Vec<(String, Instant)> = participant
            .desires
            .wanted()
            .filter(|(sid, _)| absent(sid))
            .map(|(sid, since)| (sid.to_string(), since))
            .collect();
        let mut next: Option<Instant> = None;
        let mut missing = Vec::new();
        for (sid, since) in waiting {
            let due = since.checked_add(MISSING_AFTER).unwrap_or(now);
            if due <= now {
                participant.desires.forget(&sid);
                missing.push(sid);
            } else {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        for track_sid in missing {
            let err = SubscriptionError::SeTrackNotfound as i32;
            self.say(id, Say::SubscriptionResponse(proto::SubscriptionResponse { track_sid, err }));
        }
        if let Some(next) = next {
            self.timers.set(Timer::Wanted(id), next);
        }
    }

    /// A participant says how tracks are to be received.
    pub(super) fn update_settings(
        &mut self,
        id: ParticipantId,
        settings: &proto::UpdateTrackSettings,
        now: Instant,
    ) {
        for sid in settings.track_sids.iter().take(NAMED_MAX) {
            let Some(participant) = self.participants.get_mut(&id) else { return };
            participant.desires.set(sid, settings);
            let track = self.track_sids.get(sid);
            let subscription = track.and_then(|track| self.subscription_index.get(&(id, *track)));
            if let Some(subscription) = subscription.copied() {
                self.renew_wish(subscription, now);
            }
        }
    }

    /// The path to a subscriber does not carry a picture, or does again.
    pub(super) fn stream_state(&mut self, subscription: SubscriptionId, state: StreamState) {
        let Some(known) = self.subscriptions.get_mut(&subscription) else { return };
        known.state = state;
        let subscriber = known.subscriber;
        let Some(track) = self.tracks.get(&known.track) else { return };
        let Some(owner) = self.participants.get(&track.owner) else { return };
        let state = match state {
            StreamState::Active => proto::StreamState::Active,
            StreamState::Paused => proto::StreamState::Paused,
        };
        let info = proto::StreamStateInfo {
            participant_sid: owner.sid.clone(),
            track_sid: track.sid().to_string(),
            state: state as i32,
        };
        self.say(subscriber, Say::StreamStateUpdate(proto::StreamStateUpdate { stream_states: vec![info] }));
    }

    fn renew_wish(&mut self, subscription: SubscriptionId, now: Instant) {
        let Some(known) = self.subscriptions.get_mut(&subscription) else { return };
        let Some(track) = self.tracks.get(&known.track) else { return };
        let Some(participant) = self.participants.get(&known.subscriber) else { return };
        let settings = participant.desires.settings(track.sid());
        let wish = wish(settings, participant.adaptive_stream, track, known.carrier);
        let wish = Wish { shortage: participant.shortage, ..wish };
        if known.wish == wish {
            return;
        }
        known.wish = wish;
        let (carried, track) = (known.delivery == Stage::Carried, known.track);
        if carried {
            self.media(Command::SetWish(subscription, wish));
        }
        self.update_demand(track, now);
    }

    /// A publisher says who may receive what.
    pub(super) fn set_audience(
        &mut self,
        id: ParticipantId,
        permission: &proto::SubscriptionPermission,
        now: Instant,
    ) {
        let Some(owner) = self.participants.get_mut(&id) else { return };
        let before = std::mem::replace(&mut owner.audience, Audience::new(permission));
        let after = owner.audience.clone();
        let participant_sid = owner.sid.clone();
        let tracks: Vec<TrackId> = owner.tracks.iter().copied().collect();
        for track in tracks {
            let Some(sid) = self.tracks.get(&track).map(|track| track.sid().to_string()) else { continue };
            for other in self.participant_ids() {
                let Some(subscriber) = self.participants.get(&other).filter(|_| other != id) else {
                    continue;
                };
                let allowed = after.includes(subscriber, &sid);
                if before.includes(subscriber, &sid) == allowed {
                    continue;
                }
                self.say(
                    other,
                    Say::SubscriptionPermissionUpdate(proto::SubscriptionPermissionUpdate {
                        participant_sid: participant_sid.clone(),
                        track_sid: sid.clone(),
                        allowed,
                    }),
                );
                self.reconcile(other, track, now);
            }
        }
        self.reconcile_data_audience();
    }

    /// Who receives anything of a participant.
    pub(super) fn audience_of(&self, id: ParticipantId) -> Vec<ParticipantId> {
        let tracks = self.participants.get(&id).into_iter().flat_map(|participant| &participant.tracks);
        let subscriptions =
            tracks.filter_map(|track| self.tracks.get(track)).flat_map(|track| &track.subscribers);
        let mut audience: Vec<ParticipantId> = subscriptions
            .filter_map(|subscription| Some(self.subscriptions.get(subscription)?.subscriber))
            .collect();
        audience.sort_unstable();
        audience.dedup();
        audience
    }
}
