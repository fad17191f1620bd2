//! What a transport promises, seen from a client on the other side of a network.

mod channels;
mod paths;

use std::time::{Duration, Instant};

use super::{
    testing::{Client, ClientConfig, ClientEvent, ClientVersion, Impairment, Network, Rng},
    *,
};
use crate::{
    dtls::{self, Dtls, DtlsOutput},
    params::{Fingerprint, Secret},
};

/// Longer than anything takes on a network that works.
const SOON: Duration = Duration::from_secs(3);
const OURS: [Channel; 3] = [Channel::Reliable, Channel::Lossy, Channel::DataTrack];

#[test]
fn a_client_connects_within_three_round_trips() {
    let mut network = network(ChannelSetup::ByClient, |_| {});

    assert!(network.run_until(SOON, Network::is_connected));

    // One for ICE, two for DTLS 1.2.
    assert!(network.now - network.begin <= Duration::from_millis(70), "{:?}", network.now - network.begin);
    assert_eq!(network.transport.remote(), Some(network.client.address()));
    assert!(network.transport.srtp().is_some());
}

#[test]
fn the_client_gets_gcm_and_meets_our_certificate() {
    for dtls in [ClientVersion::V1_2, ClientVersion::V1_3, ClientVersion::Both] {
        let mut network = network(ChannelSetup::ByClient, |config| config.dtls = dtls);
        let fingerprint = network.fingerprint;

        assert!(network.run_until(SOON, |network| network.is_connected() && network.client.is_secured()));

        let secured = ClientEvent::Secured(SrtpProfile::AeadAes256Gcm, fingerprint);
        assert!(network.client_events.contains(&secured), "{dtls:?}: {:?}", network.client_events);
        let connected =
            TransportEvent::Connected { profile: SrtpProfile::AeadAes256Gcm, protocol: Protocol::Udp };
        assert_eq!(network.count(&connected), 1);
    }
}

#[test]
fn a_client_hello_in_pieces_is_understood() {
    for dtls in [ClientVersion::V1_2, ClientVersion::Both] {
        let mut network = network(ChannelSetup::ByClient, |config| {
            config.dtls = dtls;
            config.dtls_mtu = 120;
        });

        assert!(network.run_until(SOON, Network::is_connected), "{dtls:?}");
    }
}

#[test]
fn handshakes_survive_loss_repetition_and_disorder() {
    let impairment = Impairment {
        loss: 12,
        duplication: 10,
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(30),
    };
    for seed in 0..24 {
        let mut network = network_with(ChannelSetup::ByClient, impairment, seed, |config| {
            config.dtls = if seed % 2 == 0 { ClientVersion::V1_2 } else { ClientVersion::Both };
            config.dtls_mtu = 300;
        });

        let up = network.run_until(Duration::from_secs(25), |network| {
            OURS.iter().all(|channel| network.is_open(channel))
        });

        assert!(up, "seed {seed}: {:?} {:?}", network.events, network.client_events);
    }
}

#[test]
fn nothing_is_answered_to_a_stranger_whatever_it_sends() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    let stranger = remote("192.0.2.66:6666");
    let hello = client_hello();

    for _ in 0..100 {
        network.inject(&hello, stranger);
        network.inject(&[22; 64], stranger);
        network.inject(&[0; 20], stranger);
        network.run_for(Duration::from_millis(1));
    }
    assert!(network.run_until(SOON, Network::is_connected));
    for _ in 0..100 {
        network.inject(&hello, stranger);
        network.run_for(Duration::from_millis(1));
    }

    assert_eq!(network.sent.get(&stranger), None);
    assert!(!network.has_failed());
}

#[test]
fn no_datagram_of_any_length_panics_before_or_after_the_handshake() {
    for connected in [false, true] {
        let mut network = network(ChannelSetup::ByClient, |_| {});
        let check = network.client.check();
        let address = network.client.address();
        network.inject(&check, address);
        if connected {
            assert!(network.run_until(SOON, Network::is_connected));
        }
        let mut rng = Rng::new(7);

        for first in 0..=u8::MAX {
            for len in 0..=64 {
                let mut datagram: Vec<u8> = (0..len).map(|_| rng.draw().to_le_bytes()[0]).collect();
                if let Some(byte) = datagram.first_mut() {
                    *byte = first;
                }
                network.inject(&datagram, address);
            }
        }

        assert!(!network.has_failed());
        assert!(network.run_until(SOON, Network::is_connected), "the handshake goes on");
    }
}

#[test]
fn a_client_with_another_certificate_is_refused() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    let mut parameters = network.client.parameters();
    parameters.fingerprint = Fingerprint([0xab; 32]);
    let now = network.now;
    network.transport.set_remote(parameters, now);

    let failed = TransportEvent::Failed(Failure::Fingerprint);
    assert!(network.run_until(SOON, |network| network.told(&failed)));

    assert!(!network.is_connected());
    assert!(network.transport.srtp().is_none());
    assert_eq!(network.transport.remote(), None);
}

