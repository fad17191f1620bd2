//! Publishing and subscribing.

use sfu::{
    event::{Speaker, SpeakerState, StreamState},
    params::Delivery,
    units::Bitrate,
};

use super::*;
use crate::wire::{
    join::{AdaptiveStream, AutoSubscribe},
    proto::{VideoQuality, request_response::Reason},
};

fn reasons(say: Say) -> Option<i32> {
    match say {
        Say::RequestResponse(response) => Some(response.reason),
        _ => None,
    }
}

#[test]
fn a_track_is_answered_at_once_and_announced_when_negotiated() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob = world.enter("bob");
    world.forget();

    let request = proto::AddTrackRequest {
        cid: "c".into(),
        source: TrackSource::Microphone as i32,
        ..Default::default()
    };
    world.ask(ann, Ask::AddTrack(request));

    let heard = world.heard(ann);
    let [Say::TrackPublished(published)] = heard.as_slice() else { panic!("{heard:?}") };
    let sid = published.track.as_ref().unwrap().sid.clone();
    assert_eq!(published.cid, "c");
    assert!(world.heard_only(bob, updates).is_empty());
    let id = world.id("ann");
    let track = world.room.track_sids[&sid];
    world.negotiated(id, track, 1);

    let news = world.heard_only(bob, updates).concat();
    assert!(news[0].is_publisher);
    assert_eq!(news[0].tracks[0].sid, sid);
    assert_eq!(news[0].tracks[0].mime_type, "audio/opus");
    assert!(world.heard_only(ann, updates).is_empty(), "the publisher knows");
}

#[test]
fn everybody_else_receives_what_is_published() {
    let mut world = World::new();
    let ann = world.enter("ann");
    world.enter("bob");
    let picky = JoinParameters { auto_subscribe: AutoSubscribe::Off, ..single() };
    world.join_as(claims("picky"), picky);
    world.connect("picky");
    world.join_as(claims_with("deaf", |grant| grant.can_subscribe = Some(false)), single());
    world.connect("deaf");

    let (track, _) = world.publish(ann, TrackSource::Microphone);
    world.enter("late");

    assert_eq!(world.receivers(track), vec!["bob", "late"]);
}

#[test]
fn the_publisher_is_told_of_the_first_who_receives() {
    let mut world = World::new();
    let ann = world.enter("ann");
    world.enter("bob");
    world.enter("eve");
    let (_, sid) = world.publish(ann, TrackSource::Microphone);
    world.forget();

    world.carry_all();

    let told = world.heard_only(ann, |say| match say {
        Say::TrackSubscribed(subscribed) => Some(subscribed.track_sid),
        _ => None,
    });
    assert_eq!(told, vec![sid]);
    assert_eq!(
        world.commands.iter().filter(|command| matches!(command, Command::Subscribe { .. })).count(),
        2
    );
}

#[test]
fn a_choice_is_kept_for_tracks_to_come_and_can_be_taken_back() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob = world.join_as(claims("bob"), JoinParameters { auto_subscribe: AutoSubscribe::Off, ..single() });
    world.connect("bob");
    let (track, sid) = world.publish(ann, TrackSource::Camera);
    let choose = |subscribe| {
        Ask::Subscription(proto::UpdateSubscription {
            track_sids: vec![sid.clone()],
            subscribe,
            ..Default::default()
        })
    };

    world.ask(bob, choose(true));
    world.ask(bob, choose(true));
    assert_eq!(world.receivers(track), vec!["bob"]);
    world.ask(bob, choose(false));

    assert!(world.receivers(track).is_empty());
}

#[test]
fn a_track_that_never_comes_is_said_to_be_missing() {
    let mut world = World::new();
    let bob = world.enter("bob");
    let update =
        proto::UpdateSubscription { track_sids: vec!["TR_x".into()], subscribe: true, ..Default::default() };
    world.ask(bob, Ask::Subscription(update));
    world.forget();

    world.pass(Duration::from_secs(61));

    let missing = world.heard_only(bob, |say| match say {
        Say::SubscriptionResponse(response) => Some((response.track_sid, response.err)),
        _ => None,
    });
    assert_eq!(missing, vec![("TR_x".to_string(), proto::SubscriptionError::SeTrackNotfound as i32)]);
}

