//! What a worker promises whoever speaks to it, and whatever they say.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test picks the one packet it asks for")]

use std::time::Duration;

use super::{
    testing::{OPUS, RED, Scene, VP8, VP8_RTX, fields, opus, picture, red, same, vp8},
    *,
};
use crate::{
    codec::vp8::Part,
    fixture,
    params::{Encoding, MediaKind, SendFormat},
    rtcp::{self, CompoundWriter, FirEntry, NtpTime, Packet, SenderInfo},
    rtp::Fields,
    units::{RtpTime, SeqNo, Ssrc},
};

const SSRC: u32 = 0x1111_1111;
const RTX_SSRC: u32 = 0x2222_2222;

#[test]
fn a_panic_ends_one_room_and_no_other() {
    let mut stage = Stage::new();
    let other = stage.scene.open_room();
    let carl = stage.scene.join(other);
    let key = stage.scene.worker.rooms_by_id[&other];
    let now = stage.scene.now;

    stage.scene.worker.with_room(key, now, |_, _| panic!("a planted one"));
    stage.scene.settle();
    stage.scene.worker.command(Command::CloseTransport(stage.scene.members[carl].transport), now);
    stage.scene.worker.command(Command::CloseRoom(other), now);
    stage.picture(0, Part::KeyframeStart, 100);

    assert!(stage.scene.events.iter().any(|event| matches!(event, EventKind::RoomLost)));
    assert_eq!(stage.heard().len(), 1);
    let counters = stage.scene.worker.counters();
    assert_eq!((counters.rooms, counters.transports, counters.rooms_lost), (1, 2, 1));
    let again = stage.scene.open_room();
    stage.scene.join(again);
}

#[test]
fn packets_of_one_picture_leave_equally_long() {
    let mut stage = Stage::new();
    stage.picture(0, Part::KeyframeStart, 1_100);
    let before = stage.heard().len();

    for (index, len) in [(1, 1_100), (2, 1_099), (3, 1_100), (4, 1_095), (5, 600)] {
        stage.send_picture(index, Part::Rest, len);
    }
    stage.scene.settle();

    let heard = &stage.heard()[before..];
    let lens: Vec<_> = heard.iter().map(|packet| packet.len).collect();
    assert_eq!(lens[..4], [lens[0]; 4]);
    assert!(lens[4] < lens[0]);
    let payloads: Vec<_> = heard.iter().map(|packet| packet.payload.len()).collect();
    assert_eq!(payloads, [1_100, 1_099, 1_100, 1_095, 600]);
}

#[test]
fn header_extensions_are_rebuilt_for_each_subscriber() {
    let mut stage = Stage::new();
    let track = stage.scene.publish(stage.ann, MediaKind::Audio, vec![encoding(77)]);
    stage.scene.subscribe(stage.bob, track, vec![same(opus())]);

    let header = fields(OPUS, 77, 5, 960);
    let extensions = [(1, &[0x85][..]), (4, b"p7"), (9, &[1, 2])];
    let datagram = stage.scene.seal_with(stage.ann, &header, 5, &[1, 2, 3], &extensions);
    stage.scene.send(stage.ann, &datagram);
    stage.scene.settle();

    let extensions = &stage.heard()[0].extensions;
    let expected = [(1, vec![0x85]), (4, b"s".to_vec())];
    assert_eq!(
        extensions.clone(),
        expected.into_iter().collect(),
        "no sending time where packets are kept as sent"
    );
}

