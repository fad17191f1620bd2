//! An m-section while its lines come in.

use sfu::params::Feedback;

use super::{
    super::{
        Sctp, SsrcLine,
        limits::{CANDIDATES_MAX, FMTP_MAX, RIDS_MAX, SSRCS_MAX},
    },
    Defaults, Direction, Kind, Line, RtpFormat, SdpError, Section, attribute, credentials,
};

/// Payload types are 0 to 127.
const PAYLOAD_TYPES: usize = 128;
/// Header extensions of which we keep the meaning; an id of the one-byte form each.
const EXTMAPS_MAX: usize = 32;

/// What was read of an m-section.
pub(super) struct Open {
    section: Section,
    /// Where in `section.formats` a payload type stands.
    places: [Option<u8>; PAYLOAD_TYPES],
    direction: Option<Direction>,
    ufrag: Option<String>,
    pwd: Option<String>,
    candidates: usize,
}

impl Open {
    /// RFC 8866 §5.14: `media port[/count] protocol format…`.
    pub(super) fn new(line: Line<'_>, value: &str) -> Result<Self, SdpError> {
        let mut words = value.splitn(4, ' ');
        let (Some(kind), Some(port), Some(protocol), Some(list)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(line.malformed("m-line"));
        };
        let kind = match kind {
            "audio" => Kind::Audio,
            "video" => Kind::Video,
            "application" => Kind::Application,
            other => Kind::Other(other.to_owned()),
        };
        let mut section = Section::new(kind, protocol);
        section.port = line.number(port.split('/').next().unwrap_or_default(), "port")?;
        section.format_list = list.trim().to_owned();
        let mut open = Self {
            section,
            places: [None; PAYLOAD_TYPES],
            direction: None,
            ufrag: None,
            pwd: None,
            candidates: 0,
        };
        if matches!(open.section.kind, Kind::Audio | Kind::Video) && protocol.contains("RTP/") {
            open.payload_types(line)?;
        }
        Ok(open)
    }

    fn payload_types(&mut self, line: Line<'_>) -> Result<(), SdpError> {
        for word in self.section.format_list.split(' ').filter(|word| !word.is_empty()) {
            let payload_type = attribute::payload_type(line, word)?;
            let place = u8::try_from(self.section.formats.len()).ok();
            let slot = self.places.get_mut(usize::from(payload_type.value()));
            if slot.is_some_and(|slot| std::mem::replace(slot, place).is_some()) {
                return Err(SdpError::PayloadTypeTwice(line.number));
            }
            self.section.formats.push(RtpFormat {
                payload_type,
                name: String::new(),
                clock_rate: 0,
                channels: 1,
                fmtp: String::new(),
                feedback: Feedback::NONE,
            });
        }
        Ok(())
    }

    pub(super) fn attribute(&mut self, line: Line<'_>, name: &str, value: &str) -> Result<(), SdpError> {
        match name {
            "rtpmap" => return self.rtpmap(line, value),
            "fmtp" => return self.fmtp(line, value),
            "rtcp-fb" => return self.feedback(line, value),
            "extmap" => return self.extmap(line, value),
            "ssrc" => return self.ssrc(line, value),
            "ssrc-group" => return self.ssrc_group(line, value),
            "rid" => return self.rid(line, value),
            "simulcast" => return self.simulcast(line, value),
            "candidate" => return self.candidate(line, value),
            "msid" => return self.msid(line, value),
            "mid" => return self.mid(line, value),
            "ice-ufrag" => self.ufrag = Some(attribute::ice_text(line, value, 4)?),
            "ice-pwd" => self.pwd = Some(attribute::ice_text(line, value, 22)?),
            "fingerprint" => attribute::fingerprint(line, value, &mut self.section.fingerprint)?,
            "setup" => self.section.setup = Some(attribute::setup(line, value)?),
            "sctp-port" => self.sctp().port = line.number(value, "sctp-port")?,
            "max-message-size" => self.sctp().message_max = line.number(value, "max-message-size")?,
            "rtcp-mux" => self.section.rtcp.mux = true,
            "rtcp-rsize" => self.section.rtcp.reduced_size = true,
            "bundle-only" => self.section.bundle_only = true,
            "end-of-candidates" => self.section.candidates_end = true,
            "sendrecv" => self.direction = Some(Direction::SendRecv),
            "sendonly" => self.direction = Some(Direction::SendOnly),
            "recvonly" => self.direction = Some(Direction::RecvOnly),
            "inactive" => self.direction = Some(Direction::Inactive),
            _ => {}
        }
        Ok(())
    }

