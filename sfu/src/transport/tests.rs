//! What a transport promises, seen from a client on the other side of a network.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    testing::{Client, ClientConfig, ClientEvent, DtlsVersion, Impairment, Network, Rng},
    *,
};
use crate::params::{Fingerprint, Secret};

/// Longer than anything takes on a network that works.
const SOON: Duration = Duration::from_secs(3);
const OURS: [Channel; 3] = [Channel::Reliable, Channel::Lossy, Channel::DataTrack];

#[test]
fn a_client_connects_within_three_round_trips() {
    let mut network = network(ChannelSetup::ByClient, |_| {});

    assert!(network.run_until(SOON, Network::is_connected), "{network:?}");

    // One for ICE, two for DTLS 1.2.
    assert!(network.now - network.begin <= Duration::from_millis(70), "{:?}", network.now - network.begin);
    assert_eq!(network.transport.remote(), Some(network.client.address()));
    assert!(network.transport.srtp().is_some());
}

#[test]
fn the_client_gets_gcm_and_meets_our_certificate() {
    for dtls in [DtlsVersion::V1_2, DtlsVersion::V1_3, DtlsVersion::Both] {
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
    for dtls in [DtlsVersion::V1_2, DtlsVersion::Both] {
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
            config.dtls = if seed % 2 == 0 { DtlsVersion::V1_2 } else { DtlsVersion::Both };
            config.dtls_mtu = 300;
        });

        let up = network.run_until(Duration::from_secs(25), |network| {
            OURS.iter().all(|channel| network.is_open(channel))
        });

        assert!(up, "seed {seed}: {:?} {:?}", network.events, network.client_events);
    }
}

#[test]
fn channels_opened_by_the_client_carry_messages_both_ways() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    assert!(network.run_until(SOON, |network| OURS.iter().all(|channel| network.is_open(channel))));

    exchange_on_all(&mut network);
}

#[test]
fn channels_opened_by_us_carry_messages_both_ways() {
    let mut network = network(ChannelSetup::ByServer, |config| config.channels.clear());
    assert!(network.run_until(SOON, |network| OURS.iter().all(|channel| network.is_open(channel))));

    exchange_on_all(&mut network);
}

#[test]
fn negotiated_channels_carry_messages_both_ways() {
    let mut network = network(ChannelSetup::Negotiated, |config| {
        config.channels = OURS.to_vec();
        config.negotiated = true;
    });
    assert!(network.run_until(SOON, |network| OURS.iter().all(|channel| network.is_open(channel))));

    exchange_on_all(&mut network);
}

#[test]
fn a_client_may_open_channels_of_its_own() {
    let chat = Channel::Named("chat".to_owned());
    let mut network = network(ChannelSetup::ByServer, |config| config.channels = vec![chat.clone()]);
    assert!(network.run_until(SOON, |network| network.is_open(&chat) && network.is_open(&Channel::Lossy)));

    let now = network.now;
    assert!(network.client.send_text(&chat, "hello", now));

    let told = TransportEvent::Message(chat, Bytes::from_static(b"hello"));
    assert!(network.run_until(SOON, |network| network.told(&told)));
}

#[test]
fn messages_wait_for_their_channel() {
    for setup in [ChannelSetup::ByClient, ChannelSetup::ByServer] {
        let mut network = network(setup, |_| {});
        let now = network.now;
        for number in 0..10_u8 {
            assert_eq!(network.transport.send(Channel::Reliable, Bytes::from(vec![number]), now), Ok(()));
        }

        let last = ClientEvent::Message(Channel::Reliable, Bytes::from_static(&[9]));
        assert!(network.run_until(SOON, |network| network.client_events.contains(&last)), "{setup:?}");

        let messages: Vec<_> = network
            .client_events
            .iter()
            .filter_map(|event| match event {
                ClientEvent::Message(Channel::Reliable, message) => Some(message[0]),
                _ => None,
            })
            .collect();
        assert_eq!(messages, (0..10).collect::<Vec<_>>());
    }
}

