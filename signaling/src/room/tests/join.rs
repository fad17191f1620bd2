//! Coming in and leaving.

use super::*;
use crate::wire::{
    join::AutoSubscribe,
    proto::{DisconnectReason, leave_request::Action, participant_info::State},
};

#[test]
fn the_first_message_is_join_and_says_all_a_client_needs() {
    let mut world = World::new();
    world.enter("bob");
    let ann = world.join("ann");

    let heard = world.heard(ann);

    let Some(Say::Join(join)) = heard.first() else { panic!("{heard:?}") };
    assert!(join.ping_interval > 0 && join.ping_timeout > 0);
    assert_eq!(join.server_info.as_ref().unwrap().protocol, 17);
    assert!(!join.server_info.as_ref().unwrap().version.is_empty());
    assert_eq!(join.participant.as_ref().unwrap().identity, "ann");
    assert!(join.room.as_ref().unwrap().sid.starts_with("RM_"));
    assert!(!join.subscriber_primary, "one connection has no second one");
    assert_eq!(join.enabled_publish_codecs.first().unwrap().mime, "video/VP8");
    let others: Vec<&str> = join.other_participants.iter().map(|other| other.identity.as_str()).collect();
    assert_eq!(others, vec!["bob"]);
    assert!(heard.iter().any(|say| matches!(say, Say::RefreshToken(_))));
}

#[test]
fn a_client_with_two_connections_is_told_to_wait_for_the_second() {
    let mut world = World::new();
    let ann = world.join_as(claims("ann"), dual());
    let deaf = world.join_as(claims_with("deaf", |grant| grant.can_subscribe = Some(false)), dual());

    let primary = |say| match say {
        Say::Join(join) => Some(join.subscriber_primary),
        _ => None,
    };
    assert_eq!(world.heard_only(ann, primary), vec![true]);
    assert_eq!(world.heard_only(deaf, primary), vec![false], "who receives nothing publishes at most");
}

#[test]
fn others_hear_of_somebody_when_their_media_is_connected() {
    let mut world = World::new();
    let bob = world.enter("bob");
    world.forget();

    world.join("ann");
    assert!(world.heard_only(bob, updates).is_empty());
    world.connect("ann");

    let news = world.heard_only(bob, updates).concat();
    assert_eq!((news[0].identity.as_str(), news[0].state), ("ann", State::Active as i32));
}

#[test]
fn a_second_join_with_an_identity_replaces_the_first() {
    let mut world = World::new();
    let old = world.enter("ann");
    let bob = world.enter("bob");
    let old_sid = world.sid("ann");
    world.forget();

    let new = world.join("ann");

    let leave = &world.heard_only(old, leaves)[0];
    assert_eq!(leave.reason, DisconnectReason::DuplicateIdentity as i32);
    assert_eq!(leave.action, Action::Disconnect as i32);
    assert_eq!(world.ended[&old], Ending::Closed);
    assert!(!world.ended.contains_key(&new));
    let news = world.heard_only(bob, updates).concat();
    assert_eq!((news[0].sid.as_str(), news[0].state), (old_sid.as_str(), State::Disconnected as i32));
    assert_ne!(world.sid("ann"), old_sid);
}

#[test]
fn a_full_room_refuses_in_its_first_frame() {
    let mut world = World::with(proto::CreateRoomRequest { max_participants: 1, ..Default::default() });
    world.enter("ann");
    let bob = world.join("bob");
    let agent = world.join_as(claims_with("agent", |grant| grant.agent = true), single());

    let heard = world.heard(bob);
    let [Say::Leave(leave)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(leave.reason, DisconnectReason::JoinFailure as i32);
    assert_eq!(world.ended[&bob], Ending::Closed);
    assert!(matches!(world.heard(agent).first(), Some(Say::Join(_))), "agents do not count");

    let ann = world.join("ann");
    assert!(matches!(world.heard(ann).first(), Some(Say::Join(_))), "who replaces oneself does not count");
}

#[test]
fn who_loses_the_websocket_before_media_connects_is_gone_at_once() {
    let mut world = World::new();
    let ann = world.join("ann");

    world.handle(Input::Lost(ann));

    assert!(world.room.participants.is_empty());
}

#[test]
fn who_loses_the_websocket_afterwards_stays_until_media_fails() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob = world.enter("bob");
    world.handle(Input::Lost(ann));
    assert_eq!(world.room.participants.len(), 2);
    world.forget();

    let transport = world.transport("ann");
    world.handle(Input::Media(EventKind::Failed(transport, sfu::event::Failure::Silence)));

    assert_eq!(world.room.participants.len(), 1);
    let news = world.heard_only(bob, updates).concat();
    assert_eq!(news[0].disconnect_reason, DisconnectReason::ConnectionTimeout as i32);
    assert!(
        world
            .commands
            .iter()
            .any(|command| matches!(command, Command::CloseTransport(id) if *id == transport))
    );
}

#[test]
fn who_leaves_is_said_to_have_left_once() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob = world.enter("bob");
    world.forget();

    world.ask(ann, Ask::Leave(proto::LeaveRequest { reason: 1, ..Default::default() }));
    world.handle(Input::Lost(ann));

    let news = world.heard_only(bob, updates).concat();
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].disconnect_reason, DisconnectReason::ClientInitiated as i32);
}

