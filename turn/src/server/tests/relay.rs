//! RFC 8656 §11: Send and Data, and what is relayed without a socket.

use super::*;
use crate::{channel::ChannelData, meter::Rate};

#[test]
fn an_indication_carries_any_payload_unchanged_both_ways() {
    let mut world =
        World::with(ServerConfig { unauthenticated: None, bytes: None, ..ServerConfig::default() }, 12);
    let (client, relayed) = world.allocated(5_000, "ann");
    world.permit(&client, &[peer(1)]);
    for len in [0, 1, 2, 3, 4, 5, 1_200, 65_000] {
        let payload: Vec<u8> = (0..len).map(|at: usize| u8::try_from(at % 251).unwrap()).collect();

        world.send(&client, peer(1), &payload);
        world.peer_says(relayed, peer(1), &payload);

        assert_eq!(world.relayed(), [(relayed, peer(1), payload.clone())], "{len} bytes");
        let delivered = world.delivered();
        let message = Message::parse(&delivered[0].1).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
        assert_eq!(message.attribute(A::DATA), Some(&payload[..]), "{len} bytes");
        let from = message.xor_address(message.attribute(A::XOR_PEER_ADDRESS).unwrap());
        assert_eq!(from, Some(peer(1)));
        let padding = delivered[0].1.len() - (20 + 12 + 4 + len);
        assert!(delivered[0].1.ends_with(&[0, 0, 0][..padding]));
    }
}

#[test]
fn an_indication_is_never_answered() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    let address = (A::XOR_PEER_ADDRESS, &[0, 1, 0x36, 0x62, 0xea, 0x12, 0xd5, 0x43][..]);
    let data = (A::DATA, &b"x"[..]);
    for attributes in [&[address][..], &[data], &[], &[address, data], &[address, data, (A(0x7001), &[])]] {
        let mut message = write(Method::SEND, TransactionId([1; 12]), attributes, None);
        message[1] = 0x16;
        assert!(world.ask(client.tuple, &message).is_none());
    }
    assert!(world.relayed().is_empty(), "nobody is permitted");
}

#[test]
fn dont_fragment_is_passed_on() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    world.permit(&client, &[peer(1)]);
    let id = world.transaction();
    let mut message = write_with(Method::SEND, id, None, |builder| {
        builder
            .xor_address(A::XOR_PEER_ADDRESS, peer(1))
            .attribute(A::DONT_FRAGMENT, &[])
            .attribute(A::DATA, b"whole")
    });
    message[1] = 0x16;

    world.receive(client.tuple, &message);

    assert_eq!(world.outside.to_peers[0].3, Fragmentation::Refused);
}

#[test]
fn a_peer_without_permission_is_not_heard() {
    let mut world = World::new();
    let (client, relayed) = world.allocated(5_000, "ann");
    world.permit(&client, &[peer(1)]);

    world.peer_says(relayed, peer(2), b"in");

    assert!(world.delivered().is_empty());
    assert_eq!(world.dropped(DropReason::NoPermission), 1);
}

#[test]
fn two_clients_of_one_server_speak_without_a_socket() {
    let mut world = World::new();
    let (ann, at_ann) = world.allocated(5_000, "ann");
    let (bob, at_bob) = world.allocated(5_001, "bob");
    assert_eq!(world.bind(&ann, 0x4000, at_bob), 0);
    world.channel_data(&ann, 0x4000, b"lost");
    assert!(world.delivered().is_empty(), "bob did not permit");
    assert_eq!(world.bind(&bob, 0x4321, at_ann), 0);

    world.channel_data(&ann, 0x4000, b"hello");
    world.send(&bob, at_ann, b"there");

    assert!(world.relayed().is_empty());
    let hello = [&[0x43, 0x21, 0, 5][..], b"hello"].concat();
    let there = [&[0x40, 0, 0, 5][..], b"there"].concat();
    assert_eq!(world.delivered(), [(bob.tuple, hello), (ann.tuple, there)]);
    assert_eq!(world.server.counters().hairpinned, Traffic { packets: 3, bytes: 14 });
}

#[test]
fn a_relay_to_itself_is_one_hop_and_no_loop() {
    let mut world = World::new();
    let (client, relayed) = world.allocated(5_000, "ann");
    assert_eq!(world.bind(&client, 0x4000, relayed), 0);

    world.channel_data(&client, 0x4000, b"echo");

    let delivered = world.delivered();
    assert_eq!(delivered.len(), 1);
    assert_eq!(ChannelData::parse(&delivered[0].1).unwrap().payload, b"echo");
}

#[test]
fn an_allocation_is_held_to_its_rates() {
    let rates = ServerConfig {
        bytes: Rate::new(125_000, SECOND),
        packets: Rate::new(500, SECOND),
        unauthenticated: None,
        ..ServerConfig::default()
    };
    for (size, passes) in [(1, 500), (1_000, 125)] {
        let mut world = World::with(rates.clone(), 12);
        let (client, relayed) = world.allocated(5_000, "ann");
        world.bind(&client, 0x4000, peer(1));
        let (other, _) = world.allocated(5_001, "bob");
        world.bind(&other, 0x4000, peer(1));
        let tick = Duration::from_millis(1);
        for _ in 0..10_000 {
            for _ in 0..3 {
                world.channel_data(&client, 0x4000, &vec![0; size]);
                world.peer_says(relayed, peer(1), &vec![0; size]);
            }
            world.pass(tick);
        }
        let (out, back) = (world.relayed().len(), world.delivered().len());
        let expected = passes * 10 + passes;
        for count in [out, back] {
            assert!(count.abs_diff(expected) * 20 <= expected, "{count} of {expected}");
        }
        world.channel_data(&other, 0x4000, b"free");
        assert_eq!(world.relayed().len(), 1, "others are not held up");
    }
}
