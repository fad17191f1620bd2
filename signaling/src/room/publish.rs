//! What participants publish: announced, published, muted, taken back.
//!
//! Invariants: a track is announced to others only while it has an m-section; whoever may not publish a source does not.

use std::time::Instant;

use sfu::{
    command::Command,
    ids::{ParticipantId, TrackId},
    params::Delivery,
};

use super::{
    Room, announce::Echo, link::Side, participant::Held, permission::may_publish, timers::Timer, track::Track,
};
use crate::wire::{
    Say,
    proto::{
        self, AddTrackRequest, TrackType,
        request_response::{Reason, Request},
    },
};

/// Tracks of one participant, announced or published. Higher: odder clients. Lower: less memory per stranger.
const TRACKS_MAX: usize = 64;
/// Tracks announced and not published yet.
const PENDING_MAX: usize = 20;
/// Announcements under a cid that is taken.
const QUEUED_PER_CID_MAX: usize = 3;

impl Room {
    /// A client announces a track.
    pub(super) fn add_track(&mut self, id: ParticipantId, request: AddTrackRequest, now: Instant) {
        if !request.sid.is_empty() {
            return self.add_backup(id, request, now);
        }
        match self.may_add(id, &request) {
            Ok(()) => self.accept_track(id, &request, now),
            Err(Reason::Queued) => {
                if let Some(participant) = self.participants.get_mut(&id) {
                    participant.queued.push_back(request.clone());
                }
                self.refuse_track(id, Reason::Queued, request);
            }
            Err(reason) => self.refuse_track(id, reason, request),
        }
    }

