//! Who is not authenticated: answered briefly, seldom, or not at all, and never remembered.

use super::*;

#[test]
fn a_binding_is_answered_with_thirty_two_bytes() {
    let mut world = World::new();
    for (client, len) in [("192.0.2.7:5000", 32), ("[2001:db8:9::1]:5000", 44)] {
        let tuple = tuple(client);
        let message = write(Method::BINDING, TransactionId([1; 12]), &[], None);

        let answer = world.ask(tuple, &message).unwrap();

        assert_eq!(answer.0.len(), len);
        assert_eq!(answer.address(A::XOR_MAPPED_ADDRESS), tuple.client);
    }
}

#[test]
fn a_fingerprint_is_answered_with_one_and_a_wrong_one_not_at_all() {
    let mut world = World::new();
    let mut buffer = [0; 64];
    let len = Builder::new(Class::Request, Method::BINDING, TransactionId([1; 12]), &mut buffer)
        .fingerprint()
        .finish()
        .unwrap();

    let answer = world.ask(tuple("192.0.2.7:5000"), &buffer[..len]).unwrap();
    assert_eq!(answer.message().check_fingerprint(), Ok(()));

    buffer[len - 1] ^= 1;
    assert!(world.ask(tuple("192.0.2.7:5000"), &buffer[..len]).is_none());
    assert_eq!(world.dropped(DropReason::Fingerprint), 1);
}

#[test]
fn the_first_challenge_is_short_and_has_no_words() {
    let mut world = World::new();
    let message = write(Method::ALLOCATE, TransactionId([1; 12]), &[UDP], None);
    assert_eq!(message.len(), 28);

    let answer = world.ask(tuple("192.0.2.7:5000"), &message).unwrap();

    assert_eq!(answer.code(), 401);
    assert!(answer.0.len() <= 68, "{} bytes", answer.0.len());
    assert_eq!(answer.get(A::ERROR_CODE).unwrap().len(), 4);
    assert_eq!(answer.get(A::REALM).unwrap(), REALM.as_bytes());
    let stream = FiveTuple { transport: Transport::Tcp, ..tuple("192.0.2.7:5000") };
    let answer = world.ask(stream, &message).unwrap();
    assert_eq!(answer.get(A::PASSWORD_ALGORITHMS).unwrap(), [0, 2, 0, 0, 0, 1, 0, 0]);
    assert!(answer.get(A::NONCE).unwrap().starts_with(b"obMatJos2"));
}

#[test]
fn what_cannot_be_a_clients_message_is_met_with_silence() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    let good =
        write(Method::REFRESH, TransactionId([1; 12]), &[(A::LIFETIME, &[0, 0, 2, 0x58])], Some(&client));
    for len in 0..good.len() {
        assert!(world.ask(client.tuple, &good[..len]).is_none(), "{len} bytes");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(world.ask(client.tuple, &longer).is_none());
    for class in [[1, 1], [1, 0x11], [0, 0x11], [1, 3], [1, 0x13], [0, 0x17], [0, 0x13]] {
        let mut other = good.clone();
        other[..2].copy_from_slice(&class);
        assert!(world.ask(client.tuple, &other).is_none(), "{class:?}");
    }
    for first in 0x80..=0xff {
        let mut other = good.clone();
        other[0] = first;
        assert!(world.ask(client.tuple, &other).is_none(), "{first:#x}");
    }
    assert_eq!(world.server.len(), 1);
}

#[test]
fn every_byte_of_a_signed_request_counts() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    let good = write(Method::REFRESH, TransactionId([1; 12]), &[(A::LIFETIME, &[0; 4])], Some(&client));
    for at in 0..good.len() {
        for change in [0x01, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= change;
            let answer = world.ask(client.tuple, &bad);
            let code = answer.map(|answer| answer.code());
            assert_ne!(code, Some(0), "byte {at}");
        }
    }
    assert_eq!(world.server.len(), 1);
}

#[test]
fn what_stands_behind_the_signature_is_not_obeyed() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    let id = world.transaction();
    let mut message = write(Method::REFRESH, id, &[(A::LIFETIME, &700_u32.to_be_bytes())], Some(&client));
    message.extend([0, 0x0d, 0, 4, 0, 0, 0x0e, 0x10]);
    let len = u16::try_from(message.len() - 20).unwrap();
    message[2..4].copy_from_slice(&len.to_be_bytes());

    let answer = world.ask(client.tuple, &message).unwrap();

    assert_eq!(answer.lifetime(), 700);
}

