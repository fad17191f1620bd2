//! What a client may send once it is known where it is: datagrams, each behind two bytes of length, to a transport that
//! has answered its check. The first look, the DTLS library and the clock are behind it.

use std::{
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

use sfu::{
    dtls::Certificate,
    params::{
        ChannelSetup, Consent, Fingerprint, IceCredentials, Protocol, Remote, RemoteParameters, Secret,
    },
    transport::{Output, StunVerdict, Transport},
};
use turn::stun::{Builder, Class, IntegrityKey, Message, Method, TransactionId};

use super::datagrams;

const PASSWORD: &str = "a password of two and twenty";
/// A flight may be long; nobody gets more than this for one datagram.
const ANSWERS_MAX: usize = 16;

pub fn run(data: &[u8]) {
    static CERTIFICATE: OnceLock<(Certificate, Instant)> = OnceLock::new();
    let (certificate, begin) =
        CERTIFICATE.get_or_init(|| (Certificate::for_simulation().expect("a certificate"), Instant::now()));
    let mut now = *begin;
    let credentials =
        |ufrag: &str| IceCredentials { ufrag: ufrag.to_owned(), pwd: Secret(PASSWORD.to_owned()) };
    let mut transport =
        Transport::new(credentials("ours"), ChannelSetup::ByServer, Consent::default(), certificate, 1, now);
    transport
        .set_remote(RemoteParameters { ice: credentials("theirs"), fingerprint: Fingerprint([7; 32]) }, now);
    let from = Remote { protocol: Protocol::Udp, addr: SocketAddr::from(([192, 0, 2, 1], 9)) };
    let mut buffer = [0; 128];
    let len = check(&mut buffer);
    let message = Message::parse(buffer.get(..len).unwrap_or_default()).expect("a check");
    assert_eq!(transport.handle_stun(&message, from, now), StunVerdict::Accepted);

    for datagram in datagrams(data) {
        now += Duration::from_millis(100);
        match Message::parse(datagram) {
            Ok(message) => {
                transport.handle_stun(&message, from, now);
            }
            Err(_) => transport.handle_dtls(datagram, from, now),
        }
        transport.tick(now);
        let mut answers = 0;
        while let Some(output) = transport.poll() {
            answers += usize::from(matches!(output, Output::Datagram { .. }));
        }
        assert!(answers <= ANSWERS_MAX, "{answers} answers");
        assert!(transport.srtp().is_none(), "nobody has that fingerprint");
    }
}

fn check(buffer: &mut [u8]) -> usize {
    Builder::new(Class::Request, Method::BINDING, TransactionId([0; 12]), buffer)
        .username(b"ours:theirs")
        .integrity(&IntegrityKey::short_term(PASSWORD))
        .finish()
        .expect("it fits")
}
