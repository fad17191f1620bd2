//! Workers over real sockets of this machine.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};
use turn::stun;

use super::*;
use crate::{
    event::EventKind,
    ids::{ParticipantId, TransportId},
    params::{ChannelSetup, Consent, Fingerprint, IceCredentials, RemoteParameters, Secret, ufrag_prefix},
};

fn small() -> SfuConfig {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    SfuConfig { bind: here, udp_port: 0, tcp_port: Some(0), workers: 2, ..SfuConfig::default() }
}

#[tokio::test]
async fn each_worker_has_its_own_udp_port_and_all_share_one_for_tcp() {
    let sfu = Sfu::start(small()).unwrap();

    let candidates: Vec<_> = sfu.endpoints().map(|endpoint| endpoint.candidates.clone()).collect();

    let port = |worker: usize, protocol| {
        let found = candidates[worker].iter().find(|candidate| candidate.protocol == protocol).unwrap();
        assert_eq!(found.addr.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        found.addr.port()
    };
    assert_ne!(port(0, Protocol::Udp), port(1, Protocol::Udp));
    assert_eq!(port(0, Protocol::Tcp), port(1, Protocol::Tcp));
    sfu.stop().await;
}

#[tokio::test]
async fn rooms_are_spread_over_the_workers() {
    let sfu = Sfu::start(small()).unwrap();

    let rooms: Vec<_> = (0..4).map(|number| sfu.open_room(RoomId(number)).unwrap()).collect();

    let on = |worker: u16| rooms.iter().filter(|room| room.endpoint.worker == worker).count();
    assert_eq!((on(0), on(1)), (2, 2));
    sfu.stop().await;
}

#[tokio::test]
async fn the_events_of_a_closed_room_end() {
    let sfu = Sfu::start(small()).unwrap();
    let mut room = sfu.open_room(RoomId(1)).unwrap();

    room.commands.send(Command::CloseRoom(RoomId(1))).unwrap();

    assert!(room.events.recv().await.is_none());
    sfu.stop().await;
}

#[tokio::test]
async fn stopping_ends_every_room() {
    let sfu = Sfu::start(small()).unwrap();
    let mut rooms: Vec<_> = (0..10).map(|number| sfu.open_room(RoomId(number)).unwrap()).collect();

    sfu.clone().stop().await;

    for room in &mut rooms {
        assert!(room.events.recv().await.is_none());
    }
    assert!(sfu.open_room(RoomId(99)).is_err());
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();

    let error = Sfu::start(SfuConfig { udp_port: port, workers: 1, ..small() }).err().unwrap();

    assert_eq!(error.to_string(), format!("UDP 127.0.0.1:{port} cannot be bound"));
}

#[tokio::test]
async fn what_the_operator_lists_is_told_in_that_order() {
    let told: Vec<IpAddr> = vec!["203.0.113.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];

    let sfu = Sfu::start(SfuConfig { advertise: Advertise::Addresses(told.clone()), ..small() }).unwrap();

    let endpoint = sfu.endpoints().next().unwrap();
    let udp = endpoint.candidates.iter().filter(|candidate| candidate.protocol == Protocol::Udp);
    assert_eq!(udp.map(|candidate| candidate.addr.ip()).collect::<Vec<_>>(), told);
    sfu.stop().await;
}

#[tokio::test]
async fn a_check_is_answered_over_udp_and_over_tcp() {
    let world = World::start().await;

    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let over_udp = world.check_udp(&udp).await;
    let mut tcp = TcpStream::connect(world.at(Protocol::Tcp)).await.unwrap();
    let check = world.check();
    tcp.write_u16(check.len().try_into().unwrap()).await.unwrap();
    tcp.write_all(&check).await.unwrap();
    let mut over_tcp = vec![0; tcp.read_u16().await.unwrap().into()];
    tcp.read_exact(&mut over_tcp).await.unwrap();

    for (answer, seen) in [(over_udp, udp.local_addr().unwrap()), (over_tcp, tcp.local_addr().unwrap())] {
        let answer = stun::Message::parse(&answer).unwrap();
        assert_eq!(answer.class(), stun::Class::Success);
        assert_eq!(answer.xor_mapped_address(), Some(seen));
    }
    world.sfu.stop().await;
}

#[tokio::test]
async fn garbage_of_any_length_is_counted_and_harms_nobody() {
    let world = World::start().await;
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = world.at(Protocol::Udp);

    // One first byte of each kind (RFC 7983), from a stranger and then from a client that was vouched for.
    let mut sent = 0;
    for _ in 0..2 {
        for first in [0x00, 0x01, 0x14, 0x16, 0x40, 0x80, 0xc8, 0xff] {
            for len in 0..=64 {
                let mut bytes = vec![0xa5; len];
                bytes.first_mut().into_iter().for_each(|byte| *byte = first);
                udp.send_to(&bytes, at).await.unwrap();
                sent += 1;
            }
        }
        world.check_udp(&udp).await;
        sent += 1;
    }
    let sfu = world.sfu.clone();
    world.sfu.stop().await;

    let totals = sfu.counters();
    let of = |count: fn(&WorkerStats) -> u64| totals.iter().map(count).sum::<u64>();
    assert_eq!(of(|worker| worker.io.datagrams_in), sent);
    assert_eq!(of(|worker| worker.media.datagrams_in), sent);
    assert!(of(|worker| worker.media.dropped.total()) >= sent / 2);
    assert_eq!(of(|worker| worker.io.panics + worker.media.rooms_lost), 0);
}

#[tokio::test]
async fn a_panic_costs_the_rooms_of_its_worker_and_the_worker_goes_on() {
    let mut world = World::start().await;
    let mailbox = world.sfu.0.workers[0].mailbox.clone();

    mailbox.request(Request::Panic).unwrap();

    let last = world.room.events.recv().await.unwrap();
    assert!(matches!(last.kind, EventKind::RoomLost));
    assert!(world.room.events.recv().await.is_none());
    let mut room = world.sfu.open_room(RoomId(2)).unwrap();
    room.commands.send(Command::CloseRoom(RoomId(2))).unwrap();
    assert!(room.events.recv().await.is_none());
    let sfu = world.sfu.clone();
    world.sfu.stop().await;
    assert_eq!(sfu.counters()[0].io.panics, 1);
}

/// A worker with a room and a transport that waits for its client.
struct World {
    sfu: Sfu,
    room: Room,
    local: IceCredentials,
}

impl World {
    async fn start() -> Self {
        let sfu = Sfu::start(SfuConfig { workers: 1, ..small() }).unwrap();
        let room = sfu.open_room(RoomId(1)).unwrap();
        let [first, second] = ufrag_prefix(room.endpoint.worker).map(char::from);
        let credentials =
            |ufrag: String| IceCredentials { ufrag, pwd: Secret("0123456789012345678901".into()) };
        let local = credentials(format!("{first}{second}abcdef"));
        let remote =
            RemoteParameters { ice: credentials("theirs".into()), fingerprint: Fingerprint([0; 32]) };
        let transport = TransportId(1);
        let open = Command::OpenTransport {
            room: RoomId(1),
            participant: ParticipantId(1),
            transport,
            local: local.clone(),
            channels: ChannelSetup::ByClient,
            consent: Consent::default(),
        };
        room.commands.send(open).unwrap();
        room.commands.send(Command::SetRemote(transport, remote)).unwrap();
        Self { sfu, room, local }
    }

    fn at(&self, protocol: Protocol) -> SocketAddr {
        let candidates = &self.room.endpoint.candidates;
        candidates.iter().find(|candidate| candidate.protocol == protocol).unwrap().addr
    }

    fn check(&self) -> Vec<u8> {
        let mut buffer = [0; 256];
        let id = stun::TransactionId([7; 12]);
        let len = stun::Builder::new(stun::Class::Request, stun::Method::BINDING, id, &mut buffer)
            .username(format!("{}:theirs", self.local.ufrag).as_bytes())
            .priority(1)
            .ice_controlling(1)
            .use_candidate()
            .integrity(&stun::IntegrityKey::short_term(&self.local.pwd.0))
            .fingerprint()
            .finish()
            .unwrap();
        buffer[..len].to_vec()
    }

    /// Sends a check and waits for its answer.
    async fn check_udp(&self, udp: &UdpSocket) -> Vec<u8> {
        udp.send_to(&self.check(), self.at(Protocol::Udp)).await.unwrap();
        let mut buffer = vec![0; 1_500];
        loop {
            let len = udp.recv(&mut buffer).await.unwrap();
            let answers = stun::Message::parse(&buffer[..len])
                .is_ok_and(|message| message.class() == stun::Class::Success);
            if answers {
                buffer.truncate(len);
                return buffer;
            }
        }
    }
}
