//! RFC 8656 §9 and §10: permissions.

use super::*;

#[test]
fn a_permission_lasts_five_minutes_and_is_not_prolonged_by_data() {
    let mut world = World::new();
    let (client, relayed) = world.allocated(5_000, "ann");
    assert_eq!(world.permit(&client, &[peer(1)]), 0);
    for _ in 0..299 {
        world.pass(SECOND);
        world.send(&client, peer(1), b"out");
        world.peer_says(relayed, peer(1), b"in");
    }
    assert_eq!((world.relayed().len(), world.delivered().len()), (299, 299));

    world.pass(SECOND);
    world.send(&client, peer(1), b"out");
    world.peer_says(relayed, peer(1), b"in");

    assert_eq!((world.relayed().len(), world.delivered().len()), (0, 0));
    assert_eq!(world.dropped(DropReason::NoPermission), 2);
}

#[test]
fn a_permission_is_for_an_address_whatever_the_port() {
    let mut world = World::new();
    let (client, relayed) = world.allocated(5_000, "ann");
    world.permit(&client, &[peer(1)]);

    for port in [1, 6_000, 65_535] {
        world.peer_says(relayed, SocketAddr::new(peer(1).ip(), port), b"in");
    }
    world.peer_says(relayed, peer(2), b"in");

    assert_eq!(world.delivered().len(), 3);
}

#[test]
fn a_request_permits_all_or_nobody() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    let private = "10.0.0.1:6000".parse().unwrap();
    for bad in [vec![peer(1), private], vec![private, peer(1)], vec![peer(1), peer(2), private]] {
        assert_eq!(world.permit(&client, &bad), 403);
    }
    assert_eq!(world.permit(&client, &[peer(1), peer_v6()]), 443);
    assert_eq!(world.permit(&client, &[]), 400);
    let bad = (A::XOR_PEER_ADDRESS, &[0, 9, 1, 2, 3, 4, 5, 6][..]);
    let good = (A::XOR_PEER_ADDRESS, &[0, 1, 1, 2, 0xea, 0x12, 0xd5, 0x43][..]);
    assert_eq!(world.request(&client, Method::CREATE_PERMISSION, &[good, bad]).code(), 400);

    world.send(&client, peer(1), b"out");

    assert!(world.relayed().is_empty());
    assert_eq!(world.permit(&client, &[peer(1), peer(2), peer(1)]), 0);
}

#[test]
fn there_is_room_for_so_many_peers_and_again_when_they_are_over() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    let peers: Vec<_> = (0..100).map(peer).collect();
    assert_eq!(world.permit(&client, &peers[..32]), 0);
    assert_eq!(world.permit(&client, &peers[32..64]), 0);
    assert_eq!(world.permit(&client, &peers[64..65]), 508);
    assert_eq!(world.permit(&client, &peers[..32]), 0, "those that are there are refreshed");
    assert_eq!(world.permit(&client, &peers[..33]), 508, "more than one request may name");

    world.pass(300 * SECOND);

    assert_eq!(world.permit(&client, &peers[64..96]), 0);
}

#[test]
fn every_way_to_name_a_peer_asks_the_same_policy() {
    let mut world = World::new();
    let (client, _) = world.allocated(5_000, "ann");
    let v6_client = world.client(Transport::Udp, 5_001, "ann");
    world.request(&v6_client, Method::ALLOCATE, &[UDP, (A::REQUESTED_ADDRESS_FAMILY, &family(2))]);
    for text in [
        "127.0.0.1:6000",
        "0.0.0.0:6000",
        "10.0.0.1:6000",
        "169.254.169.254:6000",
        "224.0.0.1:6000",
        "255.255.255.255:6000",
        "8.8.8.8:6000",
        "[::1]:6000",
        "[::]:6000",
        "[fe80::1]:6000",
        "[fd00:ec2::254]:6000",
        "[::ffff:203.0.113.1]:6000",
        "[::203.0.113.1]:6000",
        "[2002:cb00:7101::]:6000",
        "[64:ff9b::203.0.113.1]:6000",
        "[2606:4700::1]:6000",
    ] {
        let peer: SocketAddr = text.parse().unwrap();
        let client = if peer.is_ipv4() { &client } else { &v6_client };
        // The encoder writes a mapped address as IPv4: what is meant here is the IPv6 form.
        let (permitted, bound) = match peer {
            SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
                let value = raw_v6(*v6.ip(), v6.port());
                let channel = (A::CHANNEL_NUMBER, &[0x40, 0, 0, 0][..]);
                let address = (A::XOR_PEER_ADDRESS, &value[..]);
                (
                    world.raw(client, Method::CREATE_PERMISSION, &[address]),
                    world.raw(client, Method::CHANNEL_BIND, &[channel, address]),
                )
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => {
                (world.permit(client, &[peer]), world.bind(client, 0x4000, peer))
            }
        };
        assert_eq!((permitted, bound), (403, 403), "{text}");
        let client = client.clone();
        world.send(&client, peer, b"out");
        assert!(world.relayed().is_empty(), "{text}");
    }
}

#[test]
fn a_neighbour_is_reached_at_its_ports_only() {
    let mut world = World::new();
    let (client, relayed) = world.allocated(5_000, "ann");
    let at = |port| SocketAddr::new(relayed.ip(), port);
    assert_eq!(world.permit(&client, &[at(1)]), 0, "ports are not part of a permission");

    assert_eq!(world.bind(&client, 0x4000, at(3_478)), 403, "our own listener");
    world.send(&client, at(3_478), b"loop");
    world.send(&client, at(22), b"ssh");

    assert!(world.relayed().is_empty());
    assert_eq!(world.dropped(DropReason::Policy), 2);
    assert_eq!(world.bind(&client, 0x4000, at(50_500)), 0);
}

impl World {
    /// With the address as it is given, under the transaction that is next.
    fn raw(&mut self, client: &Client, method: Method, attributes: Attributes<'_>) -> u16 {
        // `raw_v6` masks for transaction 0.
        let message = write(method, TransactionId([0; 12]), attributes, Some(client));
        self.ask(client.tuple, &message).unwrap().code()
    }
}

fn raw_v6(ip: std::net::Ipv6Addr, port: u16) -> Vec<u8> {
    let cookie = 0x2112_a442_u32;
    let masked = ip.to_bits() ^ u128::from(cookie) << 96;
    let port = port ^ 0x2112;
    [&[0, 2][..], &port.to_be_bytes(), &masked.to_be_bytes()].concat()
}
