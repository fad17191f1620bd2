//! Subscriptions on a connection that only the client offers on.

use sfu::{params::Codec, units::PayloadType};

use super::*;
use crate::sdp::{Direction, SsrcSemantics};

#[test]
fn subscriptions_take_the_free_lines_and_every_answer_names_them() {
    let mut connection = connection(Role::Single);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "camera"));
    connection.subscribe(SubscriptionId(2), source(MediaKind::Audio, "mic"));
    assert_eq!(connection.sections_missing(), Sections { audio: 1, video: 1 });

    let (ours, first) = answer(&mut connection, SINGLE);
    let (_, second) = answer(&mut connection, SINGLE);

    let mids: Vec<_> = subscribed(&first.changes);
    assert_eq!(mids, [(SubscriptionId(1), "3".to_owned()), (SubscriptionId(2), "0".to_owned())]);
    let named: Vec<_> = first.mid_to_track_id.iter().map(|(mid, sid)| (mid.as_str(), sid.as_str())).collect();
    assert_eq!(named, [("0", "TR_mic"), ("3", "TR_camera")]);
    assert_eq!(second.mid_to_track_id, first.mid_to_track_id);
    assert_eq!(second.changes, []);
    let video = ours.sections.iter().find(|section| section.mid.unwrap().as_bytes() == b"3").unwrap();
    assert_eq!(video.direction, Direction::SendOnly);
    let msid = video.msid.clone().unwrap();
    assert_eq!((msid.stream.as_str(), msid.track.as_deref()), ("PA_x|TR_camera", Some("TR_camera")));
    assert_eq!(video.ssrcs.len(), 2);
    assert_eq!(video.ssrc_groups[0].semantics, SsrcSemantics::Fid);
    assert!(video.ssrcs.iter().all(|line| line.cname.as_deref() == Some("PA_x|TR_camera")));
    assert!(!connection.needs_negotiation());
    assert_eq!(connection.sections_missing(), Sections::default());
}

#[test]
fn lines_that_are_missing_are_counted_and_taken_when_they_come() {
    let mut connection = connection(Role::Single);
    let mut client = Client::receiving(0, 1);
    answer(&mut connection, &client.offer());

    for id in 0..3 {
        connection.subscribe(SubscriptionId(id), source(MediaKind::Video, "v"));
    }
    assert_eq!(connection.sections_missing(), Sections { audio: 0, video: 2 });
    client.receive(MediaKind::Video);
    let (_, partly) = answer(&mut connection, &client.offer());
    assert!(connection.needs_negotiation());
    client.receive(MediaKind::Video);
    let (_, wholly) = answer(&mut connection, &client.offer());

    assert_eq!(subscribed(&partly.changes).len(), 2);
    assert_eq!(subscribed(&wholly.changes).len(), 1);
    assert!(!connection.needs_negotiation());
}

#[test]
fn a_line_is_inactive_before_it_carries_another_subscription() {
    let mut connection = connection(Role::Single);
    let client = Client::receiving(0, 1);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "a"));
    answer(&mut connection, &client.offer());

    connection.unsubscribe(SubscriptionId(1));
    connection.subscribe(SubscriptionId(2), source(MediaKind::Video, "b"));
    assert_eq!(connection.sections_missing().video, 1, "one more is a round trip less");
    let (between, ended) = answer(&mut connection, &client.offer());
    let (after, begun) = answer(&mut connection, &client.offer());

    assert_eq!(between.sections[0].direction, Direction::Inactive);
    assert_eq!((between.sections[0].msid.clone(), ended.mid_to_track_id.len()), (None, 0));
    assert_eq!(subscribed(&begun.changes), [(SubscriptionId(2), "0".to_owned())]);
    assert_eq!(after.sections[0].direction, Direction::SendOnly);
}

