//! RFC 8656 §12: channels.

use super::*;

#[test]
fn a_channel_carries_both_ways() {
    let mut world = World::new();
    let (client, relayed) = world.allocated(5_000, "ann");
    assert_eq!(world.bind(&client, 0x4000, peer(1)), 0);

    world.channel_data(&client, 0x4000, b"out");
    world.peer_says(relayed, peer(1), b"in");

    assert_eq!(world.relayed(), [(relayed, peer(1), b"out".to_vec())]);
    assert_eq!(world.delivered(), [(client.tuple, [&[0x40, 0, 0, 2][..], b"in"].concat())]);
}

#[test]
fn number_and_peer_are_bound_to_each_other_alone() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    assert_eq!(world.bind(&client, 0x4000, peer(1)), 0);

    assert_eq!(world.bind(&client, 0x4000, peer(1)), 0, "a refresh");
    assert_eq!(world.bind(&client, 0x4000, peer(2)), 400);
    assert_eq!(world.bind(&client, 0x4001, peer(1)), 400);
    let other_port = SocketAddr::new(peer(1).ip(), 6_001);
    assert_eq!(world.bind(&client, 0x4001, other_port), 0);
}

#[test]
fn numbers_outside_the_range_and_incomplete_requests_are_refused() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    for number in [0, 0x3fff, 0x5000, 0x7fff, 0x8000, 0xffff] {
        assert_eq!(world.bind(&client, number, peer(1)), 400, "{number:#x}");
    }
    assert_eq!(world.bind(&client, 0x4fff, peer(1)), 0);
    let number = (A::CHANNEL_NUMBER, &[0x40, 0, 0, 0][..]);
    assert_eq!(world.request(&client, Method::CHANNEL_BIND, &[number]).code(), 400);
    assert_eq!(world.request(&client, Method::CHANNEL_BIND, &[]).code(), 400);
    assert_eq!(world.bind(&client, 0x4001, peer_v6()), 443);
    assert_eq!(world.bind(&client, 0x4001, SocketAddr::new(peer(1).ip(), 0)), 403);
}

#[test]
fn a_channel_lasts_ten_minutes_and_its_permission_five() {
    let mut world = World::new();
    let (client, relayed) = world.allocated(5_000, "ann");
    world.refresh(&client, 3_600);
    world.bind(&client, 0x4000, peer(1));
    world.pass(300 * SECOND);

    world.channel_data(&client, 0x4000, b"out");
    world.peer_says(relayed, peer(1), b"in");
    assert_eq!((world.relayed().len(), world.delivered().len()), (0, 0), "the permission is over");

    world.permit(&client, &[peer(1)]);
    world.pass(299 * SECOND);
    world.channel_data(&client, 0x4000, b"out");
    assert_eq!(world.relayed().len(), 1);
    world.permit(&client, &[peer(1)]);
    world.pass(SECOND);
    world.channel_data(&client, 0x4000, b"out");
    world.peer_says(relayed, peer(1), b"in");

    assert!(world.relayed().is_empty());
    assert_eq!(world.delivered()[0].1[..2], [0, 0x17], "a Data indication again");
    assert_eq!(world.dropped(DropReason::NoChannel), 1);
}

#[test]
fn an_expired_number_rests_five_minutes_before_it_serves_another() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    world.refresh(&client, 3_600);
    world.bind(&client, 0x4000, peer(1));
    world.pass(899 * SECOND);
    assert_eq!(world.bind(&client, 0x4000, peer(2)), 400);
    assert_eq!(world.bind(&client, 0x4001, peer(1)), 400);

    world.pass(SECOND);

    assert_eq!(world.bind(&client, 0x4000, peer(2)), 0);
    assert_eq!(world.bind(&client, 0x4001, peer(1)), 0);
}

#[test]
fn there_is_room_for_so_many_channels() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    for number in 0..32 {
        assert_eq!(world.bind(&client, 0x4000 + number, peer(u8::try_from(number).unwrap())), 0);
    }
    assert_eq!(world.bind(&client, 0x4100, peer(200)), 508);
    assert_eq!(world.bind(&client, 0x4000, peer(0)), 0);
}

#[test]
fn only_the_owner_speaks_on_a_channel() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    world.bind(&client, 0x4000, peer(1));
    let (other, _) = world.allocated(5_001, "bob");
    let mut stranger = client.clone();
    stranger.tuple.client.set_port(9);

    world.channel_data(&other, 0x4000, b"out");
    world.channel_data(&stranger, 0x4000, b"out");
    world.channel_data(&client, 0x4001, b"out");

    assert!(world.relayed().is_empty());
    assert_eq!((world.dropped(DropReason::NoChannel), world.dropped(DropReason::NoAllocation)), (2, 1));
}

#[test]
fn a_payload_is_as_long_as_it_says_and_padding_stays_behind() {
    let mut world = World::new();
    let (client, relayed) = world.allocated(5_000, "ann");
    world.bind(&client, 0x4000, peer(1));

    world.receive(client.tuple, &[0x40, 0, 0, 1, 7, 0xbb, 0xbb, 0xbb]);
    world.receive(client.tuple, &[0x40, 0, 0, 9, 7, 7, 7, 7]);
    world.receive(client.tuple, &[0x40, 0, 0, 0]);

    assert_eq!(world.relayed(), [(relayed, peer(1), vec![7]), (relayed, peer(1), vec![])]);
}

#[test]
fn on_a_stream_messages_are_padded_with_zeroes() {
    let mut world = World::new();
    let client = world.client(Transport::Tcp, 5_000, "ann");
    let relayed = world.allocate(&client).address(A::XOR_RELAYED_ADDRESS);
    world.bind(&client, 0x4000, peer(1));

    world.peer_says(relayed, peer(1), b"12345");

    assert_eq!(world.delivered()[0].1, [0x40, 0, 0, 5, b'1', b'2', b'3', b'4', b'5', 0, 0, 0]);
}
