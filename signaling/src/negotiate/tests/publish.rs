//! What a client publishes.

use sfu::{
    params::{Codec, Encoding, Extension, Feedback},
    units::{PayloadType, Rid, Ssrc},
};

use super::*;
use crate::sdp::{Direction, Kind, Setup};

#[test]
fn a_browsers_camera_and_microphone_are_published_under_their_names() {
    let mut connection = connection(Role::Single);
    connection.expect(expected(1, MediaKind::Audio, &cid(SIMULCAST, "7")));
    connection.expect(expected(2, MediaKind::Video, &cid(SIMULCAST, "8")));

    let (ours, answer) = answer(&mut connection, SIMULCAST);

    assert_eq!(published(&answer.changes), [TrackId(1), TrackId(2)]);
    assert_eq!(connection.formats(TrackId(1))[0].mime, "audio/red");
    assert_eq!(connection.formats(TrackId(2))[0].mime, "video/VP8");
    let Some(Change::Published { params, mid, cid: told, .. }) = answer.changes.last() else { panic!() };
    assert_eq!((mid.as_str(), told.clone()), ("8", Some(cid(SIMULCAST, "8"))));
    let rids: Vec<_> = params.encodings.iter().map(|encoding| encoding.rid.unwrap()).collect();
    assert_eq!(rids, [b"q", b"h", b"f"].map(|rid| Rid::new(rid).unwrap()));
    assert_eq!(ours.sections[8].direction, Direction::RecvOnly);
    assert_eq!(ours.sections[8].rids_received, rids);
    assert_eq!(ours.sections[8].simulcast.receive.len(), 3);
}

#[test]
fn an_answer_keeps_the_offers_lines_numbers_and_ids() {
    for text in [SINGLE, SIMULCAST, SVC, JS_SIMULCAST, JS_AV1, JS_DUAL, PYTHON, PYTHON_SIMULCAST, PYTHON_H264]
    {
        let offer = Description::parse(text).unwrap();
        let (ours, _) = answer(&mut connection(Role::Single), text);

        assert_eq!(ours.bundle, offer.bundle);
        assert_eq!(ours.sections.len(), offer.sections.len());
        assert_eq!(ours.ice, crate::sdp::IceMode::Lite);
        for (ours, theirs) in ours.sections.iter().zip(&offer.sections) {
            assert_eq!((&ours.kind, ours.mid, &ours.protocol), (&theirs.kind, theirs.mid, &theirs.protocol));
            assert_eq!(ours.setup, Some(Setup::Passive));
            assert!(ours.formats.iter().all(|format| {
                theirs.formats.iter().any(|other| {
                    other.payload_type == format.payload_type && other.name.eq_ignore_ascii_case(&format.name)
                })
            }));
            assert!(ours.extensions.iter().all(|extmap| theirs.extensions.contains(extmap)));
            assert!(ours.kind == Kind::Application || ours.rtcp.mux);
        }
        let candidates: Vec<usize> = ours.sections.iter().map(|section| section.candidates.len()).collect();
        assert_eq!(candidates.iter().sum::<usize>(), 2, "once, for all");
        assert_eq!(candidates[0], 2);
    }
}

#[test]
fn unused_lines_are_inactive_and_accept_every_extension_there_will_be() {
    let (ours, answer) = answer(&mut connection(Role::Single), SINGLE);

    let media = |kind: Kind| ours.sections.iter().filter(move |section| section.kind == kind);
    assert_eq!((media(Kind::Audio).count(), media(Kind::Video).count()), (3, 3));
    for section in media(Kind::Audio).chain(media(Kind::Video)) {
        assert_eq!(section.direction, Direction::Inactive);
        assert!(section.port != 0 && !section.formats.is_empty());
    }
    let has = |kind: Kind, wanted: &[Extension]| {
        media(kind).all(|section| {
            wanted.iter().all(|wanted| section.extensions.iter().any(|extmap| extmap.extension == *wanted))
        })
    };
    assert!(has(Kind::Audio, &[Extension::Mid, Extension::AudioLevel, Extension::TransportCc]));
    let video = [
        Extension::Mid,
        Extension::Rid,
        Extension::RepairedRid,
        Extension::TransportCc,
        Extension::AbsSendTime,
        Extension::VideoOrientation,
        Extension::PlayoutDelay,
    ];
    assert!(has(Kind::Video, &video));
    assert!(matches!(answer.changes[..], [Change::Remote(_), Change::DataChannels]));
    let data = media(Kind::Application).next().unwrap();
    assert_eq!((data.sctp.unwrap().port, data.sctp.unwrap().message_max), (5000, 64_000));
}

