//! Calls as people have them: what reaches whom, and who is told what.

use std::time::Duration;

use harness::{
    client::SourceState,
    media::Camera,
    network::Conditions,
    world::{Person, World},
};
use sfu::{
    command::Command,
    event::{EventKind, SpeakerState},
    ids::{RoomId, SubscriptionId, TrackId},
    params::{Channel, Delivery, Wish},
};

#[test]
fn everything_arrives_once_and_in_order_when_nothing_is_lost() {
    let mut call = Call::new(1);
    let (picture, sound) = (call.picture, call.sound);

    call.world.run_for(Duration::from_secs(10));

    let pictures = call.world.sink(call.bob, picture);
    assert_eq!(pictures.broken(), 0);
    assert_eq!(pictures.missing(), [0_u64; 0]);
    assert!(pictures.is_in_order());
    let shown = pictures.shown();
    assert!(shown.len() > 290, "{}", shown.len());
    assert!(shown.windows(2).all(|pair| pair[0].frame + 1 == pair[1].frame));
    let sounds = call.world.sink(call.bob, sound).sounds();
    assert!(sounds.len() > 490, "{}", sounds.len());
    assert!(sounds.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    assert_eq!(call.world.worker.counters().unsealed, 0);
}

#[test]
fn ten_people_see_and_hear_each_other() {
    let mut world = World::new(2);
    let room = world.open_room();
    let people: Vec<Person> = (0..10).map(|_| world.arrive(room, Conditions::default())).collect();
    let tracks: Vec<(Person, TrackId)> = people
        .iter()
        .flat_map(|person| {
            let camera = world.film(*person, vec![Camera::new(0, 15, 3, 900)]);
            let voice = world.speak(*person, 30);
            [(*person, camera), (*person, voice)]
        })
        .collect();
    let mut watched = Vec::new();
    for person in &people {
        for (owner, track) in tracks.iter().filter(|(owner, _)| owner != person) {
            watched.push((*person, world.watch(*person, *owner, *track, 2)));
        }
    }

    world.run_for(Duration::from_secs(5));

    for (person, subscription) in watched {
        let sink = world.sink(person, subscription);
        assert!(sink.packets.len() > 200, "{}", sink.packets.len());
        assert_eq!((sink.missing().len(), sink.duplicates(), sink.broken()), (0, 0, 0));
    }
    assert_eq!(world.worker.counters().unsealed, 0);
}

#[test]
fn who_joins_late_sees_a_picture_within_a_round_trip_and_a_keyframe() {
    let mut call = Call::new(3);
    call.world.run_for(Duration::from_secs(7));
    let eve = call.world.arrive(call.room, Conditions::default());

    let asked = call.world.now;
    let picture = call.world.watch(eve, call.ann, call.camera, 2);
    let took = call
        .world
        .run_until(Duration::from_millis(600), |world| !world.sink(eve, picture).shown().is_empty());

    assert!(took < Duration::from_millis(150), "{took:?}");
    assert!(
        call.world.sink(call.bob, call.picture).longest_freeze(asked, call.world.now)
            < Duration::from_millis(70)
    );
}

#[test]
fn what_is_paused_uses_up_no_numbers_and_comes_back_with_a_keyframe() {
    let mut call = Call::new(4);
    let (picture, sound) = (call.picture, call.sound);
    call.world.run_for(Duration::from_secs(2));

    let hidden = call.world.now;
    call.wish(Delivery::Paused);
    call.world.run_for(Duration::from_secs(2));
    let shown = call.world.now;
    call.wish(Delivery::On);
    call.world.run_for(Duration::from_secs(2));
    for track in [call.camera, call.voice] {
        call.world.command(Command::SetDelivery(track, Delivery::Paused));
    }
    call.world.run_for(Duration::from_secs(2));
    for track in [call.camera, call.voice] {
        call.world.command(Command::SetDelivery(track, Delivery::On));
    }
    call.world.run_for(Duration::from_secs(2));

    let pictures = call.world.sink(call.bob, picture);
    assert_eq!((pictures.missing().len(), pictures.duplicates(), pictures.broken()), (0, 0, 0));
    let during = pictures.since(hidden + Duration::from_millis(50));
    assert!(during.packets.iter().all(|packet| packet.at >= shown), "nothing comes while it is paused");
    let first = during.pictures()[0];
    assert!(first.keyframe && first.at < shown + Duration::from_millis(150));
    assert_continuous(pictures);
    let sounds = call.world.sink(call.bob, sound);
    assert_eq!((sounds.missing().len(), sounds.duplicates()), (0, 0));
    assert!(sounds.sounds().len() < 330, "{}", sounds.sounds().len());
}

#[test]
fn a_camera_that_is_turned_off_and_on_is_told_and_goes_on() {
    let mut call = Call::new(5);
    call.world.run_for(Duration::from_secs(2));

    call.world.clients[call.ann].sources[0].state = SourceState::Off;
    call.world.run_for(Duration::from_secs(8));
    call.world.clients[call.ann].sources[0].state = SourceState::On;
    call.world.run_for(Duration::from_secs(2));

    let camera = call.camera;
    let layers = call.world.told(|kind| match kind {
        EventKind::LayerStarted(track, 0) if *track == camera => Some("started"),
        EventKind::LayerStopped(track, 0) if *track == camera => Some("stopped"),
        _ => None,
    });
    let layers: Vec<_> = layers.into_iter().map(|(_, what)| what).collect();
    assert_eq!(layers, ["started", "stopped", "started"]);
    let pictures = call.world.sink(call.bob, call.picture);
    assert_eq!((pictures.missing().len(), pictures.broken()), (0, 0));
    assert!(pictures.shown().len() > 100, "{}", pictures.shown().len());
}

#[test]
fn sound_and_picture_carry_clocks_that_agree() {
    let mut call = Call::new(6);
    call.world.run_for(Duration::from_secs(12));

    // What left the publisher at one moment has to have one time of day at the subscriber.
    let moment = |call: &Call, subscription, clock_rate: f64| {
        let client = &call.world.clients[call.bob];
        let (at, timestamp, (ntp, rtp)) = client.last_clock(subscription).expect("a sender report came");
        let behind = f64::from(timestamp.wrapping_sub(rtp).cast_signed()) / clock_rate;
        (at, ntp + behind)
    };
    let (video_at, video) = moment(&call, call.picture, 90_000.0);
    let (audio_at, audio) = moment(&call, call.sound, 48_000.0);
    let apart = if video_at > audio_at {
        (video_at - audio_at).as_secs_f64()
    } else {
        -(audio_at - video_at).as_secs_f64()
    };

    assert!((video - audio - apart).abs() < 0.01, "{} s out of step", video - audio - apart);
}

#[test]
fn who_speaks_is_told_once_and_who_falls_silent_too() {
    let mut call = Call::new(7);
    call.world.run_for(Duration::from_secs(3));
    call.world.clients[call.ann].sources[1].state = SourceState::Off;
    call.world.run_for(Duration::from_secs(3));

    let told = call.world.told(|kind| match kind {
        EventKind::Speakers(speakers) => Some(speakers.clone()),
        _ => None,
    });

    let states: Vec<_> = told.iter().map(|(_, speakers)| speakers[0].state).collect();
    assert_eq!(states, [SpeakerState::Active, SpeakerState::Silent]);
    assert_eq!(told[0].1[0].participant, call.world.clients[call.ann].participant);
}

#[test]
fn messages_arrive_in_both_directions() {
    let mut call = Call::new(8);
    call.world.run_until(Duration::from_secs(3), |world| world.clients[0].channels.contains_key("_reliable"));

    call.world.clients[call.ann].write("_reliable", b"hello");
    call.world.run_for(Duration::from_secs(1));
    let transport = call.world.clients[call.bob].transport;
    call.world.command(Command::Send(transport, Channel::Reliable, b"hello"[..].to_vec().into()));
    call.world.run_for(Duration::from_secs(1));

    let ann = call.world.clients[call.ann].transport;
    let heard = call.world.told(|kind| match kind {
        EventKind::Message(from, Channel::Reliable, bytes) if *from == ann => Some(bytes.to_vec()),
        _ => None,
    });
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].1, b"hello");
    assert_eq!(call.world.clients[call.bob].messages, [b"hello".to_vec()]);
}

