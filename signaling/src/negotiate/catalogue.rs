//! The payload types and header extensions of our own offers. Their numbers are ours to choose and never change.

use sfu::{
    params::{Codec, Extension, Feedback, MediaKind, PayloadFormat},
    units::PayloadType,
};

use super::{
    Codecs, Format,
    codec::{self, Fit},
};
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

/// Payload types for what the rows have not: the dynamic ranges that RTCP leaves free (RFC 5761 §4, RFC 3551 §6).
const MORE: [std::ops::RangeInclusive<u8>; 2] = [37..=62, 102..=127];

/// What one connection offers: the rows, and formats its publishers send that none of them takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalogue {
    more: Vec<(MediaKind, Format)>,
}

impl Catalogue {
    /// What we offer to send of a kind.
    pub(super) fn formats(&self, kind: MediaKind, enabled: &Codecs) -> Vec<Format> {
        let more = self.more.iter().filter(|(of, _)| *of == kind).map(|(_, format)| format.clone());
        rows(kind).chain(more).filter(|format| enabled.contains(&format.mime)).collect()
    }

    /// Gives a number to what a publisher sends, when it is another profile than those of the rows, or no row's at all.
    pub(super) fn learn(&mut self, kind: MediaKind, sent: &Format) {
        let known = |format: &Format| codec::fit(format, sent) == Some(Fit::Exact);
        let redundant = sent.payload.codec == Codec::Red;
        if redundant
            || rows(kind).any(|format| known(&format))
            || self.more.iter().any(|(_, format)| known(format))
        {
            return;
        }
        let (Some(payload_type), rtx) = (self.free(None), sent.payload.rtx) else { return };
        let rtx = rtx.and_then(|_| self.free(Some(payload_type)));
        let payload =
            PayloadFormat { payload_type, rtx, feedback: feedback(kind, sent.payload.codec), ..sent.payload };
        self.more.push((kind, Format { payload, ..sent.clone() }));
    }

    /// A number that means nothing yet.
    fn free(&self, but: Option<PayloadType>) -> Option<PayloadType> {
        let rows = rows(MediaKind::Audio).chain(rows(MediaKind::Video));
        let formats: Vec<Format> = rows.chain(self.more.iter().map(|(_, format)| format.clone())).collect();
        let taken = |number: &PayloadType| {
            let means = |format: &Format| {
                format.payload.payload_type == *number || format.payload.rtx == Some(*number)
            };
            but == Some(*number) || formats.iter().any(means)
        };
        MORE.into_iter().flatten().filter_map(PayloadType::new).find(|number| !taken(number))
    }
}

fn rows(kind: MediaKind) -> impl Iterator<Item = Format> {
    let rows: &'static [Row] = match kind {
        MediaKind::Audio => &AUDIO,
        MediaKind::Video => &VIDEO,
    };
    rows.iter().filter_map(move |row| format(kind, row))
}

const fn feedback(kind: MediaKind, codec: Codec) -> Feedback {
    match (kind, codec) {
        // A repeated packet of redundant audio comes too late to be of use.
        (MediaKind::Audio, Codec::Red) => Feedback::TRANSPORT_CC,
        (MediaKind::Audio | MediaKind::Video, _) => codec::feedback_of(kind),
    }
}

fn format(kind: MediaKind, row: &Row) -> Option<Format> {
    let (number, rtx, mime, codec, clock_rate, channels, fmtp) = *row;
    Some(Format {
        payload: PayloadFormat {
            payload_type: PayloadType::new(number)?,
            codec,
            clock_rate,
            rtx: PayloadType::new(rtx).filter(|_| rtx != 0),
            feedback: feedback(kind, codec),
        },
        mime: mime.to_owned(),
        channels,
        fmtp: fmtp.to_owned(),
    })
}

/// The header extensions we offer to send for a kind.
pub(super) fn extensions(kind: MediaKind) -> Vec<ExtMap> {
    let of_kind: &[(u8, Extension)] = match kind {
        MediaKind::Audio => &[
            (1, Extension::Mid),
            (2, Extension::AbsCaptureTime),
            (3, Extension::AudioLevel),
            (4, Extension::TransportCc),
            (5, Extension::AbsSendTime),
        ],
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
