//! What RTCP promises as a whole: what is written is read back, and what is malformed is refused.

use super::*;
use crate::units::{RtpTime, SeqNo};

const US: Ssrc = Ssrc(1);
const THEM: Ssrc = Ssrc(2);
const BLOCK: ReportBlock = ReportBlock {
    ssrc: THEM,
    fraction_lost: 3,
    lost: 4,
    highest_seq: 5,
    jitter: 6,
    last_sender_report: 7,
    delay_since: 8,
};
const INFO: SenderInfo = SenderInfo { ntp: NtpTime(9), rtp: RtpTime(10), packets: 11, octets: 12 };

#[test]
fn a_compound_packet_is_read_back() {
    let mut out = [0; 512];
    let mut writer = CompoundWriter::new(&mut out);
    writer.sender_report(US, &INFO, &[BLOCK]).unwrap();
    writer.source_description(US, b"name").unwrap();
    writer.receiver_report(US, &[BLOCK; 2]).unwrap();
    writer.pli(US, THEM).unwrap();
    writer.fir(US, FirEntry { ssrc: THEM, seq: 7 }).unwrap();
    writer.remb(US, Bitrate::kbps(300), &[THEM, US]).unwrap();
    writer.goodbye(US).unwrap();
    let len = writer.len();

    let packets: Vec<_> = parse(&out[..len]).collect::<Result<_, _>>().unwrap();

    let [
        Packet::SenderReport { sender, info, blocks },
        Packet::Other(202),
        Packet::ReceiverReport { blocks: two, .. },
        Packet::Pli { sender: US, media: THEM },
        Packet::Fir { entries, .. },
        Packet::Remb { bitrate, sources, .. },
        Packet::Goodbye { sources: gone },
    ] = packets[..]
    else {
        panic!("{packets:?}");
    };
    assert_eq!((sender, info), (US, INFO));
    assert!(blocks.eq([BLOCK]) && two.eq([BLOCK; 2]));
    assert!(entries.eq([FirEntry { ssrc: THEM, seq: 7 }]));
    assert_eq!(bitrate, Bitrate::kbps(300));
    assert!(sources.eq([THEM, US]) && gone.eq([US]));
}

#[test]
fn missing_packets_are_asked_for_in_as_few_pairs_as_they_fit() {
    let missing = [65_530, 65_535, 0, 10, 11, 27, 28, 300].map(SeqNo);
    let mut out = [0; 64];
    let mut writer = CompoundWriter::new(&mut out);

    writer.nack(US, THEM, missing).unwrap();

    let len = writer.len();
    assert_eq!(len, 12 + 4 * 4, "65530 to 10, 11 to 27, 28, 300");
    let Some(Ok(Packet::Nack { sender: US, media: THEM, missing: read })) = parse(&out[..len]).next() else {
        panic!("not a NACK");
    };
    assert!(read.eq(missing));
}

#[test]
fn nothing_missing_is_nothing_to_ask_for() {
    let mut out = [0; 64];
    let mut writer = CompoundWriter::new(&mut out);

    assert_eq!(writer.nack(US, THEM, []), Err(Full));
    assert!(writer.is_empty());
}

#[test]
fn a_bitrate_keeps_eighteen_bits() {
    for bps in [0, 1, 262_143, 262_144, 300_000, 1_234_567_890, u64::MAX] {
        let mut out = [0; 64];
        let mut writer = CompoundWriter::new(&mut out);
        writer.remb(US, Bitrate::bps(bps), &[]).unwrap();
        let len = writer.len();
        let Some(Ok(Packet::Remb { bitrate, .. })) = parse(&out[..len]).next() else { panic!("not a REMB") };
        assert!(bitrate.as_bps() <= bps && bps - bitrate.as_bps() <= bps >> 17, "{bps}: {bitrate:?}");
    }
}

#[test]
fn what_does_not_fit_leaves_what_was_written() {
    for room in 0..=200 {
        let mut out = vec![0; room];
        let mut writer = CompoundWriter::new(&mut out);
        let arrivals = [twcc::Arrival { seq: 1, at: std::time::Duration::ZERO }];
        let message = twcc::Message { sender: US, media: THEM, message: 0, base: 0 };
        let written = [
            writer.sender_report(US, &INFO, &[BLOCK]).is_ok(),
            writer.source_description(US, b"name").is_ok(),
            writer.nack(US, THEM, [SeqNo(1), SeqNo(100)]).is_ok(),
            writer.transport_cc(&message, &arrivals).is_ok(),
            writer.remb(US, Bitrate::kbps(1), &[THEM]).is_ok(),
            writer.goodbye(US).is_ok(),
        ];
        let len = writer.len();
        let read = parse(&out[..len]).map(Result::unwrap).count();
        assert_eq!(read, written.iter().filter(|written| **written).count(), "room {room}");
    }
}

#[test]
fn reports_have_thirty_one_blocks_at_most() {
    let mut out = [0; 2_000];
    let mut writer = CompoundWriter::new(&mut out);

    assert_eq!(writer.receiver_report(US, &[BLOCK; 32]), Err(Full));
    assert!(writer.receiver_report(US, &[BLOCK; 31]).is_ok());
    assert_eq!(writer.source_description(US, &[b'a'; 256]), Err(Full));
}

