//! Promises of reading and writing descriptions. The files are what running software offered.

use std::fmt::Write as _;

use sfu::{
    params::{Extension, Feedback, Fingerprint},
    units::{Mid, PayloadType, Rid, Ssrc},
};

use super::*;

pub(crate) const SINGLE: &str = include_str!("../../../tests/fuzz/corpus/sdp/chromium-single-initial.sdp");
pub(crate) const SIMULCAST: &str =
    include_str!("../../../tests/fuzz/corpus/sdp/chromium-single-camera-simulcast.sdp");
pub(crate) const SVC: &str = include_str!("../../../tests/fuzz/corpus/sdp/chromium-publisher-vp9-svc.sdp");
pub(crate) const MAX_BUNDLE: &str =
    include_str!("../../../tests/fuzz/corpus/sdp/chromium-publisher-max-bundle.sdp");

#[test]
fn what_is_read_is_written_so_that_it_reads_the_same() {
    for text in [SINGLE, SIMULCAST, SVC, MAX_BUNDLE] {
        let description = Description::parse(text).unwrap();

        assert_eq!(Description::parse(&description.to_string()).unwrap(), description);
    }
}

#[test]
fn a_browsers_offer_is_read_into_its_parts() {
    let offer = Description::parse(SIMULCAST).unwrap();

    assert_eq!((offer.sections.len(), offer.bundle.len()), (9, 9));
    assert_eq!(offer.extmap_mixed, ExtmapMixed::Allowed);
    let video = offer.sections.last().unwrap();
    assert_eq!(
        (&video.kind, video.direction, video.mid),
        (&Kind::Video, Direction::SendOnly, Mid::new(b"8"))
    );
    assert_eq!(video.setup, Some(Setup::ActPass));
    assert!(video.rtcp.mux && video.rtcp.reduced_size && video.fingerprint.is_some() && video.ice.is_some());
    let names = |streams: &[SimulcastStream]| streams.iter().map(|s| s.rid).collect::<Vec<_>>();
    assert_eq!(names(&video.simulcast.send), [b"q", b"h", b"f"].map(|rid| Rid::new(rid).unwrap()));
    assert_eq!(video.rids_sent, names(&video.simulcast.send));
    let vp8 = video.formats.first().unwrap();
    assert_eq!(
        (vp8.name.as_str(), vp8.clock_rate, vp8.payload_type),
        ("VP8", 90_000, PayloadType::new(96).unwrap())
    );
    assert!(vp8.feedback.has(Feedback::NACK.with(Feedback::PLI).with(Feedback::FIR).with(Feedback::REMB)));
    assert!(video.extensions.contains(&ExtMap { id: 4, direction: None, extension: Extension::Mid }));
    let data = offer.sections.iter().find(|section| section.kind == Kind::Application).unwrap();
    assert_eq!(data.sctp, Some(Sctp { port: 5000, message_max: 262_144 }));
}

#[test]
fn what_stands_at_session_level_holds_for_every_section() {
    let text = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=ice-ufrag:abcd\r\n\
        a=ice-pwd:0123456789012345678901\r\na=setup:active\r\na=recvonly\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:a\r\nm=audio 9 UDP/TLS/RTP/SAVPF 8 97\r\na=mid:b\r\na=sendonly\r\n";

    let description = Description::parse(text).unwrap();

    assert_eq!((description.ice, description.origin), (IceMode::Lite, Origin { session: 1, version: 2 }));
    let [first, second] = description.sections.as_slice() else { panic!("two sections") };
    assert_eq!(first.ice.as_ref().unwrap().ufrag, "abcd");
    assert_eq!((first.setup, first.direction), (Some(Setup::Active), Direction::RecvOnly));
    assert_eq!(second.direction, Direction::SendOnly);
    assert_eq!(first.formats.first().unwrap().name, "PCMU", "a static payload type needs no rtpmap");
    assert_eq!(second.formats.len(), 1, "a dynamic one without an rtpmap means nothing");
}

#[test]
fn attributes_without_a_meaning_are_skipped() {
    let strange = "a=ice-options:trickle goog-sped-v1\r\na=sctp-init:AQAAAA==\r\na=goog-sped-v1\r\na=rtcp:9 IN IP4 0\r\n\
        a=extmap:7 urn:example:unknown\r\na=extmap:200 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=ssrc:5 foo:bar\r\n\
        a=rtcp-fb:96 x-unknown y\r\na=fmtp:96 x-google-start-bitrate=1000\r\nb=AS:300\r\na=\r\n";

    let section = read(strange).unwrap();

    assert!(section.extensions.is_empty());
    assert_eq!(section.ssrcs, [SsrcLine { ssrc: Ssrc(5), cname: None }]);
    assert_eq!(section.formats.first().unwrap().feedback, Feedback::NONE);
}