#[test]
fn the_same_offer_again_changes_nothing() {
    let mut connection = connection(Role::Single);
    let (first, _) = answer(&mut connection, SIMULCAST);

    let (second, again) = answer(&mut connection, SIMULCAST);

    assert_eq!(again.changes, []);
    assert_eq!(second.origin.version, first.origin.version + 1);
    assert_eq!(Description { origin: first.origin, ..second }, first);
}

#[test]
fn layers_are_ordered_by_name_and_not_by_place() {
    let order = |rids: [&str; 3]| {
        let mut client = Client::new();
        client.send(MediaKind::Video, "cid");
        let more = &mut client.sections[0].more;
        rids.iter().for_each(|rid| *more += &format!("a=rid:{rid} send\r\n"));
        *more += &format!("a=simulcast:send {};{};~{}\r\n", rids[0], rids[1], rids[2]);
        let mut connection = connection(Role::Publisher);
        connection.expect(expected(1, MediaKind::Video, "cid"));
        let (ours, answer) = answer(&mut connection, &client.offer());
        assert!(ours.sections[0].simulcast.receive[2].paused, "a layer that is off stays off");
        let Some(Change::Published { params, .. }) = answer.changes.last() else { panic!() };
        params.encodings.iter().map(|encoding| encoding.rid.unwrap().to_string()).collect::<Vec<_>>()
    };

    assert_eq!(order(["f", "h", "q"]), ["q", "h", "f"]);
    assert_eq!(order(["0", "1", "2"]), ["2", "1", "0"]);
    assert_eq!(order(["hi", "lo", "mid"]), ["lo", "mid", "hi"]);
    assert_eq!(order(["x", "b", "a"]), ["x", "b", "a"], "names that mean nothing stay as they were");
}

#[test]
fn ssrcs_are_read_where_they_are_told() {
    let encodings = |lines: &str| {
        let mut client = Client::new();
        client.send(MediaKind::Video, "cid");
        lines.clone_into(&mut client.sections[0].more);
        let mut connection = connection(Role::Publisher);
        connection.expect(expected(1, MediaKind::Video, "cid"));
        let answer = connection.answer(&client.offer(), ice("fresh"))?;
        let Some(Change::Published { params, .. }) = answer.changes.last() else { panic!() };
        Ok::<_, NegotiationError>(params.encodings.clone())
    };
    let encoding = |ssrc: Option<u32>, rtx: Option<u32>| Encoding {
        rid: None,
        ssrc: ssrc.map(Ssrc),
        rtx_ssrc: rtx.map(Ssrc),
    };

    assert_eq!(encodings(""), Ok(vec![encoding(None, None)]));
    assert_eq!(encodings("a=ssrc:5 cname:x\r\n"), Ok(vec![encoding(Some(5), None)]));
    let repaired = "a=ssrc-group:FID 5 6\r\na=ssrc:5 cname:x\r\na=ssrc:6 cname:x\r\n";
    assert_eq!(encodings(repaired), Ok(vec![encoding(Some(5), Some(6))]));
    let layers = "a=ssrc-group:SIM 1 3\r\na=ssrc-group:FID 1 2\r\na=ssrc-group:FID 3 4\r\na=ssrc:1 cname:x\r\n\
        a=ssrc:2 cname:x\r\na=ssrc:3 cname:x\r\na=ssrc:4 cname:x\r\n";
    assert_eq!(encodings(layers), Ok(vec![encoding(Some(1), Some(2)), encoding(Some(3), Some(4))]));
    let loose = encodings("a=ssrc:5 cname:x\r\na=ssrc:6 cname:x\r\n").unwrap_err();
    assert!(matches!(loose, NegotiationError::SsrcAmbiguous { ssrc: Ssrc(6), .. }));
}