    fn may_add(&self, id: ParticipantId, request: &AddTrackRequest) -> Result<(), Reason> {
        let participant = self.participants.get(&id).ok_or(Reason::NotFound)?;
        if !may_publish(&participant.permission(), request.source) {
            return Err(Reason::NotAllowed);
        }
        let known_type =
            matches!(TrackType::try_from(request.r#type), Ok(TrackType::Audio | TrackType::Video));
        if !known_type {
            return Err(Reason::UnsupportedType);
        }
        let tracks = || participant.tracks.iter().filter_map(|track| self.tracks.get(track));
        let pending = tracks().filter(|track| !track.is_published()).count();
        if pending >= PENDING_MAX || participant.tracks.len() >= TRACKS_MAX {
            return Err(Reason::LimitExceeded);
        }
        if tracks().any(|track| track.cid == request.cid) {
            let queued = participant.queued.iter().filter(|queued| queued.cid == request.cid).count();
            let full = queued >= QUEUED_PER_CID_MAX || participant.queued.len() >= PENDING_MAX;
            return Err(if full { Reason::LimitExceeded } else { Reason::Queued });
        }
        Ok(())
    }

    fn refuse_track(&mut self, id: ParticipantId, reason: Reason, request: AddTrackRequest) {
        self.respond(id, 0, reason, Some(Request::AddTrack(request)));
    }

    fn accept_track(&mut self, id: ParticipantId, request: &AddTrackRequest, now: Instant) {
        self.open_peer(id, Side::Publisher);
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let publishable = participant.client.publishable(&self.config);
        let track = self.numbers.track();
        let known = Track::new(track, id, request, &publishable, &mut self.random);
        let expected = known.expected();
        let published =
            proto::TrackPublishedResponse { cid: request.cid.clone(), track: Some(known.info.clone()) };
        participant.tracks.insert(track);
        self.track_sids.insert(known.sid().to_string(), track);
        self.tracks.insert(track, known);
        self.confirm(id, published);

        let peer =
            self.participants.get_mut(&id).and_then(|participant| participant.link.peer_mut(Side::Publisher));
        let Some(peer) = peer else { return };
        let (transport, changes) = (peer.transport, peer.connection.expect(expected));
        let published = self.apply(id, transport, changes, now);
        self.announce_published(id, &published, now);
    }

    pub(super) fn confirm(&mut self, id: ParticipantId, published: proto::TrackPublishedResponse) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let Held::Until(held) = &mut participant.held else {
            return self.say(id, Say::TrackPublished(published));
        };
        held.push(published);
    }

    /// The first offer is answered, or there was none: from here on nothing is held back.
    pub(super) fn say_held(&mut self, id: ParticipantId, now: Instant) {
        self.timers.cancel(Timer::Hold(id));
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let Held::Until(held) = std::mem::replace(&mut participant.held, Held::Never) else { return };
        for published in held {
            self.say(id, Say::TrackPublished(published));
        }
        self.want_negotiation(id, now);
    }

    /// Tracks have m-sections from here on.
    pub(super) fn announce_published(&mut self, id: ParticipantId, published: &[TrackId], now: Instant) {
        if published.is_empty() {
            return;
        }
        if let Some(participant) = self.participants.get_mut(&id) {
            participant.set_published();
        }
        self.announce(id, Echo::No);
        for track in published {
            self.renew_subscriptions(*track, now);
            self.reconcile_track(*track, now);
            self.update_demand(*track, now);
        }
    }

    /// A client mutes or unmutes what it publishes.
    pub(super) fn mute(&mut self, id: ParticipantId, request: proto::MuteTrackRequest, now: Instant) {
        match self.track_of(id, &request.sid) {
            Some(track) if request.muted => self.set_muted(track, Delivery::Paused, Echo::No, now),
            Some(track) => self.set_muted(track, Delivery::On, Echo::No, now),
            None => self.respond(id, 0, Reason::NotFound, Some(Request::Mute(request))),
        }
    }

    /// Holds a track back, or releases it.
    pub(super) fn set_muted(&mut self, track: TrackId, delivery: Delivery, echo: Echo, now: Instant) {
        let Some(known) = self.tracks.get_mut(&track) else { return };
        let muted = delivery == Delivery::Paused;
        if known.info.muted == muted {
            return;
        }
        known.info.muted = muted;
        let (owner, published) = (known.owner, known.is_published());
        if !published {
            return;
        }
        let backup = known.backup.as_ref().map(|backup| backup.id);
        for carried in [Some(track), backup].into_iter().flatten() {
            self.media(Command::SetDelivery(carried, delivery));
        }
        self.announce(owner, echo);
        if !muted {
            if let Some(known) = self.tracks.get_mut(&track) {
                known.demand.forget();
                known.backup_demand.forget();
            }
            self.update_demand(track, now);
        }
    }

    /// A participant's track by its sid.
    pub(super) fn track_of(&self, id: ParticipantId, sid: &str) -> Option<TrackId> {
        let track = *self.track_sids.get(sid)?;
        self.tracks.get(&track).filter(|known| known.owner == id).map(|known| known.id)
    }

    /// Takes a track back against its publisher's will.
    pub(super) fn unpublish(&mut self, track: TrackId, now: Instant) {
        let Some(known) = self.tracks.get(&track) else { return };
        let (owner, sid) = (known.owner, known.sid().to_string());
        let Some(participant) = self.participants.get_mut(&owner) else { return };
        if let Some(peer) = participant.link.peer_mut(Side::Publisher) {
            peer.connection.forget(track);
        }
        let say = if participant.client.reads_unpublished() {
            Say::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid: sid })
        } else {
            Say::Mute(proto::MuteTrackRequest { sid, muted: true })
        };
        self.say(owner, say);
        self.unpublished(track, now);
    }

    /// A track is gone.
    pub(super) fn unpublished(&mut self, track: TrackId, now: Instant) {
        if let Some(track) = self.backups.get(&track).copied() {
            return self.drop_backup(track);
        }
        let Some(known) = self.drop_track(track, now) else { return };
        if known.is_published() {
            self.announce(known.owner, Echo::No);
        }
        self.serve_queue(known.owner, &known.cid, now);
    }

    /// Takes a track out of everything that names it.
    pub(super) fn drop_track(&mut self, track: TrackId, now: Instant) -> Option<Track> {
        self.drop_backup(track);
        let known = self.tracks.remove(&track)?;
        self.track_sids.remove(known.sid());
        self.timers.cancel(Timer::Dynacast(track));
        self.timers.cancel(Timer::Backup(track));
        for subscription in &known.subscribers {
            self.drop_subscription(*subscription, now);
        }
        if known.is_published() {
            self.media(Command::Unpublish(track));
        }
        for participant in self.participants.values_mut() {
            participant.desires.forget(known.sid());
        }
        if let Some(owner) = self.participants.get_mut(&known.owner) {
            owner.tracks.remove(&track);
        }
        Some(known)
    }

    /// The next announcement under a cid that is free again.
    fn serve_queue(&mut self, id: ParticipantId, cid: &str, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let Some(next) = participant.queued.iter().position(|queued| queued.cid == cid) else { return };
        if let Some(request) = participant.queued.remove(next) {
            self.add_track(id, request, now);
        }
    }

    /// The client offers a track in no codec that may be published.
    pub(super) fn unpublishable(&mut self, id: ParticipantId, track: TrackId) {
        let Some(known) = self.tracks.get(&track) else { return };
        tracing::debug!(participant = %id, track = known.sid(), "no common codec");
        let request =
            AddTrackRequest { cid: known.cid.clone(), sid: known.sid().to_string(), ..Default::default() };
        self.refuse_track(id, Reason::UnsupportedType, request);
    }

    /// What a client sends as sound changed.
    pub(super) fn update_audio_track(&mut self, id: ParticipantId, update: proto::UpdateLocalAudioTrack) {
        let Some(known) = self.track_of(id, &update.track_sid).and_then(|track| self.tracks.get_mut(&track))
        else {
            return self.respond(id, 0, Reason::NotFound, Some(Request::UpdateAudioTrack(update)));
        };
        let features = update.features.into_iter();
        known.info.audio_features = features
            .filter(|feature| proto::AudioTrackFeature::try_from(*feature).is_ok())
            .take(16)
            .collect();
        self.announce(id, Echo::No);
    }

    /// The size of a picture changed.
    pub(super) fn update_video_track(&mut self, id: ParticipantId, update: proto::UpdateLocalVideoTrack) {
        let Some(known) = self.track_of(id, &update.track_sid).and_then(|track| self.tracks.get_mut(&track))
        else {
            return self.respond(id, 0, Reason::NotFound, Some(Request::UpdateVideoTrack(update)));
        };
        known.info.width = update.width;
        known.info.height = update.height;
        self.announce(id, Echo::No);
    }
}
