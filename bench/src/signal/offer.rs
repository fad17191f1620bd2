//! A client's description (RFC 8829), as short as servers take it: what it sends, what it can receive.

use std::{fmt, net::SocketAddr};

use sfu::{params::Fingerprint, units::Ssrc};

use super::numbers::{AUDIO_LEVEL, H264, H264_RTX, MID, OPUS, REPAIRED_RID, RID, TRANSPORT_CC, VP8, VP8_RTX};
use crate::{
    client::Credentials,
    scenario::{Codec, Kind},
};

/// One m-section; its place is its mid.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    /// Sends a device.
    Send {
        codec: Codec,
        kind: Kind,
        cid: String,
        /// Encodings by rid, or the only one by its SSRC.
        rids: Vec<String>,
        ssrc: Ssrc,
    },
    Receive(Kind),
}

/// A description.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) local: Credentials,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) lines: Vec<Line>,
    /// One more with every offer.
    pub(crate) version: u32,
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=0\r\no=- 4611731400430051336 {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", self.version)?;
        f.write_str("a=group:BUNDLE")?;
        (0..self.lines.len()).try_for_each(|mid| write!(f, " {mid}"))?;
        f.write_str("\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\n")?;
        for (mid, line) in self.lines.iter().enumerate() {
            self.section(f, mid, line)?;
        }
        Ok(())
    }
}

impl Offer {
    fn section(&self, f: &mut fmt::Formatter<'_>, mid: usize, line: &Line) -> fmt::Result {
        let kind = match line {
            Line::Send { kind, .. } | Line::Receive(kind) => *kind,
        };
        let codecs: &[Codec] = match (line, kind) {
            (Line::Send { codec, .. }, _) => std::slice::from_ref(codec),
            (Line::Receive(_), Kind::Audio) => &[Codec::Opus],
            (Line::Receive(_), Kind::Video) => &[Codec::Vp8, Codec::H264],
        };
        let name = if kind == Kind::Audio { "audio" } else { "video" };
        write!(f, "m={name} 9 UDP/TLS/RTP/SAVPF")?;
        codecs.iter().try_for_each(|codec| numbers_of(f, *codec, line))?;
        f.write_str("\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n")?;
        write!(f, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", self.local.ufrag, self.local.pwd)?;
        f.write_str("a=ice-options:trickle\r\n")?;
        write!(f, "a=fingerprint:sha-256 {}\r\na=setup:active\r\na=mid:{mid}\r\n", self.fingerprint)?;
        if let Some(address) = self.address.filter(|_| mid == 0) {
            let (ip, port) = (address.ip(), address.port());
            write!(f, "a=candidate:1 1 udp 2130706431 {ip} {port} typ host generation 0\r\n")?;
        }
        extensions(f, kind)?;
        f.write_str(if matches!(line, Line::Send { .. }) { "a=sendonly\r\n" } else { "a=recvonly\r\n" })?;
        if let Line::Send { cid, .. } = line {
            write!(f, "a=msid:- {cid}\r\n")?;
        }
        f.write_str("a=rtcp-mux\r\na=rtcp-rsize\r\n")?;
        codecs.iter().try_for_each(|codec| formats(f, *codec, line))?;
        if let Line::Send { cid, rids, ssrc, .. } = line {
            encodings(f, cid, rids, *ssrc)?;
        }
        Ok(())
    }
}

fn extensions(f: &mut fmt::Formatter<'_>, kind: Kind) -> fmt::Result {
    if kind == Kind::Audio {
        write!(f, "a=extmap:{AUDIO_LEVEL} urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n")?;
    }
    write!(
        f,
        "a=extmap:{TRANSPORT_CC} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
         a=extmap:{MID} urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    )?;
    if kind == Kind::Video {
        write!(
            f,
            "a=extmap:{RID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
             a=extmap:{REPAIRED_RID} urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n"
        )?;
    }
    Ok(())
}

fn numbers_of(f: &mut fmt::Formatter<'_>, codec: Codec, line: &Line) -> fmt::Result {
    let (number, rtx) = match codec {
        Codec::Opus => (OPUS, None),
        Codec::Vp8 => (VP8, Some(VP8_RTX)),
        Codec::H264 => (H264, Some(H264_RTX)),
    };
    write!(f, " {}", number.value())?;
    match (rtx, line) {
        (Some(rtx), Line::Receive(_)) => write!(f, " {}", rtx.value()),
        _ => Ok(()),
    }
}

fn formats(f: &mut fmt::Formatter<'_>, codec: Codec, line: &Line) -> fmt::Result {
    let (number, rtx, name, fmtp) = match codec {
        Codec::Opus => (OPUS, None, "opus/48000/2", "minptime=10;useinbandfec=1"),
        Codec::Vp8 => (VP8, Some(VP8_RTX), "VP8/90000", ""),
        Codec::H264 => {
            let fmtp = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
            (H264, Some(H264_RTX), "H264/90000", fmtp)
        }
    };
    let number = number.value();
    write!(f, "a=rtpmap:{number} {name}\r\na=rtcp-fb:{number} transport-cc\r\n")?;
    if codec != Codec::Opus {
        for feedback in ["ccm fir", "nack", "nack pli"] {
            write!(f, "a=rtcp-fb:{number} {feedback}\r\n")?;
        }
    }
    if !fmtp.is_empty() {
        write!(f, "a=fmtp:{number} {fmtp}\r\n")?;
    }
    if let (Some(rtx), Line::Receive(_)) = (rtx, line) {
        let rtx = rtx.value();
        write!(f, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}\r\n")?;
    }
    Ok(())
}

fn encodings(f: &mut fmt::Formatter<'_>, cid: &str, rids: &[String], ssrc: Ssrc) -> fmt::Result {
    if rids.is_empty() {
        return write!(f, "a=ssrc:{0} cname:bench\r\na=ssrc:{0} msid:- {cid}\r\n", ssrc.0);
    }
    rids.iter().try_for_each(|rid| write!(f, "a=rid:{rid} send\r\n"))?;
    write!(f, "a=simulcast:send {}\r\n", rids.join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use signaling::sdp::Description;

    #[test]
    fn the_house_reads_it() {
        let send = |rids: &[&str]| Line::Send {
            codec: Codec::Vp8,
            kind: Kind::Video,
            cid: "camera".into(),
            rids: rids.iter().map(|rid| (*rid).to_owned()).collect(),
            ssrc: Ssrc(7),
        };
        let offer = Offer {
            local: Credentials { ufrag: "abcd".into(), pwd: "0123456789012345678901".into() },
            fingerprint: Fingerprint([7; 32]),
            address: Some(SocketAddr::from(([192, 0, 2, 1], 5_000))),
            lines: vec![send(&[]), send(&["q", "f"]), Line::Receive(Kind::Audio), Line::Receive(Kind::Video)],
            version: 1,
        };

        let read = Description::parse(&offer.to_string()).unwrap();

        assert_eq!(read.sections.len(), 4);
    }
}
