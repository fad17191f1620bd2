//! Coming back.

use sfu::event::Failure;

use super::*;
use crate::wire::proto::{DisconnectReason, leave_request::Action, simulate_scenario::Scenario};

#[test]
fn who_comes_back_hears_reconnect_first_and_then_everything() {
    let mut world = World::new();
    let old = world.enter("ann");
    let bob = world.enter("bob");
    let (_, track) = world.publish(bob, TrackSource::Camera);
    let (sid, bob_sid) = (world.sid("ann"), world.sid("bob"));
    world.handle(Input::Lost(old));
    world.ask(
        bob,
        Ask::UpdateVideoTrack(proto::UpdateLocalVideoTrack { track_sid: track, width: 5, height: 4 }),
    );
    world.forget();

    let new = world.resume("ann", &sid);

    let heard = world.heard(new);
    assert!(matches!(heard.first(), Some(Say::Reconnect(_))), "{heard:?}");
    let people = heard.iter().cloned().filter_map(updates).collect::<Vec<_>>().concat();
    assert!(people.iter().any(|news| news.sid == sid), "themselves too");
    let bob = people.iter().find(|news| news.sid == bob_sid).unwrap();
    assert_eq!(bob.tracks[0].width, 5, "what changed meanwhile");
    assert!(heard.iter().any(|say| matches!(say, Say::RoomUpdate(_))));
    assert!(heard.iter().any(|say| matches!(say, Say::RefreshToken(_))));
    assert_eq!(world.sid("ann"), sid);
}

#[test]
fn who_left_meanwhile_is_told_to_have_left() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob = world.enter("bob");
    let (sid, bob_sid) = (world.sid("ann"), world.sid("bob"));
    world.handle(Input::Lost(ann));
    world.ask(bob, Ask::Leave(proto::LeaveRequest::default()));

    let new = world.resume("ann", &sid);

    let people = world.heard_only(new, updates).concat();
    let bob = people.iter().find(|news| news.sid == bob_sid).unwrap();
    assert_eq!(bob.disconnect_reason, DisconnectReason::ClientInitiated as i32);
}

#[test]
fn who_left_and_came_back_before_is_not_said_to_have_left() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob = world.enter("bob");
    world.ask(bob, Ask::Leave(proto::LeaveRequest::default()));
    world.enter("bob");
    let (sid, bob_sid) = (world.sid("ann"), world.sid("bob"));
    world.pass(Duration::from_secs(1));
    world.handle(Input::Lost(ann));

    let new = world.resume("ann", &sid);

    let people = world.heard_only(new, updates).concat();
    let bobs: Vec<&str> =
        people.iter().filter(|news| news.identity == "bob").map(|news| news.sid.as_str()).collect();
    assert_eq!(bobs, vec![bob_sid.as_str()]);
}

#[test]
fn a_session_nobody_knows_begins_anew() {
    let mut world = World::new();
    world.enter("ann");
    let (sid, before) = (world.sid("ann"), world.room.participants.len());

    let unknown = world.resume("ann", "PA_unknown");
    let stolen = world.resume("bob", &sid);

    for session in [unknown, stolen] {
        let leave = &world.heard_only(session, leaves)[0];
        assert_eq!(leave.reason, DisconnectReason::StateMismatch as i32);
        assert_eq!(leave.action, Action::Reconnect as i32);
        assert_eq!(world.ended[&session], Ending::Closed);
    }
    assert_eq!(world.room.participants.len(), before, "nobody is made by a resume");
}

#[test]
fn the_old_websocket_is_closed_without_a_word_and_its_end_changes_nothing() {
    let mut world = World::new();
    let old = world.enter("ann");
    let sid = world.sid("ann");
    world.forget();

    let new = world.resume("ann", &sid);
    world.handle(Input::Lost(old));

    assert!(world.heard(old).is_empty());
    assert_eq!(world.ended[&old], Ending::Closed);
    world.ask(new, Ask::Ping(1));
    assert!(world.heard(new).iter().any(|say| matches!(say, Say::Pong(_))));
}

