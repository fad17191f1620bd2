//! Answers: what a client offers, taken as far as it is announced and enabled.
//!
//! Invariants: the answer has the offer's m-lines, payload types and extension ids. A line that a subscription left is
//! inactive in one answer before it carries another.

use std::collections::BTreeMap;

use sfu::{
    ids::TrackId,
    params::{Codec, IceCredentials, MediaKind, ReceiveParameters, RemoteParameters, SendParameters},
};

use super::{
    Answer, Change, Cids, Dtx, Encryption, Expected, Format, NegotiationError, Offered, OpusWishes,
    PeerConnection, Red, Role, Source, Stereo, codec, encoding, extension,
    line::{self, Line, Published, Received, Use},
    peer::{Data, News},
    send,
};
use crate::sdp::{
    Description, ExtMap, IceMode, Kind, Msid, Rtcp, RtpFormat, Sctp, Section, Setup, Simulcast,
    SimulcastStream, SsrcGroup, SsrcLine, SsrcSemantics,
};

/// What a data channel message may have at most: SDKs never send more.
pub(super) const MESSAGE_MAX: u64 = 64_000;
/// RFC 8841 §5: the port both sides take.
pub(super) const SCTP_PORT: u16 = 5000;

impl PeerConnection {
    pub(super) fn answer_to(
        &mut self,
        offer: &Description,
        fresh: IceCredentials,
    ) -> Result<Answer, NegotiationError> {
        self.check_lines(offer)?;
        let mut changes = Vec::new();
        self.take_transport(offer, Some(fresh), &mut changes)?;
        self.take_lines(offer, &mut changes);
        self.take_receive(&mut changes);
        self.take_data(offer, &mut changes);
        self.match_lines(&mut changes)?;
        if self.role == Role::Single {
            self.place_subscriptions(&mut changes);
        }
        let answer = self.write_answer(offer);
        let mid_to_track_id = self.carried();
        self.settle();
        Ok(Answer { sdp: answer.to_string(), mid_to_track_id, changes })
    }

    /// RFC 8829 §5.2.2: a later offer has all m-sections of an earlier one, in place; a rejected one may be recycled.
    pub(super) fn check_lines(&self, theirs: &Description) -> Result<(), NegotiationError> {
        let (before, now) = (self.lines.len(), theirs.sections.len());
        if now < before {
            return Err(NegotiationError::Fewer { before, now });
        }
        for (index, (line, section)) in self.lines.iter().zip(&theirs.sections).enumerate() {
            let recycled = line.theirs.as_ref().is_some_and(Section::is_rejected);
            let same = line.kind == section.kind && (line.mid == section.mid || section.is_rejected());
            if !same && !recycled {
                return Err(NegotiationError::Moved(index + 1));
            }
        }
        Ok(())
    }

    /// Reads the transport out of the first m-section in use. `fresh` become ours when ICE begins anew.
    pub(super) fn take_transport(
        &mut self,
        theirs: &Description,
        fresh: Option<IceCredentials>,
        changes: &mut Vec<Change>,
    ) -> Result<(), NegotiationError> {
        let Some(section) = theirs.sections.iter().find(|section| usable(theirs, section)) else {
            return Ok(());
        };
        if theirs.ice == IceMode::Lite {
            return Err(NegotiationError::BothLite);
        }
        if section.setup == Some(Setup::Passive) {
            return Err(NegotiationError::SetupPassive);
        }
        let (Some(ice), Some(fingerprint)) = (section.ice.clone(), section.fingerprint) else {
            return Err(NegotiationError::TransportMissing);
        };
        let remote = RemoteParameters { ice, fingerprint };
        let before = self.told.remote.replace(remote.clone());
        if before.as_ref() == Some(&remote) {
            return Ok(());
        }
        if let (Some(before), Some(fresh)) = (before, fresh)
            && before.ice != remote.ice
        {
            self.local.ice = fresh.clone();
            changes.push(Change::RestartedIce(fresh));
        }
        changes.push(Change::Remote(remote));
        Ok(())
    }