#[test]
fn redundant_audio_is_unwrapped_for_those_who_know_none() {
    let mut stage = Stage::new();
    let track = stage.scene.publish(stage.ann, MediaKind::Audio, vec![encoding(77)]);
    let plain = SendFormat { from: red().payload_type, to: opus() };
    stage.scene.subscribe(stage.bob, track, vec![plain]);
    let eve = stage.scene.join(stage.room);
    stage.scene.subscribe(eve, track, vec![same(red())]);

    let payload = [0x80 | OPUS, 0, 0, 2, OPUS, 8, 8, 9, 9, 9];
    let datagram = stage.scene.seal(stage.ann, &fields(RED, 77, 5, 960), 5, &payload);
    stage.scene.send(stage.ann, &datagram);
    stage.scene.settle();

    assert_eq!(stage.heard()[0].payload, [9, 9, 9]);
    assert_eq!(stage.heard()[0].fields.payload_type, opus().payload_type);
    assert_eq!(stage.scene.members[eve].media[0].payload, payload);
}

#[test]
fn a_flood_of_nacks_costs_the_asker_its_share_and_nobody_else_anything() {
    let mut stage = Stage::new();
    let mut index = 0;
    let mut media = 0;
    let start = stage.scene.now;

    for round in 0..1_000 {
        for _ in 0..2 {
            let part = if index == 0 { Part::KeyframeStart } else { Part::Rest };
            stage.send_picture(index, part, 1_000);
            index += 1;
            media += 1_000;
        }
        stage.scene.settle();
        let newest =
            stage.heard().iter().rev().find(|packet| packet.fields.ssrc == stage.ssrc).unwrap().fields.seq;
        let all = (0..250).rev().map(|back| SeqNo(newest.0.wrapping_sub(back)));
        let nack = control(|writer| writer.nack(Ssrc(1), stage.ssrc, all));
        stage.say(stage.bob, &nack);
        stage.scene.pass(Duration::from_millis(10));
        let _ = round;
    }

    let resent: usize =
        stage.heard().iter().filter(|packet| packet.fields.ssrc != stage.ssrc).map(|packet| packet.len).sum();
    assert!(resent > 0);
    let seconds = (stage.scene.now - start).as_secs_f64();
    assert!(resent * 100 <= media * 16 + 1_600_000, "{resent} of {media} in {seconds} s");
}

#[test]
fn a_packet_that_was_lost_downstream_comes_over_rtx_with_its_number_first() {
    let mut stage = Stage::new();
    for index in 0..5 {
        let part = if index == 0 { Part::KeyframeStart } else { Part::Rest };
        stage.send_picture(index, part, 500);
    }
    stage.scene.settle();
    let lost = stage.heard()[3].clone();

    let nack = control(|writer| writer.nack(Ssrc(1), stage.ssrc, [lost.fields.seq]));
    stage.say(stage.bob, &nack);
    stage.scene.settle();

    let again = stage.heard().last().unwrap();
    assert_eq!(again.fields.payload_type.value(), VP8_RTX);
    assert_eq!(again.payload[..2], lost.fields.seq.0.to_be_bytes());
    assert_eq!(again.payload[2..], lost.payload);
    assert_eq!(again.fields.timestamp, lost.fields.timestamp);
}

#[test]
fn three_rollovers_with_losses_disorder_and_a_long_pause_lose_nothing_that_came() {
    let mut stage = Stage::new();
    let mut random = Random::new(4);
    let mut index = 65_530_u64;
    let mut sent = 0;
    let mut held = Vec::new();

    for step in 0..60_000_u64 {
        index += 1;
        if step == 30_000 {
            held.drain(..).for_each(|datagram: Vec<u8>| stage.scene.send(stage.ann, &datagram));
            index += 40_000;
        }
        let part = if step == 0 || step == 30_000 { Part::KeyframeStart } else { Part::Rest };
        let datagram = stage.seal_picture(index, part, 40);
        if part == Part::Rest && random.next_u64().is_multiple_of(10) {
            continue;
        }
        sent += 1;
        if part == Part::Rest && random.next_u64().is_multiple_of(20) {
            held.push(datagram);
        } else {
            stage.scene.send(stage.ann, &datagram);
        }
        if step % 8 == 0 {
            held.drain(..).for_each(|datagram| stage.scene.send(stage.ann, &datagram));
            stage.scene.pass(Duration::from_millis(4));
        }
    }
    held.drain(..).for_each(|datagram| stage.scene.send(stage.ann, &datagram));
    stage.scene.pass(Duration::from_millis(10));

    let counters = stage.scene.worker.counters();
    assert_eq!(counters.dropped.of(DropReason::RtpForged), 0);
    assert_eq!(counters.packets_in, sent);
    assert!(counters.packets_forwarded >= sent - 8, "{} of {sent}", counters.packets_forwarded);
    assert_eq!(counters.unsealed, 0);
}