#[test]
fn the_wanted_codec_is_the_first_of_the_answer() {
    let first = |policy: Policy, codec: &str| {
        let mut connection = with_policy(Role::Publisher, policy);
        connection.expect(Expected { codec: Some(codec.to_owned()), ..expected(1, MediaKind::Video, "cid") });
        let mut client = Client::new();
        client.send(MediaKind::Video, "cid");
        let (ours, _) = answer(&mut connection, &client.offer());
        ours.sections[0].formats.iter().map(|format| format.name.clone()).collect::<Vec<_>>()
    };

    assert_eq!(first(Policy::default(), "video/h264"), ["H264", "rtx", "VP8", "rtx", "VP9", "rtx"]);
    assert_eq!(first(Policy::default(), "video/AV1")[0], "VP8", "the client's own first, where it has not");
    let firefox = Policy { answered: Offered::OnlyWanted, ..Policy::default() };
    assert_eq!(first(firefox, "video/VP9"), ["VP9", "rtx"]);
}

#[test]
fn sound_is_asked_for_as_it_was_announced() {
    let asked = |expected: Expected| {
        let mut connection = connection(Role::Publisher);
        connection.expect(expected);
        let mut client = Client::new();
        client.send(MediaKind::Audio, "cid");
        let (ours, _) = answer(&mut connection, &client.offer());
        let line = |format: &crate::sdp::RtpFormat| format!("{} {}", format.name, format.fmtp);
        ours.sections[0].formats.iter().map(line).collect::<Vec<_>>()
    };
    let wishes = |opus| asked(Expected { opus, ..expected(1, MediaKind::Audio, "cid") });

    let plain = "opus minptime=10;useinbandfec=1;usedtx=1";
    assert_eq!(wishes(OpusWishes::default()), ["red 111/111", plain]);
    let hifi = OpusWishes { stereo: Stereo::Stereo, dtx: Dtx::Off, red: Red::Off };
    assert_eq!(wishes(hifi), ["opus minptime=10;useinbandfec=1;stereo=1;maxaveragebitrate=510000"]);
    let secret = Expected { encryption: Encryption::EndToEnd, ..expected(1, MediaKind::Audio, "cid") };
    assert_eq!(asked(secret), [plain], "redundancy that cannot be taken apart is not asked for");
}

