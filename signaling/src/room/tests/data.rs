//! Messages between participants.
#![expect(deprecated, reason = "old clients read the old fields")]

use bytes::Bytes;
use prost::Message as _;
use sfu::params::Channel;

use super::*;

fn packet(sequence: u32, text: &str) -> proto::DataPacket {
    let user = proto::UserPacket { payload: text.as_bytes().to_vec(), ..Default::default() };
    proto::DataPacket {
        kind: 1,
        sequence,
        value: Some(proto::data_packet::Value::User(user)),
        ..Default::default()
    }
}

fn send(world: &mut World, from: &str, packet: &proto::DataPacket) {
    let transport = world.transport(from);
    let bytes = packet.encode_to_vec().into();
    world.handle(Input::Media(EventKind::Message(transport, Channel::Reliable, bytes)));
}

/// Who got what since it was asked last.
fn delivered(world: &mut World) -> Vec<(String, proto::DataPacket)> {
    let commands = std::mem::take(&mut world.commands);
    let name = |transport| {
        let id = world.room.transports[&transport];
        world.room.participants[&id].identity().to_string()
    };
    let sent = commands.into_iter().filter_map(|command| match command {
        Command::Send(transport, Channel::Reliable | Channel::Lossy, bytes) => {
            Some((name(transport), proto::DataPacket::decode(bytes).unwrap()))
        }
        _ => None,
    });
    sent.collect()
}

fn room_of_three() -> World {
    let mut world = World::new();
    for name in ["ann", "bob", "eve"] {
        world.enter(name);
    }
    world.forget();
    world
}

#[test]
fn everybody_else_gets_it_with_the_senders_name_and_the_channels_kind() {
    let mut world = room_of_three();
    let sid = world.sid("ann");

    let forged = proto::DataPacket { participant_identity: "eve".into(), ..packet(1, "hi") };
    send(&mut world, "ann", &forged);

    let delivered = delivered(&mut world);
    let names: Vec<&str> = delivered.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, vec!["bob", "eve"]);
    let (_, got) = &delivered[0];
    assert_eq!((got.participant_identity.as_str(), got.participant_sid.as_str()), ("ann", sid.as_str()));
    assert_eq!((got.kind, got.sequence), (proto::data_packet::Kind::Reliable as i32, 1));
}

#[test]
fn a_destination_is_the_only_one() {
    let mut world = room_of_three();

    let to =
        |name: &str| proto::DataPacket { destination_identities: vec![name.into()], ..packet(0, "psst") };
    send(&mut world, "ann", &to("eve"));
    send(&mut world, "ann", &to("ann"));
    send(&mut world, "ann", &to("nobody"));

    let names: Vec<String> = delivered(&mut world).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, vec!["eve"]);
}

#[test]
fn a_repeated_sequence_is_dropped() {
    let mut world = room_of_three();

    for sequence in [1, 1, 2, 1] {
        send(&mut world, "ann", &packet(sequence, "x"));
    }

    assert_eq!(delivered(&mut world).len(), 4, "two messages to two");
}

#[test]
fn who_may_not_send_is_not_heard_and_the_hidden_have_no_name() {
    let mut world = World::new();
    world.enter("bob");
    world.join_as(claims_with("mute", |grant| grant.can_publish_data = Some(false)), single());
    world.join_as(claims_with("ghost", |grant| grant.hidden = true), single());
    world.forget();

    send(&mut world, "mute", &packet(1, "x"));
    assert!(delivered(&mut world).is_empty());
    send(&mut world, "ghost", &packet(1, "boo"));

    assert!(delivered(&mut world).iter().all(|(_, got)| got.participant_identity.is_empty()));
}

#[test]
fn an_unknown_channel_is_a_plain_message() {
    let mut world = room_of_three();
    let transport = world.transport("ann");

    let message = EventKind::Message(transport, Channel::Named("mine".into()), Bytes::from_static(b"raw"));
    world.handle(Input::Media(message));

    let delivered = delivered(&mut world);
    let Some(proto::data_packet::Value::User(user)) = &delivered[0].1.value else { panic!("no user packet") };
    assert_eq!((delivered.len(), user.payload.as_slice()), (2, b"raw".as_slice()));
}

#[test]
fn garbage_is_dropped() {
    let mut world = room_of_three();
    let transport = world.transport("ann");

    for garbage in [&b""[..], b"\xff", b"\x12\xff"] {
        let bytes = Bytes::copy_from_slice(garbage);
        world.handle(Input::Media(EventKind::Message(transport, Channel::Reliable, bytes)));
    }

    assert!(delivered(&mut world).len() <= 2, "an empty packet is a packet");
}

#[test]
fn the_server_sends_once_per_nonce() {
    let mut world = room_of_three();
    let request = proto::SendDataRequest {
        data: b"news".to_vec(),
        nonce: vec![7; 16],
        destination_identities: vec!["bob".into()],
        ..Default::default()
    };

    world.serve(Service::SendData(request.clone())).unwrap();
    world.serve(Service::SendData(request.clone())).unwrap();

    let got = delivered(&mut world);
    assert_eq!(got.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), vec!["bob"]);
    let short = proto::SendDataRequest { nonce: vec![7; 3], ..request };
    assert!(matches!(world.serve(Service::SendData(short)), Err(ServiceError::InvalidArgument(_))));
}

#[test]
fn who_comes_back_gets_what_was_missed() {
    let mut world = room_of_three();
    for sequence in 1..=3 {
        send(&mut world, "ann", &packet(sequence, "x"));
    }
    world.commands.clear();
    let (bob, ann) = (world.sid("bob"), world.sid("ann"));
    let session = world.resume("bob", &bob);

    let state = proto::SyncState {
        datachannel_receive_states: vec![proto::DataChannelReceiveState { publisher_sid: ann, last_seq: 1 }],
        ..Default::default()
    };
    world.ask(session, Ask::SyncState(state));

    let sequences: Vec<u32> = delivered(&mut world).iter().map(|(_, got)| got.sequence).collect();
    assert_eq!(sequences, vec![2, 3]);
}