#[test]
fn jumps_of_every_kind_are_outlived() {
    let mut stage = Stage::new();
    let mut random = Random::new(5);
    let mut index = 0_u64;
    let mut timestamp = 0_u32;

    for _ in 0..3_000 {
        index += 1;
        match random.next_u64() % 8 {
            0 => index += 30_000,
            1 => timestamp = timestamp.wrapping_add(1 << 31),
            2 => timestamp = random.next_u32(),
            _ => timestamp = timestamp.wrapping_add(3_000),
        }
        let keyframe = random.next_u64().is_multiple_of(30);
        let part = if keyframe { Part::KeyframeStart } else { Part::Rest };
        let payload = picture(part, (random.next_u32() & 0xffff) as u16, 60);
        let header = fields(VP8, SSRC, index, timestamp);
        let datagram = stage.scene.seal(stage.ann, &header, index, &payload);
        stage.scene.send(stage.ann, &datagram);
        stage.scene.pass(Duration::from_millis(1));
    }
    let before = stage.heard().len();
    index += 1;
    stage.picture(index, Part::KeyframeStart, 60);

    assert_eq!(stage.heard().len(), before + 1);
    assert_eq!(stage.scene.worker.counters().unsealed, 0);
}

#[test]
fn a_second_ssrc_under_the_same_name_takes_over_and_the_stream_stays_one() {
    let mut stage = Stage::new();
    let mid = b"p-named";
    let track = TrackId(9_000);
    let parameters = crate::params::TrackParameters {
        kind: MediaKind::Video,
        mid: crate::units::Mid::new(mid).unwrap(),
        encodings: vec![Encoding::default()],
        speech: crate::params::Speech::Ignored,
    };
    let transport = stage.scene.members[stage.ann].transport;
    stage.scene.worker.command(Command::Publish(transport, track, parameters), stage.scene.now);
    stage.scene.subscribe(stage.bob, track, vec![same(vp8())]);
    let mut send = |ssrc, index, timestamp, part| {
        let header = fields(VP8, ssrc, index, timestamp);
        let payload = picture(part, 3, 80);
        let datagram = stage.scene.seal_with(stage.ann, &header, index, &payload, &[(4, mid)]);
        stage.scene.send(stage.ann, &datagram);
        stage.scene.pass(Duration::from_millis(33));
    };

    send(501, 100, 1_000, Part::KeyframeStart);
    send(501, 101, 4_000, Part::InterframeStart);
    send(502, 40_000, 900_000, Part::InterframeStart);
    send(502, 40_001, 903_000, Part::KeyframeStart);
    send(501, 102, 7_000, Part::KeyframeStart);

    let heard = stage.heard();
    let seqs: Vec<_> = heard.iter().map(|packet| packet.index - heard[0].index).collect();
    assert_eq!(seqs, [0, 1, 2], "the old one never takes back, and nothing is shown before a key frame");
    let times: Vec<_> =
        heard.iter().map(|packet| packet.fields.timestamp.since(heard[0].fields.timestamp)).collect();
    assert_eq!(times[1], 3_000);
    assert!((5_000..7_000).contains(&(times[2] - times[1])), "{times:?}: two frames later by arrival");
    assert_eq!(stage.scene.worker.counters().dropped.of(DropReason::RtpUnknownStream), 1);
}

