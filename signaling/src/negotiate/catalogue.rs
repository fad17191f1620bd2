//! The payload types and header extensions of our own offers. Their numbers are ours to choose and never change.

use sfu::{
    params::{Codec, Extension, Feedback, MediaKind, PayloadFormat},
    units::PayloadType,
};

use super::{Codecs, Format};
use crate::sdp::ExtMap;

/// Payload type, RTX (0 for none), media type, codec, clock, channels, format parameters.
type Row = (u8, u8, &'static str, Codec, u32, u8, &'static str);

const AUDIO: [Row; 4] = [
    (111, 0, "audio/opus", Codec::Opus, 48_000, 2, "minptime=10;useinbandfec=1"),
    (63, 0, "audio/red", Codec::Red, 48_000, 2, "111/111"),
    (0, 0, "audio/PCMU", Codec::Other, 8_000, 1, ""),
    (8, 0, "audio/PCMA", Codec::Other, 8_000, 1, ""),
];

const VIDEO: [Row; 8] = [
    (96, 97, "video/VP8", Codec::Vp8, 90_000, 1, ""),
    (98, 99, "video/VP9", Codec::Vp9, 90_000, 1, "profile-id=0"),
    (100, 101, "video/VP9", Codec::Vp9, 90_000, 1, "profile-id=1"),
    (125, 126, "video/H264", Codec::H264, 90_000, 1, H264_BASELINE_SINGLE),
    (108, 109, "video/H264", Codec::H264, 90_000, 1, H264_BASELINE),
    (123, 124, "video/H264", Codec::H264, 90_000, 1, H264_HIGH),
    (35, 36, "video/AV1", Codec::Av1, 90_000, 1, ""),
    (116, 117, "video/H265", Codec::H265, 90_000, 1, ""),
];

const H264_BASELINE_SINGLE: &str = "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f";
const H264_BASELINE: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
const H264_HIGH: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640032";

/// What we offer to send of a kind.
pub(super) fn formats(kind: MediaKind, enabled: &Codecs) -> Vec<Format> {
    let rows: &[Row] = match kind {
        MediaKind::Audio => &AUDIO,
        MediaKind::Video => &VIDEO,
    };
    rows.iter().filter(|row| enabled.contains(row.2)).filter_map(|row| format(kind, row)).collect()
}

fn format(kind: MediaKind, row: &Row) -> Option<Format> {
    let (number, rtx, mime, codec, clock_rate, channels, fmtp) = *row;
    let feedback = match kind {
        // A repeated packet of redundant audio comes too late to be of use.
        MediaKind::Audio if codec == Codec::Red => Feedback::NONE,
        MediaKind::Audio => Feedback::NACK,
        MediaKind::Video => {
            Feedback::NACK.with(Feedback::PLI).with(Feedback::FIR).with(Feedback::TRANSPORT_CC)
        }
    };
    Some(Format {
        payload: PayloadFormat {
            payload_type: PayloadType::new(number)?,
            codec,
            clock_rate,
            rtx: PayloadType::new(rtx).filter(|_| rtx != 0),
            feedback,
        },
        mime: mime.to_owned(),
        channels,
        fmtp: fmtp.to_owned(),
    })
}

/// The header extensions we offer to send for a kind.
pub(super) fn extensions(kind: MediaKind) -> Vec<ExtMap> {
    let of_kind: &[(u8, Extension)] = match kind {
        MediaKind::Audio => {
            &[(1, Extension::Mid), (2, Extension::AbsCaptureTime), (3, Extension::AudioLevel)]
        }
        MediaKind::Video => &[
            (1, Extension::Mid),
            (2, Extension::AbsCaptureTime),
            (4, Extension::TransportCc),
            (5, Extension::AbsSendTime),
            (6, Extension::DependencyDescriptor),
            (7, Extension::PlayoutDelay),
            (8, Extension::VideoOrientation),
        ],
    };
    of_kind.iter().map(|(id, extension)| ExtMap { id: *id, direction: None, extension: *extension }).collect()
}
