//! Descriptions that are wrong: each is refused by name, changes nothing, and a good one is taken afterwards.

use sfu::units::{PayloadType, Ssrc};

use super::*;
use crate::sdp::SdpError;

#[test]
fn every_wrong_offer_is_refused_by_name() {
    let good = two_videos();
    let bundle = "a=group:BUNDLE 0 1\r\n";
    let cases = [
        (good.replace("v=0", "v=1"), NegotiationError::Sdp(SdpError::Version)),
        (good.replace("a=setup:actpass", "a=setup:passive"), NegotiationError::SetupPassive),
        (good.replace("a=setup:actpass\r\n", ""), NegotiationError::SetupMissing),
        (good.replace("a=ice-ufrag:theirs\r\n", ""), NegotiationError::TransportMissing),
        (good.replace("a=fingerprint:sha-256", "a=fingerprint:sha-512"), NegotiationError::TransportMissing),
        (good.replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"), NegotiationError::BothLite),
        (good.replace(bundle, ""), NegotiationError::NotBundled),
        (good.replace("a=rtcp-mux\r\n", ""), NegotiationError::RtcpNotMuxed(1)),
        (
            good.replacen("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP9/90000", 1),
            NegotiationError::PayloadTypeClash(PayloadType::new(96).unwrap()),
        ),
        (
            good.replacen(
                "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
                "a=extmap:4 urn:3gpp:video-orientation",
                1,
            ),
            NegotiationError::ExtensionClash(4),
        ),
        (
            good.replace("a=sendonly\r\n", "a=sendonly\r\na=ssrc:7 cname:x\r\n"),
            NegotiationError::SsrcClash(Ssrc(7)),
        ),
    ];
    for (offer, error) in cases {
        let mut connection = connection(Role::Single);
        connection.expect(expected(1, MediaKind::Video, "a"));

        assert_eq!(connection.answer(&offer, ice("fresh")).unwrap_err(), error);

        let (_, answer) = answer(&mut connection, &good);
        assert_eq!(published(&answer.changes), [TrackId(1)], "after {error}");
    }
}

#[test]
fn every_wrong_later_offer_is_refused_by_name() {
    let good = two_videos();
    let second = good.match_indices("m=video").nth(1).unwrap().0;
    let cases = [
        (good[..second].replace("BUNDLE 0 1", "BUNDLE 0"), NegotiationError::Fewer { before: 2, now: 1 }),
        (good.replace("a=mid:1", "a=mid:2").replace("BUNDLE 0 1", "BUNDLE 0 2"), NegotiationError::Moved(2)),
        (good.replacen("m=video", "m=audio", 1), NegotiationError::Moved(1)),
        (good.replace("00:01:02", "00:01:03"), NegotiationError::FingerprintChanged),
    ];
    for (offer, error) in cases {
        let mut connection = connection(Role::Single);
        connection.expect(expected(1, MediaKind::Video, "a"));
        answer(&mut connection, &good);

        assert_eq!(connection.answer(&offer, ice("fresh")).unwrap_err(), error);

        let (_, again) = answer(&mut connection, &good);
        assert_eq!(again.changes, [], "after {error}");
        assert!(!connection.formats(TrackId(1)).is_empty());
    }
}

#[test]
fn sections_that_cannot_be_used_are_rejected_and_the_others_answered() {
    let mut offer = two_videos();
    offer.push_str(
        "m=video 9 RTP/AVP 96\r\na=mid:2\r\na=rtcp-mux\r\nm=text 9 UDP/TLS/RTP/SAVPF 98\r\na=mid:3\r\n\
         m=video 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:4\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:5\r\na=rtcp-mux\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:6\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n",
    );
    let offer = offer.replace("BUNDLE 0 1", "BUNDLE 0 1 2 3 5");

    let (ours, _) = answer(&mut connection(Role::Single), &offer);

    let rejected: Vec<bool> = ours.sections.iter().map(crate::sdp::Section::is_rejected).collect();
    assert_eq!(rejected, [false, false, true, true, true, true, true]);
    assert_eq!(ours.bundle.len(), 2);
}

#[test]
fn a_section_without_its_port_is_used_when_it_is_bundled() {
    let offer = two_videos();
    let second = offer.match_indices("m=video").nth(1).unwrap().0;
    let (first, rest) = offer.split_at(second);
    let rest = rest.replacen("m=video 9", "m=video 0", 1).replace("a=mid:1", "a=mid:1\r\na=bundle-only");
    let mut connection = connection(Role::Single);
    connection.expect(expected(1, MediaKind::Video, "b"));

    let (ours, answer) = answer(&mut connection, &format!("{first}{rest}"));

    assert_eq!(published(&answer.changes), [TrackId(1)]);
    assert!(!ours.sections[1].is_rejected());
}

#[test]
fn a_rejected_line_is_taken_for_another_kind_and_name() {
    let mut connection = connection(Role::Single);
    connection.expect(expected(1, MediaKind::Video, "b"));
    let good = two_videos();
    answer(&mut connection, &good);
    let second = good.match_indices("m=video").nth(1).unwrap().0;
    let alone = good[..second].replace("BUNDLE 0 1", "BUNDLE 0");

    let (_, gone) = answer(&mut connection, &format!("{alone}m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n"));
    let mut client = Client::new();
    client.send(MediaKind::Video, "a");
    client.send(MediaKind::Audio, "mic");
    connection.expect(expected(2, MediaKind::Audio, "mic"));
    let recycled = client.offer().replace("a=mid:1", "a=mid:new").replace("BUNDLE 0 1", "BUNDLE 0 new");
    let (_, back) = answer(&mut connection, &recycled);

    assert!(gone.changes.contains(&Change::Unpublished(TrackId(1))));
    assert_eq!(published(&back.changes), [TrackId(2)]);
}

#[test]
fn roles_are_kept() {
    assert_eq!(
        connection(Role::Subscriber).answer(SINGLE, ice("fresh")).unwrap_err(),
        NegotiationError::Role("subscriber")
    );
    assert!(connection(Role::Single).offer().is_err());
    assert!(connection(Role::Publisher).accept_answer(SINGLE).is_err());
    assert!(matches!(
        connection(Role::Subscriber).accept_answer(SINGLE),
        Err(NegotiationError::More { before: 0, now: 7 })
    ));
}

#[test]
fn the_largest_offer_that_is_read_is_answered() {
    let client = Client::receiving(256, 256);
    let mut connection = connection(Role::Single);
    for id in 0..512 {
        let kind = if id % 2 == 0 { MediaKind::Audio } else { MediaKind::Video };
        connection.subscribe(SubscriptionId(id), source(kind, "t"));
    }

    let (_, answer) = answer(&mut connection, &client.offer());

    assert_eq!(answer.mid_to_track_id.len(), 512);
}

fn two_videos() -> String {
    let mut client = Client::new();
    client.send(MediaKind::Video, "a");
    client.send(MediaKind::Video, "b");
    client.offer()
}