#[test]
fn nobody_speaks_for_another() {
    let mut stage = Stage::new();
    stage.picture(0, Part::KeyframeStart, 100);
    let eve = stage.scene.join(stage.room);
    let before = stage.heard().len();

    let stolen = stage.scene.seal(eve, &fields(VP8, SSRC, 1, 0), 1, &picture(Part::Rest, 1, 100));
    stage.scene.send(eve, &stolen);
    let info = SenderInfo { ntp: NtpTime(5 << 32), rtp: RtpTime(7), packets: 1, octets: 1 };
    for compound in [
        control(|writer| writer.sender_report(Ssrc(SSRC), &info, &[])),
        control(|writer| writer.goodbye(Ssrc(SSRC))),
        control(|writer| writer.pli(Ssrc(1), stage.ssrc)),
        control(|writer| writer.nack(Ssrc(1), stage.ssrc, [SeqNo(0)])),
    ] {
        stage.say(eve, &compound);
    }
    stage.scene.settle();

    assert_eq!(stage.heard().len(), before);
    let counters = stage.scene.worker.counters();
    assert_eq!(counters.dropped.of(DropReason::RtpUnknownStream), 1);
    assert_eq!((counters.keyframe_requests_in, counters.nacks_in), (0, 0));
    assert!(!stage.scene.events.iter().any(|event| matches!(event, EventKind::LayerStopped(..))));
}

#[test]
fn malformed_packets_of_an_authentic_client_are_dropped_and_the_next_good_one_is_forwarded() {
    let mut stage = Stage::new();
    stage.picture(0, Part::KeyframeStart, 100);
    let mut random = Random::new(6);
    let mut index = 0;

    for round in 0..2_000_u64 {
        let len = usize::try_from(random.next_u64() % 64).unwrap();
        let mut body: Vec<u8> = (0..len).map(|_| random.next_u64().to_le_bytes()[0]).collect();
        if round % 2 == 0 {
            index += 1;
            let number = [VP8, VP8_RTX, OPUS, RED, 5][usize::try_from(round / 2 % 5).unwrap()];
            let ssrc = if number == VP8_RTX { RTX_SSRC } else { SSRC };
            let mut header = [0; 64];
            let written = crate::rtp::HeaderWriter::new(
                &mut header,
                &fields(number, ssrc, index, 0),
                crate::rtp::Form::OneByte,
            )
            .unwrap()
            .finish();
            header[0] |= u8::try_from(random.next_u64() % 2).unwrap() << 5;
            let srtp = stage.scene.members[stage.ann].client.srtp().unwrap();
            let mut out = vec![0; 256];
            let sealed = srtp.outbound.seal_rtp(&header[..written], &body, 0, index, &mut out).unwrap();
            stage.scene.send(stage.ann, &out[..sealed]);
        } else {
            let kind = [200, 201, 202, 203, 205, 206, 207, 192][usize::try_from(round / 2 % 8).unwrap()];
            let words = u16::try_from(random.next_u64() % 20).unwrap();
            let first = 0x80 | (random.next_u64().to_le_bytes()[0] & 0x3f);
            let mut compound = vec![first, kind];
            compound.extend(words.to_be_bytes());
            compound.extend(SSRC.to_be_bytes());
            compound.append(&mut body);
            stage.say(stage.ann, &compound);
        }
        if round % 16 == 0 {
            stage.scene.pass(Duration::from_millis(10));
        }
    }
    let before = stage.heard().len();
    stage.picture(index + 1, Part::KeyframeStart, 100);

    assert_eq!(stage.heard().len(), before + 1);
    let counters = stage.scene.worker.counters();
    assert_eq!((counters.rooms_lost, counters.unsealed), (0, 0));
    assert!(counters.dropped.of(DropReason::RtcpMalformed) > 100);
    assert!(counters.dropped.of(DropReason::RtpUnknownFormat) > 100);
}

