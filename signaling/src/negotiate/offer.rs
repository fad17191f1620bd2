//! Our own offers, to clients that receive on a connection of their own, and what the client answers.

use std::{cmp::Reverse, collections::BTreeSet};

use sfu::{
    ids::SubscriptionId,
    params::{Codec, Feedback, MediaKind, SendParameters},
    units::{Mid, PayloadType},
};

use super::{
    Change, CodecUnsupported, DataSection, Format, NegotiationError, PeerConnection, Reuse, catalogue, codec,
    describe, extension,
    line::{self, Line, Said, Use},
    peer::{Data, News},
    send,
    terms::Part,
};
use crate::sdp::{
    Description, Direction, ExtMap, ExtmapMixed, Kind, Rtcp, Section, Setup, limits::SECTIONS_MAX,
};

const RTP: &str = "UDP/TLS/RTP/SAVPF";
const SCTP: &str = "UDP/DTLS/SCTP";

impl PeerConnection {
    pub(super) fn make_offer(&mut self) -> Description {
        if self.policy.data == DataSection::Offered && self.lines.is_empty() {
            self.add_line(Kind::Application, Use::Data);
        }
        let placed = self.placed();
        let ids: Vec<SubscriptionId> = self.subscriptions.keys().copied().collect();
        for id in ids.into_iter().filter(|id| !placed.contains_key(id)) {
            self.place_offered(id);
        }
        self.news = News::None;
        let mut offer = self.description();
        offer.extmap_mixed = ExtmapMixed::Allowed;
        for index in 0..self.lines.len() {
            if let Some(section) = self.offer_line(index) {
                offer.sections.push(section);
            }
        }
        let used = offer.sections.iter().filter(|section| !section.is_rejected());
        offer.bundle = used.filter_map(|section| section.mid).collect();
        self.write_candidates(&mut offer);
        offer
    }

    /// Puts a subscription on a line that carries nothing, on one whose place is free, or on one more.
    fn place_offered(&mut self, id: SubscriptionId) {
        let Some(kind) = self.subscriptions.get(&id).map(|known| known.source.kind) else { return };
        let quiet = |line: &Line| {
            line.media() == Some(kind) && matches!(line.use_, Use::Free) && line.said == Said::Quiet
        };
        if let Some(line) = self.lines.iter_mut().find(|line| quiet(line)) {
            line.use_ = Use::Sending(id);
            return;
        }
        let rejected = self.lines.iter().position(|line| line.said == Said::Rejected);
        match rejected {
            Some(index) => {
                let mid = self.next_mid();
                if let Some(line) = self.lines.get_mut(index) {
                    *line = Line { use_: Use::Sending(id), ..Line::new(section_kind(kind), mid) };
                }
            }
            None if self.lines.len() < SECTIONS_MAX => self.add_line(section_kind(kind), Use::Sending(id)),
            None => {}
        }
    }

    /// Whether another subscription can be offered.
    pub(super) fn has_room(&self, kind: MediaKind) -> bool {
        let open = |line: &Line| {
            line.said == Said::Rejected || (line.media() == Some(kind) && matches!(line.use_, Use::Free))
        };
        self.lines.len() < SECTIONS_MAX || self.lines.iter().any(open)
    }

    fn add_line(&mut self, kind: Kind, use_: Use) {
        let line = Line { use_, ..Line::new(kind, self.next_mid()) };
        self.lines.push(line);
    }

    /// A name that no line had before, as a recycled line must have.
    fn next_mid(&mut self) -> Option<Mid> {
        let mid = Mid::new(self.mids.to_string().as_bytes());
        self.mids = self.mids.saturating_add(1);
        mid
    }

    /// Writes a line and remembers what was said of it.
    fn offer_line(&mut self, index: usize) -> Option<Section> {
        let reuse = self.policy.reuse;
        let line = self.lines.get_mut(index)?;
        line.said = match (&line.use_, line.said, reuse) {
            (Use::Sending(_), ..) => Said::Sends,
            (_, Said::Rejected, _) | (_, Said::Sends, Reuse::AnotherSection) => Said::Rejected,
            (_, Said::Quiet | Said::Sends, _) => Said::Quiet,
        };
        let line = self.lines.get(index)?;
        Some(self.offer_section(line))
    }

    fn offer_section(&self, line: &Line) -> Section {
        let Some(kind) = line.media() else {
            let mut section = describe::data_section(SCTP);
            section.mid = line.mid;
            if line.said == Said::Rejected {
                section.port = 0;
            } else {
                self.write_transport(&mut section, Setup::ActPass);
            }
            return section;
        };
        let mut section = Section::new(line.kind.clone(), RTP);
        section.mid = line.mid;
        if line.said == Said::Rejected {
            section.port = 0;
            section.direction = Direction::Inactive;
            "0".clone_into(&mut section.format_list);
            return section;
        }
        section.direction = line::direction(&line.use_);
        section.extensions = catalogue::extensions(kind);
        section.rtcp = Rtcp { mux: true, reduced_size: true };
        section.formats = self.offered(kind, line.subscription()).iter().flat_map(codec::write).collect();
        if let Some(subscription) = line.subscription() {
            self.write_source(&mut section, subscription);
        }
        self.write_transport(&mut section, Setup::ActPass);
        section
    }

