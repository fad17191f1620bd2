//! A second codec of a track, for those who cannot take the first: announced with the track, asked of the publisher when
//! somebody needs it.
//!
//! Invariants: a track has one backup at most; who can take the first codec is not sent the backup; others see one track.

use std::time::{Duration, Instant};

use sfu::{
    command::Command,
    ids::{ParticipantId, SubscriptionId, TrackId, TransportId},
    params::{Delivery, TrackParameters},
};

use super::{
    Room, client,
    link::Side,
    permission::may_publish,
    subscription::{Carrier, Stage},
    timers::Timer,
    track::{Carriage, Track},
};
use crate::{
    negotiate::Expected,
    wire::proto::{
        self, AddTrackRequest, SubscriptionError, TrackType,
        request_response::{Reason, Request},
    },
};

/// How long a publisher may take to send the second codec. Higher: slower clients. Lower: who takes neither knows sooner.
const COMES_WITHIN: Duration = Duration::from_secs(4);

/// A second codec of a track.
#[derive(Clone, Debug)]
pub(super) struct Backup {
    /// How the media plane and the negotiation know it.
    pub(super) id: TrackId,
    cid: String,
    mime: String,
    pub(super) carriage: Carriage,
}

impl Track {
    /// The media type of the second codec that was announced with the track.
    pub(super) fn backup_mime(&self) -> Option<&str> {
        self.info.codecs.get(1).map(|codec| codec.mime_type.as_str()).filter(|mime| !mime.is_empty())
    }

    /// The name under which the media plane and the negotiation know a codec of the track.
    pub(super) fn carried(&self, carrier: Carrier) -> Option<TrackId> {
        match carrier {
            Carrier::Main => Some(self.id),
            Carrier::Backup => {
                let published = |backup: &&Backup| matches!(backup.carriage, Carriage::Published { .. });
                self.backup.as_ref().filter(published).map(|backup| backup.id)
            }
        }
    }

    fn expected_backup(&self, backup: &Backup) -> Expected {
        let cids = vec![backup.cid.clone()];
        Expected { track: backup.id, cids, codec: Some(backup.mime.clone()), ..self.expected() }
    }
}

impl Room {
    /// A client announces the second codec of a track.
    pub(super) fn add_backup(&mut self, id: ParticipantId, request: AddTrackRequest, now: Instant) {
        match self.may_add_backup(id, &request) {
            Ok((track, mime)) => self.accept_backup(id, track, mime, &request, now),
            Err(reason) => self.respond(id, 0, reason, Some(Request::AddTrack(request))),
        }
    }

    fn may_add_backup(
        &self,
        id: ParticipantId,
        request: &AddTrackRequest,
    ) -> Result<(TrackId, String), Reason> {
        let participant = self.participants.get(&id).ok_or(Reason::NotFound)?;
        let track = self.track_of(id, &request.sid).ok_or(Reason::NotFound)?;
        let known = self.tracks.get(&track).ok_or(Reason::NotFound)?;
        if !may_publish(&participant.permission(), known.info.source) {
            return Err(Reason::NotAllowed);
        }
        let codec = request.simulcast_codecs.first().ok_or(Reason::UnsupportedType)?;
        let mime = client::mime(&codec.codec).ok_or(Reason::UnsupportedType)?.to_string();
        let may_be = participant.client.publishable(&self.config).iter().any(|codec| codec.mime == mime);
        let is_other = known.info.r#type == TrackType::Video as i32 && known.info.mime_type != mime;
        if !may_be || !is_other { Err(Reason::UnsupportedType) } else { Ok((track, mime)) }
    }