#[test]
fn who_does_not_connect_within_a_minute_is_sent_away() {
    let mut world = World::new();
    let ann = world.join("ann");
    world.heard(ann);

    world.pass(Duration::from_secs(61));

    assert_eq!(world.heard_only(ann, leaves)[0].reason, DisconnectReason::JoinFailure as i32);
    assert_eq!(world.ended[&ann], Ending::Closed);
}

#[test]
fn the_hidden_see_and_are_not_seen() {
    let mut world = World::new();
    let bob = world.enter("bob");
    world.forget();
    let ghost = world.join_as(claims_with("ghost", |grant| grant.hidden = true), single());
    world.connect("ghost");
    let ann = world.enter("ann");

    assert!(world.heard_only(bob, updates).concat().iter().all(|news| news.identity != "ghost"));
    let Some(Say::Join(join)) = world.heard(ann).into_iter().next() else { panic!("no join") };
    assert!(join.other_participants.iter().all(|other| other.identity != "ghost"));
    assert!(world.heard_only(ghost, updates).concat().iter().any(|news| news.identity == "ann"));
}

#[test]
fn a_room_ends_after_everybody_left() {
    let mut world = World::new();
    let ann = world.enter("ann");
    world.ask(ann, Ask::Leave(proto::LeaveRequest::default()));

    world.pass(Duration::from_secs(19));
    assert!(!world.over);
    world.pass(Duration::from_secs(2));

    assert!(world.over);
    assert!(world.commands.iter().any(|command| matches!(command, Command::CloseRoom(_))));
}

#[test]
fn an_agent_alone_does_not_keep_a_room() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let agent = world.join_as(claims_with("agent", |grant| grant.agent = true), single());
    world.connect("agent");
    assert_eq!(world.room.info().num_participants, 1);

    world.ask(ann, Ask::Leave(proto::LeaveRequest::default()));
    world.pass(Duration::from_secs(21));

    assert!(world.over);
    assert_eq!(world.heard_only(agent, leaves)[0].reason, DisconnectReason::RoomClosed as i32);
}

#[test]
fn pings_are_answered_with_the_time_outside() {
    let mut world = World::new();
    let ann = world.enter("ann");
    world.forget();

    world.ask(ann, Ask::Ping(1));
    world.ask(ann, Ask::PingReq(proto::Ping { timestamp: 5, rtt: 0 }));

    let heard = world.heard(ann);
    let [Say::Pong(at), Say::PongResp(pong)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((pong.last_ping_timestamp, pong.timestamp), (5, *at));
    assert!(*at >= 1_800_000_000_000);
}

#[test]
fn tokens_are_renewed_every_five_minutes() {
    let mut world = World::new();
    let ann = world.enter("ann");
    world.forget();

    world.pass(Duration::from_secs(301));

    let tokens = world.heard_only(ann, |say| matches!(say, Say::RefreshToken(_)).then_some(()));
    assert_eq!(tokens.len(), 1);
}

#[test]
fn a_large_crowd_is_announced_together() {
    let mut world = World::new();
    let first = world.enter("first");
    for number in 0..60 {
        world.join_as(
            claims(&format!("viewer-{number}")),
            JoinParameters { auto_subscribe: AutoSubscribe::Off, ..single() },
        );
    }
    world.forget();
    for number in 0..60 {
        world.connect(&format!("viewer-{number}"));
    }
    assert!(world.heard_only(first, updates).is_empty());

    world.pass(Duration::from_secs(2));

    let news = world.heard_only(first, updates);
    assert_eq!((news.len(), news.concat().len()), (1, 60));
}

const BARE_OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
    a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=fingerprint:sha-256 \
    00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\n";

#[test]
fn who_confuses_answers_hears_of_its_track_after_its_first_offer_is_answered() {
    let mut world = World::new();
    let rust =
        proto::ClientInfo { sdk: proto::client_info::Sdk::Rust as i32, protocol: 16, ..Default::default() };
    let ann = world.join_as(claims("ann"), JoinParameters { client: rust.clone(), ..single() });
    let ben = world.join_as(claims("ben"), JoinParameters { client: rust, ..single() });
    let camera = || {
        Ask::AddTrack(proto::AddTrackRequest { cid: "c".into(), r#type: 1, source: 1, ..Default::default() })
    };
    let order = |say| match say {
        Say::Answer(_) => Some("answer"),
        Say::TrackPublished(_) => Some("published"),
        _ => None,
    };
    world.forget();

    world.ask(ann, camera());
    world.ask(
        ann,
        Ask::Offer(proto::SessionDescription {
            r#type: "offer".into(),
            sdp: BARE_OFFER.into(),
            ..Default::default()
        }),
    );
    world.ask(ben, camera());
    world.pass(Duration::from_millis(400));

    assert_eq!(world.heard_only(ann, order), vec!["answer", "published"]);
    assert!(world.heard_only(ben, order).is_empty(), "an offer may be on its way");
    world.pass(Duration::from_millis(100));
    assert_eq!(world.heard_only(ben, order), vec!["published"], "but it does not wait for ever");
}