#[test]
fn the_end_of_one_room_is_not_felt_in_another() {
    let mut call = Call::new(9);
    let mut other = Vec::new();
    for _ in 0..3 {
        let room = call.world.open_room();
        let carl = call.world.arrive(room, Conditions::default());
        let dora = call.world.arrive(room, Conditions::default());
        let camera = call.world.film(carl, vec![Camera::new(0, 30, 3, 900)]);
        let picture = call.world.watch(dora, carl, camera, 0);
        other.push((room, dora, picture));
    }
    call.world.run_for(Duration::from_secs(2));

    let (closed, dora, picture) = other.remove(1);
    call.world.command(Command::CloseRoom(closed));
    let end = call.world.now + Duration::from_millis(50);
    call.world.run_for(Duration::from_secs(2));

    assert!(call.world.sink(dora, picture).since(end).packets.is_empty());
    for (_, person, picture) in other.into_iter().chain([(call.room, call.bob, call.picture)]) {
        let sink = call.world.sink(person, picture);
        assert_eq!((sink.missing().len(), sink.broken()), (0, 0));
        assert!(sink.longest_freeze(end, call.world.now) < Duration::from_millis(70));
    }
    assert_eq!(call.world.worker.counters().rooms, 3);
}

#[test]
fn commands_given_twice_and_about_what_is_gone_change_nothing() {
    let mut call = Call::new(10);
    call.world.run_for(Duration::from_secs(1));
    let transport = call.world.clients[call.bob].transport;

    call.world.command(Command::OpenRoom(call.room));
    call.world.command(Command::Unsubscribe(SubscriptionId(9_999)));
    call.world.command(Command::Unpublish(TrackId(9_999)));
    call.world.command(Command::CloseRoom(RoomId(9_999)));
    call.wish(Delivery::On);
    call.world.run_for(Duration::from_secs(1));
    for _ in 0..2 {
        call.world.command(Command::Unpublish(call.voice));
        call.world.command(Command::CloseTransport(transport));
    }
    call.world.command(Command::Send(transport, Channel::Lossy, vec![1].into()));
    call.world.run_for(Duration::from_secs(1));

    let pictures = call.world.sink(call.bob, call.picture);
    assert_eq!((pictures.missing().len(), pictures.broken()), (0, 0));
    let counters = call.world.worker.counters();
    assert_eq!((counters.rooms, counters.transports), (1, 1));
    assert_eq!((counters.tracks, counters.subscriptions), (1, 0));
}

