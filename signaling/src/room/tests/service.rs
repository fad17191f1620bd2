//! What administrators and clients change about participants and rooms.

use super::*;
use crate::{
    config::RemoteUnmute,
    wire::proto::{DisconnectReason, leave_request::Action, request_response::Reason},
};

#[test]
fn a_participant_is_sent_away() {
    let mut world = World::new();
    let ann = world.enter("ann");
    world.forget();

    world.serve(Service::RemoveParticipant("ann".into())).unwrap();

    let leave = &world.heard_only(ann, leaves)[0];
    assert_eq!(leave.reason, DisconnectReason::ParticipantRemoved as i32);
    assert_eq!(leave.action, Action::Disconnect as i32);
    let again = world.serve(Service::RemoveParticipant("ann".into()));
    assert_eq!(again.err(), Some(ServiceError::participant_missing()));
}

#[test]
fn a_deleted_room_tells_everybody_not_to_come_back() {
    let mut world = World::new();
    let ann = world.enter("ann");
    world.enter("bob");
    world.forget();

    world.serve(Service::Delete).unwrap();

    let heard = world.heard(ann);
    let [Say::Leave(leave)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(leave.reason, DisconnectReason::RoomDeleted as i32);
    assert_eq!(leave.action, Action::Disconnect as i32);
    assert!(world.over);
}

#[test]
fn a_node_that_stops_lets_clients_join_elsewhere() {
    let mut world = World::new();
    let ann = world.enter("ann");
    world.forget();

    world.handle(Input::Shutdown);

    assert_eq!(world.heard_only(ann, leaves)[0].reason, DisconnectReason::ServerShutdown as i32);
    assert!(world.over);
}

#[test]
fn all_are_listed_also_the_hidden() {
    let mut world = World::new();
    world.enter("ann");
    world.join_as(claims_with("ghost", |grant| grant.hidden = true), single());

    let Ok(ServiceReply::Participants(all)) = world.serve(Service::ListParticipants) else {
        panic!("no list")
    };

    assert_eq!(all.len(), 2);
}

#[test]
fn an_administrator_mutes_and_unmutes_only_where_that_is_allowed() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let (_, sid) = world.publish(ann, TrackSource::Microphone);
    world.forget();
    let mute = |muted| {
        let (identity, track_sid) = ("ann".to_string(), sid.clone());
        Service::Mute(proto::MuteRoomTrackRequest { room: "room".into(), identity, track_sid, muted })
    };

    let Ok(ServiceReply::Track(track)) = world.serve(mute(true)) else { panic!("no track") };
    assert!(track.muted);
    assert!(world.heard(ann).iter().any(|say| matches!(say, Say::Mute(mute) if mute.muted)));
    assert!(matches!(world.serve(mute(false)), Err(ServiceError::FailedPrecondition(_))));

    let config = Config { remote_unmute: RemoteUnmute::Allowed, ..Config::clone(&world.room.config) };
    world.room.config = Arc::new(config);
    assert!(world.serve(mute(false)).is_ok());
}

#[test]
fn a_lost_right_takes_tracks_and_subscriptions_away() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob = world.enter("bob");
    let (_, camera) = world.publish(ann, TrackSource::Camera);
    let (music, _) = world.publish(bob, TrackSource::Microphone);
    world.forget();

    let permission = proto::ParticipantPermission { can_publish_data: true, ..Default::default() };
    let request = proto::UpdateParticipantRequest {
        identity: "ann".into(),
        permission: Some(permission),
        ..Default::default()
    };
    world.serve(Service::UpdateParticipant(request)).unwrap();

    let heard = world.heard(ann);
    let gone = |say: &Say| matches!(say, Say::TrackUnpublished(gone) if gone.track_sid == camera);
    assert!(heard.iter().any(gone));
    assert!(heard.iter().any(|say| matches!(say, Say::RefreshToken(_))));
    let own = heard.into_iter().filter_map(updates).collect::<Vec<_>>().concat();
    assert!(!own.last().unwrap().permission.as_ref().unwrap().can_publish, "told to themselves");
    assert!(world.receivers(music).is_empty());

    let permission = proto::ParticipantPermission { can_subscribe: true, ..Default::default() };
    let request = proto::UpdateParticipantRequest {
        identity: "ann".into(),
        permission: Some(permission),
        ..Default::default()
    };
    world.serve(Service::UpdateParticipant(request)).unwrap();
    assert_eq!(world.receivers(music), vec!["ann"], "given back, everything comes back");
}

