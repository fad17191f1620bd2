//! Data tracks between participants.

use bytes::Bytes;
use sfu::params::Channel;

use super::*;
use crate::wire::proto::request_response::Reason;

fn publish(world: &mut World, session: SessionId, handle: u32, name: &str) -> Result<String, i32> {
    world.ask(
        session,
        Ask::PublishDataTrackRequest(proto::PublishDataTrackRequest {
            pub_handle: handle,
            name: name.into(),
            ..Default::default()
        }),
    );
    let answer = world.heard_only(session, |say| match say {
        Say::PublishDataTrackResponse(published) => Some(Ok(published.info.unwrap().sid)),
        Say::RequestResponse(refused) => Some(Err(refused.reason)),
        _ => None,
    });
    answer.into_iter().next().unwrap()
}

fn want(world: &mut World, session: SessionId, sid: &str) {
    let update =
        proto::update_data_subscription::Update { track_sid: sid.into(), subscribe: true, options: None };
    world.ask(session, Ask::UpdateDataSubscription(proto::UpdateDataSubscription { updates: vec![update] }));
}

/// What somebody was told last of the handles they receive by.
fn handles(world: &mut World, session: SessionId) -> Option<BTreeMap<u32, String>> {
    let told = world.heard_only(session, |say| match say {
        Say::DataTrackSubscriberHandles(handles) => Some(handles.sub_handles),
        _ => None,
    });
    let last = told.into_iter().last()?;
    Some(last.into_iter().map(|(handle, track)| (handle, track.track_sid)).collect())
}

fn packet(handle: u16) -> Bytes {
    let mut bytes = vec![0x18, 0];
    bytes.extend(handle.to_be_bytes());
    bytes.extend([0, 1, 0, 1, 0, 0, 0, 0, b'x']);
    bytes.into()
}

/// Sends a packet and gives who got it, with the handle they see.
fn send(world: &mut World, from: &str, handle: u16) -> Vec<(String, u16)> {
    let transport = world.transport(from);
    world.commands.clear();
    world.handle(Input::Media(EventKind::Message(transport, Channel::DataTrack, packet(handle))));
    let sent = std::mem::take(&mut world.commands).into_iter().filter_map(|command| match command {
        Command::Send(transport, Channel::DataTrack, bytes) => {
            assert_eq!((bytes.len(), bytes[12]), (13, b'x'));
            let id = world.room.transports[&transport];
            let identity = world.room.participants[&id].identity().to_string();
            Some((identity, u16::from_be_bytes([bytes[2], bytes[3]])))
        }
        _ => None,
    });
    sent.collect()
}

#[test]
fn a_data_track_reaches_those_who_want_it_under_their_own_handle() {
    let mut world = World::new();
    let [ann, bob, _eve] = ["ann", "bob", "eve"].map(|name| world.enter(name));
    let sid = publish(&mut world, ann, 9, "position").unwrap();

    let news = world.heard_only(bob, updates).concat();
    assert_eq!(news.last().unwrap().data_tracks[0].name, "position");
    assert!(sid.starts_with("DTR_"));
    assert!(send(&mut world, "ann", 9).is_empty(), "nobody asked for it yet");
    want(&mut world, bob, &sid);

    assert_eq!(handles(&mut world, bob), Some(BTreeMap::from([(1, sid.clone())])));
    assert_eq!(send(&mut world, "ann", 9), vec![("bob".to_string(), 1)]);
    assert!(send(&mut world, "ann", 8).is_empty(), "a handle that names nothing goes nowhere");
    let no = proto::update_data_subscription::Update { track_sid: sid, ..Default::default() };
    world.ask(bob, Ask::UpdateDataSubscription(proto::UpdateDataSubscription { updates: vec![no] }));
    assert_eq!(handles(&mut world, bob), Some(BTreeMap::new()));
    assert!(send(&mut world, "ann", 9).is_empty());
}

#[test]
fn bad_handles_names_and_rights_are_refused_each_in_its_words() {
    let mut world = World::new();
    let ann = world.enter("ann");
    let mute = world.join_as(claims_with("mute", |grant| grant.can_publish_data = Some(false)), single());
    let long = "n".repeat(257);

    let refusals = [(0, "a"), (65_536, "a"), (1, ""), (1, long.as_str())]
        .map(|(handle, name)| publish(&mut world, ann, handle, name));
    publish(&mut world, ann, 1, "a").unwrap();
    let again = [(1, "b"), (2, "a")].map(|(handle, name)| publish(&mut world, ann, handle, name));

    let reasons = [Reason::InvalidHandle, Reason::InvalidHandle, Reason::InvalidName, Reason::InvalidName];
    assert_eq!(refusals, reasons.map(|reason| Err(reason as i32)));
    assert_eq!(again, [Reason::DuplicateHandle, Reason::DuplicateName].map(|reason| Err(reason as i32)));
    assert_eq!(publish(&mut world, mute, 1, "a"), Err(Reason::NotAllowed as i32));
}

#[test]
fn a_data_track_keeps_to_its_publishers_audience() {
    let mut world = World::new();
    let [ann, bob] = ["ann", "bob"].map(|name| world.enter(name));
    let deaf = world.join_as(claims_with("deaf", |grant| grant.can_subscribe = Some(false)), single());
    world.connect("deaf");
    let sid = publish(&mut world, ann, 9, "position").unwrap();
    want(&mut world, bob, &sid);
    want(&mut world, deaf, &sid);

    assert_eq!(
        send(&mut world, "ann", 9),
        vec![("bob".to_string(), 1)],
        "whoever may not subscribe gets none"
    );
    world.ask(ann, Ask::SubscriptionPermission(proto::SubscriptionPermission::default()));
    assert!(send(&mut world, "ann", 9).is_empty(), "nobody is named");
    let all = proto::SubscriptionPermission { all_participants: true, ..Default::default() };
    world.ask(ann, Ask::SubscriptionPermission(all));
    assert_eq!(send(&mut world, "ann", 9).len(), 1, "what is wanted comes back with the right to it");
}

#[test]
fn whoever_leaves_takes_their_data_tracks_along() {
    let mut world = World::new();
    let [ann, bob] = ["ann", "bob"].map(|name| world.enter(name));
    let sid = publish(&mut world, ann, 9, "position").unwrap();
    want(&mut world, bob, &sid);
    world.forget();

    world.ask(ann, Ask::Leave(proto::LeaveRequest::default()));

    assert_eq!(handles(&mut world, bob), Some(BTreeMap::new()));
    assert!(world.room.data_tracks.is_empty());
}

#[test]
fn who_comes_back_is_told_its_handles_again() {
    let mut world = World::new();
    let [ann, bob] = ["ann", "bob"].map(|name| world.enter(name));
    let sid = publish(&mut world, ann, 9, "position").unwrap();
    want(&mut world, bob, &sid);
    let bob_sid = world.sid("bob");
    world.handle(Input::Lost(bob));

    let bob = world.resume("bob", &bob_sid);
    world.ask(bob, Ask::SyncState(proto::SyncState::default()));

    assert_eq!(handles(&mut world, bob), Some(BTreeMap::from([(1, sid)])));
}