#[test]
fn simulcast_is_read_as_every_browser_wrote_it() {
    let rids = "a=rid:hi send max-width=1280\r\na=rid:lo send\r\na=rid:x recv\r\n";
    let plain = read(&format!("{rids}a=simulcast:send hi;~lo recv x\r\n")).unwrap();
    let drafted = read(&format!("{rids}a=simulcast: send rid=hi,lo\r\n")).unwrap();

    let stream = |name: &[u8], paused| SimulcastStream { rid: Rid::new(name).unwrap(), paused };
    assert_eq!(plain.simulcast.send, [stream(b"hi", false), stream(b"lo", true)]);
    assert_eq!(plain.simulcast.receive, [stream(b"x", false)]);
    assert_eq!(drafted.simulcast.send, [stream(b"hi", false)], "of alternatives the first");
}

#[test]
fn feedback_for_all_payload_types_is_for_each() {
    let section = read("a=rtcp-fb:* nack\r\na=rtcp-fb:96 nack pli\r\n").unwrap();

    assert!(section.formats.iter().all(|format| format.feedback.has(Feedback::NACK)));
    assert!(section.formats.first().unwrap().feedback.has(Feedback::PLI));
}

#[test]
fn msid_is_also_read_where_old_software_wrote_it() {
    let old = read("a=ssrc:7 cname:c\r\na=ssrc:7 msid:stream track\r\n").unwrap();
    let bare = read("a=msid:stream\r\n").unwrap();

    let msid = |track: Option<&str>| Some(Msid { stream: "stream".into(), track: track.map(str::to_owned) });
    assert_eq!((old.msid, bare.msid), (msid(Some("track")), msid(None)));
}

#[test]
fn a_fingerprint_is_read_in_any_case_and_by_sha_256_only() {
    let hex = ["aB"; 32].join(":");
    let section = read(&format!("a=fingerprint:sha-1 00:01\r\na=fingerprint:SHA-256 {hex}\r\n")).unwrap();

    assert_eq!(section.fingerprint, Some(Fingerprint([0xab; 32])));
}

#[test]
fn candidates_that_cannot_be_reached_are_left_out() {
    let section = read(
        "a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host generation 0\r\n\
         a=candidate:1 1 UDP 2130706431 b2c3.local 5000 typ host\r\n\
         a=candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active\r\n\
         a=candidate:1 1 tcp 1 2001:db8::1 7881 typ host tcptype passive\r\na=candidate:\r\na=end-of-candidates\r\n",
    )
    .unwrap();

    assert_eq!(section.candidates.len(), 2);
    assert!(section.candidates_end);
}

#[test]
fn every_broken_attribute_is_named() {
    let malformed = |what| SdpError::Malformed { line: 8, what };
    let rid = |name: &[u8]| Rid::new(name).unwrap();
    let cases = [
        ("nonsense", SdpError::NotALine(8)),
        ("a=rtpmap:96 VP8", malformed("rtpmap")),
        ("a=rtpmap:96 VP8/0", malformed("rtpmap")),
        ("a=rtpmap:96 VP8/90000/-1", malformed("rtpmap")),
        ("a=rtpmap:200 VP8/90000", SdpError::PayloadType(8)),
        ("a=fmtp:x y", SdpError::PayloadType(8)),
        ("a=fingerprint:", malformed("fingerprint")),
        ("a=fingerprint:sha-256 ", malformed("fingerprint")),
        ("a=fingerprint:sha-256 AA:BB", malformed("fingerprint")),
        ("a=setup:holdconn", malformed("setup")),
        ("a=ssrc:0 cname:x", SdpError::SsrcZero(8)),
        ("a=ssrc:4294967296 cname:x", malformed("ssrc")),
        ("a=ssrc:-1 cname:x", malformed("ssrc")),
        ("a=ssrc-group:FID 0 1", SdpError::SsrcZero(8)),
        ("a=mid:second", malformed("mid")),
        ("a=rid:q up", malformed("rid")),
        ("a=rid: send", malformed("rid")),
        ("a=rid:a send\r\na=rid:a send", SdpError::RidTwice { line: 9, rid: rid(b"a") }),
        ("a=simulcast:send q", SdpError::RidUndeclared { section: 1, rid: rid(b"q") }),
        ("a=simulcast:up q", malformed("simulcast")),
        ("a=extmap:1", malformed("extmap")),
        ("a=extmap:x urn:a", malformed("extmap")),
        ("a=msid:", malformed("msid")),
        ("a=ice-ufrag:abc", malformed("ICE credentials")),
        ("a=ice-pwd:with spaces in it, and long enough", malformed("ICE credentials")),
        ("a=sctp-port:65536", malformed("sctp-port")),
        ("a=tool:\u{1}", SdpError::ControlCharacter(8)),
        ("a=tool:a\rb", SdpError::ControlCharacter(8)),
    ];
    for (line, error) in cases {
        assert_eq!(read(&format!("{line}\r\n")).unwrap_err(), error, "{line}");
    }
}

