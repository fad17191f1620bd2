//! Values of attributes.

use std::net::{IpAddr, SocketAddr};

use sfu::{
    params::{Candidate, Extension, Feedback, Fingerprint, Protocol},
    units::{Mid, PayloadType, Rid, ShortName, Ssrc},
};

use super::{
    super::{
        Direction, ExtMap, Msid, Setup, SimulcastStream, SsrcGroup, SsrcSemantics,
        limits::{MSID_MAX, RIDS_MAX, SSRCS_MAX},
    },
    Line, SdpError,
};

/// RFC 8839 §5.4: letters, digits, `+` and `/`, at most 256 of them.
pub(super) fn ice_text(line: Line<'_>, value: &str, least: usize) -> Result<String, SdpError> {
    const ICE_TEXT_MAX: usize = 256;
    let fits = (least..=ICE_TEXT_MAX).contains(&value.len());
    // Some stacks use `-` and `_` as well: harmless, as the text is only compared and hashed.
    let clean = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte));
    if fits && clean { Ok(value.to_owned()) } else { Err(line.malformed("ICE credentials")) }
}

/// RFC 8122 §5, by SHA-256; other hashes are left out, and of several the first counts.
pub(super) fn fingerprint(
    line: Line<'_>,
    value: &str,
    kept: &mut Option<Fingerprint>,
) -> Result<(), SdpError> {
    let (hash, hex) = value.split_once(' ').ok_or_else(|| line.malformed("fingerprint"))?;
    if !hash.eq_ignore_ascii_case("sha-256") || kept.is_some() {
        return Ok(());
    }
    let mut bytes = [0; 32];
    let mut pairs = hex.trim().split(':');
    for byte in &mut bytes {
        let pair = pairs
            .next()
            .filter(|pair| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let value = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        *byte = value.ok_or_else(|| line.malformed("fingerprint"))?;
    }
    if pairs.next().is_some() {
        return Err(line.malformed("fingerprint"));
    }
    *kept = Some(Fingerprint(bytes));
    Ok(())
}

/// RFC 4145 §4; `holdconn` has no meaning in DTLS.
pub(super) fn setup(line: Line<'_>, value: &str) -> Result<Setup, SdpError> {
    match value {
        "actpass" => Ok(Setup::ActPass),
        "active" => Ok(Setup::Active),
        "passive" => Ok(Setup::Passive),
        _ => Err(line.malformed("setup")),
    }
}

/// RFC 5888 §4, in the length that a header extension can carry (RFC 9143 §15.1).
pub(super) fn mid(line: Line<'_>, value: &str) -> Result<Mid, SdpError> {
    let clean = value.bytes().all(is_token_byte);
    ShortName::new(value.as_bytes()).filter(|_| clean).ok_or_else(|| line.malformed("mid"))
}

/// RFC 8851 §10, in the length that a header extension can carry.
pub(super) fn rid(line: Line<'_>, value: &str) -> Result<Rid, SdpError> {
    let clean = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    ShortName::new(value.as_bytes()).filter(|_| clean).ok_or_else(|| line.malformed("rid"))
}

/// RFC 8866 §9: the characters of a token.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte)
}

/// 0 to 127.
pub(super) fn payload_type(line: Line<'_>, value: &str) -> Result<PayloadType, SdpError> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|_| digits);
    number.and_then(PayloadType::new).ok_or(SdpError::PayloadType(line.number))
}

/// One `a=rtcp-fb` value without its payload type; what we do not know is nothing.
pub(super) fn feedback(value: &str) -> Feedback {
    match value.trim_end() {
        "nack" => Feedback::NACK,
        "nack pli" => Feedback::PLI,
        "ccm fir" => Feedback::FIR,
        "transport-cc" => Feedback::TRANSPORT_CC,
        "goog-remb" => Feedback::REMB,
        _ => Feedback::NONE,
    }
}

/// RFC 8285 §8: `id[/direction] uri [attributes]`. `None` for one we do not know or could not write.
pub(super) fn extmap(line: Line<'_>, value: &str) -> Result<Option<ExtMap>, SdpError> {
    const ID_MAX: u8 = sfu::params::ExtensionMap::ID_MAX;
    let mut words = value.split(' ');
    let (Some(id), Some(uri)) = (words.next(), words.next()) else {
        return Err(line.malformed("extmap"));
    };
    let (id, direction) = match id.split_once('/') {
        None => (id, None),
        Some((id, direction)) => (id, Some(self::direction(line, direction)?)),
    };
    let id: u16 = line.number(id, "extmap")?;
    let Some(id) = u8::try_from(id).ok().filter(|id| (1..=ID_MAX).contains(id)) else {
        return Ok(None);
    };
    let known = Extension::ALL.into_iter().find(|extension| extension_uri(*extension) == uri);
    Ok(known.map(|extension| ExtMap { id, direction, extension }))
}