#[test]
fn the_first_malformed_packet_is_the_last() {
    let compound =
        [0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0x80, 201, 0, 1, 0, 0, 0, 1];

    let packets: Vec<_> = parse(&compound).collect();

    assert!(matches!(packets[..], [Ok(Packet::ReceiverReport { .. }), Err(RtcpError::Malformed(205))]));
}

/// What a client that means harm sends, and what becomes of it.
#[test]
fn malformed_packets_are_refused_and_odd_ones_are_borne() {
    let refused: [(&str, &[u8], RtcpError); 19] = [
        ("a header of three bytes", &[0x80, 201, 0], RtcpError::Truncated),
        ("version 1", &[0x40, 201, 0, 1, 0, 0, 0, 1], RtcpError::Version),
        ("version 3", &[0xc0, 201, 0, 1, 0, 0, 0, 1], RtcpError::Version),
        ("a length past the end", &[0x80, 201, 0, 2, 0, 0, 0, 1], RtcpError::Truncated),
        ("the longest length", &[0x80, 201, 0xff, 0xff, 0, 0, 0, 1], RtcpError::Truncated),
        ("padding of no bytes", &[0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0], RtcpError::Padding),
        ("padding of an empty packet", &[0xa0, 201, 0, 0], RtcpError::Padding),
        ("padding longer than the packet", &[0xa0, 201, 0, 1, 0, 0, 0, 5], RtcpError::Padding),
        ("padding of all", &[0xa0, 201, 0, 1, 0, 0, 0, 4], RtcpError::Malformed(201)),
        ("31 blocks that are not there", &[0x9f, 201, 0, 1, 0, 0, 0, 1], RtcpError::Malformed(201)),
        ("a sender report without its sender", &[0x80, 200, 0, 0], RtcpError::Malformed(200)),
        ("31 sources that are not there", &[0x9f, 203, 0, 1, 0, 0, 0, 1], RtcpError::Malformed(203)),
        ("a NACK of nothing", &[0x81, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2], RtcpError::Malformed(205)),
        ("a PLI about nobody", &[0x81, 206, 0, 1, 0, 0, 0, 1], RtcpError::Malformed(206)),
        ("a FIR for nobody", &[0x84, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0], RtcpError::Malformed(206)),
        (
            "a REMB of 255 sources in twenty bytes",
            &[0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 255, 0, 0, 0],
            RtcpError::Malformed(206),
        ),
        (
            "a REMB that ends after its name",
            &[0x8f, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B'],
            RtcpError::Malformed(206),
        ),
        (
            "feedback with the reserved status",
            &[0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 7, 0, 0, 0, 0, 0xff, 0xff, 0, 0],
            RtcpError::Malformed(205),
        ),
        (
            "feedback about nothing",
            &[0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            RtcpError::Malformed(205),
        ),
    ];
    let borne: [(&str, &[u8]); 8] = [
        ("a source description without its end", &[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 255, b'a', b'b']),
        ("an extended report of an unknown kind", &[0x80, 207, 0, 2, 0, 0, 0, 1, 99, 0, 0xff, 0xff]),
        ("an unknown packet", &[0x80, 255, 0, 0]),
        ("feedback of an unknown format", &[0x9e, 205, 0, 0]),
        ("a goodbye whose reason is too long", &[0x81, 203, 0, 2, 0, 0, 0, 1, 255, b'b', b'y', b'e']),
        ("a goodbye of nobody", &[0x80, 203, 0, 0]),
        ("padding of the last packet", &[0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4]),
        (
            "a REMB of more than there is",
            &[0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 0, 0xff, 0xff, 0xff],
        ),
    ];

    for (what, bytes, error) in refused {
        assert_eq!(parse(bytes).next().unwrap().unwrap_err(), error, "{what}");
        assert_eq!(parse(bytes).count(), 1, "{what}");
    }
    for (what, bytes) in borne {
        assert!(parse(bytes).next().unwrap().is_ok(), "{what}");
    }
}

#[test]
fn every_short_length_is_answered() {
    for len in 0..=64 {
        for packet_type in 192..=223 {
            for count in [0, 1, 4, 15, 31] {
                for fill in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                    let mut bytes = vec![fill; len];
                    let words = u8::try_from(len / 4).unwrap().saturating_sub(1);
                    for (byte, value) in bytes.iter_mut().zip([0x80 | count, packet_type, 0, words]) {
                        *byte = value;
                    }
                    for packet in parse(&bytes) {
                        let _ = packet.map(walk);
                    }
                }
            }
        }
    }
}

/// Reads whatever the packet has.
fn walk(packet: Packet<'_>) -> usize {
    match packet {
        Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => blocks.count(),
        Packet::Goodbye { sources } | Packet::Remb { sources, .. } => sources.count(),
        Packet::Nack { missing, .. } => missing.count(),
        Packet::Fir { entries, .. } => entries.count(),
        Packet::TransportCc(feedback) => feedback.statuses().count(),
        Packet::Pli { .. } | Packet::Other(_) => 0,
    }
}
