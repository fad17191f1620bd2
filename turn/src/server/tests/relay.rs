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
fn a_relayed_packet_allocates_nothing() {
    let mut world = World::with(
        ServerConfig { unauthenticated: None, bytes: None, packets: None, ..ServerConfig::default() },
        12,
    );
    let (ann, at_ann) = world.allocated(5_000, "ann");
    let (bob, at_bob) = world.allocated(5_001, "bob");
    for (client, other) in [(&ann, at_bob), (&bob, at_ann)] {
        world.bind(client, 0x4000, other);
        world.bind(client, 0x4001, peer(1));
        world.permit(client, &[peer(2)]);
    }
    let payload = [7; 1_000];
    let on = |number: u16| [&number.to_be_bytes()[..], &1_000_u16.to_be_bytes(), &payload].concat();
    let (across, outside) = (on(0x4000), on(0x4001));
    let mut send = write_with(Method::SEND, TransactionId([1; 12]), None, |builder| {
        builder.xor_address(A::XOR_PEER_ADDRESS, peer(2)).attribute(A::DATA, &payload)
    });
    send[1] = 0x16;
    let relay = world.server.relay_at(at_ann).unwrap();
    let (mut void, now) = (Void::default(), world.now);

    let info = allocation_counter::measure(|| {
        for _ in 0..100 {
            for message in [&across, &outside, &send] {
                world.server.receive(&ann.tuple, message, &mut void, now);
            }
            for from in [peer(1), peer(2)] {
                world.server.receive_from_peer(relay, from, &payload, &mut void, now);
            }
        }
    });

    assert_eq!((void.to_clients, void.to_peers), (300, 200));
    assert_eq!(info.count_total, 0);
}

/// Counts, and does nothing else.
#[derive(Default)]
struct Void {
    to_clients: u32,
    to_peers: u32,
}

impl Host for Void {
    fn to_client(&mut self, _: &FiveTuple, _: [&[u8]; 3]) {
        self.to_clients += 1;
    }

    fn to_peer(&mut self, _: RelayId, _: SocketAddr, _: &[u8], _: Fragmentation) {
        self.to_peers += 1;
    }

    fn open_relay(
        &mut self,
        _: RelayId,
        _: Family,
        _: RelayPort,
        _: &[u8],
        _: Instant,
    ) -> Result<Opened, NoPort> {
        Err(NoPort::Taken)
    }

    fn close_relay(&mut self, _: RelayId, _: SocketAddr) {}

    fn admit(&mut self, _: &[u8], _: Instant) -> Result<Grant, Denied> {
        Err(Denied::Total)
    }

    fn release(&mut self, _: &[u8]) {}

    fn spend(&mut self, _: &[u8], _: u64) -> Standing {
        Standing::Good
    }

    fn ended(&mut self, _: &[u8], _: &Usage) {}
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