fn direction(line: Line<'_>, value: &str) -> Result<Direction, SdpError> {
    match value {
        "sendrecv" => Ok(Direction::SendRecv),
        "sendonly" => Ok(Direction::SendOnly),
        "recvonly" => Ok(Direction::RecvOnly),
        "inactive" => Ok(Direction::Inactive),
        _ => Err(line.malformed("extmap direction")),
    }
}

/// The name of a header extension in a description.
pub(crate) const fn extension_uri(extension: Extension) -> &'static str {
    match extension {
        Extension::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
        Extension::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        Extension::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
        Extension::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        Extension::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        Extension::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        Extension::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
        Extension::DependencyDescriptor => {
            "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
        }
        Extension::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        Extension::VideoOrientation => "urn:3gpp:video-orientation",
        Extension::VideoLayersAllocation => {
            "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
        }
    }
}

/// RFC 8830 §2: `stream [track]`.
pub(super) fn msid(line: Line<'_>, value: &str) -> Result<Msid, SdpError> {
    let mut words = value.split(' ');
    let stream = words.next().unwrap_or_default();
    let track = words.next().filter(|track| !track.is_empty());
    let fits = (1..=MSID_MAX).contains(&stream.len()) && track.is_none_or(|track| track.len() <= MSID_MAX);
    if !fits {
        return Err(line.malformed("msid"));
    }
    Ok(Msid { stream: stream.to_owned(), track: track.map(str::to_owned) })
}

/// A number that is not 0, which stands for no SSRC in many stacks.
pub(super) fn ssrc(line: Line<'_>, value: &str) -> Result<Ssrc, SdpError> {
    match line.number(value, "ssrc")? {
        0 => Err(SdpError::SsrcZero(line.number)),
        ssrc => Ok(Ssrc(ssrc)),
    }
}

/// RFC 5576 §4.2: `semantics ssrc…`. `None` for semantics we do not know.
pub(super) fn ssrc_group(line: Line<'_>, value: &str) -> Result<Option<SsrcGroup>, SdpError> {
    let mut words = value.split(' ').filter(|word| !word.is_empty());
    let semantics = match words.next() {
        Some("FID") => SsrcSemantics::Fid,
        Some("SIM") => SsrcSemantics::Sim,
        Some("FEC-FR" | "FEC") => SsrcSemantics::Fec,
        _ => return Ok(None),
    };
    let mut ssrcs = Vec::new();
    for word in words {
        if ssrcs.len() == SSRCS_MAX {
            return Err(line.too_many("SSRCs in a group"));
        }
        ssrcs.push(ssrc(line, word)?);
    }
    Ok(Some(SsrcGroup { semantics, ssrcs }))
}

/// RFC 8853 §5.1: `stream;stream`, each one or more alternatives, of which the first is taken.
pub(super) fn simulcast_streams(line: Line<'_>, value: &str) -> Result<Vec<SimulcastStream>, SdpError> {
    let mut streams: Vec<SimulcastStream> = Vec::new();
    for alternatives in value.split(';') {
        if streams.len() == RIDS_MAX {
            return Err(line.too_many("simulcast streams"));
        }
        let first = alternatives.split(',').next().unwrap_or_default();
        let (paused, name) = match first.strip_prefix('~') {
            Some(name) => (true, name),
            None => (false, first),
        };
        let rid = rid(line, name)?;
        if streams.iter().any(|stream| stream.rid == rid) {
            return Err(SdpError::RidTwice { line: line.number, rid });
        }
        streams.push(SimulcastStream { rid, paused });
    }
    Ok(streams)
}

/// RFC 8839 §5.1. `None` for what is not a host candidate of component 1 with an address: mDNS names, other protocols.
pub(super) fn candidate(value: &str) -> Option<Candidate> {
    let words: Vec<&str> = value.split(' ').take(12).collect();
    let [_, "1", transport, _, address, port, "typ", "host", rest @ ..] = words.as_slice() else {
        return None;
    };
    let protocol = match (transport.to_ascii_lowercase().as_str(), rest) {
        ("udp", _) => Protocol::Udp,
        ("tcp", ["tcptype", "passive", ..]) => Protocol::Tcp,
        _ => return None,
    };
    let address: IpAddr = address.parse().ok()?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some(Candidate { protocol, addr: SocketAddr::new(address, port) })
}