    /// What is offered on a line: all there is, and first what its subscription is sent as.
    fn offered(&self, kind: MediaKind, subscription: Option<SubscriptionId>) -> Vec<Format> {
        let mut formats = self.catalogue.formats(kind, &self.policy.subscribe);
        let Some(known) = subscription.and_then(|id| self.subscriptions.get(&id)) else { return formats };
        let Some(primary) = known.source.formats.first() else { return formats };
        let redundant = primary.payload.codec == Codec::Red;
        for format in formats.iter_mut().filter(|format| format.payload.codec == Codec::Opus) {
            format.fmtp = describe::opus_sent(&known.source);
            if redundant {
                // Each packet repeats the ones before it: asking for them again is of no use.
                format.payload.feedback = Feedback::TRANSPORT_CC;
            }
        }
        formats.sort_by_key(|format| (Reverse(codec::fit(format, primary)), format.mime != primary.mime));
        formats
    }

    pub(super) fn take_answer(&mut self, answer: &Description) -> Result<Vec<Change>, NegotiationError> {
        let (before, now) = (self.lines.len(), answer.sections.len());
        if now > before {
            return Err(NegotiationError::More { before, now });
        }
        self.check_lines(answer)?;
        let mut changes = Vec::new();
        self.take_transport(answer, Part::Answer, None, &mut changes)?;
        for (index, section) in answer.sections.iter().enumerate() {
            section.ssrcs.iter().for_each(|line| self.ssrcs.reserve(line.ssrc));
            let Some(line) = self.lines.get_mut(index) else { continue };
            line.theirs = Some(section.clone());
            let said = line.said;
            match line.use_ {
                // What was offered before it was placed here is answered another time.
                Use::Sending(id) if said == Said::Sends => changes.extend(self.take_sending(id, section)),
                Use::Data if self.told.data == Data::None && !section.is_rejected() => {
                    self.told.data = Data::Accepted;
                    changes.push(Change::DataChannels);
                }
                Use::Sending(_) | Use::Free | Use::Receiving(_) | Use::Forgotten(_) | Use::Data => {}
            }
            self.free_rejected(index, section);
        }
        Ok(changes)
    }

    /// A line that the client does not want is gone, and its place free for another.
    fn free_rejected(&mut self, index: usize, section: &Section) {
        if let Some(line) = self.lines.get_mut(index).filter(|_| section.is_rejected()) {
            line.said = Said::Rejected;
            line.use_ = Use::Free;
        }
    }

    fn take_sending(&mut self, id: SubscriptionId, theirs: &Section) -> Option<Change> {
        let kind = self.subscriptions.get(&id)?.source.kind;
        let taken = !theirs.is_rejected() && theirs.direction.receives();
        let sinks = if taken { self.understood(kind, theirs) } else { Vec::new() };
        let known = self.subscriptions.get_mut(&id)?;
        let (formats, mid) = match (send::formats(&known.source, &sinks), theirs.mid) {
            (Ok(formats), Some(mid)) => (formats, mid),
            (Err(why), _) => {
                self.unsubscribe(id);
                return Some(Change::Refused { subscription: id, why });
            }
            (Ok(_), None) => {
                let mime = known.source.formats.first().map(|format| format.mime.clone());
                self.unsubscribe(id);
                let why = CodecUnsupported { mime: mime.unwrap_or_default() };
                return Some(Change::Refused { subscription: id, why });
            }
        };
        let repaired = formats.iter().any(|format| format.to.rtx.is_some());
        let rtx_ssrc = repaired.then_some(known.rtx_ssrc);
        let ours = catalogue::extensions(kind);
        let extensions: Vec<ExtMap> =
            theirs.extensions.iter().filter(|extmap| is_offered(&ours, extmap)).copied().collect();
        let extensions = extension::received(&extensions);
        known.tell(id, SendParameters { mid, ssrc: known.ssrc, rtx_ssrc, formats, extensions })
    }

    /// What the client takes of what we offered, with our numbers and parameters.
    fn understood(&self, kind: MediaKind, theirs: &Section) -> Vec<Format> {
        let numbers: BTreeSet<PayloadType> =
            theirs.formats.iter().map(|format| format.payload_type).collect();
        let mut formats = self.catalogue.formats(kind, &self.policy.subscribe);
        let answered = codec::read(kind, &theirs.formats);
        formats.retain_mut(|format| {
            let number = format.payload.payload_type;
            let Some(answer) = answered.iter().find(|answer| answer.payload.payload_type == number) else {
                return false;
            };
            format.payload.rtx = format.payload.rtx.filter(|rtx| numbers.contains(rtx));
            format.payload.feedback = answer.payload.feedback;
            answer.mime == format.mime
        });
        formats
    }
}

fn is_offered(ours: &[ExtMap], theirs: &ExtMap) -> bool {
    ours.iter().any(|extmap| extmap.id == theirs.id && extmap.extension == theirs.extension)
}

const fn section_kind(kind: MediaKind) -> Kind {
    match kind {
        MediaKind::Audio => Kind::Audio,
        MediaKind::Video => Kind::Video,
    }
}