#[test]
fn a_subscription_that_ended_asks_for_one_more_offer() {
    let mut connection = connection(Role::Single);
    let client = Client::receiving(0, 1);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "a"));
    answer(&mut connection, &client.offer());
    assert!(!connection.needs_negotiation());

    connection.unsubscribe(SubscriptionId(1));

    assert!(connection.needs_negotiation());
    assert_eq!(connection.sections_missing(), Sections::default());
    answer(&mut connection, &client.offer());
    assert!(!connection.needs_negotiation());
}

#[test]
fn a_line_that_the_client_takes_away_is_told_and_another_taken() {
    let mut connection = connection(Role::Single);
    let mut client = Client::receiving(0, 1);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "a"));
    answer(&mut connection, &client.offer());

    client.sections[0].direction = "sendonly";
    client.sections[0].cid = Some("camera".to_owned());
    client.receive(MediaKind::Video);
    connection.expect(expected(9, MediaKind::Video, "camera"));
    let (ours, moved) = answer(&mut connection, &client.offer());

    assert!(moved.changes.contains(&Change::Unsubscribed(SubscriptionId(1))));
    assert_eq!(subscribed(&moved.changes), [(SubscriptionId(1), "1".to_owned())]);
    assert_eq!(published(&moved.changes), [TrackId(9)]);
    assert_eq!(ours.sections[0].direction, Direction::RecvOnly);
    assert_eq!(moved.mid_to_track_id.keys().collect::<Vec<_>>(), ["1"]);
}

#[test]
fn a_codec_that_the_client_does_not_take_is_refused_and_the_rest_goes_on() {
    let mut connection = connection(Role::Single);
    let mut client = Client::receiving(0, 2);
    client.video = "m=video 9 UDP/TLS/RTP/SAVPF 98\r\na=rtpmap:98 VP9/90000\r\n".to_owned();
    let mut vp9 = source(MediaKind::Video, "vp9");
    vp9.formats.retain(|format| format.payload.codec == Codec::Vp9);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "vp8"));
    connection.subscribe(SubscriptionId(2), vp9);

    let (_, answer) = answer(&mut connection, &client.offer());

    let why = CodecUnsupported { mime: "video/VP8".to_owned() };
    assert!(answer.changes.contains(&Change::Refused { subscription: SubscriptionId(1), why }));
    assert_eq!(subscribed(&answer.changes), [(SubscriptionId(2), "0".to_owned())]);
    assert!(!connection.needs_negotiation());
}

#[test]
fn payload_types_are_the_subscribers() {
    let mut connection = connection(Role::Single);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Video, "camera"));
    connection.subscribe(SubscriptionId(2), source(MediaKind::Audio, "mic"));
    let mut client = Client::receiving(1, 1);
    client.video =
        "m=video 9 UDP/TLS/RTP/SAVPF 120 121\r\na=rtpmap:120 VP8/90000\r\na=rtcp-fb:120 nack pli\r\n\
        a=rtpmap:121 rtx/90000\r\na=fmtp:121 apt=120\r\n"
            .to_owned();

    let (_, answer) = answer(&mut connection, &client.offer());

    let sends = answer.changes.iter().filter_map(|change| match change {
        Change::Subscribed { send, .. } => Some(send.clone()),
        _ => None,
    });
    let sends: Vec<_> = sends.collect();
    let number = PayloadType::new;
    let [vp8] = sends[0].formats[..] else { panic!("only what both know") };
    assert_eq!(
        (Some(vp8.from), Some(vp8.to.payload_type), vp8.to.rtx),
        (number(96), number(120), number(121))
    );
    assert!(sends[0].rtx_ssrc.is_some() && sends[1].rtx_ssrc.is_none());
    let [red, opus] = sends[1].formats[..] else { panic!("both") };
    assert_eq!((red.to.codec, opus.to.codec), (Codec::Red, Codec::Opus));
}

