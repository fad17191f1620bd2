//! The relay over real sockets of this machine.

use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    time::{Instant, SystemTime},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use super::*;
use crate::{
    channel::{ChannelData, ChannelNumber, ChannelRange},
    client::{Client, ClientError, Granted},
    credentials::mint,
    frame::Frame,
    policy::Prefix,
    registry::{Equal, Limits},
    tuple::{Family, Transport},
};

const SECRET: &str = "a secret of at least thirty-two bytes";

#[test]
fn a_client_over_udp_relays_both_ways() {
    for ip in ["127.0.0.1", "::1"] {
        let ip: IpAddr = ip.parse().unwrap();
        let relay = Relay::start(config(2), everybody()).unwrap();
        let mut dialogue = Dialogue::udp(ip, relay.addresses().udp[0].port());
        dialogue.relays_both_ways(ip);
        relay.stop();
    }
}

#[test]
fn a_client_over_tcp_and_tls_relays_both_ways() {
    let relay = Relay::start(config(2), everybody()).unwrap();
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let plain = TcpStream::connect((ip, relay.addresses().tcp[0].port())).unwrap();
    Dialogue::stream(plain).relays_both_ways(ip);
    let secure = TcpStream::connect((ip, relay.addresses().tls[0].port())).unwrap();
    Dialogue::stream(tls(secure)).relays_both_ways(ip);
}

#[test]
fn a_burst_arrives_whole_and_in_order() {
    let relay = Relay::start(config(1), everybody()).unwrap();
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut dialogue = Dialogue::udp(ip, relay.addresses().udp[0].port());
    let peer = UdpSocket::bind((ip, 0)).unwrap();
    let relayed = dialogue.allocated(Family::V4);
    let channel = dialogue.bound(peer.local_addr().unwrap());
    for round in 0..20_u8 {
        for at in 0..10_u8 {
            let payload = [&[round, at][..], &vec![7; 1_198 - usize::from(at == 9) * 500]].concat();
            dialogue.say(&[&ChannelData::header(channel, &payload).unwrap()[..], &payload].concat());
        }
        for at in 0..10_u8 {
            let mut buffer = [0; 2_048];
            let (len, from) = peer.recv_from(&mut buffer).unwrap();
            assert_eq!((from, &buffer[..2]), (relayed, &[round, at][..]));
            assert_eq!(len, 1_200 - usize::from(at == 9) * 500);
            peer.send_to(&buffer[..len], relayed).unwrap();
        }
        for at in 0..10_u8 {
            let data = dialogue.heard();
            assert_eq!(ChannelData::parse(&data).unwrap().payload[..2], [round, at]);
        }
    }
    let totals = settle(&relay, |stats| stats.relay.to_clients.packets == 200);
    assert_eq!((totals.relay.to_peers.packets, totals.relay.to_clients.bytes), (200, 20 * (9 * 1_200 + 700)));
}

#[test]
fn a_stream_that_says_something_else_is_closed() {
    let relay = Relay::start(config(1), everybody()).unwrap();
    for address in [relay.addresses().tcp[0], relay.addresses().tls[0]] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).unwrap();
        stream.write_all(b"\xff\xff\xff\xff\xff\xff\xff\xff").unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    settle(&relay, |stats| stats.streams.open == 0 && stats.streams.accepted == 2);
}

#[test]
fn the_end_of_a_stream_frees_its_relay() {
    let relay = Relay::start(config(1), everybody()).unwrap();
    let free = relay.free_ports();
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.addresses().tcp[0].port())).unwrap();
    let mut dialogue = Dialogue::stream(stream);
    dialogue.allocated(Family::V4);
    assert_eq!(relay.free_ports(), free - 1);

    drop(dialogue);

    settle(&relay, |stats| stats.relay.allocations == [0; 3] && stats.relay.allocations_made == 1);
    assert_eq!(relay.free_ports(), free);
}

#[test]
fn a_port_of_another_program_is_passed_over() {
    let taken: Vec<_> =
        (0..8).filter_map(|at| UdpSocket::bind((Ipv4Addr::LOCALHOST, 45_000 + at)).ok()).collect();
    let relay = Relay::start(RelayConfig { ports: (45_000, 45_008), ..config(1) }, everybody()).unwrap();
    let mut dialogue = Dialogue::udp(IpAddr::V4(Ipv4Addr::LOCALHOST), relay.addresses().udp[0].port());

    let relayed = dialogue.allocated(Family::V4);

    assert!(taken.iter().all(|socket| socket.local_addr().unwrap() != relayed));
}