#[test]
fn who_may_not_publish_a_source_is_refused() {
    let mut world = World::new();
    let mute = world.join_as(claims_with("mute", |grant| grant.can_publish = Some(false)), single());
    let voice = world.join_as(
        claims_with("voice", |grant| grant.can_publish_sources = vec!["microphone".into()]),
        single(),
    );
    let camera = || {
        Ask::AddTrack(proto::AddTrackRequest { cid: "c".into(), r#type: 1, source: 1, ..Default::default() })
    };
    world.forget();

    world.ask(mute, camera());
    world.ask(voice, camera());

    assert_eq!(world.heard_only(mute, reasons), vec![Reason::NotAllowed as i32]);
    assert_eq!(world.heard_only(voice, reasons), vec![Reason::NotAllowed as i32]);
    assert!(world.room.tracks.is_empty());
}

#[test]
fn a_cid_that_is_taken_waits_and_a_stranger_cannot_announce_without_end() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let add =
        |cid: usize| Ask::AddTrack(proto::AddTrackRequest { cid: cid.to_string(), ..Default::default() });
    world.forget();

    for _ in 0..5 {
        world.ask(ann, add(0));
    }
    let expected =
        [Reason::Queued, Reason::Queued, Reason::Queued, Reason::LimitExceeded].map(|reason| reason as i32);
    assert_eq!(world.heard_only(ann, reasons), expected);
    for cid in 1..=20 {
        world.ask(ann, add(cid));
    }
    assert_eq!(world.heard_only(ann, reasons), vec![Reason::LimitExceeded as i32]);

    let first = *world.room.participants[&world.id("ann")].tracks.first().unwrap();
    world.room.unpublish(first, world.now);
    world.drain();
    let again = world.heard_only(ann, |say| match say {
        Say::TrackPublished(published) => Some(published.cid),
        _ => None,
    });
    assert_eq!(again, vec!["0".to_string()], "the next in the queue is served");
}

#[test]
fn muting_holds_back_and_is_announced_to_others() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob = world.enter("bob");
    let (track, sid) = world.publish(ann, TrackSource::Microphone);
    world.forget();

    world.ask(ann, Ask::Mute(proto::MuteTrackRequest { sid, muted: true }));
    world.ask(ann, Ask::Mute(proto::MuteTrackRequest { sid: "TR_none".into(), muted: true }));

    assert!(world.heard_only(bob, updates).concat()[0].tracks[0].muted);
    assert_eq!(world.heard_only(ann, reasons), vec![Reason::NotFound as i32]);
    let held =
        |command: &Command| matches!(command, Command::SetDelivery(id, Delivery::Paused) if *id == track);
    assert!(world.commands.iter().any(held));
}

#[test]
fn settings_become_wishes() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob =
        world.join_as(claims("bob"), JoinParameters { adaptive_stream: AdaptiveStream::On, ..single() });
    world.connect("bob");
    let (_, sid) = world.publish_layers(ann, TrackSource::Camera, 3);
    world.carry_all();
    let begun = world.commands.iter().find_map(|command| match command {
        Command::Subscribe { wish, .. } => Some(wish.layer_max),
        _ => None,
    });
    assert_eq!(begun, Some(0), "the smallest until sizes are told");
    world.forget();

    let settings = |quality: VideoQuality, disabled| {
        Ask::TrackSetting(proto::UpdateTrackSettings {
            track_sids: vec![sid.clone()],
            quality: quality as i32,
            disabled,
            ..Default::default()
        })
    };
    world.ask(bob, settings(VideoQuality::High, false));
    world.ask(bob, settings(VideoQuality::High, false));
    world.ask(bob, settings(VideoQuality::High, true));

    let wishes: Vec<_> = world
        .commands
        .iter()
        .filter_map(|command| match command {
            Command::SetWish(_, wish) => Some((wish.delivery, wish.layer_max)),
            _ => None,
        })
        .collect();
    assert_eq!(wishes, vec![(Delivery::On, 2), (Delivery::Paused, 0)]);
}

#[test]
fn a_picture_that_the_path_does_not_carry_is_said_to_be_paused() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob = world.enter("bob");
    let (_, sid) = world.publish_layers(ann, TrackSource::ScreenShare, 1);
    world.carry_all();
    let (subscription, wish) = world
        .commands
        .iter()
        .find_map(|command| match command {
            Command::Subscribe { subscription, wish, .. } => Some((*subscription, *wish)),
            _ => None,
        })
        .unwrap();
    assert_eq!(wish.priority, u8::MAX, "screens come before cameras");

    world.handle(Input::Media(EventKind::StreamState(subscription, StreamState::Paused)));
    world.handle(Input::Media(EventKind::StreamState(subscription, StreamState::Active)));

    let told = world.heard_only(bob, |say| match say {
        Say::StreamStateUpdate(update) => Some(update.stream_states[0].clone()),
        _ => None,
    });
    let states: Vec<_> = told.iter().map(|info| info.state()).collect();
    assert_eq!(states, [proto::StreamState::Paused, proto::StreamState::Active]);
    assert!(told.iter().all(|info| info.track_sid == sid));
}