#[test]
fn ssrcs_that_are_made_up_are_bounded() {
    let mut stage = Stage::new();
    let mid = b"p-named";
    let parameters = crate::params::TrackParameters {
        kind: MediaKind::Video,
        mid: crate::units::Mid::new(mid).unwrap(),
        encodings: vec![Encoding::default()],
        speech: crate::params::Speech::Ignored,
    };
    let transport = stage.scene.members[stage.ann].transport;
    stage.scene.worker.command(Command::Publish(transport, TrackId(9_000), parameters), stage.scene.now);

    for ssrc in 0..3_000 {
        let header = fields(VP8, 0x5000_0000 + ssrc, 1, 0);
        let datagram = stage.scene.seal_with(stage.ann, &header, 1, &picture(Part::Rest, 1, 20), &[(4, mid)]);
        stage.scene.send(stage.ann, &datagram);
        stage.scene.pass(Duration::from_millis(1));
    }

    assert_eq!(stage.scene.worker.counters().dropped.of(DropReason::RtpTooManyStreams), 3_000 - 1_024);
}

#[test]
fn a_flood_is_cut_to_what_a_client_may_send() {
    let mut stage = Stage::new();
    stage.picture(0, Part::KeyframeStart, 100);

    for index in 1..=5_000 {
        stage.send_picture(index, Part::Rest, 40);
    }
    stage.scene.settle();

    let counters = stage.scene.worker.counters();
    assert!(counters.dropped.of(DropReason::Flood) >= 4_500);
    assert!(stage.heard().len() <= 501);
}

#[test]
fn a_key_frame_is_asked_for_when_the_viewer_is_ready_for_it() {
    let mut scene = Scene::new(WorkerConfig::default(), fixture::start());
    let room = scene.open_room();
    let (ann, ben) = (scene.join(room), scene.arrive(room));
    let track = scene.publish(ann, MediaKind::Video, vec![encoding(SSRC)]);
    let send = |scene: &mut Scene, index: u64| {
        let datagram = scene.seal(ann, &fields(VP8, SSRC, index, 0), index, &picture(Part::Rest, 1, 50));
        scene.send(ann, &datagram);
        scene.settle();
    };
    send(&mut scene, 0);
    scene.pass(Duration::from_secs(1));
    let before = scene.worker.counters().keyframe_requests_out;
    scene.subscribe(ben, track, vec![same(vp8())]);
    send(&mut scene, 1);

    let asked = |scene: &Scene| scene.worker.counters().keyframe_requests_out - before;
    assert_eq!(asked(&scene), 0, "it would come too early, and the next one would have to wait");
    scene.connect(ben);
    assert_eq!(asked(&scene), 1, "without waiting for a packet");
}

