//! RFC 8656 §7: allocations.

use super::*;

#[test]
fn a_request_without_credentials_is_challenged_and_then_granted() {
    let mut world = World::new();
    let client = world.client(Transport::Udp, 5_000, "ann");

    let answer = world.allocate(&client);

    assert_eq!(answer.code(), 0);
    let relayed = answer.address(A::XOR_RELAYED_ADDRESS);
    assert_eq!(relayed.ip(), "198.51.100.1".parse::<IpAddr>().unwrap());
    assert!((50_000..=50_999).contains(&relayed.port()));
    assert_eq!(answer.address(A::XOR_MAPPED_ADDRESS), client.tuple.client);
    assert_eq!(answer.lifetime(), 600);
    assert_eq!(world.server.len(), 1);
}

#[test]
fn a_lifetime_is_granted_within_bounds() {
    let mut world = World::new();
    for (port, (asked, granted)) in
        (5_000..).zip([(0, 600), (1, 600), (601, 601), (3_600, 3_600), (3_601, 3_600), (u32::MAX, 3_600)])
    {
        let client = world.client(Transport::Udp, port, "ann");
        let asked: u32 = asked;
        let answer = world.request(&client, Method::ALLOCATE, &[UDP, (A::LIFETIME, &asked.to_be_bytes())]);
        assert_eq!(answer.lifetime(), granted, "{asked}");
    }
    let client = world.client(Transport::Udp, 6_000, "ann");
    assert_eq!(world.request(&client, Method::ALLOCATE, &[UDP, (A::LIFETIME, &[0; 3])]).code(), 400);
}

#[test]
fn the_same_request_once_more_gets_the_same_answer_and_another_is_a_mismatch() {
    let mut world = World::new();
    let client = world.client(Transport::Udp, 5_000, "ann");
    let id = world.transaction();
    let message = write(Method::ALLOCATE, id, &[UDP], Some(&client));

    let first = world.ask(client.tuple, &message).unwrap();
    let second = world.ask(client.tuple, &message).unwrap();

    assert_eq!(first.0, second.0);
    assert_eq!(world.allocate(&client).code(), 437);
    assert_eq!(world.server.len(), 1);
}

#[test]
fn transports_are_told_apart() {
    let mut world = World::new();
    let client = world.client(Transport::Udp, 5_000, "ann");
    for (value, code) in [(&[][..], 400), (&[17, 0, 0], 400), (&[6, 0, 0, 0], 442), (&[99, 0, 0, 0], 442)] {
        let attributes = [(A::REQUESTED_TRANSPORT, value)];
        assert_eq!(world.request(&client, Method::ALLOCATE, &attributes).code(), code, "{value:?}");
    }
    assert_eq!(world.request(&client, Method::ALLOCATE, &[]).code(), 400);
    assert_eq!(world.free_ports(), 2_000);
}