    #[expect(deprecated, reason = "the layers of the first codec, for every client")]
    fn accept_backup(
        &mut self,
        id: ParticipantId,
        track: TrackId,
        mime: String,
        request: &AddTrackRequest,
        now: Instant,
    ) {
        self.drop_backup(track);
        let backup_id = self.numbers.track();
        let cid =
            request.simulcast_codecs.first().map(|codec| codec.cid.clone()).filter(|cid| !cid.is_empty());
        let cid = cid.unwrap_or_else(|| request.cid.clone());
        let Some(known) = self.tracks.get_mut(&track) else { return };
        let layers = known.info.layers.clone();
        let told = proto::SimulcastCodecInfo {
            mime_type: mime.clone(),
            cid: cid.clone(),
            layers,
            ..Default::default()
        };
        known.info.codecs.truncate(1);
        known.info.codecs.push(told);
        let backup = Backup { id: backup_id, cid, mime, carriage: Carriage::Pending };
        let expected = known.expected_backup(&backup);
        known.backup = Some(backup);
        let published =
            proto::TrackPublishedResponse { cid: request.cid.clone(), track: Some(known.info.clone()) };
        self.backups.insert(backup_id, track);
        self.confirm(id, published);

        let peer =
            self.participants.get_mut(&id).and_then(|participant| participant.link.peer_mut(Side::Publisher));
        let Some(peer) = peer else { return };
        let (transport, changes) = (peer.transport, peer.connection.expect(expected));
        let published = self.apply(id, transport, changes, now);
        self.announce_published(id, &published, now);
    }

    /// A backup has an m-section: tells which track it belongs to.
    pub(super) fn backup_published(
        &mut self,
        backup_id: TrackId,
        transport: TransportId,
        params: TrackParameters,
        mid: String,
    ) -> Option<TrackId> {
        let track = *self.backups.get(&backup_id)?;
        let known = self.tracks.get_mut(&track)?;
        let backup = known.backup.as_mut()?;
        let encodings = u8::try_from(params.encodings.len()).unwrap_or(u8::MAX).max(1);
        backup.carriage = Carriage::Published { encodings };
        if let Some(codec) = known.info.codecs.get_mut(1) {
            codec.mid = mid;
        }
        let muted = known.info.muted;
        self.media(Command::Publish(transport, backup_id, params));
        if muted {
            self.media(Command::SetDelivery(backup_id, Delivery::Paused));
        }
        Some(track)
    }

    /// A subscriber does not take the first codec: whether the second is tried.
    pub(super) fn fall_back(&mut self, subscription: SubscriptionId, now: Instant) -> bool {
        let Some(known) = self.subscriptions.get_mut(&subscription) else { return false };
        let Some(track) = self.tracks.get(&known.track) else { return false };
        if known.carrier == Carrier::Backup || track.backup_mime().is_none() {
            return false;
        }
        let track = known.track;
        known.carrier = Carrier::Backup;
        if std::mem::replace(&mut known.delivery, Stage::Waiting) == Stage::Carried {
            self.media(Command::Unsubscribe(subscription));
        }
        self.renew_subscriptions(track, now);
        self.update_demand(track, now);
        if let Some(at) = now.checked_add(COMES_WITHIN) {
            self.timers.set_once(Timer::Backup(track), at);
        }
        true
    }

    /// The second codec did not come: who waits for it is told.
    pub(super) fn give_up_backup(&mut self, track: TrackId, now: Instant) {
        let Some(known) = self.tracks.get(&track) else { return };
        if known.carried(Carrier::Backup).is_some() {
            return;
        }
        for subscription in known.subscribers.clone() {
            if self.subscriptions.get(&subscription).is_some_and(|known| known.carrier == Carrier::Backup) {
                self.refuse_subscription(subscription, SubscriptionError::SeCodecUnsupported, now);
            }
        }
    }

    /// A backup is not sent any more; its subscribers wait for another.
    pub(super) fn drop_backup(&mut self, track: TrackId) {
        let Some(known) = self.tracks.get_mut(&track) else { return };
        let Some(backup) = known.backup.take() else { return };
        let (owner, subscribers) = (known.owner, known.subscribers.clone());
        self.backups.remove(&backup.id);
        if let Some(participant) = self.participants.get_mut(&owner)
            && let Some(peer) = participant.link.peer_mut(Side::Publisher)
        {
            peer.connection.forget(backup.id);
        }
        if matches!(backup.carriage, Carriage::Published { .. }) {
            self.media(Command::Unpublish(backup.id));
        }
        for subscription in subscribers {
            let Some(known) = self.subscriptions.get_mut(&subscription) else { continue };
            if known.carrier == Carrier::Backup {
                known.delivery = Stage::Waiting;
                let subscriber = known.subscriber;
                let participant = self.participants.get_mut(&subscriber);
                if let Some(peer) = participant.and_then(|participant| participant.link.receiving_peer_mut())
                {
                    peer.connection.unsubscribe(subscription);
                }
            }
        }
    }
}