#[test]
fn a_description_that_comes_after_the_handshake_completes_it() {
    let mut network = network_without_description(ChannelSetup::ByServer);
    network.run_for(Duration::from_millis(500));
    assert!(network.client.is_secured());
    assert!(!network.is_connected());
    assert!(network.transport.srtp().is_none());

    let (parameters, now) = (network.client.parameters(), network.now);
    network.transport.set_remote(parameters, now);

    let all = |network: &Network| OURS.iter().all(|channel| network.is_open(channel));
    assert!(network.run_until(Duration::from_millis(200), all), "{:?}", network.events);
    assert!(network.is_connected());
}

#[test]
fn a_late_description_of_somebody_else_is_refused() {
    let mut network = network_without_description(ChannelSetup::ByServer);
    network.run_for(Duration::from_millis(500));

    let mut parameters = network.client.parameters();
    parameters.fingerprint = Fingerprint([0xab; 32]);
    let now = network.now;
    network.transport.set_remote(parameters, now);

    assert!(network.run_until(SOON, |network| network.told(&TransportEvent::Failed(Failure::Fingerprint))));
}

#[test]
fn a_role_conflict_is_answered_and_gives_no_way_in() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    network.client.pause_checks(None);
    let from = network.client.address();
    let check = network.client.check_with(|builder| builder.ice_controlled(1));

    assert_eq!(network.inject(&check, from), Some(StunVerdict::Refused));
    network.inject(&client_hello(), from);
    network.run_for(Duration::from_millis(100));

    assert!(network.client_events.contains(&ClientEvent::CheckRefused(487)));
    assert_eq!(network.sent.get(&from), Some(&1));
    assert_eq!(network.transport.remote(), None);
}

#[test]
fn a_client_that_says_good_bye_is_gone() {
    let mut network = connected();

    let now = network.now;
    network.client.close(now);

    assert!(network.run_until(SOON, |network| network.told(&TransportEvent::Failed(Failure::Closed))));
    assert_eq!(network.transport.remote(), None);
    let now = network.now;
    let sent = network.transport.send(Channel::Reliable, Bytes::new(), now);
    assert_eq!(sent, Err(SendError::Closed));
}

#[test]
fn a_client_that_checks_and_never_shakes_hands_fails() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    let address = network.client.address();

    for _ in 0..80 {
        let check = network.client.check();
        network.inject(&check, address);
        // Its DTLS never arrives.
        network.impairment.loss = 100;
        network.run_for(Duration::from_millis(480));
    }

    assert!(network.told(&TransportEvent::Failed(Failure::Handshake)));
}

#[test]
fn a_transport_that_nobody_uses_needs_no_time() {
    let network = network_without_description(ChannelSetup::ByServer);

    assert_eq!(network.transport.deadline(), None);
}

#[test]
fn media_passes_in_both_directions() {
    let mut network = connected();
    let rtcp = [0x80, 201, 0, 1, 0, 0, 0, 9];
    let (mut sealed, mut opened) = ([0; 64], [0; 64]);

    let len = network.transport.srtp().unwrap().outbound.seal_rtcp(&rtcp, &mut sealed).unwrap();
    let len = network.client.srtp().unwrap().inbound.open_rtcp(&sealed[..len], &mut opened).unwrap();
    assert_eq!(opened[..len], rtcp);

    let len = network.client.srtp().unwrap().outbound.seal_rtcp(&rtcp, &mut sealed).unwrap();
    let len = network.transport.srtp().unwrap().inbound.open_rtcp(&sealed[..len], &mut opened).unwrap();
    assert_eq!(opened[..len], rtcp);
}

fn connected() -> Network {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    assert!(network.run_until(SOON, |network| {
        network.is_connected() && OURS.iter().all(|channel| network.is_open(channel))
    }));
    network
}

fn network(setup: ChannelSetup, configure: impl FnOnce(&mut ClientConfig)) -> Network {
    network_with(setup, Impairment::NONE, 1, configure)
}

fn network_without_description(setup: ChannelSetup) -> Network {
    let local = credentials("00server");
    let client = Client::new(ClientConfig::new(&local), 1, origin());
    Network::connect(client, local, setup, Impairment::NONE, 1, origin())
}

fn network_with(
    setup: ChannelSetup,
    impairment: Impairment,
    seed: u64,
    configure: impl FnOnce(&mut ClientConfig),
) -> Network {
    let now = origin();
    let local = credentials("00server");
    let mut config = ClientConfig::new(&local);
    config.channels = OURS.to_vec();
    configure(&mut config);
    let client = Client::new(config, seed, now);
    let parameters = client.parameters();
    let mut network = Network::connect(client, local, setup, impairment, seed, now);
    network.transport.set_remote(parameters, now);
    network
}

/// The first flight of a client that nobody knows.
fn client_hello() -> Vec<u8> {
    let now = origin();
    let mut client = dtls::testing::Client::new(ClientVersion::V1_2, 1_200, 0, now);
    client.tick(now).unwrap();
    let Ok(Some(DtlsOutput::Datagram(hello))) = client.poll() else { panic!("no client hello") };
    hello
}

fn credentials(ufrag: &str) -> IceCredentials {
    IceCredentials { ufrag: ufrag.to_owned(), pwd: Secret(format!("the password of {ufrag}")) }
}

fn remote(addr: &str) -> Remote {
    Remote { protocol: Protocol::Udp, addr: addr.parse().unwrap() }
}

#[expect(clippy::disallowed_methods, reason = "where virtual time begins; it never advances by itself")]
fn origin() -> Instant {
    Instant::now()
}
