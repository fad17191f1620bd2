//! Our own offers, to clients that receive on a connection of its own, and what the client answers.

use sfu::params::{ExtensionMap, MediaKind, SendParameters};

use super::{
    Change, CodecUnsupported, DataSection, NegotiationError, PeerConnection, Reuse, answer, catalogue, codec,
    line::{self, Line, Use},
    peer::{Data, News},
    send,
};
use crate::sdp::{Description, IceMode, Kind, Rtcp, Section, Setup};

const RTP: &str = "UDP/TLS/RTP/SAVPF";
const SCTP: &str = "UDP/DTLS/SCTP";

impl PeerConnection {
    pub(super) fn make_offer(&mut self) -> Description {
        if self.policy.data == DataSection::Offered
            && !self.lines.iter().any(|line| matches!(line.use_, Use::Data))
        {
            self.add_line(Kind::Application, Use::Data);
        }
        let ids: Vec<_> = self.subscriptions.keys().copied().collect();
        for id in ids {
            let Some(kind) = self.subscriptions.get(&id).map(|known| known.source.kind) else { continue };
            if self.line_of(id).is_some() {
                continue;
            }
            match self
                .lines
                .iter_mut()
                .find(|line| line.media() == Some(kind) && matches!(line.use_, Use::Free))
            {
                Some(line) => line.use_ = Use::Sending(id),
                None => self.add_line(section_kind(kind), Use::Sending(id)),
            }
        }
        self.news = News::None;
        self.origin.version += 1;
        let mut offer = Description { origin: self.origin, ice: IceMode::Lite, ..Description::default() };
        offer.sections = self.lines.iter().map(|line| self.offer_section(line)).collect();
        offer.bundle = offer
            .sections
            .iter()
            .filter(|section| !section.is_rejected())
            .filter_map(|section| section.mid)
            .collect();
        self.write_candidates(&mut offer);
        offer
    }

    /// Appends an m-line: its mid is its place.
    fn add_line(&mut self, kind: Kind, use_: Use) {
        let mid = sfu::units::Mid::new(self.lines.len().to_string().as_bytes());
        let mut line = Line::new(kind, mid);
        line.use_ = use_;
        self.lines.push(line);
    }

    fn offer_section(&self, line: &Line) -> Section {
        let Some(kind) = line.media() else {
            let mut section = answer::data_section(SCTP);
            section.mid = line.mid;
            self.write_transport(&mut section, Setup::ActPass);
            return section;
        };
        let mut section = Section::new(line.kind.clone(), RTP);
        section.mid = line.mid;
        section.direction = line::direction(&line.use_);
        section.extensions = catalogue::extensions(kind);
        section.rtcp = Rtcp { mux: true, reduced_size: true };
        let source =
            line.subscription().and_then(|id| self.subscriptions.get(&id)).map(|known| &known.source);
        let mut formats = catalogue::formats(kind, &self.policy.subscribe);
        for format in &mut formats {
            if let (Some(source), sfu::params::Codec::Opus) = (source, format.payload.codec) {
                format.fmtp = answer::opus_sent(source);
            }
        }
        section.formats = formats.iter().flat_map(codec::write).collect();
        if let Some(subscription) = line.subscription() {
            self.write_source(&mut section, subscription);
        }
        self.write_transport(&mut section, Setup::ActPass);
        section
    }

    pub(super) fn take_answer(&mut self, answer: &Description) -> Result<Vec<Change>, NegotiationError> {
        if answer.sections.len() != self.lines.len() {
            return Err(NegotiationError::Fewer { before: self.lines.len(), now: answer.sections.len() });
        }
        self.check_lines(answer)?;
        let mut changes = Vec::new();
        self.take_transport(answer, None, &mut changes)?;
        for (index, section) in answer.sections.iter().enumerate() {
            let Some(line) = self.lines.get_mut(index) else { continue };
            line.theirs = Some(section.clone());
            match line.use_ {
                Use::Sending(subscription) => self.take_sending(subscription, section, &mut changes),
                Use::Ending => self.end_line(index),
                Use::Data if self.told.data == Data::None && !section.is_rejected() => {
                    self.told.data = Data::Accepted;
                    changes.push(Change::DataChannels);
                }
                Use::Free | Use::Receiving(_) | Use::Forgotten(_) | Use::Data => {}
            }
        }
        let waiting = self.subscriptions.keys().any(|id| self.line_of(*id).is_none());
        if waiting {
            self.news = News::Some;
        }
        Ok(changes)
    }

    /// A line whose end was told carries something else from now on, or, for clients that cannot, nothing any more.
    fn end_line(&mut self, index: usize) {
        let reuse = self.policy.reuse;
        if let Some(line) = self.lines.get_mut(index) {
            line.use_ = match reuse {
                Reuse::SameSection => Use::Free,
                Reuse::AnotherSection => Use::Forgotten(None),
            };
        }
    }

    fn take_sending(
        &mut self,
        subscription: sfu::ids::SubscriptionId,
        theirs: &Section,
        changes: &mut Vec<Change>,
    ) {
        let Some(known) = self.subscriptions.get_mut(&subscription) else { return };
        let sinks = if theirs.is_rejected() || !theirs.direction.receives() {
            Vec::new()
        } else {
            codec::read(known.source.kind, &theirs.formats)
        };
        let primary = known.source.formats.first().map(|format| format.mime.clone()).unwrap_or_default();
        let formats = if sinks.is_empty() {
            Err(CodecUnsupported { mime: primary })
        } else {
            send::formats(&known.source, &sinks)
        };
        let (Ok(formats), Some(mid)) = (&formats, theirs.mid) else {
            self.unsubscribe(subscription);
            if let Err(why) = formats {
                changes.push(Change::Refused { subscription, why });
            }
            return;
        };
        let repaired = formats.iter().any(|format| format.to.rtx.is_some());
        let extensions: ExtensionMap = answer::understood(&theirs.extensions);
        let send = SendParameters {
            mid,
            ssrc: known.ssrc,
            rtx_ssrc: repaired.then_some(known.rtx_ssrc),
            formats: formats.clone(),
            extensions,
        };
        if known.send.as_ref() != Some(&send) {
            known.send = Some(send.clone());
            changes.push(Change::Subscribed { subscription, send, mid: mid.to_string() });
        }
    }
}

const fn section_kind(kind: MediaKind) -> Kind {
    match kind {
        MediaKind::Audio => Kind::Audio,
        MediaKind::Video => Kind::Video,
    }
}
