//! RFC 8656 §8: refreshing and ending.

use super::*;

#[test]
fn an_allocation_ends_on_time_and_not_before() {
    let mut world = World::new();
    let (client, relayed) = world.allocated(5_000, "ann");
    world.permit(&client, &[peer(1)]);
    world.pass(599 * SECOND);
    assert_eq!(world.server.len(), 1);

    world.pass(SECOND);

    assert_eq!((world.server.len(), world.free_ports()), (0, 2_000));
    assert_eq!(world.server.relay_at(relayed), None);
    assert_eq!(world.refresh(&client, 600).code(), 401, "its credentials expired meanwhile");
}

#[test]
fn a_refresh_prolongs_and_zero_ends_at_once() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    world.pass(200 * SECOND);
    assert_eq!(world.refresh(&client, 1_000).lifetime(), 1_000);
    world.pass(999 * SECOND);
    assert_eq!(world.server.len(), 1);

    let answer = world.refresh(&client, 0);

    assert_eq!((answer.code(), answer.lifetime()), (0, 0));
    assert_eq!((world.server.len(), world.free_ports()), (0, 2_000));
}

#[test]
fn there_is_nothing_to_refresh_twice_and_the_place_is_free_at_once() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    assert_eq!(world.refresh(&client, 0).code(), 0);

    assert_eq!(world.refresh(&client, 0).code(), 437);
    assert_eq!(world.allocate(&client).code(), 0);
}

#[test]
fn somebody_else_cannot_refresh_bind_or_permit() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    let other = Client { nonce: client.nonce.clone(), ..world.client(Transport::Udp, 5_000, "bob") };

    for seconds in [0, 600] {
        assert_eq!(world.refresh(&other, seconds).code(), 441);
    }
    assert_eq!(world.permit(&other, &[peer(1)]), 441);
    assert_eq!(world.bind(&other, 0x4000, peer(1)), 441);
    assert_eq!(world.allocate(&other).code(), 437);
    let wrong = Client { key: long_term("x", "y"), ..client.clone() };
    assert_eq!(world.refresh(&wrong, 0).code(), 401);
    assert_eq!(world.server.len(), 1);
}

#[test]
fn without_an_allocation_there_is_a_mismatch() {
    let mut world = World::new();
    let client = world.client(Transport::Udp, 5_000, "ann");

    assert_eq!(world.refresh(&client, 600).code(), 437);
    assert_eq!(world.permit(&client, &[peer(1)]), 437);
    assert_eq!(world.bind(&client, 0x4000, peer(1)), 437);
}

#[test]
fn one_half_of_a_dual_allocation_can_end() {
    let mut world = World::new();
    let client = world.client(Transport::Udp, 5_000, "ann");
    let (v4, v6) = (family(1), family(2));
    world.request(&client, Method::ALLOCATE, &[UDP, (A::ADDITIONAL_ADDRESS_FAMILY, &v6)]);
    assert_eq!(world.permit(&client, &[peer(1), peer_v6()]), 0);
    let zero = (A::LIFETIME, &[0; 4][..]);

    let ended = world.request(&client, Method::REFRESH, &[zero, (A::REQUESTED_ADDRESS_FAMILY, &v4)]);

    assert_eq!(ended.code(), 0);
    assert_eq!(world.server.len(), 1);
    assert_eq!(world.permit(&client, &[peer(1)]), 443);
    world.send(&client, peer_v6(), b"still here");
    assert_eq!(world.relayed().len(), 1);
    let again = world.request(&client, Method::REFRESH, &[zero, (A::REQUESTED_ADDRESS_FAMILY, &v4)]);
    assert_eq!(again.code(), 443);
    let last = world.request(&client, Method::REFRESH, &[zero, (A::REQUESTED_ADDRESS_FAMILY, &v6)]);
    assert_eq!((last.code(), world.server.len(), world.free_ports()), (0, 0, 2_000));
}

#[test]
fn halves_live_their_own_lives() {
    let mut world = World::new();
    let client = world.client(Transport::Udp, 5_000, "ann");
    let v6 = family(2);
    world.request(&client, Method::ALLOCATE, &[UDP, (A::ADDITIONAL_ADDRESS_FAMILY, &v6)]);
    let long = (A::LIFETIME, &3_000_u32.to_be_bytes()[..]);
    world.request(&client, Method::REFRESH, &[long, (A::REQUESTED_ADDRESS_FAMILY, &v6)]);

    world.pass(600 * SECOND);

    assert_eq!((world.server.len(), world.server.counters().relays), (1, [0, 1]));
    world.pass(2_400 * SECOND);
    assert_eq!((world.server.len(), world.free_ports()), (0, 2_000));
}