    fn take_lines(&mut self, offer: &Description, changes: &mut Vec<Change>) {
        for (index, section) in offer.sections.iter().enumerate() {
            let mut line = match self.lines.get_mut(index) {
                Some(line) => std::mem::replace(line, Line::new(section.kind.clone(), section.mid)),
                None => {
                    self.lines.push(Line::new(section.kind.clone(), section.mid));
                    Line::new(section.kind.clone(), section.mid)
                }
            };
            let usable = usable(offer, section);
            line.use_ = self.take_line(std::mem::take(&mut line.use_), section, usable, changes);
            line.kind = section.kind.clone();
            line.mid = section.mid;
            line.theirs = Some(section.clone());
            if let Some(place) = self.lines.get_mut(index) {
                *place = line;
            }
        }
    }

    /// What a line carries after the client said this of it.
    fn take_line(&mut self, before: Use, section: &Section, usable: bool, changes: &mut Vec<Change>) -> Use {
        let sends = usable && line::media(&section.kind).is_some() && line::sends(section);
        let cid = line::cid(section);
        match before {
            Use::Receiving(received) if sends && received.cid == cid => Use::Receiving(received),
            Use::Forgotten(forgotten) if sends && forgotten == cid => Use::Forgotten(forgotten),
            Use::Sending(subscription) if usable && !sends && section.direction.receives() => {
                Use::Sending(subscription)
            }
            Use::Ending if usable && !sends => Use::Ending,
            Use::Receiving(Received { track: Some(published), .. }) => {
                self.expected.remove(&published.track);
                changes.push(Change::Unpublished(published.track));
                fresh_use(sends, cid)
            }
            Use::Sending(subscription) => {
                if let Some(known) = self.subscriptions.get_mut(&subscription)
                    && known.send.take().is_some()
                {
                    changes.push(Change::Unsubscribed(subscription));
                }
                fresh_use(sends, cid)
            }
            Use::Free | Use::Receiving(_) | Use::Ending | Use::Forgotten(_) | Use::Data => {
                fresh_use(sends, cid)
            }
        }
    }

    /// What may arrive: all that our answer accepts.
    fn take_receive(&mut self, changes: &mut Vec<Change>) {
        let mut receive = ReceiveParameters::default();
        for line in &self.lines {
            let Some(theirs) = line.theirs.as_ref().filter(|theirs| !theirs.is_rejected()) else { continue };
            let ours = extension::accept(&theirs.extensions);
            receive.extensions = line::join(receive.extensions, extension::received(&ours));
            for format in self.accepted(line) {
                let number = format.payload.payload_type;
                if receive.formats.iter().all(|known| known.payload_type != number) {
                    receive.formats.push(format.payload);
                }
            }
        }
        if receive != self.told.receive {
            self.told.receive = receive.clone();
            changes.push(Change::Receive(receive));
        }
    }

    fn take_data(&mut self, offer: &Description, changes: &mut Vec<Change>) {
        let place = offer.sections.iter().position(|section| usable(offer, section) && is_data(section));
        if let Some(line) = place.and_then(|place| self.lines.get_mut(place)) {
            line.use_ = Use::Data;
            if self.told.data == Data::None {
                self.told.data = Data::Accepted;
                changes.push(Change::DataChannels);
            }
        }
    }

    /// Finds the announced track of each line on which the client sends (livekit's cid is the msid's track id).
    pub(super) fn match_lines(&mut self, changes: &mut Vec<Change>) -> Result<(), NegotiationError> {
        for index in 0..self.lines.len() {
            let Some(line) = self.lines.get(index) else { continue };
            let Use::Receiving(received) = &line.use_ else { continue };
            let Some(track) =
                received.track.as_ref().map(|known| known.track).or_else(|| self.announced(line))
            else {
                continue;
            };
            let Some(expected) = self.expected.get(&track) else { continue };
            let Some(published) = self.publication(line, expected)? else {
                changes.push(Change::Unpublishable(track));
                continue;
            };
            let same = received
                .track
                .as_ref()
                .is_some_and(|known| known.params == published.params && known.mime == published.mime);
            let cid = received.cid.clone();
            if !same {
                changes.push(Change::Published {
                    track,
                    params: published.params.clone(),
                    mid: published.params.mid.to_string(),
                    mime: published.mime.clone(),
                    cid: cid.clone(),
                });
            }
            if let Some(line) = self.lines.get_mut(index) {
                line.use_ = Use::Receiving(Received { cid, track: Some(published) });
            }
        }
        Ok(())
    }