#[test]
fn attributes_that_exclude_each_other_are_refused() {
    let mut world = World::new();
    let client = world.client(Transport::Udp, 5_000, "ann");
    let (v4, v6) = (family(1), family(2));
    let token = (A::RESERVATION_TOKEN, &[1, 2, 3, 4, 5, 6, 7, 8][..]);
    let cases: [(Attributes<'_>, u16); 12] = [
        (&[UDP, token, (A::EVEN_PORT, &[0])], 400),
        (&[UDP, token, (A::REQUESTED_ADDRESS_FAMILY, &v4)], 400),
        (&[UDP, token, (A::ADDITIONAL_ADDRESS_FAMILY, &v6)], 400),
        (&[UDP, (A::RESERVATION_TOKEN, &[1, 2, 3])], 400),
        (&[UDP, token], 508),
        (&[UDP, (A::REQUESTED_ADDRESS_FAMILY, &v4), (A::ADDITIONAL_ADDRESS_FAMILY, &v6)], 400),
        (&[UDP, (A::ADDITIONAL_ADDRESS_FAMILY, &v4)], 400),
        (&[UDP, (A::ADDITIONAL_ADDRESS_FAMILY, &v6), (A::EVEN_PORT, &[0x80])], 400),
        (&[UDP, (A::REQUESTED_ADDRESS_FAMILY, &[3, 0, 0, 0])], 440),
        (&[UDP, (A::REQUESTED_ADDRESS_FAMILY, &[1])], 400),
        (&[UDP, (A::EVEN_PORT, &[])], 400),
        (&[UDP, (A(0x7001), &[])], 420),
    ];
    for (attributes, code) in cases {
        let answer = world.request(&client, Method::ALLOCATE, attributes);
        assert_eq!(answer.code(), code, "{attributes:?}");
        if code == 420 {
            assert_eq!(answer.get(A::UNKNOWN_ATTRIBUTES), Some(vec![0x70, 1]));
        }
    }
    assert!(world.server.is_empty());
    assert_eq!(world.free_ports(), 2_000);
}

#[test]
fn each_family_and_both_can_be_had() {
    let mut world = World::new();
    let v6 = family(2);

    let client = world.client(Transport::Udp, 5_000, "ann");
    let answer = world.request(&client, Method::ALLOCATE, &[UDP, (A::REQUESTED_ADDRESS_FAMILY, &v6)]);
    assert!(answer.address(A::XOR_RELAYED_ADDRESS).is_ipv6());

    let client = world.client(Transport::Udp, 5_001, "ann");
    let answer = world.request(&client, Method::ALLOCATE, &[UDP, (A::ADDITIONAL_ADDRESS_FAMILY, &v6)]);
    let message = answer.message();
    let relays: Vec<_> = message.attributes().filter(|a| a.kind == A::XOR_RELAYED_ADDRESS).collect();
    let relays: Vec<_> = relays.iter().map(|a| message.xor_address(a.value).unwrap().is_ipv4()).collect();
    assert_eq!(relays, [true, false]);

    let from_v6 = world.client_at(Transport::Udp, "[2001:db8:9::1]:5000".parse().unwrap(), "ann");
    assert!(
        world.allocate(&from_v6).address(A::XOR_RELAYED_ADDRESS).is_ipv4(),
        "a client of one, a relay of the other"
    );
}

#[test]
fn half_of_a_dual_allocation_is_better_than_none_and_says_what_is_missing() {
    let mut world = World::new();
    let v6 = family(2);
    for _ in 0..1_000 {
        let now = world.now;
        world.outside.registry.take(Family::V6, crate::registry::PortWish::Any, b"x", 0, now).unwrap();
    }
    let client = world.client(Transport::Udp, 5_000, "ann");

    let answer = world.request(&client, Method::ALLOCATE, &[UDP, (A::ADDITIONAL_ADDRESS_FAMILY, &v6)]);

    assert_eq!(answer.code(), 0);
    assert_eq!(codes(&answer), Some((2, 508)));
    let alone = world.client(Transport::Udp, 5_001, "ann");
    let answer = world.request(&alone, Method::ALLOCATE, &[UDP, (A::REQUESTED_ADDRESS_FAMILY, &v6)]);
    assert_eq!(answer.code(), 508);
    assert_eq!(world.server.len(), 1);
}

#[test]
fn a_pair_of_ports_is_kept_for_its_user() {
    let mut world = World::new();
    let client = world.client(Transport::Udp, 5_000, "ann");
    let answer = world.request(&client, Method::ALLOCATE, &[UDP, (A::EVEN_PORT, &[0x80])]);
    let port = answer.address(A::XOR_RELAYED_ADDRESS).port();
    let token = answer.get(A::RESERVATION_TOKEN).unwrap();
    assert_eq!(port % 2, 0);

    let thief = world.client(Transport::Udp, 5_001, "bob");
    assert_eq!(world.request(&thief, Method::ALLOCATE, &[UDP, (A::RESERVATION_TOKEN, &token)]).code(), 508);
    let second = world.client(Transport::Udp, 5_002, "ann");
    let answer = world.request(&second, Method::ALLOCATE, &[UDP, (A::RESERVATION_TOKEN, &token)]);
    assert_eq!(answer.address(A::XOR_RELAYED_ADDRESS).port(), port + 1);
    let third = world.client(Transport::Udp, 5_003, "ann");
    assert_eq!(world.request(&third, Method::ALLOCATE, &[UDP, (A::RESERVATION_TOKEN, &token)]).code(), 508);

    world.refresh(&client, 0);
    world.refresh(&second, 0);
    assert_eq!(world.free_ports(), 2_000);
}

#[test]
fn even_ports_are_even() {
    let mut world = World::new();
    for port in 5_000..5_012 {
        let client = world.client(Transport::Udp, port, "ann");
        let answer = world.request(&client, Method::ALLOCATE, &[UDP, (A::EVEN_PORT, &[0])]);
        assert_eq!(answer.address(A::XOR_RELAYED_ADDRESS).port() % 2, 0);
        assert_eq!(answer.get(A::RESERVATION_TOKEN), None);
    }
}

#[test]
fn a_user_has_as_many_as_are_granted_and_another_is_not_held_up() {
    let mut world = World::with(ServerConfig { unauthenticated: None, ..ServerConfig::default() }, 4);
    let mut codes = Vec::new();
    for port in 5_000..6_000 {
        let client = world.client(Transport::Udp, port, "ann");
        codes.push(world.allocate(&client).code());
    }
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 4);
    assert_eq!(codes.iter().filter(|code| **code == 486).count(), 996);

    world.allocated(7_000, "bob");
    world.pass(600 * SECOND);
    assert_eq!((world.server.len(), world.free_ports()), (0, 2_000));
    world.allocated(5_000, "ann");
}