#[test]
fn what_is_not_enabled_is_not_answered() {
    let mut connection =
        with_policy(Role::Publisher, Policy { publish: Codecs::new(["video/H264"]), ..Policy::default() });
    connection.expect(expected(1, MediaKind::Video, "camera"));
    connection.expect(expected(2, MediaKind::Audio, "mic"));
    let mut client = Client::new();
    client.send(MediaKind::Video, "camera");
    client.send(MediaKind::Audio, "mic");

    let (ours, answer) = answer(&mut connection, &client.offer());

    assert_eq!(published(&answer.changes), [TrackId(1)]);
    assert!(answer.changes.contains(&Change::Unpublishable(TrackId(2))));
    assert_eq!(ours.sections[0].formats.len(), 2);
    let h264 = &ours.sections[0].formats[0];
    assert_eq!(h264.fmtp, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f");
    assert_eq!(ours.sections[1].direction, Direction::Inactive);
}

#[test]
fn feedback_is_what_both_sides_know() {
    let mut connection = connection(Role::Publisher);
    connection.expect(expected(1, MediaKind::Audio, "mic"));
    connection.expect(expected(2, MediaKind::Video, "camera"));
    let mut client = Client::new();
    client.send(MediaKind::Audio, "mic");
    client.send(MediaKind::Video, "camera");
    client.sections[1].more = "a=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 ack\r\n".to_owned();

    let (_, answer) = answer(&mut connection, &client.offer());

    let receive = receive(&answer);
    let feedback =
        |number| receive.formats.iter().find(|format| format.payload_type.value() == number).unwrap();
    assert_eq!(feedback(111).feedback, Feedback::TRANSPORT_CC);
    assert_eq!(feedback(96).feedback, Feedback::NACK.with(Feedback::PLI).with(Feedback::REMB));
    assert_eq!((feedback(96).codec, feedback(96).rtx), (Codec::Vp8, PayloadType::new(97)));
    assert_eq!(receive.extensions.id(Extension::Mid), Some(4));
    assert_eq!(receive.extensions.id(Extension::Rid), Some(10));
}

#[test]
fn a_track_that_is_not_sent_any_more_is_unpublished() {
    let mut connection = connection(Role::Single);
    connection.expect(expected(1, MediaKind::Video, "camera"));
    let mut client = Client::new();
    client.send(MediaKind::Video, "camera");
    answer(&mut connection, &client.offer());

    client.sections[0].direction = "inactive";
    client.sections[0].cid = None;
    let (ours, stopped) = answer(&mut connection, &client.offer());
    client.sections[0].direction = "sendonly";
    client.sections[0].cid = Some("screen".to_owned());
    connection.expect(expected(2, MediaKind::Video, "screen"));
    let (_, reused) = answer(&mut connection, &client.offer());

    assert!(stopped.changes.contains(&Change::Unpublished(TrackId(1))));
    assert_eq!(ours.sections[0].direction, Direction::Inactive);
    assert!(connection.formats(TrackId(1)).is_empty());
    assert_eq!(published(&reused.changes), [TrackId(2)]);
}

#[test]
fn a_line_may_change_its_track_at_once() {
    let mut connection = connection(Role::Publisher);
    connection.expect(expected(1, MediaKind::Video, "camera"));
    connection.expect(expected(2, MediaKind::Video, "screen"));
    let mut client = Client::new();
    client.send(MediaKind::Video, "camera");
    answer(&mut connection, &client.offer());

    client.sections[0].cid = Some("screen".to_owned());
    let (_, answer) = answer(&mut connection, &client.offer());

    assert!(answer.changes.contains(&Change::Unpublished(TrackId(1))));
    assert_eq!(published(&answer.changes), [TrackId(2)]);
}

#[test]
fn a_track_that_came_before_its_announcement_is_published_with_it() {
    let mut connection = connection(Role::Publisher);
    let mut client = Client::new();
    client.send(MediaKind::Video, "camera");
    let (ours, early) = answer(&mut connection, &client.offer());

    let other = connection.expect(expected(1, MediaKind::Video, "screen"));
    let changes = connection.expect(expected(2, MediaKind::Video, "camera"));

    assert_eq!(ours.sections[0].direction, Direction::RecvOnly);
    assert_eq!(published(&early.changes), []);
    assert_eq!(other, []);
    assert_eq!(published(&changes), [TrackId(2)]);
}

#[test]
fn names_that_a_browser_rewrites_are_matched_by_kind_and_order() {
    let mut connection = with_policy(Role::Publisher, Policy { cids: Cids::Rewritten, ..Policy::default() });
    let mut client = Client::new();
    client.send(MediaKind::Video, "{1}");
    client.send(MediaKind::Audio, "{2}");
    client.send(MediaKind::Video, "exact");
    connection.expect(expected(1, MediaKind::Video, "exact"));
    connection.expect(expected(2, MediaKind::Video, "camera"));
    connection.expect(expected(3, MediaKind::Audio, "mic"));

    let (_, answer) = answer(&mut connection, &client.offer());

    let mids = answer.changes.iter().filter_map(|change| match change {
        Change::Published { track, mid, .. } => Some((track.0, mid.as_str())),
        _ => None,
    });
    let mids: Vec<_> = mids.collect();
    assert_eq!(mids, [(1, "2"), (2, "0"), (3, "1")], "those that are named come first");
}

#[test]
fn a_track_that_is_forgotten_is_answered_inactive_until_it_is_announced_again() {
    let mut connection = connection(Role::Publisher);
    connection.expect(expected(1, MediaKind::Video, "camera"));
    let mut client = Client::new();
    client.send(MediaKind::Video, "camera");
    answer(&mut connection, &client.offer());

    connection.forget(TrackId(1));
    let (ours, gone) = answer(&mut connection, &client.offer());
    connection.expect(expected(2, MediaKind::Video, "camera"));
    let (_, back) = answer(&mut connection, &client.offer());

    assert_eq!(ours.sections[0].direction, Direction::Inactive);
    assert_eq!(published(&gone.changes), []);
    assert_eq!(published(&back.changes), [TrackId(2)]);
}

#[test]
fn a_client_that_restarts_ice_gets_credentials_of_ours_with_it() {
    let mut connection = connection(Role::Publisher);
    let mut client = Client::receiving(1, 0);
    let (first, _) = answer(&mut connection, &client.offer());

    client.ufrag = "again".to_owned();
    let (second, answer) = answer(&mut connection, &client.offer());

    let ufrag = |ours: &Description| ours.sections[0].ice.clone().unwrap().ufrag;
    assert_eq!((ufrag(&first), ufrag(&second)), ("ours".to_owned(), "fresh".to_owned()));
    let [Change::RestartedIce(ours), Change::Remote(theirs)] = &answer.changes[..] else {
        panic!("{:?}", answer.changes)
    };
    assert_eq!((ours.ufrag.as_str(), theirs.ice.ufrag.as_str()), ("fresh", "again"));
}

#[test]
fn a_second_connection_answers_lines_for_receiving_inactive() {
    let mut connection = connection(Role::Publisher);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "v"));

    let (ours, answer) = answer(&mut connection, SINGLE);

    assert!(
        ours.sections
            .iter()
            .filter(|section| section.kind != Kind::Application)
            .all(|section| { section.direction == Direction::Inactive })
    );
    assert_eq!(answer.mid_to_track_id.len(), 0);
    assert!(!connection.needs_negotiation());
}