#[test]
fn every_broken_structure_is_named() {
    let video = "m=video 9 UDP/TLS/RTP/SAVPF";
    let mid = |name: &[u8]| Mid::new(name).unwrap();
    let cases = [
        (String::new(), SdpError::Version),
        ("s=-\r\n".into(), SdpError::Version),
        ("v=0\r\no=me\r\n".into(), SdpError::Malformed { line: 2, what: "origin" }),
        (format!("v=0\r\n{video} 96\r\n"), SdpError::MidMissing(1)),
        (format!("v=0\r\n{video} 200\r\n"), SdpError::PayloadType(2)),
        (format!("v=0\r\n{video} x\r\n"), SdpError::PayloadType(2)),
        (format!("v=0\r\n{video} 96 97 96\r\n"), SdpError::PayloadTypeTwice(2)),
        ("v=0\r\nm=video 9\r\n".into(), SdpError::Malformed { line: 2, what: "m-line" }),
        (format!("v=0\r\n{video} 0\r\na=mid:1\r\n{video} 0\r\na=mid:1\r\n"), SdpError::MidTwice(mid(b"1"))),
        ("v=0\r\na=group:BUNDLE 1\r\n".into(), SdpError::BundleMismatch(mid(b"1"))),
        (
            format!("v=0\r\na=group:BUNDLE 1 1\r\n{video} 96\r\na=mid:1\r\n"),
            SdpError::BundleMismatch(mid(b"1")),
        ),
        ("v=0\r\na=group:BUNDLE\r\na=group:BUNDLE\r\n".into(), SdpError::BundleTwice(3)),
        (
            format!("v=0\r\n{video} 96\r\na=mid:seventeen-letters\r\n"),
            SdpError::Malformed { line: 3, what: "mid" },
        ),
    ];
    for (text, error) in cases {
        assert_eq!(Description::parse(&text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn nothing_is_read_beyond_its_limit() {
    let many = |count: usize, line: &dyn Fn(usize) -> String| {
        (0..count).fold(String::new(), |mut text, index| {
            write!(text, "{}\r\n", line(index)).unwrap();
            text
        })
    };
    let sections = many(10_000, &|index| format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{index}"));
    assert!(matches!(
        Description::parse(&format!("v=0\r\n{sections}")),
        Err(SdpError::TooMany { what: "m-sections", .. })
    ));
    let long = "x".repeat(limits::LINE_MAX);
    assert_eq!(read(&format!("a=tool:{long}\r\n")).unwrap_err(), SdpError::LineTooLong(8));
    assert_eq!(
        Description::parse(&format!("v=0\r\na=fmtp:96 {}", "x".repeat(limits::BYTES_MAX))).unwrap_err(),
        SdpError::TooLong(limits::BYTES_MAX + 15)
    );
    let cases = [
        (many(20_000, &|_| "a=candidate:1 1 udp 1 192.0.2.1 1 typ host".into()), "candidates"),
        (many(33, &|index| format!("a=ssrc:{} cname:x", index + 1)), "SSRCs"),
        (many(33, &|_| "a=ssrc-group:FID 1 2".into()), "SSRC groups"),
        (many(9, &|index| format!("a=rid:r{index} send")), "rids"),
        (many(33, &|_| "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid".into()), "header extensions"),
        (format!("a=fmtp:96 {}\r\n", "x".repeat(2_000)), "format parameters"),
        (
            format!("a=simulcast:send {}\r\n", ["a", "b", "c", "d", "e", "f", "g", "h", "i"].join(";")),
            "simulcast streams",
        ),
    ];
    for (lines, what) in cases {
        let error = read(&lines).unwrap_err();
        assert!(matches!(&error, SdpError::TooMany { what: found, .. } if *found == what), "{error}");
    }
}

/// The one m-section of a description, with these lines at its end, the first of them on line 8.
fn read(lines: &str) -> Result<Section, SdpError> {
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:0\r\n\
         a=rtpmap:96 VP8/90000\r\n{lines}"
    );
    Description::parse(&text).map(|mut description| description.sections.remove(0))
}