#[test]
fn own_metadata_needs_the_right_and_keeps_the_limits() {
    let mut world = World::new();
    let ann = world.join_as(claims_with("ann", |grant| grant.can_update_own_metadata = Some(true)), single());
    let bob = world.join("bob");
    let update = |name: &str, request_id| {
        Ask::UpdateMetadata(proto::UpdateParticipantMetadata {
            name: name.into(),
            request_id,
            ..Default::default()
        })
    };
    world.forget();

    world.ask(ann, update("Ann", 1));
    world.ask(ann, update(&"n".repeat(257), 2));
    world.ask(bob, update("Bob", 3));

    let answers = |say| match say {
        Say::RequestResponse(response) => Some((response.request_id, response.reason)),
        _ => None,
    };
    let heard = world.heard(ann);
    let told = heard.iter().cloned().filter_map(updates).collect::<Vec<_>>().concat();
    assert_eq!(told[0].name, "Ann", "the change comes back to who made it");
    let reasons: Vec<_> = heard.into_iter().filter_map(answers).collect();
    assert_eq!(reasons, vec![(1, Reason::Ok as i32), (2, Reason::LimitExceeded as i32)]);
    let heard = world.heard(bob);
    assert!(heard.iter().any(|say| matches!(say, Say::Update(_))), "others see it");
    assert_eq!(
        heard.into_iter().filter_map(answers).collect::<Vec<_>>(),
        vec![(3, Reason::NotAllowed as i32)]
    );
}

#[test]
fn attributes_are_merged_and_an_empty_value_removes() {
    let mut world = World::new();
    world.enter("ann");
    let mut set = |pairs: &[(&str, &str)]| {
        let attributes = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let request =
            proto::UpdateParticipantRequest { identity: "ann".into(), attributes, ..Default::default() };
        match world.serve(Service::UpdateParticipant(request)) {
            Ok(ServiceReply::Participant(info)) => info.attributes,
            other => panic!("{other:?}"),
        }
    };

    set(&[("a", "1"), ("b", "2")]);
    let attributes = set(&[("a", ""), ("c", "3")]);

    let mut keys: Vec<&str> = attributes.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, vec!["b", "c"]);
}

#[test]
fn versions_rise_with_every_change() {
    let mut world = World::new();
    let ann = world.join_as(claims_with("ann", |grant| grant.can_update_own_metadata = Some(true)), single());
    let bob = world.enter("bob");
    world.forget();
    world.connect("ann");
    world.publish(ann, TrackSource::Camera);
    let name = proto::UpdateParticipantMetadata { name: "Ann".into(), ..Default::default() };
    world.ask(ann, Ask::UpdateMetadata(name));
    world.ask(ann, Ask::Leave(proto::LeaveRequest::default()));

    let versions: Vec<u32> =
        world.heard_only(bob, updates).concat().iter().map(|news| news.version).collect();

    assert_eq!(versions.len(), 4);
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
}

#[test]
fn room_metadata_reaches_everybody_at_once_and_numbers_later() {
    let mut world = World::new();
    let ann = world.enter("ann");
    world.pass(Duration::from_secs(10));
    world.forget();
    let rooms = |say| match say {
        Say::RoomUpdate(update) => update.room,
        _ => None,
    };

    world.serve(Service::UpdateMetadata("topic".into())).unwrap();
    assert_eq!(world.heard_only(ann, rooms)[0].metadata, "topic");
    world.enter("bob");
    assert!(world.heard_only(ann, rooms).is_empty());
    world.pass(Duration::from_secs(6));

    assert_eq!(world.heard_only(ann, rooms)[0].num_participants, 2);
}