#[test]
fn a_revoked_user_is_gone_and_a_draining_relay_takes_nobody() {
    let relay = Relay::start(config(2), everybody()).unwrap();
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let port = relay.addresses().udp[0].port();
    let mut dialogue = Dialogue::udp(ip, port);
    dialogue.allocated(Family::V4);

    relay.revoke(b"ann");
    settle(&relay, |stats| stats.relay.allocations == [0; 3] && stats.relay.allocations_made == 1);
    relay.drain(Alternate::default());

    // The order reaches each worker on its own.
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let mut late = Dialogue::udp(ip, port);
        match late.try_allocate(Family::V4) {
            Err(ClientError::Refused(508)) => break,
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
    }
}

#[test]
fn a_probe_goes_through_and_back() {
    let relay = Relay::start(config(2), everybody()).unwrap();
    let minted = mint(&Secret::new(SECRET), "ann", Duration::from_secs(60), SystemTime::now());
    let Addresses { udp, tcp, tls } = relay.addresses();
    for (transport, addr) in [(Transport::Udp, udp[0]), (Transport::Tcp, tcp[0]), (Transport::Tls, tls[0])] {
        for (ip, family) in [("127.0.0.1", Family::V4), ("::1", Family::V6)] {
            let server = SocketAddr::new(ip.parse().unwrap(), addr.port());
            let probed = probe(server, transport, family, &minted).unwrap();
            assert_eq!((probed.mapped.ip(), probed.relayed.ip()), (server.ip(), server.ip()));
        }
    }
    let wrong = mint(&Secret::new("another"), "ann", Duration::from_secs(60), SystemTime::now());
    let server = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), udp[0].port());
    let refused = probe(server, Transport::Udp, Family::V4, &wrong);
    assert!(matches!(refused, Err(ProbeError::Client(ClientError::Refused(401)))), "{refused:?}");
}

#[test]
fn a_port_is_not_shared_with_another_server() {
    let relay = Relay::start(config(2), everybody()).unwrap();
    let second = RelayConfig { udp: vec![relay.addresses().udp[0]], ..config(1) };

    let refused = Relay::start(second, everybody());

    assert!(matches!(refused, Err(StartError::Bind { protocol: "UDP", .. })));
}

#[test]
fn a_certificate_that_cannot_be_used_is_said_at_the_start() {
    let missing = Certificate::Files { chain: "/nowhere/chain.pem".into(), key: "/nowhere/key.pem".into() };
    assert!(matches!(missing.load(), Err(TlsError::Read(..))));
    assert!(Certificate::SelfSigned(vec!["turn.example".into()]).load().is_ok());
}

/// A client that waits for answers.
struct Dialogue {
    client: Client,
    line: Line,
}