    fn sctp(&mut self) -> &mut Sctp {
        self.section.sctp.get_or_insert(Sctp { port: 0, message_max: Sctp::MESSAGE_MAX_DEFAULT })
    }

    /// The payload type that a value begins with, and the rest. A format that the m-line does not list is `None`.
    fn format<'a>(
        &mut self,
        line: Line<'_>,
        value: &'a str,
    ) -> Result<Option<(&mut RtpFormat, &'a str)>, SdpError> {
        let (number, rest) = value.split_once(' ').unwrap_or((value, ""));
        if !matches!(self.section.kind, Kind::Audio | Kind::Video) {
            return Ok(None);
        }
        let payload_type = attribute::payload_type(line, number)?;
        let place = self.places.get(usize::from(payload_type.value())).copied().flatten();
        let format = place.and_then(|place| self.section.formats.get_mut(usize::from(place)));
        Ok(format.map(|format| (format, rest)))
    }

    /// RFC 8866 §6.6: `payload-type name/clock[/channels]`.
    fn rtpmap(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        let Some((format, rest)) = self.format(line, value)? else {
            return Ok(());
        };
        let mut parts = rest.trim().split('/');
        let (Some(name), Some(clock)) = (parts.next(), parts.next()) else {
            return Err(line.malformed("rtpmap"));
        };
        if name.is_empty() || !name.bytes().all(attribute::is_token_byte) {
            return Err(line.malformed("rtpmap"));
        }
        name.clone_into(&mut format.name);
        format.clock_rate = line.number(clock, "rtpmap")?;
        format.channels = match parts.next() {
            None => 1,
            Some(channels) => line.number(channels, "rtpmap")?,
        };
        if format.clock_rate == 0 || format.channels == 0 {
            return Err(line.malformed("rtpmap"));
        }
        Ok(())
    }

    fn fmtp(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        let Some((format, rest)) = self.format(line, value)? else {
            return Ok(());
        };
        if rest.len() > FMTP_MAX {
            return Err(line.too_many("format parameters"));
        }
        rest.trim().clone_into(&mut format.fmtp);
        Ok(())
    }

    /// RFC 4585 §4.2; `*` stands for every payload type.
    fn feedback(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        if let Some(("*", rest)) = value.split_once(' ') {
            for format in &mut self.section.formats {
                format.feedback = format.feedback.with(attribute::feedback(rest));
            }
            return Ok(());
        }
        if let Some((format, rest)) = self.format(line, value)? {
            format.feedback = format.feedback.with(attribute::feedback(rest));
        }
        Ok(())
    }

    fn extmap(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        if let Some(extmap) = attribute::extmap(line, value)? {
            if self.section.extensions.len() == EXTMAPS_MAX {
                return Err(line.too_many("header extensions"));
            }
            self.section.extensions.push(extmap);
        }
        Ok(())
    }

    /// RFC 5576 §4.1: `ssrc attribute[:value]`.
    fn ssrc(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        let (number, rest) = value.split_once(' ').unwrap_or((value, ""));
        let ssrc = attribute::ssrc(line, number)?;
        let place = match self.section.ssrcs.iter().position(|known| known.ssrc == ssrc) {
            Some(place) => place,
            None if self.section.ssrcs.len() == SSRCS_MAX => return Err(line.too_many("SSRCs")),
            None => {
                self.section.ssrcs.push(SsrcLine { ssrc, cname: None });
                self.section.ssrcs.len() - 1
            }
        };
        if let Some(cname) = rest.strip_prefix("cname:")
            && let Some(known) = self.section.ssrcs.get_mut(place)
        {
            known.cname = Some(cname.to_owned());
        }
        match rest.strip_prefix("msid:") {
            Some(msid) => self.msid(line, msid),
            None => Ok(()),
        }
    }

    fn ssrc_group(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        if let Some(group) = attribute::ssrc_group(line, value)? {
            if self.section.ssrc_groups.len() == SSRCS_MAX {
                return Err(line.too_many("SSRC groups"));
            }
            self.section.ssrc_groups.push(group);
        }
        Ok(())
    }

    /// RFC 8851 §4: `name send|recv [restrictions]`.
    fn rid(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        let mut words = value.split(' ');
        let rid = attribute::rid(line, words.next().unwrap_or_default())?;
        let rids = match words.next() {
            Some("send") => &mut self.section.rids_sent,
            Some("recv") => &mut self.section.rids_received,
            _ => return Err(line.malformed("rid")),
        };
        if rids.contains(&rid) {
            return Err(SdpError::RidTwice { line: line.number, rid });
        }
        if rids.len() == RIDS_MAX {
            return Err(line.too_many("rids"));
        }
        rids.push(rid);
        Ok(())
    }

    /// RFC 8853 §5.1: `send streams [recv streams]` in either order.
    fn simulcast(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        let mut words = value.split(' ').filter(|word| !word.is_empty());
        while let Some(direction) = words.next() {
            let list = words.next().unwrap_or_default();
            // What RFC 8853's drafts wrote, and Firefox for years.
            let streams = attribute::simulcast_streams(line, list.strip_prefix("rid=").unwrap_or(list))?;
            match direction {
                "send" => self.section.simulcast.send = streams,
                "recv" => self.section.simulcast.receive = streams,
                _ => return Err(line.malformed("simulcast")),
            }
        }
        Ok(())
    }

    fn candidate(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        self.candidates += 1;
        if self.candidates > CANDIDATES_MAX {
            return Err(line.too_many("candidates"));
        }
        self.section.candidates.extend(attribute::candidate(value));
        Ok(())
    }

    fn msid(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        let msid = attribute::msid(line, value)?;
        self.section.msid.get_or_insert(msid);
        Ok(())
    }

    fn mid(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        let mid = attribute::mid(line, value)?;
        match self.section.mid.replace(mid) {
            None => Ok(()),
            Some(_) => Err(line.malformed("mid")),
        }
    }

    /// The m-section, with what the session level says for it.
    pub(super) fn finish(self, place: usize, session: &Defaults) -> Result<Section, SdpError> {
        let mut section = self.section;
        section.direction = self.direction.or(session.direction).unwrap_or(Direction::SendRecv);
        section.fingerprint = section.fingerprint.or(session.fingerprint);
        section.setup = section.setup.or(session.setup);
        section.ice = credentials(
            self.ufrag.or_else(|| session.ufrag.clone()),
            self.pwd.or_else(|| session.pwd.clone()),
        );
        if section.mid.is_none() && !section.is_rejected() {
            return Err(SdpError::MidMissing(place));
        }
        for (streams, declared) in [
            (&section.simulcast.send, &section.rids_sent),
            (&section.simulcast.receive, &section.rids_received),
        ] {
            if let Some(stream) = streams.iter().find(|stream| !declared.contains(&stream.rid)) {
                return Err(SdpError::RidUndeclared { section: place, rid: stream.rid });
            }
        }
        name_static_formats(&mut section);
        Ok(section)
    }
}

/// RFC 3551 §6: audio payload types that need no `a=rtpmap`. Others without one mean nothing and are dropped.
fn name_static_formats(section: &mut Section) {
    let sound = section.kind == Kind::Audio;
    section.formats.retain_mut(|format| {
        if !format.name.is_empty() {
            return true;
        }
        let name = match format.payload_type.value() {
            0 => "PCMU",
            8 => "PCMA",
            9 => "G722",
            _ => return false,
        };
        name.clone_into(&mut format.name);
        format.clock_rate = 8_000;
        sound
    });
}