    /// The announced track that a line carries.
    fn announced(&self, line: &Line) -> Option<TrackId> {
        let (kind, cid) = (line.media()?, line.theirs.as_ref().and_then(line::cid));
        let mut waiting = self.expected.values().filter(|expected| {
            expected.kind == kind
                && !self.lines.iter().filter_map(Line::published).any(|known| known.track == expected.track)
        });
        let named = |expected: &&Expected| cid.as_ref().is_some_and(|cid| expected.cids.contains(cid));
        if let Some(found) = waiting.clone().find(named) {
            return Some(found.track);
        }
        let nameless = cid.is_none() || self.policy.cids == Cids::Rewritten;
        waiting.next().filter(|_| nameless).map(|expected| expected.track)
    }

    fn publication(&self, line: &Line, expected: &Expected) -> Result<Option<Published>, NegotiationError> {
        let (Some(theirs), Some(mid)) = (&line.theirs, line.mid) else { return Ok(None) };
        let formats = self.preferred(line, Some(expected));
        let Some(first) = formats.first() else { return Ok(None) };
        let params = sfu::params::TrackParameters {
            kind: expected.kind,
            mid,
            encodings: encoding::read(expected.kind, theirs, &expected.layers)?,
            speech: expected.speech,
        };
        Ok(Some(Published { track: expected.track, params, mime: first.mime.clone(), formats }))
    }

    /// The client's formats of a line that are enabled, in its order.
    pub(super) fn accepted(&self, line: &Line) -> Vec<Format> {
        let (Some(kind), Some(theirs)) = (line.media(), &line.theirs) else { return Vec::new() };
        let enabled = if line::sends(theirs) { &self.policy.publish } else { &self.policy.subscribe };
        let mut formats = codec::read(kind, &theirs.formats);
        formats.retain(|format| enabled.contains(&format.mime));
        formats
    }

    /// The same in our order: what is wanted of the track comes first, as browsers send the answer's first.
    fn preferred(&self, line: &Line, expected: Option<&Expected>) -> Vec<Format> {
        let mut formats = self.accepted(line);
        let Some(expected) = expected else { return formats };
        let wanted = |format: &Format| {
            expected.codec.as_ref().is_some_and(|mime| mime.eq_ignore_ascii_case(&format.mime))
        };
        if expected.kind == MediaKind::Video
            && self.policy.answered == Offered::OnlyWanted
            && formats.iter().any(wanted)
        {
            formats.retain(wanted);
        }
        if expected.kind == MediaKind::Audio {
            let redundant = |format: &Format| format.payload.codec == Codec::Red;
            if expected.opus.red == Red::Off || expected.encryption == Encryption::EndToEnd {
                formats.retain(|format| !redundant(format));
            }
            formats.sort_by_key(|format| !redundant(format));
        }
        formats.sort_by_key(|format| !wanted(format));
        if formats.first().is_some_and(|first| first.payload.codec == Codec::Opus) {
            // Opus was asked for by name; where RED is offered with it, RED is how it is sent.
            formats.sort_by_key(|format| format.payload.codec != Codec::Red);
        }
        formats
    }

