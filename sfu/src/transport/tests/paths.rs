//! Silence, rebinding and restarts: where the client is, and whether.

use std::net::SocketAddr;

use super::*;

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
        assert!(network.client.send(&Channel::Reliable, &Bytes::from_static(b"back"), now));
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
