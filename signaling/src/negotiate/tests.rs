//! Promises of negotiation, on what browsers offered.

use sfu::{
    ids::{SubscriptionId, TrackId},
    params::{
        Candidate, Codec, Endpoint, Extension, Fingerprint, IceCredentials, MediaKind, Protocol, Secret,
        Speech,
    },
};

use super::*;
use crate::sdp::{Description, Direction, Setup};

/// A microphone and a camera with three layers, then data channels.
const PUBLISHES: &str = include_str!("fixtures/chromium_publishes.sdp");
/// Data channels, then three empty m-sections for sound and three for pictures.
const WAITS: &str = include_str!("fixtures/chromium_waits.sdp");
const MICROPHONE: &str = "f3492217-4cc9-4a0c-b1a0-c3bd5609c5b5";
const CAMERA: &str = "b97274e1-e079-49e7-91b9-4feb1015d1cd";

#[test]
fn what_a_browser_publishes_is_taken_with_its_layers_in_order() {
    let mut connection = connection(Role::Publisher);
    connection.expect(microphone());
    connection.expect(camera());

    let answer = connection.answer(PUBLISHES, credentials("fresh")).unwrap();

    let (params, mime) = published(&answer.changes, TrackId(2));
    assert_eq!(mime, "video/VP8");
    let rids: Vec<String> =
        params.encodings.iter().map(|encoding| encoding.rid.unwrap().to_string()).collect();
    assert_eq!(rids, ["q", "h", "f"]);
    assert_eq!(published(&answer.changes, TrackId(1)).0.speech, Speech::Counts);
    let description = Description::parse(&answer.sdp).unwrap();
    let directions: Vec<Direction> = description.sections.iter().map(|section| section.direction).collect();
    assert_eq!(directions, [Direction::RecvOnly, Direction::RecvOnly, Direction::SendRecv]);
    assert!(description.sections.iter().all(|section| section.setup == Some(Setup::Passive)));
    assert_eq!(description.sections[1].simulcast.receive.len(), 3);
    assert!(answer.changes.contains(&Change::DataChannels));
}

#[test]
fn a_track_announced_after_its_offer_is_published_at_once() {
    let mut connection = connection(Role::Publisher);
    connection.answer(PUBLISHES, credentials("fresh")).unwrap();

    let changes = connection.expect(camera());

    assert_eq!(published(&changes, TrackId(2)).0.encodings.len(), 3);
}

#[test]
fn the_wanted_codec_comes_first() {
    let mut connection = connection(Role::Publisher);
    connection.expect(Expected { codec: Some("video/H264".to_owned()), ..camera() });

    let answer = connection.answer(PUBLISHES, credentials("fresh")).unwrap();

    assert_eq!(published(&answer.changes, TrackId(2)).1, "video/H264");
    let description = Description::parse(&answer.sdp).unwrap();
    assert_eq!(description.sections[1].formats[0].name, "H264");
}

#[test]
fn a_subscription_takes_an_empty_section_and_its_mid_is_told() {
    let mut connection = connection(Role::Single);
    connection.answer(WAITS, credentials("fresh")).unwrap();
    connection.subscribe(SubscriptionId(1), source("TR_camera"));
    assert!(connection.needs_negotiation());
    assert_eq!(connection.sections_missing(), Sections::default());

    let answer = connection.answer(WAITS, credentials("fresh")).unwrap();

    assert_eq!(answer.mid_to_track_id.values().collect::<Vec<_>>(), ["TR_camera"]);
    let mid = answer.mid_to_track_id.keys().next().unwrap();
    let description = Description::parse(&answer.sdp).unwrap();
    let section =
        description.sections.iter().find(|section| section.mid.unwrap().to_string() == *mid).unwrap();
    assert_eq!(section.direction, Direction::SendOnly);
    assert_eq!(section.msid.as_ref().unwrap().stream, "PA_x|TR_camera");
    let [Change::Subscribed { send, .. }] = answer.changes.as_slice() else { panic!("{:?}", answer.changes) };
    assert_eq!(send.formats[0].to.codec, Codec::Vp8);
    assert!(send.rtx_ssrc.is_some());
    assert!(send.extensions.id(Extension::TransportCc).is_some());
    assert!(!connection.needs_negotiation());
}

#[test]
fn a_section_says_that_its_subscription_ended_before_it_carries_another() {
    let mut connection = connection(Role::Single);
    connection.subscribe(SubscriptionId(1), source("TR_one"));
    let first = connection.answer(WAITS, credentials("fresh")).unwrap();
    connection.unsubscribe(SubscriptionId(1));
    connection.subscribe(SubscriptionId(2), source("TR_two"));

    let second = connection.answer(WAITS, credentials("fresh")).unwrap();
    let third = connection.answer(WAITS, credentials("fresh")).unwrap();

    let mid = first.mid_to_track_id.keys().next().unwrap();
    assert!(!second.mid_to_track_id.contains_key(mid));
    assert!(second.sdp != third.sdp);
}

#[test]
fn more_subscriptions_than_sections_ask_for_more() {
    let mut connection = connection(Role::Single);
    connection.answer(WAITS, credentials("fresh")).unwrap();
    for id in 0..5 {
        connection.subscribe(SubscriptionId(id), source(&format!("TR_{id}")));
    }

    assert_eq!(connection.sections_missing(), Sections { audio: 0, video: 2 });
}

#[test]
fn an_offer_said_again_changes_nothing() {
    let mut connection = connection(Role::Single);
    connection.expect(camera());
    connection.answer(PUBLISHES, credentials("fresh")).unwrap();

    let again = connection.answer(PUBLISHES, credentials("fresh")).unwrap();

    assert_eq!(again.changes, []);
}

