//! Promises of negotiation. The offers are those of running software, or a client of a few lines where a promise needs a
//! particular one.

use std::net::SocketAddr;

use sfu::{
    ids::{SubscriptionId, TrackId},
    params::{Candidate, Endpoint, Fingerprint, IceCredentials, MediaKind, Protocol, Secret, Speech},
};

use super::*;
use crate::sdp::Description;

mod client;
mod hostile;
mod publish;
mod single;
mod subscriber;

use client::Client;

const SINGLE: &str = include_str!("../../../../tests/fuzz/corpus/sdp/chromium-single-initial.sdp");
const SIMULCAST: &str =
    include_str!("../../../../tests/fuzz/corpus/sdp/chromium-single-camera-simulcast.sdp");
const JS_SIMULCAST: &str = include_str!("../../../../tests/fuzz/corpus/sdp/livekit-js-single-simulcast.sdp");
const JS_UNPUBLISHED: &str =
    include_str!("../../../../tests/fuzz/corpus/sdp/livekit-js-single-unpublished.sdp");
const JS_AV1: &str = include_str!("../../../../tests/fuzz/corpus/sdp/livekit-js-single-av1.sdp");
const JS_DUAL: &str = include_str!("../../../../tests/fuzz/corpus/sdp/livekit-js-dual-simulcast.sdp");
const PYTHON: &str = include_str!("../../../../tests/fuzz/corpus/sdp/livekit-python-join.sdp");
const PYTHON_SIMULCAST: &str = include_str!("../../../../tests/fuzz/corpus/sdp/livekit-python-simulcast.sdp");
const PYTHON_UNPUBLISHED: &str =
    include_str!("../../../../tests/fuzz/corpus/sdp/livekit-python-unpublished.sdp");
const PYTHON_H264: &str = include_str!("../../../../tests/fuzz/corpus/sdp/livekit-python-h264.sdp");
const SVC: &str = include_str!("../../../../tests/fuzz/corpus/sdp/chromium-publisher-vp9-svc.sdp");

fn connection(role: Role) -> PeerConnection {
    with_policy(role, Policy::default())
}

fn with_policy(role: Role, policy: Policy) -> PeerConnection {
    let candidate = |protocol, port| Candidate { protocol, addr: SocketAddr::from(([192, 0, 2, 1], port)) };
    let candidates = vec![candidate(Protocol::Udp, 7882), candidate(Protocol::Tcp, 7881)];
    let endpoint = Endpoint { worker: 0, fingerprint: Fingerprint([7; 32]), candidates };
    PeerConnection::new(role, Local { ice: ice("ours"), endpoint }, policy, 1)
}

fn ice(ufrag: &str) -> IceCredentials {
    IceCredentials { ufrag: ufrag.to_owned(), pwd: Secret("password-of-24-characters".to_owned()) }
}

fn answer(connection: &mut PeerConnection, offer: &str) -> (Description, Answer) {
    let answer = connection.answer(offer, ice("fresh")).unwrap();
    let description = Description::parse(&answer.sdp).unwrap();
    (description, answer)
}

fn expected(track: u64, kind: MediaKind, cid: &str) -> Expected {
    Expected {
        track: TrackId(track),
        cids: vec![cid.to_owned()],
        kind,
        codec: None,
        opus: OpusWishes::default(),
        encryption: Encryption::None,
        speech: Speech::Ignored,
        layers: Vec::new(),
    }
}

/// A source that sends what this client publishes.
fn source(kind: MediaKind, name: &str) -> Source {
    let mut publisher = connection(Role::Publisher);
    publisher.expect(expected(1, kind, "cid"));
    let mut client = Client::new();
    client.send(kind, "cid");
    publisher.answer(&client.offer(), ice("fresh")).unwrap();
    Source {
        sid: format!("TR_{name}"),
        stream: format!("PA_x|TR_{name}"),
        kind,
        formats: publisher.formats(TrackId(1)).to_vec(),
        stereo: Stereo::Mono,
        encryption: Encryption::None,
    }
}

fn published(changes: &[Change]) -> Vec<TrackId> {
    let published = |change: &Change| match change {
        Change::Published { track, .. } => Some(*track),
        _ => None,
    };
    changes.iter().filter_map(published).collect()
}

fn subscribed(changes: &[Change]) -> Vec<(SubscriptionId, String)> {
    let subscribed = |change: &Change| match change {
        Change::Subscribed { subscription, mid, .. } => Some((*subscription, mid.clone())),
        _ => None,
    };
    changes.iter().filter_map(subscribed).collect()
}

/// The track id that an offer's m-section names.
fn cid(offer: &str, mid: &str) -> String {
    let offer = Description::parse(offer).unwrap();
    let named = |section: &&crate::sdp::Section| section.mid.is_some_and(|name| name.to_string() == mid);
    offer.sections.iter().find(named).unwrap().msid.clone().unwrap().track.unwrap()
}
