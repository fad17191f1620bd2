//! RoomService as Rust calls; whoever calls has checked the caller's grants.

use std::{collections::BTreeSet, time::Duration};

use tokio::sync::oneshot;

use super::{
    Signaling,
    registry::{Entry, Found},
    task::Message,
};
use crate::{
    admission::ROOM_NAME_LEN_MAX,
    error::ServiceError,
    room::{Service, ServiceReply},
    wire::proto,
};

/// A room that does not answer for this long is not there.
const ANSWER_MAX: Duration = Duration::from_secs(5);

impl Signaling {
    /// Makes a room, or changes what the request gives.
    ///
    /// # Errors
    /// `InvalidArgument`, `Unavailable`.
    pub async fn create_room(&self, request: proto::CreateRoomRequest) -> Result<proto::Room, ServiceError> {
        if request.name.is_empty() {
            return Err(ServiceError::InvalidArgument("no room name".into()));
        }
        if request.name.len() > ROOM_NAME_LEN_MAX {
            let text = format!("room name length exceeds limits: max length {ROOM_NAME_LEN_MAX}");
            return Err(ServiceError::InvalidArgument(text));
        }
        let (entry, found) =
            self.room(&request).map_err(|busy| ServiceError::Unavailable(busy.to_string()))?;
        if found == Found::Made {
            let room = entry.snapshot.borrow().room.clone();
            return Ok(room);
        }
        match ask(&entry, Service::Update(Box::new(request))).await? {
            ServiceReply::Room(room) => Ok(*room),
            other => Err(mismatch(&other)),
        }
    }

    /// All rooms, or those that are named and there.
    ///
    /// # Errors
    /// None at present.
    pub async fn list_rooms(
        &self,
        request: proto::ListRoomsRequest,
    ) -> Result<proto::ListRoomsResponse, ServiceError> {
        let names: BTreeSet<String> = request.names.into_iter().collect();
        let mut rooms = self.shared.rooms.infos();
        rooms.retain(|room| names.is_empty() || names.contains(&room.name));
        Ok(proto::ListRoomsResponse { rooms })
    }

    /// Ends a room.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_room(
        &self,
        request: proto::DeleteRoomRequest,
    ) -> Result<proto::DeleteRoomResponse, ServiceError> {
        let entry = self.find(&request.room)?;
        ask(&entry, Service::Delete).await?;
        entry.inbox.closed().await;
        Ok(proto::DeleteRoomResponse {})
    }

    /// Everybody in a room, hidden ones too; nobody when the room is missing.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn list_participants(
        &self,
        request: proto::ListParticipantsRequest,
    ) -> Result<proto::ListParticipantsResponse, ServiceError> {
        let Ok(entry) = self.find(&request.room) else {
            return Ok(proto::ListParticipantsResponse::default());
        };
        match ask(&entry, Service::ListParticipants).await? {
            ServiceReply::Participants(participants) => Ok(proto::ListParticipantsResponse { participants }),
            other => Err(mismatch(&other)),
        }
    }

    /// One participant.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get_participant(
        &self,
        request: proto::RoomParticipantIdentity,
    ) -> Result<proto::ParticipantInfo, ServiceError> {
        self.participant(&request.room, Service::GetParticipant(request.identity)).await
    }

    /// Sends a participant away.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove_participant(
        &self,
        request: proto::RoomParticipantIdentity,
    ) -> Result<proto::RemoveParticipantResponse, ServiceError> {
        let entry = self.find_participant_room(&request.room)?;
        ask(&entry, Service::RemoveParticipant(request.identity)).await?;
        Ok(proto::RemoveParticipantResponse {})
    }

    /// Mutes a track, or unmutes it where that is allowed.
    ///
    /// # Errors
    /// `NotFound`, `FailedPrecondition`.
    pub async fn mute_published_track(
        &self,
        request: proto::MuteRoomTrackRequest,
    ) -> Result<proto::MuteRoomTrackResponse, ServiceError> {
        let entry = self.find_participant_room(&request.room)?;
        match ask(&entry, Service::Mute(request)).await? {
            ServiceReply::Track(track) => Ok(proto::MuteRoomTrackResponse { track: Some(*track) }),
            other => Err(mismatch(&other)),
        }
    }

    /// Changes name, metadata, attributes, permission of a participant.
    ///
    /// # Errors
    /// `NotFound`, `InvalidArgument`.
    pub async fn update_participant(
        &self,
        request: proto::UpdateParticipantRequest,
    ) -> Result<proto::ParticipantInfo, ServiceError> {
        let room = request.room.clone();
        self.participant(&room, Service::UpdateParticipant(request)).await
    }

    /// Changes what a participant receives.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn update_subscriptions(
        &self,
        request: proto::UpdateSubscriptionsRequest,
    ) -> Result<proto::UpdateSubscriptionsResponse, ServiceError> {
        let entry = self.find_participant_room(&request.room)?;
        ask(&entry, Service::UpdateSubscriptions(request)).await?;
        Ok(proto::UpdateSubscriptionsResponse {})
    }

    /// Sends a message from the server to participants.
    ///
    /// # Errors
    /// `NotFound`, `InvalidArgument`.
    pub async fn send_data(
        &self,
        request: proto::SendDataRequest,
    ) -> Result<proto::SendDataResponse, ServiceError> {
        let entry = self.find(&request.room)?;
        ask(&entry, Service::SendData(request)).await?;
        Ok(proto::SendDataResponse {})
    }

    /// Changes the metadata of a room.
    ///
    /// # Errors
    /// `NotFound`, `InvalidArgument`.
    pub async fn update_room_metadata(
        &self,
        request: proto::UpdateRoomMetadataRequest,
    ) -> Result<proto::Room, ServiceError> {
        let entry = self.find(&request.room)?;
        match ask(&entry, Service::UpdateMetadata(request.metadata)).await? {
            ServiceReply::Room(room) => Ok(*room),
            other => Err(mismatch(&other)),
        }
    }

    async fn participant(
        &self,
        room: &str,
        service: Service,
    ) -> Result<proto::ParticipantInfo, ServiceError> {
        let entry = self.find_participant_room(room)?;
        match ask(&entry, service).await? {
            ServiceReply::Participant(participant) => Ok(*participant),
            other => Err(mismatch(&other)),
        }
    }

    fn find(&self, room: &str) -> Result<Entry, ServiceError> {
        self.shared.rooms.find(room).ok_or_else(ServiceError::room_missing)
    }

    /// Nobody is in a room that is not there.
    fn find_participant_room(&self, room: &str) -> Result<Entry, ServiceError> {
        self.shared.rooms.find(room).ok_or_else(ServiceError::participant_missing)
    }
}

async fn ask(entry: &Entry, service: Service) -> Result<ServiceReply, ServiceError> {
    let (reply, answer) = oneshot::channel();
    let answered = async {
        entry
            .inbox
            .send(Message::Serve(Box::new(service), reply))
            .await
            .map_err(|_| ServiceError::room_missing())?;
        answer.await.map_err(|_| ServiceError::room_missing())?
    };
    let late = |_| ServiceError::Unavailable("no response from servers".into());
    tokio::time::timeout(ANSWER_MAX, answered).await.map_err(late)?
}

fn mismatch(reply: &ServiceReply) -> ServiceError {
    tracing::error!(?reply, "a room answered something else");
    ServiceError::Unavailable("unexpected answer".into())
}
