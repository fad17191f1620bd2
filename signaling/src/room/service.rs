//! What administrators ask of a room (the part of RoomService that happens inside one).

use std::time::Instant;

use super::Room;
use crate::{error::ServiceError, wire::proto};

/// One request of an administrator.
#[derive(Clone, Debug)]
pub enum Service {
    /// The room was to be made and is there already.
    Update(proto::CreateRoomRequest),
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
            Service::Update(wish) => {
                self.life.update(&wish, now);
                Ok(ServiceReply::Room(Box::new(self.info())))
            }
            Service::Delete => {
                self.close();
                Ok(ServiceReply::Done)
            }
            Service::ListParticipants => Ok(ServiceReply::Participants(Vec::new())),
            Service::UpdateMetadata(metadata) => {
                self.life.set_metadata(metadata);
                Ok(ServiceReply::Room(Box::new(self.info())))
            }
            Service::GetParticipant(_)
            | Service::RemoveParticipant(_)
            | Service::Mute(_)
            | Service::UpdateParticipant(_)
            | Service::UpdateSubscriptions(_) => Err(ServiceError::participant_missing()),
            Service::SendData(_) => Ok(ServiceReply::Done),
        }
    }
}
