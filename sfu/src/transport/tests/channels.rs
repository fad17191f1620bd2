//! Data channels over a whole transport.

use super::{
    super::testing::{Ids, Kind},
    *,
};

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
        config.ids = Ids::Negotiated;
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
    assert!(network.client.send_as(&chat, &Bytes::from_static(b"hello"), Kind::Text, now));

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

        let messages: Vec<_> = network.messages_down().iter().map(|message| message[0]).collect();
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
        network.client.send_raw(id, &open, Kind::Control, now);
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
    network.client.send_raw(77, &bytes, Kind::Binary, now);
    network.client.send_raw(78, &bytes, Kind::Control, now);
    network.run_for(SOON);

    assert!(!network.events.iter().any(|event| matches!(event, TransportEvent::Message(..))));
    assert!(network.client.send_as(
        &Channel::Reliable,
        &Bytes::from_static(b"still here"),
        Kind::Text,
        network.now
    ));
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

fn exchange_on_all(network: &mut Network) {
    let now = network.now;
    for channel in OURS {
        assert!(network.client.send_as(&channel, &Bytes::from_static(b"up"), Kind::Text, now), "{channel:?}");
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

#[test]
fn more_than_the_window_arrives_once_the_network_lets_it() {
    let mut network = network(ChannelSetup::ByClient, |_| {});
    assert!(network.run_until(SOON, |network| network.is_open(&Channel::Reliable)));
    network.impairment = Impairment { loss: 10, ..Impairment::NONE };
    let now = network.now;

    for number in 0..12_u8 {
        assert!(network.client.send(&Channel::Reliable, &Bytes::from(vec![number; 60_000]), now));
    }

    let done = network.run_until(Duration::from_secs(120), |network| network.messages_up().len() == 12);
    assert!(done, "{}", network.messages_up().len());
}
