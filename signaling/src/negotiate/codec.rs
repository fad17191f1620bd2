//! Payload types of an m-section as codecs: which are taken, and who can decode what.
//!
//! Invariant: a [`Format`]'s payload type and RTX are numbers of the m-section it was read from.

use sfu::{
    params::{Codec, Feedback, MediaKind, PayloadFormat},
    units::PayloadType,
};

use super::Format;
use crate::sdp::RtpFormat;

/// Encoding names in their customary case, with what they are.
const NAMES: [(&str, MediaKind, Codec); 11] = [
    ("opus", MediaKind::Audio, Codec::Opus),
    ("red", MediaKind::Audio, Codec::Red),
    ("PCMU", MediaKind::Audio, Codec::Other),
    ("PCMA", MediaKind::Audio, Codec::Other),
    ("G722", MediaKind::Audio, Codec::Other),
    ("VP8", MediaKind::Video, Codec::Vp8),
    ("VP9", MediaKind::Video, Codec::Vp9),
    ("H264", MediaKind::Video, Codec::H264),
    ("H265", MediaKind::Video, Codec::H265),
    ("AV1", MediaKind::Video, Codec::Av1),
    ("L16", MediaKind::Audio, Codec::Other),
];

/// Formats that are never media by themselves: repair and signals of other payload types.
const HELPERS: [&str; 6] = ["rtx", "ulpfec", "flexfec-03", "flexfec", "CN", "telephone-event"];

/// The feedback we understand for a kind.
pub(super) const fn feedback_of(kind: MediaKind) -> Feedback {
    match kind {
        MediaKind::Audio => Feedback::NACK.with(Feedback::TRANSPORT_CC),
        MediaKind::Video => Feedback::NACK
            .with(Feedback::PLI)
            .with(Feedback::FIR)
            .with(Feedback::TRANSPORT_CC)
            .with(Feedback::REMB),
    }
}

/// The codecs among payload types, in their order, each with its RTX.
pub(super) fn read(kind: MediaKind, formats: &[RtpFormat]) -> Vec<Format> {
    let mut found: Vec<Format> = Vec::new();
    for format in formats {
        if HELPERS.iter().any(|helper| helper.eq_ignore_ascii_case(&format.name)) {
            continue;
        }
        // Redundancy of pictures (ULPFEC in RED) is not taken apart here.
        if kind == MediaKind::Video && format.name.eq_ignore_ascii_case("red") {
            continue;
        }
        let known = NAMES.iter().find(|(name, of, _)| *of == kind && name.eq_ignore_ascii_case(&format.name));
        let (name, codec) =
            known.map_or((format.name.as_str(), Codec::Other), |(name, _, codec)| (*name, *codec));
        let rtx = formats.iter().find(|other| repairs(other, format.payload_type));
        found.push(Format {
            payload: PayloadFormat {
                payload_type: format.payload_type,
                codec,
                clock_rate: format.clock_rate,
                rtx: rtx.map(|rtx| rtx.payload_type),
                feedback: intersection(format.feedback, feedback_of(kind)),
            },
            mime: mime(kind, name),
            channels: format.channels,
            fmtp: without_encoder_hints(&format.fmtp),
        });
    }
    // RED says which payload type it repeats: without that one it is of no use.
    let numbers: Vec<PayloadType> =
        found.iter().filter(|format| format.payload.codec == Codec::Opus).map(number).collect();
    found.retain(|format| {
        format.payload.codec != Codec::Red
            || red_inner(&format.fmtp).is_some_and(|inner| numbers.contains(&inner))
    });
    found
}

/// A codec and its RTX as payload types of an m-section.
pub(super) fn write(format: &Format) -> impl Iterator<Item = RtpFormat> {
    let name = format.mime.split_once('/').map_or("", |(_, name)| name);
    let media = RtpFormat {
        payload_type: format.payload.payload_type,
        name: name.to_owned(),
        clock_rate: format.payload.clock_rate,
        channels: format.channels,
        fmtp: format.fmtp.clone(),
        feedback: format.payload.feedback,
    };
    let rtx = format.payload.rtx.map(|rtx| RtpFormat {
        payload_type: rtx,
        name: "rtx".to_owned(),
        clock_rate: format.payload.clock_rate,
        channels: 1,
        fmtp: format!("apt={}", format.payload.payload_type),
        feedback: Feedback::NONE,
    });
    [Some(media), rtx].into_iter().flatten()
}

fn mime(kind: MediaKind, name: &str) -> String {
    match kind {
        MediaKind::Audio => format!("audio/{name}"),
        MediaKind::Video => format!("video/{name}"),
    }
}

const fn number(format: &Format) -> PayloadType {
    format.payload.payload_type
}

fn repairs(rtx: &RtpFormat, media: PayloadType) -> bool {
    let apt = parameter(&rtx.fmtp, "apt").and_then(|apt| apt.parse().ok()).and_then(PayloadType::new);
    rtx.name.eq_ignore_ascii_case("rtx") && apt == Some(media)
}

fn intersection(one: Feedback, other: Feedback) -> Feedback {
    [Feedback::NACK, Feedback::PLI, Feedback::FIR, Feedback::TRANSPORT_CC, Feedback::REMB]
        .into_iter()
        .filter(|feedback| one.has(*feedback) && other.has(*feedback))
        .fold(Feedback::NONE, Feedback::with)
}

/// RFC 2198 §5: `111/111`, the payload type of each block; all of one here.
pub(super) fn red_inner(fmtp: &str) -> Option<PayloadType> {
    let mut blocks = fmtp.split('/').map(|block| block.trim().parse().ok().and_then(PayloadType::new));
    let first = blocks.next().flatten()?;
    blocks.all(|block| block == Some(first)).then_some(first)
}