    /// Gives waiting subscriptions the free lines, and tells how each is written.
    fn place_subscriptions(&mut self, changes: &mut Vec<Change>) {
        let ids: Vec<_> = self.subscriptions.keys().copied().collect();
        for id in ids {
            let Some(source) = self.subscriptions.get(&id).map(|known| known.source.clone()) else {
                continue;
            };
            let place = self.line_of(id).or_else(|| self.free_line(source.kind));
            let Some(place) = place else { continue };
            let Some((mid, sinks, extensions)) = self.lines.get(place).and_then(|line| {
                let ours = extension::accept(&line.theirs.as_ref()?.extensions);
                Some((line.mid?, self.accepted(line), extension::sent(&ours)))
            }) else {
                continue;
            };
            let formats = match send::formats(&source, &sinks) {
                Ok(formats) => formats,
                Err(why) => {
                    self.unsubscribe(id);
                    changes.push(Change::Refused { subscription: id, why });
                    continue;
                }
            };
            if let Some(line) = self.lines.get_mut(place) {
                line.use_ = Use::Sending(id);
            }
            let Some(known) = self.subscriptions.get_mut(&id) else { continue };
            let repaired = formats.iter().any(|format| format.to.rtx.is_some());
            let send = SendParameters {
                mid,
                ssrc: known.ssrc,
                rtx_ssrc: repaired.then_some(known.rtx_ssrc),
                formats,
                extensions,
            };
            if known.send.as_ref() != Some(&send) {
                known.send = Some(send.clone());
                changes.push(Change::Subscribed { subscription: id, send, mid: mid.to_string() });
            }
        }
    }

    fn free_line(&self, kind: MediaKind) -> Option<usize> {
        self.lines.iter().position(|line| matches!(line.use_, Use::Free) && line.could_send(kind))
    }

    fn carried(&self) -> BTreeMap<String, String> {
        self.lines
            .iter()
            .filter_map(|line| {
                let known = self.subscriptions.get(&line.subscription()?)?;
                Some((line.mid?.to_string(), known.source.sid.clone()))
            })
            .collect()
    }

    fn settle(&mut self) {
        for line in &mut self.lines {
            if matches!(line.use_, Use::Ending) {
                line.use_ = Use::Free;
            }
        }
        let waiting = self.subscriptions.keys().any(|id| self.line_of(*id).is_none());
        self.news = if waiting { News::Some } else { News::None };
    }

    fn write_answer(&mut self, offer: &Description) -> Description {
        self.origin.version += 1;
        let mut answer = Description { origin: self.origin, ice: IceMode::Lite, ..Description::default() };
        for (line, theirs) in self.lines.iter().zip(&offer.sections) {
            let section = self.answer_section(line, theirs, usable(offer, theirs));
            answer.sections.push(section);
        }
        let accepted =
            |mid| answer.sections.iter().any(|section| section.mid == Some(mid) && !section.is_rejected());
        answer.bundle = offer.bundle.iter().copied().filter(|mid| accepted(*mid)).collect();
        self.write_candidates(&mut answer);
        answer
    }

    /// The transport's addresses stand in the first m-section in use: the others share it.
    pub(super) fn write_candidates(&self, ours: &mut Description) {
        if let Some(first) = ours.sections.iter_mut().find(|section| !section.is_rejected()) {
            first.candidates.clone_from(&self.local.endpoint.candidates);
            first.candidates_end = true;
        }
    }

    fn answer_section(&self, line: &Line, theirs: &Section, usable: bool) -> Section {
        if !usable || matches!(theirs.kind, Kind::Other(_)) {
            return rejected(theirs);
        }
        if matches!(theirs.kind, Kind::Application) {
            return if matches!(line.use_, Use::Data) { self.data_section(theirs) } else { rejected(theirs) };
        }
        let formats = self.answered(line, theirs);
        if formats.is_empty() {
            return rejected(theirs);
        }
        let mut section = Section::new(theirs.kind.clone(), &theirs.protocol);
        section.mid = theirs.mid;
        section.formats = formats;
        section.extensions = extension::accept(&theirs.extensions);
        section.rtcp = Rtcp { mux: true, reduced_size: theirs.rtcp.reduced_size };
        section.direction = line::direction(&line.use_);
        if let Use::Receiving(_) = line.use_ {
            write_simulcast(&mut section, theirs);
        }
        if let Some(subscription) = line.subscription() {
            self.write_source(&mut section, subscription);
        }
        self.write_transport(&mut section, Setup::Passive);
        section
    }