#[test]
fn what_waits_for_a_channel_is_limited() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    let now = network.now;
    let message = Bytes::from(vec![0; 1_000]);

    let kept = (0..200)
        .take_while(|_| network.transport.send(Channel::Reliable, message.clone(), now).is_ok())
        .count();

    assert_eq!(kept, 100);
    assert_eq!(network.transport.send(Channel::Lossy, message, now), Err(SendError::Full));
    let unknown = Channel::Named("chat".to_owned());
    assert_eq!(network.transport.send(unknown, Bytes::new(), now), Err(SendError::Closed));
}

#[test]
fn a_message_has_at_most_64000_bytes() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    assert!(network.run_until(SOON, |network| network.is_open(&Channel::Reliable)));
    let now = network.now;
    let longest = Bytes::from(vec![7; 64_000]);

    let too_long = network.transport.send(Channel::Reliable, Bytes::from(vec![0; 64_001]), now);
    assert_eq!(too_long, Err(SendError::TooLong(64_001)));
    assert_eq!(network.transport.send(Channel::Reliable, longest.clone(), now), Ok(()));
    assert!(network.client.send(&Channel::Reliable, &longest, now));

    let received = ClientEvent::Message(Channel::Reliable, longest.clone());
    let told = TransportEvent::Message(Channel::Reliable, longest);
    assert!(
        network
            .run_until(SOON, |network| { network.client_events.contains(&received) && network.told(&told) })
    );
}

#[test]
fn a_client_that_sends_a_longer_message_loses_its_channels_and_nothing_else() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    assert!(network.run_until(SOON, |network| network.is_open(&Channel::Reliable)));
    let now = network.now;

    assert!(network.client.send(&Channel::Reliable, &Bytes::from(vec![7; 64_001]), now));
    network.run_for(SOON);

    assert!(!network.events.iter().any(|event| matches!(event, TransportEvent::Message(..))));
    assert!(!network.has_failed());
    assert!(network.transport.remote().is_some());
}

#[test]
fn an_empty_message_arrives_empty() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    assert!(network.run_until(SOON, |network| network.is_open(&Channel::Reliable)));
    let now = network.now;

    assert!(network.client.send(&Channel::Reliable, &Bytes::new(), now));
    assert_eq!(network.transport.send(Channel::Reliable, Bytes::new(), now), Ok(()));

    let told = TransportEvent::Message(Channel::Reliable, Bytes::new());
    let received = ClientEvent::Message(Channel::Reliable, Bytes::new());
    assert!(
        network
            .run_until(SOON, |network| { network.told(&told) && network.client_events.contains(&received) })
    );
}

#[test]
fn a_stuck_client_fills_its_channel() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    assert!(network.run_until(SOON, |network| network.is_open(&Channel::Lossy)));
    let now = network.now;
    network.impairment.loss = 100;
    let message = Bytes::from(vec![0; 10_000]);

    let fill = |network: &mut Network, channel: &Channel| {
        (0..1_000)
            .take_while(|_| network.transport.send(channel.clone(), message.clone(), now).is_ok())
            .count()
    };

    assert_eq!(fill(&mut network, &Channel::Lossy), 13);
    assert_eq!(fill(&mut network, &Channel::Reliable), 104);
    assert_eq!(network.transport.send(Channel::Lossy, message, now), Err(SendError::Full));
}

#[test]
fn a_client_that_opens_too_many_streams_loses_its_channels_and_nothing_else() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    assert!(network.run_until(SOON, |network| network.is_open(&Channel::Lossy)));
    let open = Bytes::from_static(b"\x03\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00x");

    for id in 10..3_000 {
        let now = network.now;
        network.client.send_raw(id, &open, sctp_proto::PayloadProtocolIdentifier::Dcep, now);
        if id % 50 == 0 {
            network.run_for(Duration::from_millis(100));
        }
    }
    network.run_for(SOON);

    let opened =
        network.events.iter().filter(|event| matches!(event, TransportEvent::ChannelOpen(_))).count();
    assert!((1_000..=1_024).contains(&opened), "{opened}");
    assert!(!network.has_failed());
    let now = network.now;
    let sent = network.transport.send(Channel::Named("x".to_owned()), Bytes::new(), now);
    assert_eq!(sent, Err(SendError::Closed));
}