#[test]
fn new_credentials_of_the_client_restart_ours() {
    let mut connection = connection(Role::Publisher);
    connection.answer(PUBLISHES, credentials("first")).unwrap();
    let offer = Description::parse(PUBLISHES).unwrap();
    let ufrag = offer.sections[0].ice.clone().unwrap().ufrag;
    let restarted = PUBLISHES.replace(&format!("a=ice-ufrag:{ufrag}"), "a=ice-ufrag:another");

    let answer = connection.answer(&restarted, credentials("second")).unwrap();

    assert_eq!(answer.changes[0], Change::RestartedIce(credentials("second")));
    assert!(matches!(&answer.changes[1], Change::Remote(remote) if remote.ice.ufrag == "another"));
    assert!(answer.sdp.contains("a=ice-ufrag:second"));
}

#[test]
fn a_track_that_is_not_sent_any_more_is_unpublished() {
    let mut connection = connection(Role::Publisher);
    connection.expect(camera());
    connection.answer(PUBLISHES, credentials("fresh")).unwrap();

    let stopped = PUBLISHES.replace("a=sendonly", "a=inactive");
    let answer = connection.answer(&stopped, credentials("fresh")).unwrap();

    assert_eq!(answer.changes, [Change::Unpublished(TrackId(2))]);
}

#[test]
fn our_offer_is_answered_by_what_the_client_takes() {
    let mut connection = connection(Role::Subscriber);
    connection.subscribe(SubscriptionId(1), source("TR_camera"));
    let offer = connection.offer().unwrap();

    let changes = connection.accept_answer(&answer_of(&offer)).unwrap();

    assert!(matches!(&changes[0], Change::Remote(_)));
    assert!(changes.contains(&Change::DataChannels));
    let subscribed = changes
        .iter()
        .any(|change| matches!(change, Change::Subscribed { send, .. } if send.mid.to_string() == "1"));
    assert!(subscribed, "{changes:?}");
}

#[test]
fn a_subscription_in_a_codec_the_client_lacks_is_refused_alone() {
    let mut connection = connection(Role::Subscriber);
    connection.subscribe(SubscriptionId(1), source("TR_camera"));
    let offer = connection.offer().unwrap();
    let without: String = answer_of(&offer).replace("VP8/90000", "VP9/90000");

    let changes = connection.accept_answer(&without).unwrap();

    assert!(
        changes.iter().any(|change| matches!(change, Change::Refused { why, .. } if why.mime == "video/VP8"))
    );
}

#[test]
fn a_client_that_will_not_begin_the_handshake_is_refused_and_nothing_changes() {
    let mut connection = connection(Role::Publisher);
    let passive = PUBLISHES.replace("a=setup:actpass", "a=setup:passive");

    assert_eq!(
        connection.answer(&passive, credentials("fresh")).unwrap_err(),
        NegotiationError::SetupPassive
    );
    assert!(connection.answer(PUBLISHES, credentials("fresh")).is_ok());
}

#[test]
fn an_offer_that_lost_or_moved_sections_is_refused() {
    let mut connection = connection(Role::Single);
    connection.answer(WAITS, credentials("fresh")).unwrap();

    assert!(matches!(
        connection.answer(PUBLISHES, credentials("fresh")),
        Err(NegotiationError::Fewer { before: 7, now: 3 })
    ));
}

/// The answer of a client that takes all of an offer.
fn answer_of(offer: &str) -> String {
    offer
        .replace("a=sendonly", "a=recvonly")
        .replace("a=setup:actpass", "a=setup:active")
        .replace("a=ice-lite\r\n", "")
        .lines()
        .filter(|line| !line.starts_with("a=msid:") && !line.starts_with("a=ssrc"))
        .map(|line| format!("{line}\r\n"))
        .collect()
}

fn published(changes: &[Change], wanted: TrackId) -> (sfu::params::TrackParameters, String) {
    changes
        .iter()
        .find_map(|change| match change {
            Change::Published { track, params, mime, .. } if *track == wanted => {
                Some((params.clone(), mime.clone()))
            }
            _ => None,
        })
        .unwrap()
}

fn microphone() -> Expected {
    Expected {
        track: TrackId(1),
        cids: vec![MICROPHONE.to_owned()],
        kind: MediaKind::Audio,
        codec: None,
        opus: OpusWishes::default(),
        encryption: Encryption::None,
        speech: Speech::Counts,
        layers: Vec::new(),
    }
}

fn camera() -> Expected {
    Expected {
        track: TrackId(2),
        cids: vec![CAMERA.to_owned()],
        kind: MediaKind::Video,
        codec: Some("video/VP8".to_owned()),
        speech: Speech::Ignored,
        ..microphone()
    }
}

/// A camera as another client publishes it.
fn source(sid: &str) -> Source {
    let mut publisher = connection(Role::Publisher);
    publisher.expect(camera());
    publisher.answer(PUBLISHES, credentials("fresh")).unwrap();
    Source {
        sid: sid.to_owned(),
        stream: format!("PA_x|{sid}"),
        kind: MediaKind::Video,
        formats: publisher.formats(TrackId(2)).to_vec(),
        stereo: Stereo::Mono,
        encryption: Encryption::None,
    }
}

fn connection(role: Role) -> PeerConnection {
    let endpoint = Endpoint {
        worker: 0,
        fingerprint: Fingerprint([7; 32]),
        candidates: vec![Candidate { protocol: Protocol::Udp, addr: "198.51.100.1:7882".parse().unwrap() }],
    };
    PeerConnection::new(role, Local { ice: credentials("ours"), endpoint }, Policy::default(), 1)
}

fn credentials(ufrag: &str) -> IceCredentials {
    IceCredentials { ufrag: ufrag.to_owned(), pwd: Secret("0123456789abcdefghijkl".to_owned()) }
}