#[test]
fn a_bandwidth_can_be_pretended() {
    let mut world = World::new();
    let bob = world.enter("bob");
    let scenario = |bps| {
        Ask::Simulate(proto::SimulateScenario {
            scenario: Some(proto::simulate_scenario::Scenario::SubscriberBandwidth(bps)),
        })
    };
    world.forget();
    world.ask(bob, scenario(500_000));
    world.ask(bob, scenario(0));

    let limits: Vec<_> = world
        .commands
        .iter()
        .filter_map(|command| match command {
            Command::LimitBandwidth(_, limit) => Some(*limit),
            _ => None,
        })
        .collect();
    assert_eq!(limits, [Some(Bitrate::kbps(500)), None]);
}

#[test]
fn the_publisher_sends_what_somebody_wants() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob = world.enter("bob");
    let (_, sid) = world.publish_layers(ann, TrackSource::Camera, 3);
    world.carry_all();
    let asked = |say| match say {
        Say::SubscribedQualityUpdate(update) => {
            let qualities = &update.subscribed_codecs[0].qualities;
            Some(qualities.iter().map(|quality| quality.enabled).collect::<Vec<_>>())
        }
        _ => None,
    };
    assert!(world.heard_only(ann, asked).is_empty(), "all layers are sent until less is asked for");

    let low = proto::UpdateTrackSettings {
        track_sids: vec![sid],
        quality: VideoQuality::Low as i32,
        ..Default::default()
    };
    world.ask(bob, Ask::TrackSetting(low));
    assert!(world.heard_only(ann, asked).is_empty(), "less is told after a while");
    world.pass(Duration::from_secs(11));

    assert_eq!(world.heard_only(ann, asked), vec![vec![true, false, false]]);
}

#[test]
fn a_publisher_chooses_its_audience() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob = world.enter("bob");
    world.enter("eve");
    world.join_as(claims_with("recorder", |grant| grant.recorder = true), single());
    world.connect("recorder");
    let (track, sid) = world.publish(ann, TrackSource::Camera);
    world.forget();

    let only_eve = proto::SubscriptionPermission {
        all_participants: false,
        track_permissions: vec![proto::TrackPermission {
            participant_identity: "eve".into(),
            all_tracks: true,
            ..Default::default()
        }],
    };
    world.ask(ann, Ask::SubscriptionPermission(only_eve));

    let told = |say| match say {
        Say::SubscriptionPermissionUpdate(update) => Some((update.track_sid, update.allowed)),
        _ => None,
    };
    assert_eq!(world.receivers(track), vec!["eve", "recorder"]);
    assert_eq!(world.heard_only(bob, told), vec![(sid.clone(), false)]);

    let open = proto::SubscriptionPermission { all_participants: true, ..Default::default() };
    world.ask(ann, Ask::SubscriptionPermission(open));
    assert_eq!(world.receivers(track), vec!["bob", "eve", "recorder"]);
    assert_eq!(world.heard_only(bob, told), vec![(sid, true)]);
}

#[test]
fn who_leaves_takes_their_tracks_along() {
    let mut world = World::new();
    let ann = world.enter("ann");
    world.enter("bob");
    let (track, _) = world.publish(ann, TrackSource::Camera);
    world.carry_all();
    world.forget();

    world.ask(ann, Ask::Leave(proto::LeaveRequest::default()));

    assert!(
        world.room.tracks.is_empty()
            && world.room.subscriptions.is_empty()
            && world.room.track_sids.is_empty()
    );
    assert!(world.commands.iter().any(|command| matches!(command, Command::Unpublish(id) if *id == track)));
}

#[test]
fn speakers_are_heard_of_by_those_who_hear_them() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let bob = world.enter("bob");
    let eve = world.join_as(claims("eve"), JoinParameters { auto_subscribe: AutoSubscribe::Off, ..single() });
    world.connect("eve");
    world.publish(ann, TrackSource::Microphone);
    let participant = world.id("ann");
    world.forget();

    let speaks = |state| Input::Media(EventKind::Speakers(vec![Speaker { participant, level: 0.5, state }]));
    world.handle(speaks(SpeakerState::Active));
    world.handle(speaks(SpeakerState::Silent));
    world.handle(speaks(SpeakerState::Silent));

    let told = |say| match say {
        Say::SpeakersChanged(changed) => Some(changed.speakers[0].active),
        _ => None,
    };
    assert_eq!(world.heard_only(ann, told), vec![true, false]);
    assert_eq!(world.heard_only(bob, told), vec![true, false]);
    assert!(world.heard_only(eve, told).is_empty());
}

#[test]
fn quality_is_told_after_five_seconds_and_when_it_changes() {
    let mut world = World::new();
    let ann = world.enter("ann");
    world.forget();
    let told = |say| match say {
        Say::ConnectionQuality(update) => Some(update.updates[0].quality),
        _ => None,
    };

    world.pass(Duration::from_secs(6));
    assert_eq!(world.heard_only(ann, told), vec![proto::ConnectionQuality::Excellent as i32]);
    world.pass(Duration::from_secs(6));
    assert!(world.heard_only(ann, told).is_empty());
}
