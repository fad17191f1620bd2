//! Description to text.

use std::fmt::{self, Display, Formatter};

use sfu::{
    params::{Candidate, Feedback, Protocol},
    units::Ssrc,
};

use super::{
    Description, ExtmapMixed, IceMode, Kind, RtpFormat, Section, SimulcastStream, SsrcSemantics,
    parse::extension_uri,
};

impl Display for Description {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\n", self.origin.session, self.origin.version)?;
        f.write_str("s=-\r\nt=0 0\r\n")?;
        if !self.bundle.is_empty() {
            f.write_str("a=group:BUNDLE")?;
            for mid in &self.bundle {
                write!(f, " {mid}")?;
            }
            f.write_str("\r\n")?;
        }
        if self.extmap_mixed == ExtmapMixed::Allowed {
            f.write_str("a=extmap-allow-mixed\r\n")?;
        }
        f.write_str("a=msid-semantic: WMS *\r\n")?;
        if self.ice == IceMode::Lite {
            f.write_str("a=ice-lite\r\n")?;
        }
        self.sections.iter().try_for_each(|section| section.fmt(f))
    }
}

impl Display for Section {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Audio => "audio",
            Kind::Video => "video",
            Kind::Application => "application",
            Kind::Other(name) => name,
        };
        write!(f, "m={kind} {} {}", self.port, self.protocol)?;
        if self.formats.is_empty() {
            write!(f, " {}", self.format_list)?;
        }
        for format in &self.formats {
            write!(f, " {}", format.payload_type)?;
        }
        f.write_str("\r\nc=IN IP4 0.0.0.0\r\n")?;
        self.write_transport(f)?;
        match (&self.kind, self.sctp) {
            (Kind::Application, Some(sctp)) => {
                write!(f, "a=sctp-port:{}\r\na=max-message-size:{}\r\n", sctp.port, sctp.message_max)?;
            }
            _ => self.write_media(f)?,
        }
        for (index, candidate) in self.candidates.iter().enumerate() {
            write_candidate(f, index, candidate)?;
        }
        if self.candidates_end {
            f.write_str("a=end-of-candidates\r\n")?;
        }
        Ok(())
    }
}

impl Section {
    fn write_transport(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(ice) = &self.ice {
            write!(f, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", ice.ufrag, ice.pwd.0)?;
        }
        if let Some(fingerprint) = &self.fingerprint {
            write!(f, "a=fingerprint:sha-256 {fingerprint}\r\n")?;
        }
        if let Some(setup) = self.setup {
            write!(f, "a=setup:{}\r\n", setup.name())?;
        }
        if let Some(mid) = self.mid {
            write!(f, "a=mid:{mid}\r\n")?;
        }
        if self.bundle_only {
            f.write_str("a=bundle-only\r\n")?;
        }
        Ok(())
    }

    fn write_media(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for extmap in &self.extensions {
            write!(f, "a=extmap:{}", extmap.id)?;
            if let Some(direction) = extmap.direction {
                write!(f, "/{}", direction.name())?;
            }
            write!(f, " {}\r\n", extension_uri(extmap.extension))?;
        }
        write!(f, "a={}\r\n", self.direction.name())?;
        if let Some(msid) = &self.msid {
            write!(f, "a=msid:{}", msid.stream)?;
            if let Some(track) = &msid.track {
                write!(f, " {track}")?;
            }
            f.write_str("\r\n")?;
        }
        if self.rtcp.mux {
            f.write_str("a=rtcp-mux\r\n")?;
        }
        if self.rtcp.reduced_size {
            f.write_str("a=rtcp-rsize\r\n")?;
        }
        self.formats.iter().try_for_each(|format| write_format(f, format))?;
        self.write_simulcast(f)?;
        self.write_ssrcs(f)
    }

    fn write_simulcast(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for rid in &self.rids_sent {
            write!(f, "a=rid:{rid} send\r\n")?;
        }
        for rid in &self.rids_received {
            write!(f, "a=rid:{rid} recv\r\n")?;
        }
        let sides = [("send", &self.simulcast.send), ("recv", &self.simulcast.receive)];
        let mut separator = "a=simulcast:";
        for (direction, streams) in sides.into_iter().filter(|(_, streams)| !streams.is_empty()) {
            write!(f, "{separator}{direction} ")?;
            write_streams(f, streams)?;
            separator = " ";
        }
        if separator == " " {
            f.write_str("\r\n")?;
        }
        Ok(())
    }

    fn write_ssrcs(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for group in &self.ssrc_groups {
            let semantics = match group.semantics {
                SsrcSemantics::Fid => "FID",
                SsrcSemantics::Sim => "SIM",
                SsrcSemantics::Fec => "FEC-FR",
            };
            write!(f, "a=ssrc-group:{semantics}")?;
            for Ssrc(ssrc) in &group.ssrcs {
                write!(f, " {ssrc}")?;
            }
            f.write_str("\r\n")?;
        }
        for line in &self.ssrcs {
            write!(f, "a=ssrc:{}", line.ssrc.0)?;
            if let Some(cname) = &line.cname {
                write!(f, " cname:{cname}")?;
            }
            f.write_str("\r\n")?;
        }
        Ok(())
    }
}

fn write_streams(f: &mut Formatter<'_>, streams: &[SimulcastStream]) -> fmt::Result {
    for (index, stream) in streams.iter().enumerate() {
        let separator = if index > 0 { ";" } else { "" };
        let paused = if stream.paused { "~" } else { "" };
        write!(f, "{separator}{paused}{}", stream.rid)?;
    }
    Ok(())
}

fn write_format(f: &mut Formatter<'_>, format: &RtpFormat) -> fmt::Result {
    const LINES: [(Feedback, &str); 5] = [
        (Feedback::REMB, "goog-remb"),
        (Feedback::TRANSPORT_CC, "transport-cc"),
        (Feedback::FIR, "ccm fir"),
        (Feedback::NACK, "nack"),
        (Feedback::PLI, "nack pli"),
    ];
    let number = format.payload_type;
    write!(f, "a=rtpmap:{number} {}/{}", format.name, format.clock_rate)?;
    if format.channels > 1 {
        write!(f, "/{}", format.channels)?;
    }
    f.write_str("\r\n")?;
    if !format.fmtp.is_empty() {
        write!(f, "a=fmtp:{number} {}\r\n", format.fmtp)?;
    }
    for (_, line) in LINES.into_iter().filter(|(feedback, _)| format.feedback.has(*feedback)) {
        write!(f, "a=rtcp-fb:{number} {line}\r\n")?;
    }
    Ok(())
}

/// RFC 8445 §5.1.2.1 for a host candidate of component 1: ours come best first, UDP before TCP (RFC 6544 §4.2).
fn write_candidate(f: &mut Formatter<'_>, index: usize, candidate: &Candidate) -> fmt::Result {
    const HOST: u32 = 126 << 24;
    let order = u32::try_from(index).unwrap_or(u32::MAX).min(0x1fff);
    let (protocol, local, suffix) = match candidate.protocol {
        Protocol::Udp => ("udp", 0xffff - order, ""),
        // Direction preference 4 is passive.
        Protocol::Tcp => ("tcp", (4 << 13) + (0x1fff - order), " tcptype passive"),
    };
    let priority = HOST + (local << 8) + 255;
    let (address, port) = (candidate.addr.ip(), candidate.addr.port());
    write!(f, "a=candidate:{} 1 {protocol} {priority} {address} {port} typ host{suffix}\r\n", index + 1)
}