    /// The payload types of an answer: none is answered that is not enabled, but where none is, the m-section stays as it
    /// was offered, inactive.
    fn answered(&self, line: &Line, theirs: &Section) -> Vec<RtpFormat> {
        let expected = line.published().and_then(|published| self.expected.get(&published.track));
        let mut formats = self.preferred(line, expected);
        if formats.is_empty()
            && let Some(kind) = line.media()
        {
            formats = codec::read(kind, &theirs.formats);
        }
        let source =
            line.subscription().and_then(|id| self.subscriptions.get(&id)).map(|known| &known.source);
        for format in formats.iter_mut().filter(|format| format.payload.codec == Codec::Opus) {
            format.fmtp = match (expected, source) {
                (Some(expected), _) => opus_wished(expected.opus),
                (None, Some(source)) => opus_sent(source),
                (None, None) => OPUS.to_owned(),
            };
        }
        formats.iter().flat_map(codec::write).collect()
    }

    /// What is sent, named so that a client finds its track.
    pub(super) fn write_source(&self, section: &mut Section, subscription: sfu::ids::SubscriptionId) {
        let Some(known) = self.subscriptions.get(&subscription) else { return };
        let source = &known.source;
        section.msid = Some(Msid { stream: source.stream.clone(), track: Some(source.sid.clone()) });
        let line = |ssrc| SsrcLine { ssrc, cname: Some(source.stream.clone()) };
        section.ssrcs.push(line(known.ssrc));
        if section.formats.iter().any(|format| format.name == "rtx") {
            section.ssrcs.push(line(known.rtx_ssrc));
            section
                .ssrc_groups
                .push(SsrcGroup { semantics: SsrcSemantics::Fid, ssrcs: vec![known.ssrc, known.rtx_ssrc] });
        }
    }

    /// ICE, DTLS and their role: the same in all m-sections.
    pub(super) fn write_transport(&self, section: &mut Section, setup: Setup) {
        section.ice = Some(self.local.ice.clone());
        section.fingerprint = Some(self.local.endpoint.fingerprint);
        section.setup = Some(setup);
    }

    fn data_section(&self, theirs: &Section) -> Section {
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

/// Whether an m-section can be used: it is not rejected, and it shares the one transport there is.
fn usable(description: &Description, section: &Section) -> bool {
    let alone = description.bundle.is_empty() && description.sections.len() == 1;
    let bundled = section.mid.is_some_and(|mid| description.bundle.contains(&mid));
    !section.is_rejected() && (bundled || alone)
}

fn is_data(section: &Section) -> bool {
    section.kind == Kind::Application && section.sctp.is_some()
}

fn fresh_use(sends: bool, cid: Option<String>) -> Use {
    if sends { Use::Receiving(Received { cid, track: None }) } else { Use::Free }
}

/// RFC 8829 §5.3.1: port 0, and the format list as it was.
fn rejected(theirs: &Section) -> Section {
    let mut section = Section::new(theirs.kind.clone(), &theirs.protocol);
    section.port = 0;
    section.mid = theirs.mid;
    section.format_list.clone_from(&theirs.format_list);
    section.direction = crate::sdp::Direction::Inactive;
    section
}

/// RFC 8853 §5.3.2: every stream that is offered is taken; which of them are sent is asked for later.
fn write_simulcast(section: &mut Section, theirs: &Section) {
    if theirs.simulcast.send.is_empty() {
        return;
    }
    section.rids_received = theirs.simulcast.send.iter().map(|stream| stream.rid).collect();
    let receive =
        section.rids_received.iter().map(|rid| SimulcastStream { rid: *rid, paused: false }).collect();
    section.simulcast = Simulcast { send: Vec::new(), receive };
}

const OPUS: &str = "minptime=10;useinbandfec=1";

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

/// The client's understanding of header extensions in its answer to our offer.
pub(super) fn understood(theirs: &[ExtMap]) -> sfu::params::ExtensionMap {
    extension::received(theirs)
}