#[test]
fn video_without_rtx_is_published() {
    let mut connection = connection(Role::Publisher);
    connection.expect(expected(1, MediaKind::Video, "camera"));
    let mut client = Client::new();
    client.video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n".to_owned();
    client.send(MediaKind::Video, "camera");

    let (ours, _) = answer(&mut connection, &client.offer());

    assert_eq!(ours.sections[0].formats.len(), 1);
    assert_eq!(connection.formats(TrackId(1))[0].payload.rtx, None);
}

#[test]
fn a_python_client_publishes_and_stops() {
    let mut connection = connection(Role::Single);
    answer(&mut connection, PYTHON);
    connection.expect(expected(1, MediaKind::Audio, &cid(PYTHON_SIMULCAST, "7")));
    connection.expect(expected(2, MediaKind::Video, &cid(PYTHON_SIMULCAST, "8")));

    let (ours, both) = answer(&mut connection, PYTHON_SIMULCAST);
    let (after, gone) = answer(&mut connection, PYTHON_UNPUBLISHED);
    connection.expect(expected(3, MediaKind::Video, &cid(PYTHON_H264, "10")));
    let (_, back) = answer(&mut connection, PYTHON_H264);

    assert_eq!(published(&both.changes), [TrackId(1), TrackId(2)]);
    let Some(Change::Published { params, mime, .. }) = both.changes.last() else { panic!() };
    assert_eq!(mime, "video/VP8");
    let rids: Vec<_> = params.encodings.iter().map(|encoding| encoding.rid.unwrap()).collect();
    assert_eq!(rids, [b"q", b"h", b"f"].map(|rid| Rid::new(rid).unwrap()), "offered from the largest");
    assert_eq!(ours.sections[8].formats.len(), 1, "it has no RTX");
    assert!(gone.changes.contains(&Change::Unpublished(TrackId(2))));
    assert_eq!(after.sections[8].direction, Direction::Inactive);
    assert_eq!(published(&back.changes), [TrackId(3)]);
    assert_eq!(connection.formats(TrackId(3))[0].mime, "video/H264");
}

#[test]
fn a_browsers_layers_survive_that_their_line_is_inactive() {
    let mut connection = connection(Role::Single);
    connection.expect(expected(1, MediaKind::Video, &cid(JS_SIMULCAST, "8")));
    answer(&mut connection, JS_SIMULCAST);

    let (ours, gone) = answer(&mut connection, JS_UNPUBLISHED);

    assert!(gone.changes.contains(&Change::Unpublished(TrackId(1))));
    assert_eq!(
        (ours.sections[8].direction, ours.sections[8].simulcast.receive.len()),
        (Direction::Inactive, 3)
    );
}

fn receive(answer: &Answer) -> sfu::params::ReceiveParameters {
    let receive = |change: &Change| match change {
        Change::Receive(receive) => Some(receive.clone()),
        _ => None,
    };
    answer.changes.iter().find_map(receive).unwrap()
}
