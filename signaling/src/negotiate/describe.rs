//! Our descriptions: how an m-section of ours is written.
//!
//! Invariants: an answer has the offer's m-lines, payload types and extension ids. What it says that we send is
//! remembered in the line.

use sfu::{ids::SubscriptionId, params::Codec};

use super::{
    Dtx, OpusWishes, PeerConnection, Source, Stereo, codec, extension,
    line::{self, Line, Said, Use},
    terms::usable,
};
use crate::sdp::{
    Description, Direction, IceMode, Kind, Msid, Rtcp, RtpFormat, Sctp, Section, Setup, Simulcast, SsrcGroup,
    SsrcLine, SsrcSemantics,
};

/// What a data channel message may have at most: SDKs never send more.
pub(super) const MESSAGE_MAX: u64 = 64_000;
/// RFC 8841 §5: the port both sides take.
pub(super) const SCTP_PORT: u16 = 5000;

const OPUS: &str = "minptime=10;useinbandfec=1";

impl PeerConnection {
    pub(super) fn write_answer(&mut self, offer: &Description) -> Description {
        let mut answer = self.description();
        answer.extmap_mixed = offer.extmap_mixed;
        for (line, theirs) in self.lines.iter().zip(&offer.sections) {
            let section =
                if usable(offer, theirs) { self.answer_section(line, theirs) } else { rejected(theirs) };
            answer.sections.push(section);
        }
        let accepted =
            |mid| answer.sections.iter().any(|section| section.mid == Some(mid) && !section.is_rejected());
        answer.bundle = offer.bundle.iter().copied().filter(|mid| accepted(*mid)).collect();
        self.write_candidates(&mut answer);
        for line in &mut self.lines {
            line.said = if line.subscription().is_some() { Said::Sends } else { Said::Quiet };
        }
        answer
    }

    /// The session level of our next description.
    pub(super) fn description(&mut self) -> Description {
        self.origin.version = self.origin.version.saturating_add(1);
        Description { origin: self.origin, ice: IceMode::Lite, ..Description::default() }
    }

    /// RFC 9143 §7.1.3: the transport's addresses stand in the m-section that leads the group; the others share it.
    pub(super) fn write_candidates(&self, ours: &mut Description) {
        let leader = ours.bundle.first().copied();
        let leads =
            |section: &&mut Section| !section.is_rejected() && (leader.is_none() || section.mid == leader);
        if let Some(first) = ours.sections.iter_mut().find(leads) {
            first.candidates.clone_from(&self.local.endpoint.candidates);
            first.candidates_end = true;
        }
    }

    fn answer_section(&self, line: &Line, theirs: &Section) -> Section {
        if line.media().is_none() {
            return if matches!(line.use_, Use::Data) { self.data_answer(theirs) } else { rejected(theirs) };
        }
        let formats = self.answered(line);
        let mut section = Section::new(theirs.kind.clone(), &theirs.protocol);
        section.mid = theirs.mid;
        section.direction = line::direction(&line.use_);
        section.extensions = extension::accept(&theirs.extensions);
        section.rtcp = Rtcp { mux: true, reduced_size: theirs.rtcp.reduced_size };
        section.formats = match (formats.is_empty(), line.media()) {
            (false, _) | (true, None) => formats,
            (true, Some(kind)) => {
                // Nothing of it is enabled. It stays as it is, unused: a rejected one would be lost to the client.
                section.direction = Direction::Inactive;
                codec::read(kind, &theirs.formats).iter().flat_map(codec::write).collect()
            }
        };
        if section.formats.is_empty() {
            return rejected(theirs);
        }
        write_simulcast(&mut section, theirs);
        if let Some(subscription) = line.subscription() {
            self.write_source(&mut section, subscription);
        }
        self.write_transport(&mut section, Setup::Passive);
        section
    }

    /// The payload types of an answer, as they are wanted to be sent.
    fn answered(&self, line: &Line) -> Vec<RtpFormat> {
        let expected = line.published().and_then(|published| self.expected.get(&published.track));
        let known = line.subscription().and_then(|id| self.subscriptions.get(&id));
        let mut formats = self.preferred(line, expected);
        for format in formats.iter_mut().filter(|format| format.payload.codec == Codec::Opus) {
            format.fmtp = match (expected, known) {
                (Some(expected), _) => opus_wished(expected.opus),
                (None, Some(known)) => opus_sent(&known.source),
                (None, None) => OPUS.to_owned(),
            };
        }
        formats.iter().flat_map(codec::write).collect()
    }

    /// What is sent, named so that a client finds its track.
    pub(super) fn write_source(&self, section: &mut Section, subscription: SubscriptionId) {
        let Some(known) = self.subscriptions.get(&subscription) else { return };
        let source = &known.source;
        section.msid = Some(Msid { stream: source.stream.clone(), track: Some(source.sid.clone()) });
        let line = |ssrc| SsrcLine { ssrc, cname: Some(source.stream.clone()) };
        section.ssrcs.push(line(known.ssrc));
        if section.formats.iter().any(|format| format.name == "rtx") {
            section.ssrcs.push(line(known.rtx_ssrc));
            let ssrcs = vec![known.ssrc, known.rtx_ssrc];
            section.ssrc_groups.push(SsrcGroup { semantics: SsrcSemantics::Fid, ssrcs });
        }
    }

    /// ICE, DTLS and their role: the same in all m-sections.
    pub(super) fn write_transport(&self, section: &mut Section, setup: Setup) {
        section.ice = Some(self.local.ice.clone());
        section.fingerprint = Some(self.local.endpoint.fingerprint);
        section.setup = Some(setup);
    }

    fn data_answer(&self, theirs: &Section) -> Section {
        let mut section = data_section(&theirs.protocol);
        section.mid = theirs.mid;
        self.write_transport(&mut section, Setup::Passive);
        section
    }
}

/// An application section of ours (RFC 8841).
pub(super) fn data_section(protocol: &str) -> Section {
    let mut section = Section::new(Kind::Application, protocol);
    "webrtc-datachannel".clone_into(&mut section.format_list);
    section.sctp = Some(Sctp { port: SCTP_PORT, message_max: MESSAGE_MAX });
    section
}

/// RFC 8829 §5.3.1: port 0, and the format list as it was.
fn rejected(theirs: &Section) -> Section {
    let mut section = Section::new(theirs.kind.clone(), &theirs.protocol);
    section.port = 0;
    section.mid = theirs.mid;
    section.format_list.clone_from(&theirs.format_list);
    section.direction = Direction::Inactive;
    section
}

/// RFC 8853 §5.3.2: every stream that is offered is taken, also while the line is inactive: libwebrtc drops layers for good
/// that an answer does not have. One that is paused (`~`) stays so: it would be switched on again.
fn write_simulcast(section: &mut Section, theirs: &Section) {
    section.rids_received.clone_from(&theirs.rids_sent);
    section.simulcast = Simulcast { send: Vec::new(), receive: theirs.simulcast.send.clone() };
}

fn opus_wished(wishes: OpusWishes) -> String {
    let dtx = if wishes.dtx == Dtx::On { ";usedtx=1" } else { "" };
    let stereo = if wishes.stereo == Stereo::Stereo { ";stereo=1;maxaveragebitrate=510000" } else { "" };
    format!("{OPUS}{dtx}{stereo}")
}

/// RFC 7587 §7.1: what is sent has two channels.
pub(super) fn opus_sent(source: &Source) -> String {
    let stereo = if source.stereo == Stereo::Stereo { ";sprop-stereo=1" } else { "" };
    format!("{OPUS}{stereo}")
}