#[test]
fn who_knows_no_pli_is_sent_a_full_intra_request() {
    let mut stage = Stage::new();
    let mut format = vp8();
    format.feedback = crate::params::Feedback::FIR;
    let transport = stage.scene.members[stage.ann].transport;
    let parameters =
        crate::params::ReceiveParameters { formats: vec![format], extensions: testing::extensions() };
    stage.scene.worker.command(Command::SetReceive(transport, parameters), stage.scene.now);

    stage.picture(0, Part::InterframeStart, 100);

    let asked = stage.told_to(stage.ann, |packet| match packet {
        Packet::Fir { entries, .. } => Some(entries.collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(asked, [[FirEntry { ssrc: Ssrc(SSRC), seq: 1 }]]);
}

#[test]
fn arrivals_are_told_to_who_numbers_its_packets() {
    let mut stage = Stage::new();
    for (index, transport) in [(0_u64, 65_535_u16), (1, 0), (2, 2)] {
        let header = fields(VP8, SSRC, index, 0);
        let number = transport.to_be_bytes();
        let payload = picture(Part::KeyframeStart, 1, 50);
        let datagram = stage.scene.seal_with(stage.ann, &header, index, &payload, &[(3, &number)]);
        stage.scene.send(stage.ann, &datagram);
    }
    stage.scene.pass(Duration::from_millis(150));

    let told = stage.told_to(stage.ann, |packet| match packet {
        Packet::TransportCc(feedback) => Some((feedback.base, feedback.count)),
        _ => None,
    });
    assert_eq!(told, [(SeqNo(65_535), 4)]);
}

#[test]
fn a_publisher_that_never_reports_still_has_a_clock_downstream() {
    let mut stage = Stage::new();
    for index in 0..300_u64 {
        let part = if index == 0 { Part::KeyframeStart } else { Part::InterframeStart };
        let header = fields(VP8, SSRC, index, u32::try_from(index).unwrap() * 3_000);
        let datagram = stage.scene.seal(stage.ann, &header, index, &picture(part, 1, 50));
        stage.scene.send(stage.ann, &datagram);
        stage.scene.pass(Duration::from_micros(33_333));
    }

    let reports = stage.told_to(stage.bob, |packet| match packet {
        Packet::SenderReport { sender, info, .. } => Some((*sender, *info)),
        _ => None,
    });
    assert!((1..=3).contains(&reports.len()), "{}", reports.len());
    let (sender, info) = reports[0];
    assert_eq!(sender, stage.ssrc);
    // The clock runs with the time of day: the scene began at the epoch, its media at time 0.
    assert!(info.rtp.0 > 5 * 90_000 && info.rtp.0 < 10 * 90_000, "{info:?}");
}

/// A compound packet of a receiver.
fn control(write: impl FnOnce(&mut CompoundWriter<'_>) -> Result<(), rtcp::Full>) -> Vec<u8> {
    let mut bytes = vec![0; 8_192];
    let mut writer = CompoundWriter::new(&mut bytes);
    writer.receiver_report(Ssrc(1), &[]).unwrap();
    write(&mut writer).unwrap();
    let len = writer.len();
    bytes.truncate(len);
    bytes
}

fn encoding(ssrc: u32) -> Encoding {
    Encoding { rid: None, ssrc: Some(Ssrc(ssrc)), rtx_ssrc: None }
}

/// Ann publishes video, Bob gets it.
struct Stage {
    scene: Scene,
    room: RoomId,
    ann: usize,
    bob: usize,
    ssrc: Ssrc,
}

impl Stage {
    fn new() -> Self {
        let mut scene = Scene::new(WorkerConfig::default(), fixture::start());
        let room = scene.open_room();
        let (ann, bob) = (scene.join(room), scene.join(room));
        let encoding = Encoding { rtx_ssrc: Some(Ssrc(RTX_SSRC)), ..encoding(SSRC) };
        let track = scene.publish(ann, MediaKind::Video, vec![encoding]);
        let (_, ssrc) = scene.subscribe(bob, track, vec![same(vp8())]);
        scene.pass(Duration::from_millis(200));
        Self { scene, room, ann, bob, ssrc }
    }

    fn seal_picture(&mut self, index: u64, part: Part, len: usize) -> Vec<u8> {
        let header: Fields = fields(VP8, SSRC, index, (index & 0xffff_ffff) as u32);
        self.scene.seal(self.ann, &header, index, &picture(part, 1, len))
    }

    fn send_picture(&mut self, index: u64, part: Part, len: usize) {
        let datagram = self.seal_picture(index, part, len);
        self.scene.send(self.ann, &datagram);
    }

    fn picture(&mut self, index: u64, part: Part, len: usize) {
        self.send_picture(index, part, len);
        self.scene.pass(Duration::from_millis(1));
    }

    fn say(&mut self, member: usize, compound: &[u8]) {
        let datagram = self.scene.seal_control(member, compound);
        self.scene.send(member, &datagram);
    }

    fn heard(&self) -> &[testing::Heard] {
        &self.scene.members[self.bob].media
    }

    fn told_to<T>(&self, member: usize, pick: impl Fn(&Packet<'_>) -> Option<T>) -> Vec<T> {
        let compounds = &self.scene.members[member].control;
        let packets = compounds.iter().flat_map(|compound| rtcp::parse(compound));
        packets.filter_map(|packet| pick(&packet.unwrap())).collect()
    }
}