#[test]
fn credentials_are_good_for_a_beginning_until_they_expire_and_for_a_running_call_for_ever() {
    let mut world = World::new();
    let (running, _) = world.allocated(5_000, "ann");
    let late = world.client(Transport::Udp, 5_001, "ann");
    world.pass(301 * SECOND);

    assert_eq!(world.allocate(&late).code(), 401);
    for _ in 0..20 {
        world.pass(298 * SECOND);
        let fresh = world.client(Transport::Udp, 5_000, "ann").nonce;
        let running = Client { nonce: fresh, ..running.clone() };
        assert_eq!(world.refresh(&running, 600).code(), 0);
    }
}

#[test]
fn a_draining_server_sends_away_and_keeps_what_it_has() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    let newcomer = world.client(Transport::Udp, 5_001, "ann");

    world.server.drain(Alternate::default());
    assert_eq!(world.allocate(&newcomer).code(), 508);
    world.server.drain(Alternate { v4: Some("192.0.2.99:3478".parse().unwrap()), v6: None });
    let answer = world.allocate(&newcomer);
    assert_eq!(answer.code(), 300);
    assert_eq!(answer.get(A::ALTERNATE_SERVER), Some(vec![0, 1, 0x0d, 0x96, 192, 0, 2, 99]));
    assert_eq!(world.refresh(&client, 600).code(), 0);
}

#[test]
fn who_has_used_up_what_was_granted_is_ended() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    world.permit(&client, &[peer(1)]);
    world.outside.standing = Standing::Exhausted;
    world.server.report(&mut world.outside);
    assert_eq!(world.server.len(), 1, "nothing was relayed yet");

    world.send(&client, peer(1), b"hello");
    world.server.report(&mut world.outside);

    assert_eq!((world.server.len(), world.free_ports()), (0, 2_000));
    assert_eq!(world.outside.ended[0].to_peers, Traffic { packets: 1, bytes: 5 });
}

#[test]
fn the_end_of_a_stream_or_of_a_user_is_the_end_of_its_allocations() {
    let mut world = World::new();
    let client = world.client(Transport::Tcp, 5_000, "ann");
    world.allocate(&client);
    world.allocated(5_001, "bob");

    world.server.disconnect(&client.tuple, &mut world.outside);
    assert_eq!(world.server.len(), 1);
    assert_eq!(world.server.revoke(b"bob", &mut world.outside), 1);
    assert_eq!((world.server.len(), world.free_ports()), (0, 2_000));
}

#[test]
fn nothing_leaks_over_many_cycles() {
    let mut world = World::new();
    for cycle in 0..2_000_u32 {
        let port = 5_000 + u16::try_from(cycle % 100).unwrap();
        let client = world.client(Transport::Udp, port, "ann");
        let even: &[u8] = if cycle % 2 == 0 { &[0] } else { &[0x80] };
        assert_eq!(
            world.request(&client, Method::ALLOCATE, &[UDP, (A::EVEN_PORT, even)]).code(),
            0,
            "{cycle}"
        );
        match cycle % 3 {
            0 => assert_eq!(world.refresh(&client, 0).code(), 0),
            1 => world.server.disconnect(&client.tuple, &mut world.outside),
            _ => world.pass(600 * SECOND),
        }
        world.pass(20 * SECOND);
    }
    world.pass(60 * SECOND);
    let now = world.now;
    world.outside.registry.expire(now);
    assert_eq!((world.server.len(), world.free_ports()), (0, 2_000));
    assert_eq!(
        (world.server.by_relay.len(), world.server.by_tuple.len(), world.server.deadlines.len()),
        (0, 0, 0)
    );
    assert_eq!(world.server.counters().allocations, [0; 3]);
    assert_eq!(world.server.counters().relays, [0; 2]);
}