#[test]
fn a_nonce_of_another_client_or_hour_is_stale_and_a_fresh_one_comes_with_it() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    let other = world.client(Transport::Udp, 5_001, "ann");
    let stolen = Client { nonce: other.nonce.clone(), ..client.clone() };

    let answer = world.refresh(&stolen, 600);

    assert_eq!(answer.code(), 438);
    let renewed = Client { nonce: answer.get(A::NONCE).unwrap(), ..client.clone() };
    assert_eq!(world.refresh(&renewed, 3_600).code(), 0);
    world.pass(3_599 * SECOND);
    assert_eq!(world.refresh(&renewed, 3_600).code(), 0);
    world.pass(2 * SECOND);
    assert_eq!(world.refresh(&renewed, 3_600).code(), 438);
}

#[test]
fn names_may_be_any_bytes() {
    let mut world = World::new();
    let tuple = tuple("192.0.2.7:5000");
    let client = world.client(Transport::Udp, 5_000, "ann");
    for name in ["%s%n%x", "a\r\nb", "\0", "'; drop table users; --", "\u{1b}[2J", &"x".repeat(508)] {
        let bad = Client { username: name.into(), tuple, ..client.clone() };
        assert_eq!(world.allocate(&bad).code(), 401, "{name:?}");
    }
    let long = Client { username: "x".repeat(600), ..client };
    assert_eq!(world.allocate(&long).code(), 401);
}

#[test]
fn an_unknown_method_is_a_bad_request_and_an_unknown_attribute_is_named() {
    let mut world = World::new();
    let tuple = tuple("192.0.2.7:5000");
    let connect = Method::new(0x00a).unwrap();
    let message = write(connect, TransactionId([1; 12]), &[], None);
    assert_eq!(world.ask(tuple, &message).unwrap().code(), 400);

    let message = write(Method::BINDING, TransactionId([1; 12]), &[(A(0x7f01), &[]), (A(0xff01), &[])], None);
    let answer = world.ask(tuple, &message).unwrap();
    assert_eq!((answer.code(), answer.get(A::UNKNOWN_ATTRIBUTES)), (420, Some(vec![0x7f, 1])));
}

#[test]
fn a_network_that_proves_nothing_is_answered_ten_times_a_second_and_streams_always() {
    let mut world = World::with(ServerConfig::default(), 12);
    let binding = write(Method::BINDING, TransactionId([1; 12]), &[], None);
    let allocate = write(Method::ALLOCATE, TransactionId([1; 12]), &[UDP], None);
    let mut answers = 0;
    for at in 0..20_000_u32 {
        let client = SocketAddr::from(([192, 0, 2, u8::try_from(at % 256).unwrap()], 5_000));
        let tuple = FiveTuple { client, ..tuple("192.0.2.7:5000") };
        let message = if at % 2 == 0 { &binding } else { &allocate };
        answers += u32::from(world.ask(tuple, message).is_some());
        world.pass(Duration::from_micros(500));
    }
    assert!((190..=210).contains(&answers), "{answers} in ten seconds");
    let elsewhere = tuple("198.51.100.7:5000");
    assert!(world.ask(elsewhere, &binding).is_some(), "another network is not held up");
    for transport in [Transport::Tcp, Transport::Tls] {
        let stream = FiveTuple { transport, ..tuple("192.0.2.7:5000") };
        assert_eq!((0..1_000).filter(|_| world.ask(stream, &allocate).is_some()).count(), 1_000);
    }
}

#[test]
fn an_office_behind_one_address_is_not_held_up() {
    let config = ServerConfig::default();
    let mut world = World::with(config, 12);
    for port in 5_000..6_000 {
        let (client, _) = world.allocated(port, &format!("user{port}"));
        assert_eq!(world.refresh(&client, 0).code(), 0);
    }
}

#[test]
fn any_number_of_invented_sources_leave_nothing_behind() {
    let mut world = World::with(ServerConfig::default(), 12);
    let allocate = write(Method::ALLOCATE, TransactionId([1; 12]), &[UDP], None);
    for at in 0..100_000_u32 {
        let client = SocketAddr::from((at.wrapping_mul(2_654_435_761).to_be_bytes(), 5_000));
        world.receive(FiveTuple { client, ..tuple("192.0.2.7:5000") }, &allocate);
        world.outside.to_clients.clear();
    }
    assert!(world.server.is_empty());
    assert_eq!((world.server.by_tuple.capacity(), world.server.allocations.capacity()), (0, 0));
}

#[test]
fn nothing_of_a_clients_is_printed() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    let text = format!("{:?} {:?}", world.server, world.server.allocations.iter().next());
    assert!(!text.contains(SECRET), "{text}");
    assert!(!text.contains(&format!("{:?}", client.key).replace('…', "!")), "{text}");
}

fn tuple(client: &str) -> FiveTuple {
    let client: SocketAddr = client.parse().unwrap();
    let server = if client.is_ipv4() { "198.51.100.1:3478" } else { "[2001:db8:1::1]:3478" };
    FiveTuple { transport: Transport::Udp, client, server: server.parse().unwrap() }
}