#[test]
fn lost_media_asks_to_resume_and_ends_after_five_seconds() {
    let mut world = World::new();
    let ann = world.enter("ann");
    world.forget();
    let transport = world.transport("ann");

    world.handle(Input::Media(EventKind::Failed(transport, Failure::Silence)));
    assert_eq!(world.heard_only(ann, leaves)[0].action, Action::Resume as i32);
    assert!(!world.ended.contains_key(&ann));
    world.pass(Duration::from_secs(6));

    let leave = &world.heard_only(ann, leaves)[0];
    assert_eq!(
        (leave.reason, leave.action),
        (DisconnectReason::ConnectionTimeout as i32, Action::Disconnect as i32)
    );
    assert!(world.room.participants.is_empty());
}

#[test]
fn media_that_comes_back_in_time_changes_nothing() {
    let mut world = World::new();
    world.enter("ann");
    let transport = world.transport("ann");
    world.handle(Input::Media(EventKind::Failed(transport, Failure::Silence)));

    world.connect("ann");
    world.pass(Duration::from_secs(30));

    assert_eq!(world.room.participants.len(), 1);
}

#[test]
fn a_wrong_certificate_begins_anew() {
    let mut world = World::new();
    let ann = world.join("ann");
    world.forget();
    let transport = world.transport("ann");

    world.handle(Input::Media(EventKind::Failed(transport, Failure::Fingerprint)));

    assert_eq!(world.heard_only(ann, leaves)[0].action, Action::Reconnect as i32);
    assert!(world.room.participants.is_empty());
}

#[test]
fn a_client_that_believes_in_another_track_begins_anew() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let (_, track) = world.publish(ann, TrackSource::Camera);
    let state = |sid: &str| {
        let track = Some(proto::TrackInfo { sid: sid.into(), ..Default::default() });
        let published = proto::TrackPublishedResponse { cid: String::new(), track };
        Ask::SyncState(proto::SyncState { publish_tracks: vec![published], ..Default::default() })
    };
    world.forget();

    world.ask(ann, state(&track));
    assert!(world.heard_only(ann, leaves).is_empty());
    world.ask(ann, state("TR_other"));

    assert_eq!(world.heard_only(ann, leaves)[0].reason, DisconnectReason::StateMismatch as i32);
}

#[test]
fn a_node_that_fails_forgets() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let sid = world.sid("ann");
    world.forget();

    world.ask(ann, simulate(Scenario::NodeFailure(true)));

    assert!(world.heard_only(ann, leaves).is_empty(), "no farewell");
    assert_eq!(world.ended[&ann], Ending::Abandoned);
    let again = world.resume("ann", &sid);
    assert_eq!(world.heard_only(again, leaves)[0].action, Action::Reconnect as i32);
}

#[test]
fn a_migration_can_be_resumed() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let sid = world.sid("ann");

    world.ask(ann, simulate(Scenario::Migration(true)));

    assert_eq!(world.ended[&ann], Ending::Abandoned);
    let again = world.resume("ann", &sid);
    assert!(matches!(world.heard(again).first(), Some(Say::Reconnect(_))));
}

#[test]
fn resumes_can_be_made_to_fail() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let sid = world.sid("ann");
    world.ask(ann, simulate(Scenario::DisconnectSignalOnResume(true)));
    let first = world.resume("ann", &sid);
    assert!(matches!(world.heard(first).as_slice(), [Say::Reconnect(_)]));
    assert_eq!(world.ended[&first], Ending::Abandoned);

    let second = world.resume("ann", &sid);
    world.ask(second, simulate(Scenario::DisconnectSignalOnResumeNoMessages(true)));
    let third = world.resume("ann", &sid);
    assert!(world.heard(third).is_empty());
    assert_eq!(world.ended[&third], Ending::Abandoned);

    world.pass(Duration::from_secs(6));
    let last = world.resume("ann", &sid);
    assert!(matches!(world.heard(last).first(), Some(Say::Reconnect(_))));
}

fn simulate(scenario: Scenario) -> Ask {
    Ask::Simulate(proto::SimulateScenario { scenario: Some(scenario) })
}
