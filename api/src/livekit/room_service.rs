//! `livekit.RoomService`: who may call what; what it does is signaling's.

use axum::response::Response;
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use signaling::{
    ServiceError, Signaling,
    token::{Claims, VideoGrant},
    wire::proto,
};

use super::{
    json::{self, Shape},
    twirp::{Call, Code, Refusal},
};

/// Every method there is.
pub(super) const METHODS: &[&str] = &[
    "CreateRoom",
    "ListRooms",
    "DeleteRoom",
    "ListParticipants",
    "GetParticipant",
    "RemoveParticipant",
    "MutePublishedTrack",
    "UpdateParticipant",
    "UpdateSubscriptions",
    "SendData",
    "UpdateRoomMetadata",
    "ForwardParticipant",
    "MoveParticipant",
    "PerformRpc",
];

pub(super) async fn answer(signaling: &Signaling, method: &str, call: &Call) -> Result<Response, Refusal> {
    let s = signaling;
    match method {
        "CreateRoom" => run(call, creates, &json::ROOM, |request| s.create_room(request)).await,
        "ListRooms" => run(call, lists, &json::LIST_ROOMS, |request| s.list_rooms(request)).await,
        "DeleteRoom" => run(call, creates, &json::EMPTY, |request| s.delete_room(request)).await,
        "ListParticipants" => {
            run(call, administers, &json::LIST_PARTICIPANTS, |r| s.list_participants(r)).await
        }
        "GetParticipant" => run(call, administers, &json::PARTICIPANT, |r| s.get_participant(r)).await,
        "RemoveParticipant" => run(call, administers, &json::EMPTY, |r| s.remove_participant(r)).await,
        "MutePublishedTrack" => run(call, administers, &json::MUTE, |r| s.mute_published_track(r)).await,
        "UpdateParticipant" => run(call, administers, &json::PARTICIPANT, |r| s.update_participant(r)).await,
        "UpdateSubscriptions" => run(call, administers, &json::EMPTY, |r| s.update_subscriptions(r)).await,
        "SendData" => run(call, administers, &json::EMPTY, |r| s.send_data(r)).await,
        "UpdateRoomMetadata" => run(call, administers, &json::ROOM, |r| s.update_room_metadata(r)).await,
        _ => Err(Refusal::new(Code::Unimplemented, format!("{method} is not implemented"))),
    }
}

/// Reads, checks, does, writes.
async fn run<Ask, Answer, Done>(
    call: &Call,
    may: fn(&VideoGrant, &Ask) -> bool,
    shape: &Shape,
    act: impl FnOnce(Ask) -> Done,
) -> Result<Response, Refusal>
where
    Ask: Message + Default + DeserializeOwned,
    Answer: Message + Serialize,
    Done: Future<Output = Result<Answer, ServiceError>>,
{
    let request: Ask = call.read()?;
    if !grant(&call.claims).is_some_and(|grant| may(grant, &request)) {
        return Err(Refusal::denied());
    }
    call.write(&act(request).await?, shape)
}

fn grant(claims: &Claims) -> Option<&VideoGrant> {
    claims.video.as_ref()
}

fn creates<T>(grant: &VideoGrant, _: &T) -> bool {
    grant.room_create
}

fn lists<T>(grant: &VideoGrant, _: &T) -> bool {
    grant.room_list
}

fn administers<T: InRoom>(grant: &VideoGrant, request: &T) -> bool {
    grant.room_admin && !grant.room.is_empty() && grant.room == request.room()
}

/// A request about one room.
trait InRoom {
    fn room(&self) -> &str;
}

macro_rules! in_room {
    ($($request:ident),* $(,)?) => {
        $(impl InRoom for proto::$request {
            fn room(&self) -> &str {
                &self.room
            }
        })*
    };
}

in_room!(
    ListParticipantsRequest,
    RoomParticipantIdentity,
    MuteRoomTrackRequest,
    UpdateParticipantRequest,
    UpdateSubscriptionsRequest,
    SendDataRequest,
    UpdateRoomMetadataRequest,
);