/// `x-google-start-bitrate` and its like tell the client's own encoder what to do.
fn without_encoder_hints(fmtp: &str) -> String {
    if !fmtp.contains("x-google-") {
        return fmtp.to_owned();
    }
    let kept: Vec<&str> =
        fmtp.split(';').map(str::trim).filter(|part| !part.starts_with("x-google-")).collect();
    kept.join(";")
}

/// One of the `name=value` parameters of a format.
pub(super) fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// How well a sink takes a source's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// What it takes contains what is sent.
    Contains,
    /// The same.
    Exact,
}

/// Whether a stream sent as `source` can be decoded by who takes `sink`.
pub(super) fn fit(sink: &Format, source: &Format) -> Option<Fit> {
    let same = sink.mime.eq_ignore_ascii_case(&source.mime)
        && sink.payload.clock_rate == source.payload.clock_rate
        && sink.channels == source.channels;
    if !same {
        return None;
    }
    match source.payload.codec {
        Codec::H264 => fit_h264(&sink.fmtp, &source.fmtp),
        Codec::Vp9 => exact(profile(&sink.fmtp, "profile-id", 0), profile(&source.fmtp, "profile-id", 0)),
        Codec::Av1 => fit_av1(&sink.fmtp, &source.fmtp),
        Codec::H265 => fit_h265(&sink.fmtp, &source.fmtp),
        Codec::Red => exact(red_inner(&sink.fmtp), red_inner(&source.fmtp)),
        Codec::Opus | Codec::Vp8 | Codec::Other => Some(Fit::Exact),
    }
}

fn exact<T: PartialEq>(sink: T, source: T) -> Option<Fit> {
    (sink == source).then_some(Fit::Exact)
}

fn profile(fmtp: &str, name: &str, default: u8) -> Option<u8> {
    parameter(fmtp, name).map_or(Some(default), |value| value.parse().ok())
}

/// AV1 RTP payload format §7.2: profile 1 and 2 contain those below; levels are a matter of degree.
fn fit_av1(sink: &str, source: &str) -> Option<Fit> {
    let (sink, source) = (profile(sink, "profile", 0)?, profile(source, "profile", 0)?);
    match sink.cmp(&source) {
        std::cmp::Ordering::Equal => Some(Fit::Exact),
        std::cmp::Ordering::Greater => Some(Fit::Contains),
        std::cmp::Ordering::Less => None,
    }
}

/// RFC 7798 §7.1: profile and transmission mode; Main 10 contains Main.
fn fit_h265(sink: &str, source: &str) -> Option<Fit> {
    let mode = |fmtp| parameter(fmtp, "tx-mode").unwrap_or("SRST").to_ascii_uppercase();
    if mode(sink) != mode(source) {
        return None;
    }
    match (profile(sink, "profile-id", 1)?, profile(source, "profile-id", 1)?) {
        (sink, source) if sink == source => Some(Fit::Exact),
        (2, 1) => Some(Fit::Contains),
        _ => None,
    }
}

/// What H.264 calls a profile, without its level (RFC 6184 §8.1, table 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum H264Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    ConstrainedHigh,
    High,
    Other(u8, u8),
}

fn h264_profile(fmtp: &str) -> Option<H264Profile> {
    // RFC 6184 §8.1: absent, it is Baseline at level 1; browsers take that for the constrained one.
    let id = parameter(fmtp, "profile-level-id").unwrap_or("42e00a");
    let bits = u32::from_str_radix(id, 16).ok().filter(|_| id.len() == 6)?;
    let [_, idc, iop, _] = bits.to_be_bytes();
    Some(match (idc, iop) {
        (0x42, iop) if iop & 0x40 != 0 => H264Profile::ConstrainedBaseline,
        (0x4d, iop) if iop & 0x80 != 0 => H264Profile::ConstrainedBaseline,
        (0x58, iop) if iop & 0xc0 == 0xc0 => H264Profile::ConstrainedBaseline,
        (0x42, _) => H264Profile::Baseline,
        (0x58, iop) if iop & 0x80 != 0 => H264Profile::Baseline,
        (0x4d, _) => H264Profile::Main,
        (0x64, 0x0c) => H264Profile::ConstrainedHigh,
        (0x64, 0x00) => H264Profile::High,
        (idc, iop) => H264Profile::Other(idc, iop),
    })
}

/// The same profile and packetization, or a richer one. Levels are those of receivers: with
/// `level-asymmetry-allowed=1`, as every WebRTC peer says, each side has its own.
fn fit_h264(sink: &str, source: &str) -> Option<Fit> {
    use H264Profile::{Baseline, ConstrainedBaseline, ConstrainedHigh, High, Main};

    let mode = |fmtp| profile(fmtp, "packetization-mode", 0);
    let modes = match (mode(sink)?, mode(source)?) {
        (sink, source) if sink == source => Fit::Exact,
        (1, 0) => Fit::Contains,
        _ => return None,
    };
    let profiles = match (h264_profile(sink)?, h264_profile(source)?) {
        (sink, source) if sink == source => Fit::Exact,
        (Baseline | Main | ConstrainedHigh | High, ConstrainedBaseline) => Fit::Contains,
        (High, Main | ConstrainedHigh) => Fit::Contains,
        // What browsers send as Baseline has none of the tools that only Baseline has.
        (ConstrainedBaseline | Main | ConstrainedHigh | High, Baseline) => Fit::Contains,
        _ => return None,
    };
    Some(modes.min(profiles))
}
