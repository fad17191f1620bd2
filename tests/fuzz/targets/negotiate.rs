//! Peer connections with a client that says anything: offers, answers, and what a room does between them.

use sfu::{
    ids::{SubscriptionId, TrackId},
    params::{Endpoint, Fingerprint, IceCredentials, MediaKind, PayloadFormat, Secret, Speech},
    units::PayloadType,
};
use signaling::{
    negotiate::{
        Change, Encryption, Expected, Format, Local, OpusWishes, PeerConnection, Policy, Role, Source, Stereo,
    },
    sdp::Description,
};

/// Steps divided by NUL. The first byte of each says what happens: `o` an offer, `a` an answer, `e` a track is announced,
/// `f` it is forgotten, `s` a subscription begins, `u` it ends; what follows is its text or its name.
pub fn run(data: &[u8]) {
    let mut single = connection(Role::Single);
    let mut subscriber = connection(Role::Subscriber);
    for step in data.split(|byte| *byte == 0).take(64) {
        let Some((what, rest)) = step.split_first() else { continue };
        let Ok(text) = std::str::from_utf8(rest) else { continue };
        let number = u64::try_from(rest.len() % 8).unwrap_or_default();
        match what {
            b'o' => offer(&mut single, text),
            b'a' => answer(&mut subscriber, text),
            b'e' => _ = single.expect(expected(number, text)),
            b'f' => single.forget(TrackId(number)),
            b's' => {
                single.subscribe(SubscriptionId(number), source(text));
                subscriber.subscribe(SubscriptionId(number), source(text));
            }
            b'u' => {
                single.unsubscribe(SubscriptionId(number));
                subscriber.unsubscribe(SubscriptionId(number));
            }
            _ => {}
        }
    }
}

fn offer(connection: &mut PeerConnection, text: &str) {
    let before = connection.clone();
    let Ok(answer) = connection.answer(text, ice("fresh")) else {
        assert_eq!(format!("{connection:?}"), format!("{before:?}"), "what is refused changes nothing");
        return;
    };
    let offer = Description::parse(text).expect("it was answered");
    let ours = Description::parse(&answer.sdp).expect("it is ours");
    assert_eq!(ours.sections.len(), offer.sections.len());
    for (ours, theirs) in ours.sections.iter().zip(&offer.sections) {
        assert_eq!((&ours.kind, ours.mid), (&theirs.kind, theirs.mid));
        let offered = |number| theirs.formats.iter().any(|format| format.payload_type == number);
        assert!(ours.formats.iter().all(|format| ours.is_rejected() || offered(format.payload_type)));
        assert!(!ours.direction.sends() || theirs.direction.receives() || ours.sctp.is_some());
        assert!(!ours.direction.receives() || theirs.direction.sends() || ours.sctp.is_some());
    }
    let again = connection.answer(text, ice("fresh")).expect("the same offer again");
    // A line that a subscription left is free only now.
    let news = |change: &&Change| !matches!(change, Change::Subscribed { .. });
    assert_eq!(again.changes.iter().find(news), None);
}

fn answer(connection: &mut PeerConnection, text: &str) {
    let offer = connection.offer().expect("it is ours to make");
    Description::parse(&offer).expect("it is ours");
    let before = connection.clone();
    if connection.accept_answer(text).is_err() {
        assert_eq!(format!("{connection:?}"), format!("{before:?}"), "what is refused changes nothing");
    }
}

fn connection(role: Role) -> PeerConnection {
    let endpoint = Endpoint { worker: 0, fingerprint: Fingerprint([7; 32]), candidates: Vec::new() };
    PeerConnection::new(role, Local { ice: ice("ours"), endpoint }, Policy::default(), 1)
}

fn ice(ufrag: &str) -> IceCredentials {
    IceCredentials { ufrag: ufrag.to_owned(), pwd: Secret("password-of-24-characters".to_owned()) }
}

fn kind(text: &str) -> MediaKind {
    if text.starts_with('a') { MediaKind::Audio } else { MediaKind::Video }
}

fn expected(track: u64, text: &str) -> Expected {
    Expected {
        track: TrackId(track),
        cids: vec![text.to_owned()],
        kind: kind(text),
        codec: None,
        opus: OpusWishes::default(),
        encryption: Encryption::None,
        speech: Speech::Ignored,
        layers: Vec::new(),
    }
}

fn source(text: &str) -> Source {
    let kind = kind(text);
    let (mime, clock_rate, channels) = match kind {
        MediaKind::Audio => ("audio/opus", 48_000, 2),
        MediaKind::Video => ("video/H264", 90_000, 1),
    };
    let codec = match kind {
        MediaKind::Audio => sfu::params::Codec::Opus,
        MediaKind::Video => sfu::params::Codec::H264,
    };
    let payload_type = PayloadType::new(96).expect("below 128");
    let feedback = sfu::params::Feedback::NONE;
    let payload = PayloadFormat { payload_type, codec, clock_rate, rtx: None, feedback };
    // Formats come out of descriptions that were read.
    let fmtp = text.replace(char::is_control, "");
    Source {
        sid: "TR_x".to_owned(),
        stream: text.to_owned(),
        kind,
        formats: vec![Format { payload, mime: mime.to_owned(), channels, fmtp }],
        stereo: Stereo::Stereo,
        encryption: Encryption::None,
    }
}