#[test]
fn what_fares_how_is_reported_every_five_seconds() {
    let mut call = Call::new(11);
    call.world.run_for(Duration::from_secs(11));

    let reports = call.world.told(|kind| match kind {
        EventKind::Report(report) => Some(report.clone()),
        _ => None,
    });

    let received = reports.iter().flat_map(|(_, report)| &report.received);
    let camera: Vec<_> = received.filter(|(track, _)| *track == call.camera).collect();
    assert_eq!(camera.len(), 2);
    let (_, last) = camera[1];
    assert!(last.expected > 850 && last.lost == 0, "{last:?}");
    assert!((1_500..1_800).contains(&(last.bitrate.as_bps() / 1_000)), "{last:?}");
    let sent = reports.iter().flat_map(|(_, report)| &report.sent);
    let picture: Vec<_> = sent.filter(|(subscription, _)| *subscription == call.picture).collect();
    let (_, last) = picture[1];
    assert!(last.expected > 800 && last.lost == 0 && last.layer == Some(0), "{last:?}");
    let rtt = reports.iter().filter_map(|(_, report)| report.rtt).next_back().unwrap();
    assert!((19..30).contains(&rtt.as_millis()), "{rtt:?}");
}

/// Ann films and speaks, Bob watches and listens.
pub(crate) struct Call {
    pub(crate) world: World,
    pub(crate) room: RoomId,
    pub(crate) ann: Person,
    pub(crate) bob: Person,
    pub(crate) camera: TrackId,
    pub(crate) voice: TrackId,
    pub(crate) picture: SubscriptionId,
    pub(crate) sound: SubscriptionId,
}

impl Call {
    pub(crate) fn new(seed: u64) -> Self {
        Self::over(seed, Conditions::default(), Conditions::default())
    }

    /// Ann's path and Bob's.
    pub(crate) fn over(seed: u64, ann: Conditions, bob: Conditions) -> Self {
        let mut world = World::new(seed);
        let room = world.open_room();
        let ann = world.arrive(room, ann);
        let bob = world.arrive(room, bob);
        let camera = world.film(ann, vec![Camera::new(0, 30, 6, 1_100)]);
        let voice = world.speak(ann, 20);
        let picture = world.watch(bob, ann, camera, 2);
        let sound = world.watch(bob, ann, voice, 0);
        Self { world, room, ann, bob, camera, voice, picture, sound }
    }

    fn wish(&mut self, delivery: Delivery) {
        let wish = Wish { delivery, ..Wish::up_to(2) };
        self.world.command(Command::SetWish(self.picture, wish));
        self.world.command(Command::SetWish(self.sound, wish));
    }
}

/// A decoder sees one stream: later pictures have later timestamps and the next numbers.
pub(crate) fn assert_continuous(sink: &harness::sink::Sink) {
    for pair in sink.pictures().windows(2) {
        let (before, after) = (pair[0], pair[1]);
        assert!(after.timestamp.wrapping_sub(before.timestamp).cast_signed() > 0, "{before:?} {after:?}");
        assert_eq!(after.numbers.picture, (before.numbers.picture + 1) & 0x7fff, "{before:?} {after:?}");
        assert_eq!(after.numbers.tl0, before.numbers.tl0.wrapping_add(1), "{before:?} {after:?}");
    }
}