#[test]
fn redundant_audio_is_opus_for_a_client_without_it() {
    let mut connection = connection(Role::Single);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Audio, "mic"));
    let secret = Source { encryption: Encryption::EndToEnd, ..source(MediaKind::Audio, "secret") };
    connection.subscribe(SubscriptionId(2), secret);
    let offer = Client::receiving(2, 0).offer();
    let offer = offer.replace("SAVPF 111 63", "SAVPF 111").replace("a=rtpmap:63 red/48000/2\r\n", "");

    let (_, answer) = answer(&mut connection, &offer);

    let Some(Change::Subscribed { subscription, send, .. }) =
        answer.changes.iter().find(|change| matches!(change, Change::Subscribed { .. }))
    else {
        panic!()
    };
    assert_eq!(*subscription, SubscriptionId(1));
    let pairs: Vec<_> = send.formats.iter().map(|f| (f.from.value(), f.to.payload_type.value())).collect();
    assert_eq!(pairs, [(63, 111), (111, 111)]);
    assert!(
        answer
            .changes
            .iter()
            .any(|change| { matches!(change, Change::Refused { subscription: SubscriptionId(2), .. }) })
    );
}

#[test]
fn stereo_is_told_to_who_receives_it() {
    let mut connection = connection(Role::Single);
    let music = Source { stereo: Stereo::Stereo, ..source(MediaKind::Audio, "music") };
    connection.subscribe(SubscriptionId(1), music);

    let (ours, _) = answer(&mut connection, &Client::receiving(1, 0).offer());

    let opus = ours.sections[0].formats.iter().find(|format| format.name == "opus").unwrap();
    assert!(opus.fmtp.contains("sprop-stereo=1"));
}

#[test]
fn a_source_that_changes_is_told_again() {
    let mut connection = connection(Role::Single);
    let client = Client::receiving(0, 1);
    let camera = source(MediaKind::Video, "camera");
    connection.subscribe(SubscriptionId(1), camera.clone());
    answer(&mut connection, &client.offer());
    connection.subscribe(SubscriptionId(1), camera.clone());
    assert!(!connection.needs_negotiation());

    let mut changed = camera;
    changed.formats.remove(0);
    connection.subscribe(SubscriptionId(1), changed);
    assert!(connection.needs_negotiation());
    let (_, answer) = answer(&mut connection, &client.offer());

    assert_eq!(subscribed(&answer.changes).len(), 1);
}

#[test]
fn ids_that_are_no_tokens_are_made_some() {
    let mut connection = connection(Role::Single);
    let mut odd = source(MediaKind::Video, "v");
    odd.stream = "PA_x|my stream\r\na=evil é".to_owned();
    connection.subscribe(SubscriptionId(1), odd);

    let (ours, _) = answer(&mut connection, &Client::receiving(0, 1).offer());

    assert_eq!(ours.sections[0].msid.clone().unwrap().stream, "PA_x|my-stream--a-evil--");
}

#[test]
fn a_line_that_only_takes_what_was_published_on_it_is_left_alone() {
    let mut connection = connection(Role::Single);
    let mut vp9 = source(MediaKind::Video, "vp9");
    vp9.formats.retain(|format| format.payload.codec == Codec::Vp9);
    (0..4).for_each(|id| connection.subscribe(SubscriptionId(id), vp9.clone()));

    let (_, answer) = answer(&mut connection, PYTHON_UNPUBLISHED);

    assert_eq!(subscribed(&answer.changes).len(), 3, "its own three");
    assert_eq!(connection.sections_missing(), Sections { audio: 0, video: 1 });
}

#[test]
fn a_line_that_was_sent_on_is_the_last_to_be_taken() {
    let mut connection = connection(Role::Single);
    let mut client = Client::new();
    client.send(MediaKind::Audio, "mic");
    client.sections[0].direction = "recvonly";
    client.receive(MediaKind::Audio);
    connection.subscribe(SubscriptionId(1), source(MediaKind::Audio, "a"));

    let (_, first) = answer(&mut connection, &client.offer());
    connection.subscribe(SubscriptionId(2), source(MediaKind::Audio, "b"));
    let (_, second) = answer(&mut connection, &client.offer());

    assert_eq!(subscribed(&first.changes), [(SubscriptionId(1), "1".to_owned())]);
    assert_eq!(subscribed(&second.changes), [(SubscriptionId(2), "0".to_owned())]);
}