#[test]
fn messages_on_a_stream_without_a_label_are_dropped() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    assert!(network.run_until(SOON, |network| network.is_open(&Channel::Lossy)));
    let now = network.now;

    let bytes = Bytes::from_static(b"who am I");
    network.client.send_raw(77, &bytes, sctp_proto::PayloadProtocolIdentifier::Binary, now);
    network.client.send_raw(78, &bytes, sctp_proto::PayloadProtocolIdentifier::Dcep, now);
    network.run_for(SOON);

    assert!(!network.events.iter().any(|event| matches!(event, TransportEvent::Message(..))));
    assert!(network.client.send_text(&Channel::Reliable, "still here", network.now));
    let told = TransportEvent::Message(Channel::Reliable, Bytes::from_static(b"still here"));
    assert!(network.run_until(SOON, |network| network.told(&told)));
}

#[test]
fn a_channel_that_the_client_closed_is_closed() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    assert!(network.run_until(SOON, |network| OURS.iter().all(|channel| network.is_open(channel))));
    let now = network.now;
    let chat = Channel::Named("chat".to_owned());
    assert_eq!(network.transport.send(chat, Bytes::new(), now), Err(SendError::Closed));

    network.client.close_channel(&Channel::DataTrack, now);
    network.run_for(Duration::from_secs(1));

    let now = network.now;
    assert_eq!(network.transport.send(Channel::Reliable, Bytes::from_static(b"a"), now), Ok(()));
    let kept = network.transport.send(Channel::DataTrack, Bytes::from_static(b"b"), now);
    assert_eq!(kept, Ok(()), "it waits for the client to open it anew");
    network.run_for(Duration::from_secs(1));
    let received = |channel| {
        network
            .client_events
            .iter()
            .any(|event| matches!(event, ClientEvent::Message(known, _) if *known == channel))
    };
    assert!(received(Channel::Reliable));
    assert!(!received(Channel::DataTrack));
}

#[test]
fn reliable_messages_survive_a_bad_network_in_order() {
    for seed in 0..4 {
        let mut network = network_with(ChannelSetup::ByClient, Impairment::NONE, seed, |_| {});
        assert!(network.run_until(SOON, |network| OURS.iter().all(|channel| network.is_open(channel))));
        network.impairment = Impairment { loss: 15, jitter: Duration::from_millis(20), ..Impairment::NONE };

        for number in 0..100_u8 {
            let now = network.now;
            let message = Bytes::from(vec![number; 1 + usize::from(number) * 30]);
            assert_eq!(network.transport.send(Channel::Reliable, message.clone(), now), Ok(()));
            assert!(network.client.send(&Channel::Reliable, &message, now));
            network.run_for(Duration::from_millis(20));
        }
        let done =
            |network: &Network| network.messages_up().len() == 100 && network.messages_down().len() == 100;

        assert!(network.run_until(Duration::from_secs(60), done), "seed {seed}");
        let firsts = |messages: Vec<&Bytes>| messages.iter().map(|message| message[0]).collect::<Vec<_>>();
        assert_eq!(firsts(network.messages_up()), (0..100).collect::<Vec<_>>());
        assert_eq!(firsts(network.messages_down()), (0..100).collect::<Vec<_>>());
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
                let mut datagram: Vec<u8> = (0..len).map(|_| rng.next().to_le_bytes()[0]).collect();
                if let Some(byte) = datagram.first_mut() {
                    *byte = first;
                }
                network.inject(&datagram, address);
            }
        }

        assert_eq!(network.has_failed(), false);
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
fn silence_is_told_after_ten_seconds_and_ends_sending_after_fifteen() {
    let mut network = connected();
    network.client.pause_checks(None);
    let heard = network.now;

    assert!(
        network.run_until(Duration::from_secs(20), |network| network.told(&TransportEvent::Disconnected))
    );
    let disconnected = network.now - heard;
    assert!(network.transport.remote().is_some());
    let lost = TransportEvent::Failed(Failure::Silence);
    assert!(network.run_until(Duration::from_secs(20), |network| network.told(&lost)));
    let failed = network.now - heard;

    assert!((9_500..=10_500).contains(&disconnected.as_millis()), "{disconnected:?}");
    assert!((14_500..=15_500).contains(&failed.as_millis()), "{failed:?}");
    assert_eq!(network.transport.remote(), None);
    assert_eq!(network.transport.deadline(), None);
    let sent = network.sent.clone();
    let now = network.now;
    let _ = network.transport.send(Channel::Reliable, Bytes::from_static(b"anybody?"), now);
    network.run_for(Duration::from_secs(5));
    assert_eq!(network.sent, sent, "nothing is sent without consent");
}