enum Line {
    Datagrams(UdpSocket),
    Stream(Box<dyn Stream>, Vec<u8>),
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Dialogue {
    fn udp(ip: IpAddr, port: u16) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.connect((ip, port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { client: client(), line: Line::Datagrams(socket) }
    }

    fn stream(stream: impl Stream + 'static) -> Self {
        Self { client: client(), line: Line::Stream(Box::new(stream), Vec::new()) }
    }

    fn say(&mut self, message: &[u8]) {
        match &mut self.line {
            Line::Datagrams(socket) => {
                socket.send(message).unwrap();
            }
            Line::Stream(stream, _) => {
                let padding = message.len().next_multiple_of(4) - message.len();
                stream.write_all(&[message, &[0; 3][..padding]].concat()).unwrap();
            }
        }
    }

    fn heard(&mut self) -> Vec<u8> {
        match &mut self.line {
            Line::Datagrams(socket) => {
                let mut buffer = [0; 2_048];
                let len = socket.recv(&mut buffer).unwrap();
                buffer[..len].to_vec()
            }
            Line::Stream(stream, input) => loop {
                if let Frame::Message(message, taken) = Frame::next(input) {
                    let message = message.to_vec();
                    input.drain(..taken);
                    return message;
                }
                let mut buffer = [0; 2_048];
                let len = stream.read(&mut buffer).unwrap();
                assert!(len > 0, "closed");
                input.extend_from_slice(&buffer[..len]);
            },
        }
    }

    fn ask(&mut self, request: impl Fn(&mut Client) -> Vec<u8>) -> Result<Granted, ClientError> {
        loop {
            let message = request(&mut self.client);
            self.say(&message);
            let answer = self.heard();
            match self.client.hear(&answer) {
                Err(ClientError::Challenged) => {}
                outcome => return outcome,
            }
        }
    }

    fn try_allocate(&mut self, family: Family) -> Result<Granted, ClientError> {
        self.ask(|client| client.allocate(family))
    }

    fn allocated(&mut self, family: Family) -> SocketAddr {
        self.try_allocate(family).unwrap().relayed.unwrap()
    }

    fn bound(&mut self, peer: SocketAddr) -> ChannelNumber {
        let channel = ChannelNumber::new(0x4000, ChannelRange::Rfc8656).unwrap();
        self.ask(|client| client.bind(channel, peer)).unwrap();
        channel
    }

    fn relays_both_ways(&mut self, ip: IpAddr) {
        let mapped = self.ask(Client::binding).unwrap().mapped.unwrap();
        assert_eq!(mapped.ip(), ip);
        let peer = UdpSocket::bind((ip, 0)).unwrap();
        let relayed = self.allocated(if ip.is_ipv4() { Family::V4 } else { Family::V6 });
        assert_eq!(relayed.ip(), ip);
        let channel = self.bound(peer.local_addr().unwrap());
        for payload in [&b""[..], b"x", b"hello", &[7; 1_400]] {
            self.say(&[&ChannelData::header(channel, payload).unwrap()[..], payload].concat());
            let mut buffer = [0; 2_048];
            let (len, from) = peer.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..len], from), (payload, relayed));
            peer.send_to(payload, relayed).unwrap();
            assert_eq!(ChannelData::parse(&self.heard()).unwrap().payload, payload);
        }
        assert_eq!(self.ask(Client::end), Ok(Granted::default()));
        assert_eq!(self.ask(Client::end), Err(ClientError::Refused(437)));
    }
}

fn client() -> Client {
    let minted = mint(&Secret::new(SECRET), "ann", Duration::from_secs(60), SystemTime::now());
    Client::new(&minted, 1)
}

/// Waits until the totals of all workers say so.
fn settle(relay: &Relay, is_so: impl Fn(&WorkerStats) -> bool) -> WorkerStats {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut total = WorkerStats::default();
        for stats in relay.stats() {
            total.relay.add(&stats.relay);
            total.streams.open += stats.streams.open;
            total.streams.accepted += stats.streams.accepted;
        }
        if is_so(&total) {
            return total;
        }
        assert!(Instant::now() < deadline, "{total:?}");
        std::thread::yield_now();
    }
}

fn everybody() -> Box<dyn Accounts> {
    Box::new(Equal { each: Limits { allocations: 12, bytes_per_second: 0 } })
}

fn config(workers: u16) -> RelayConfig {
    let any: SocketAddr = "[::]:0".parse().unwrap();
    let relays = ["127.0.0.1", "::1"].map(|ip| ip.parse().unwrap());
    let loopback = ["127.0.0.0/8", "::1/128"].map(|text| text.parse::<Prefix>().unwrap());
    RelayConfig {
        udp: vec![any],
        tcp: vec![any],
        tls: vec![any],
        certificate: Certificate::Files { chain: fixture("chain.pem"), key: fixture("key.pem") },
        workers,
        relays: relays.map(|ip| RelayAddress { bind: ip, told: ip }).to_vec(),
        ports: (40_000, 44_999),
        allocations_max: 1_000,
        realm: "sabha".into(),
        secrets: vec![Secret::new(SECRET)],
        users: BTreeMap::new(),
        offer: OfferSha256::Streams,
        nonce_lifetime: Duration::from_secs(3_600),
        policy: PeerPolicy { allow: loopback.to_vec(), ..PeerPolicy::default() },
        server: ServerConfig::default(),
        socket_buffer: 1 << 20,
    }
}

/// A certificate made once for all tests of this process, as files.
fn fixture(name: &str) -> std::path::PathBuf {
    use std::sync::OnceLock;
    static FOLDER: OnceLock<std::path::PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("sabha-turn-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(["turn.example".into()]).unwrap();
        std::fs::write(folder.join("chain.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        folder
    });
    folder.join(name)
}

fn tls(stream: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture("chain.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"stun.turn".to_vec()];
    let name = ServerName::try_from("turn.example").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}
