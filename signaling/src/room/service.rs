//! What administrators ask of a room (the part of RoomService that happens inside one).

use std::time::Instant;

use sfu::{ids::ParticipantId, params::Delivery};

use super::{Room, announce::Echo, farewell::Farewell, metadata::Alteration};
use crate::{
    config::RemoteUnmute,
    error::ServiceError,
    wire::{Say, proto},
};

/// One request of an administrator.
#[derive(Clone, Debug)]
pub enum Service {
    /// The room was to be made and is there already.
    Update(Box<proto::CreateRoomRequest>),
    /// The room is to end.
    Delete,
    /// Who is there?
    ListParticipants,
    /// Is this one there?
    GetParticipant(String),
    /// This one has to leave.
    RemoveParticipant(String),
    /// A track is muted, or unmuted.
    Mute(proto::MuteRoomTrackRequest),
    /// Name, metadata, attributes, permission.
    UpdateParticipant(proto::UpdateParticipantRequest),
    /// What somebody receives.
    UpdateSubscriptions(proto::UpdateSubscriptionsRequest),
    /// A message from the server.
    SendData(proto::SendDataRequest),
    /// The room's metadata.
    UpdateMetadata(String),
}

/// The answer to a [`Service`].
#[derive(Clone, Debug)]
pub enum ServiceReply {
    /// It is done.
    Done,
    /// The room as it is then.
    Room(Box<proto::Room>),
    /// A participant as they are then.
    Participant(Box<proto::ParticipantInfo>),
    /// All participants.
    Participants(Vec<proto::ParticipantInfo>),
    /// A track as it is then.
    Track(Box<proto::TrackInfo>),
}

impl Room {
    /// Does what an administrator asks.
    ///
    /// # Errors
    /// Says why not.
    pub fn serve(&mut self, request: Service, now: Instant) -> Result<ServiceReply, ServiceError> {
        match request {
            Service::Update(wish) => self.update_room(&wish, now),
            Service::Delete => {
                self.close(Farewell::RoomDeleted, now);
                Ok(ServiceReply::Done)
            }
            Service::ListParticipants => {
                let infos = self.participant_ids().into_iter().filter_map(|id| self.info_of(id));
                Ok(ServiceReply::Participants(infos.collect()))
            }
            Service::GetParticipant(identity) => self.participant_reply(self.find(&identity)?),
            Service::RemoveParticipant(identity) => {
                self.dismiss(self.find(&identity)?, Farewell::Removed, now);
                Ok(ServiceReply::Done)
            }
            Service::Mute(request) => self.mute_track(&request, now),
            Service::UpdateParticipant(request) => self.update_participant(request, now),
            Service::UpdateSubscriptions(request) => {
                let id = self.find(&request.identity)?;
                let update = proto::UpdateSubscription {
                    track_sids: request.track_sids,
                    subscribe: request.subscribe,
                    participant_tracks: request.participant_tracks,
                };
                self.update_subscription(id, &update, now);
                Ok(ServiceReply::Done)
            }
            Service::SendData(request) => self.send_data(request, now).map(|()| ServiceReply::Done),
            Service::UpdateMetadata(metadata) => {
                self.set_metadata(metadata)?;
                Ok(ServiceReply::Room(Box::new(self.info())))
            }
        }
    }

    fn find(&self, identity: &str) -> Result<ParticipantId, ServiceError> {
        self.identities.get(identity).copied().ok_or_else(ServiceError::participant_missing)
    }

    fn participant_reply(&self, id: ParticipantId) -> Result<ServiceReply, ServiceError> {
        let info = self.info_of(id).ok_or_else(ServiceError::participant_missing)?;
        Ok(ServiceReply::Participant(Box::new(info)))
    }

    fn update_room(
        &mut self,
        wish: &proto::CreateRoomRequest,
        now: Instant,
    ) -> Result<ServiceReply, ServiceError> {
        let before = self.life.info();
        self.life.update(wish, now);
        if self.life.info() != before {
            self.tell_room();
        }
        Ok(ServiceReply::Room(Box::new(self.info())))
    }

    fn mute_track(
        &mut self,
        request: &proto::MuteRoomTrackRequest,
        now: Instant,
    ) -> Result<ServiceReply, ServiceError> {
        let id = self.find(&request.identity)?;
        let missing = || ServiceError::NotFound("track is not found".into());
        let track = self.track_of(id, &request.track_sid).ok_or_else(missing)?;
        if !request.muted && self.config.remote_unmute == RemoteUnmute::Refused {
            return Err(ServiceError::FailedPrecondition("remote unmute not enabled".into()));
        }
        let delivery = if request.muted { Delivery::Paused } else { Delivery::On };
        let sid = request.track_sid.clone();
        self.say(id, Say::Mute(proto::MuteTrackRequest { sid, muted: request.muted }));
        self.set_muted(track, delivery, Echo::No, now);
        let info = self.tracks.get(&track).map(|known| known.info.clone()).ok_or_else(missing)?;
        Ok(ServiceReply::Track(Box::new(info)))
    }

    fn update_participant(
        &mut self,
        request: proto::UpdateParticipantRequest,
        now: Instant,
    ) -> Result<ServiceReply, ServiceError> {
        let id = self.find(&request.identity)?;
        let alteration = Alteration {
            name: request.name,
            metadata: request.metadata,
            attributes: request.attributes,
            permission: request.permission,
        };
        self.alter(id, alteration, now).map_err(|error| ServiceError::InvalidArgument(error.to_string()))?;
        self.participant_reply(id)
    }
}