#[test]
fn a_silent_client_comes_back_without_another_handshake() {
    for silence in [12, 20, 60] {
        let mut network = connected();
        network.client.pause_checks(None);
        network.run_for(Duration::from_secs(silence));
        let connected = network.connections();

        let now = network.now;
        network.client.pause_checks(Some(now));

        assert!(network.run_until(SOON, |network| network.connections() > connected), "{silence} s");
        assert_eq!(network.transport.remote(), Some(network.client.address()));
        let now = network.now;
        assert!(network.client.send_text(&Channel::Reliable, "back", now));
        let told = TransportEvent::Message(Channel::Reliable, Bytes::from_static(b"back"));
        assert!(network.run_until(Duration::from_secs(10), |network| network.told(&told)));
    }
}

#[test]
fn a_client_behind_a_nat_that_rebinds_is_followed() {
    let mut network = connected();
    let old = network.client.address();
    for address in ["198.51.100.7:50001", "192.0.2.200:1024"] {
        network.client.rebind(address.parse().unwrap());
        let moved = network.now;

        assert!(network.run_until(SOON, |network| network.transport.remote() == Some(remote(address))));

        assert!(network.now - moved <= Duration::from_secs(1));
        let now = network.now;
        let sent = network.sent.get(&old).copied();
        assert_eq!(network.transport.send(Channel::Reliable, Bytes::from_static(b"here"), now), Ok(()));
        network.run_for(Duration::from_secs(1));
        assert_eq!(network.sent.get(&old).copied(), sent, "the old address gets nothing");
    }
    assert_eq!(network.connections(), 1);
}

#[test]
fn an_ice_restart_moves_the_client_without_another_handshake() {
    let mut network = connected();
    for turn in 0..50 {
        let local = credentials(&format!("00restart{turn}"));
        let now = network.now;
        network.client.restart_ice(&local, now);
        let parameters = network.client.parameters();
        network.transport.set_remote(parameters, now);
        network.transport.restart_ice(local, now);
        let port = 50_001 + turn;
        network.client.rebind(SocketAddr::from(([198, 51, 100, 7], port)));
        let answered = network.client_events.len();

        assert!(network.run_until(SOON, |network| {
            network.transport.remote() == Some(network.client.address())
                && network.client_events.len() > answered
        }));
    }
    assert_eq!(network.connections(), 1);
    assert!(!network.has_failed());
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

fn exchange_on_all(network: &mut Network) {
    let now = network.now;
    for channel in OURS {
        assert!(network.client.send_text(&channel, "up", now), "{channel:?}");
        assert_eq!(network.transport.send(channel, Bytes::from_static(b"down"), now), Ok(()));
    }

    let all = |network: &Network| {
        OURS.iter().all(|channel| {
            let up = TransportEvent::Message(channel.clone(), Bytes::from_static(b"up"));
            let down = ClientEvent::Message(channel.clone(), Bytes::from_static(b"down"));
            network.told(&up) && network.client_events.contains(&down)
        })
    };
    assert!(network.run_until(SOON, all), "{:?} {:?}", network.events, network.client_events);
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
    let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
    let config = std::sync::Arc::new(dimpl::Config::default());
    let mut dtls = dimpl::Dtls::new_12(config, certificate, now);
    dtls.set_active(true);
    dtls.handle_timeout(now).unwrap();
    let mut buffer = [0; 2000];
    loop {
        if let dimpl::Output::Packet(bytes) = dtls.poll_output(&mut buffer) {
            return bytes.to_vec();
        }
    }
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
