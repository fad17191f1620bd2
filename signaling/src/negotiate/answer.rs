//! What a client offers, taken as far as it is announced and enabled.
//!
//! Invariants: what was told is not told again. A line that a subscription left is inactive in one answer before it
//! carries another.

use std::collections::{BTreeMap, BTreeSet};

use sfu::{
    ids::{SubscriptionId, TrackId},
    params::{Codec, IceCredentials, MediaKind, ReceiveParameters, SendParameters, TrackParameters},
};

use super::{
    Answer, Change, Cids, CodecUnsupported, Encryption, Expected, Format, NegotiationError, Offered,
    PeerConnection, Red, Role, Source, codec, encoding, extension,
    line::{self, Line, Published, Received, Use},
    peer::{Data, News},
    send,
    terms::{self, Part, usable},
};
use crate::sdp::{Description, Direction, Kind, Section};

/// What a client does on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// It sends, whatever else it does.
    Sends,
    /// It receives only.
    Receives,
    /// Neither, or nothing that can be taken.
    None,
}

fn flow(offer: &Description, section: &Section) -> Flow {
    if !usable(offer, section) || line::media(&section.kind).is_none() {
        return Flow::None;
    }
    match section.direction {
        Direction::SendRecv | Direction::SendOnly => Flow::Sends,
        Direction::RecvOnly => Flow::Receives,
        Direction::Inactive => Flow::None,
    }
}

/// Where a subscription is carried.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// On this line.
    At(usize),
    /// On one that the client has yet to offer.
    Missing,
    /// The client does not take it.
    Nowhere(CodecUnsupported),
}

/// The lines on which a client begins to send by an offer.
type Fresh = BTreeSet<usize>;

impl PeerConnection {
    pub(super) fn answer_to(
        &mut self,
        offer: &Description,
        fresh: IceCredentials,
    ) -> Result<Answer, NegotiationError> {
        let mut changes = Vec::new();
        self.check_lines(offer)?;
        self.take_transport(offer, Part::Offer, Some(fresh), &mut changes)?;
        let begun = self.take_lines(offer, &mut changes);
        self.take_receive(&mut changes);
        self.take_data(offer, &mut changes);
        self.match_lines(&begun, &mut changes)?;
        if self.role == Role::Single {
            self.place_subscriptions(&mut changes);
        }
        let sdp = self.write_answer(offer).to_string();
        self.news = News::None;
        Ok(Answer { sdp, mid_to_track_id: self.carried(), changes })
    }

    /// RFC 8829 §5.2.2: a later description has all m-sections of an earlier one, in place; a rejected one may be recycled.
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

    /// Takes the client's side of the transport. `fresh` become ours when the client begins ICE anew.
    pub(super) fn take_transport(
        &mut self,
        theirs: &Description,
        part: Part,
        fresh: Option<IceCredentials>,
        changes: &mut Vec<Change>,
    ) -> Result<(), NegotiationError> {
        let Some(remote) = terms::check(theirs, part)? else { return Ok(()) };
        let before = self.told.remote.replace(remote.clone());
        if before.as_ref() == Some(&remote) {
            return Ok(());
        }
        if before.as_ref().is_some_and(|before| before.fingerprint != remote.fingerprint) {
            return Err(NegotiationError::FingerprintChanged);
        }
        if let (Some(_), Some(fresh)) = (before, fresh) {
            self.local.ice = fresh.clone();
            changes.push(Change::RestartedIce(fresh));
        }
        changes.push(Change::Remote(remote));
        Ok(())
    }

    fn take_lines(&mut self, offer: &Description, changes: &mut Vec<Change>) -> Fresh {
        let mut begun = Fresh::new();
        for (index, section) in offer.sections.iter().enumerate() {
            section.ssrcs.iter().for_each(|line| self.ssrcs.reserve(line.ssrc));
            if self.lines.len() == index {
                self.lines.push(Line::new(section.kind.clone(), section.mid));
            }
            let before = self.lines.get_mut(index).map(|line| std::mem::take(&mut line.use_));
            let flow = flow(offer, section);
            let use_ = self.take_line(before.unwrap_or_default(), section, flow, changes);
            if matches!(use_, Use::Receiving(Received { track: None, .. })) {
                begun.insert(index);
            }
            let accepted = self.enabled(section);
            let Some(line) = self.lines.get_mut(index) else { continue };
            line.use_ = use_;
            line.kind.clone_from(&section.kind);
            line.mid = section.mid;
            line.theirs = Some(section.clone());
            line.usable = usable(offer, section);
            line.accepted = accepted;
        }
        begun
    }

    /// What a line carries after the client said this of it.
    fn take_line(&mut self, before: Use, section: &Section, flow: Flow, changes: &mut Vec<Change>) -> Use {
        let cid = line::cid(section);
        let sends = flow == Flow::Sends;
        let goes_on = match &before {
            Use::Receiving(received) => sends && received.cid == cid,
            Use::Forgotten(forgotten) => sends && *forgotten == cid && !self.expects(cid.as_deref()),
            Use::Sending(_) => flow == Flow::Receives,
            Use::Free | Use::Data => false,
        };
        if goes_on {
            return before;
        }
        match before {
            Use::Receiving(Received { track: Some(published), .. }) => {
                self.expected.remove(&published.track);
                changes.push(Change::Unpublished(published.track));
            }
            Use::Sending(subscription) => {
                let known = self.subscriptions.get_mut(&subscription);
                if known.is_some_and(|known| known.send.take().is_some()) {
                    changes.push(Change::Unsubscribed(subscription));
                }
            }
            Use::Free | Use::Receiving(_) | Use::Forgotten(_) | Use::Data => {}
        }
        if sends { Use::Receiving(Received { cid, track: None }) } else { Use::Free }
    }

    fn expects(&self, cid: Option<&str>) -> bool {
        cid.is_some_and(|cid| {
            self.expected.values().any(|expected| expected.cids.iter().any(|other| other == cid))
        })
    }

    /// What may arrive: all that our answer accepts.
    fn take_receive(&mut self, changes: &mut Vec<Change>) {
        let mut receive = ReceiveParameters::default();
        let receiving = |line: &&Line| matches!(line.use_, Use::Receiving(_));
        for line in self.lines.iter().filter(receiving) {
            let Some(theirs) = &line.theirs else { continue };
            let ours = extension::accept(&theirs.extensions);
            receive.extensions = line::join(receive.extensions, extension::received(&ours));
            for format in &line.accepted {
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
        let is_data = |section: &Section| section.kind == Kind::Application && section.sctp.is_some();
        let place = offer.sections.iter().position(|section| usable(offer, section) && is_data(section));
        let Some(line) = place.and_then(|place| self.lines.get_mut(place)) else { return };
        line.use_ = Use::Data;
        if self.told.data == Data::None {
            self.told.data = Data::Accepted;
            changes.push(Change::DataChannels);
        }
    }

    /// Finds the announced track of each line on which the client sends: first those it names, then, where names are
    /// missing or rewritten, in the order they were announced.
    pub(super) fn match_lines(
        &mut self,
        begun: &Fresh,
        changes: &mut Vec<Change>,
    ) -> Result<(), NegotiationError> {
        let mut waiting: BTreeSet<TrackId> = self.expected.keys().copied().collect();
        for published in self.lines.iter().filter_map(Line::published) {
            waiting.remove(&published.track);
        }
        for index in 0..self.lines.len() {
            if let Some(track) = self.named(index, &waiting) {
                waiting.remove(&track);
                self.publish(index, track, changes)?;
            }
        }
        for index in 0..self.lines.len() {
            if let Some(track) = self.next_announced(index, &waiting, begun) {
                waiting.remove(&track);
                self.publish(index, track, changes)?;
            }
        }
        Ok(())
    }

    /// The track that a line has, or names.
    fn named(&self, index: usize, waiting: &BTreeSet<TrackId>) -> Option<TrackId> {
        let line = self.lines.get(index)?;
        let Use::Receiving(received) = &line.use_ else { return None };
        if let Some(published) = &received.track {
            return Some(published.track);
        }
        let (kind, cid) = (line.media()?, received.cid.as_ref()?);
        let names = |expected: &&Expected| expected.kind == kind && expected.cids.contains(cid);
        let announced = waiting.iter().filter_map(|track| self.expected.get(track));
        announced.into_iter().find(names).map(|expected| expected.track)
    }

    /// The first announced track of its kind, for a line that names none we know.
    fn next_announced(&self, index: usize, waiting: &BTreeSet<TrackId>, begun: &Fresh) -> Option<TrackId> {
        let line = self.lines.get(index)?;
        let Use::Receiving(Received { cid, track: None }) = &line.use_ else { return None };
        // A name that was there before its track was announced is another's, unless the client rewrites names.
        let open = cid.is_none() || self.policy.cids == Cids::Rewritten || begun.contains(&index);
        let kind = line.media().filter(|_| open)?;
        let mut announced = waiting.iter().filter_map(|track| self.expected.get(track));
        announced.find(|expected| expected.kind == kind).map(|expected| expected.track)
    }

    fn publish(
        &mut self,
        index: usize,
        track: TrackId,
        changes: &mut Vec<Change>,
    ) -> Result<(), NegotiationError> {
        let (Some(line), Some(expected)) = (self.lines.get(index), self.expected.get(&track)) else {
            return Ok(());
        };
        let (cid, before) = (line.theirs.as_ref().and_then(line::cid), line.published());
        let Some(published) = self.publication(line, expected)? else {
            let known = before.is_some();
            changes.push(if known { Change::Unpublished(track) } else { Change::Unpublishable(track) });
            self.expected.remove(&track);
            self.use_line(index, Use::Forgotten(cid));
            return Ok(());
        };
        if before.is_none_or(|before| before.params != published.params || before.mime != published.mime) {
            changes.push(Change::Published {
                track,
                params: published.params.clone(),
                mid: published.params.mid.to_string(),
                mime: published.mime.clone(),
                cid: cid.clone(),
            });
        }
        self.use_line(index, Use::Receiving(Received { cid, track: Some(published) }));
        Ok(())
    }

    pub(super) fn use_line(&mut self, index: usize, use_: Use) {
        if let Some(line) = self.lines.get_mut(index) {
            line.use_ = use_;
        }
    }

    fn publication(&self, line: &Line, expected: &Expected) -> Result<Option<Published>, NegotiationError> {
        let (Some(theirs), Some(mid)) = (&line.theirs, line.mid) else { return Ok(None) };
        let formats = self.preferred(line, Some(expected));
        let Some(first) = formats.first() else { return Ok(None) };
        let params = TrackParameters {
            kind: expected.kind,
            mid,
            encodings: encoding::read(expected.kind, theirs, &expected.layers)?,
            speech: expected.speech,
        };
        Ok(Some(Published { track: expected.track, params, mime: first.mime.clone(), formats }))
    }

    /// The client's formats of an m-section that are enabled, in its order.
    fn enabled(&self, section: &Section) -> Vec<Format> {
        let Some(kind) = line::media(&section.kind) else { return Vec::new() };
        let enabled = if line::sends(section) { &self.policy.publish } else { &self.policy.subscribe };
        let mut formats = codec::read(kind, &section.formats);
        formats.retain(|format| enabled.contains(&format.mime));
        formats
    }

    /// The formats of a line in our order: what is wanted of its track comes first, as browsers send the answer's first.
    pub(super) fn preferred(&self, line: &Line, expected: Option<&Expected>) -> Vec<Format> {
        let mut formats = line.accepted.clone();
        let Some(expected) = expected else { return formats };
        let wanted = |format: &Format| {
            expected.codec.as_ref().is_some_and(|mime| mime.eq_ignore_ascii_case(&format.mime))
        };
        let redundant = |format: &Format| format.payload.codec == Codec::Red;
        match expected.kind {
            MediaKind::Video => {
                if self.policy.answered == Offered::OnlyWanted && formats.iter().any(wanted) {
                    formats.retain(wanted);
                }
                formats.sort_by_key(|format| !wanted(format));
            }
            MediaKind::Audio => {
                let red = expected.opus.red == Red::Preferred && expected.encryption == Encryption::None;
                formats.retain(|format| red || !redundant(format));
                formats.sort_by_key(|format| !wanted(format));
                // Redundant audio is how Opus is sent, also where Opus was asked for by name.
                if formats.first().is_some_and(|first| first.payload.codec == Codec::Opus) {
                    formats.sort_by_key(|format| !redundant(format));
                }
            }
        }
        formats
    }

    /// Gives waiting subscriptions the free lines, and tells how each is written.
    fn place_subscriptions(&mut self, changes: &mut Vec<Change>) {
        let places = self.places();
        for (id, place) in places {
            changes.extend(match place {
                Place::At(index) => self.place_subscription(id, index),
                Place::Missing => None,
                Place::Nowhere(why) => {
                    self.unsubscribe(id);
                    Some(Change::Refused { subscription: id, why })
                }
            });
        }
    }

    /// Where each subscription is, or would be if the client offered as it did.
    pub(super) fn places(&self) -> BTreeMap<SubscriptionId, Place> {
        let placed = self.placed();
        let mut taken: BTreeSet<usize> = BTreeSet::new();
        let mut places = BTreeMap::new();
        for (id, known) in &self.subscriptions {
            let place = self.place(&known.source, placed.get(id).copied(), &taken);
            if let Place::At(index) = place {
                taken.insert(index);
            }
            places.insert(*id, place);
        }
        places
    }

    fn place(&self, source: &Source, placed: Option<usize>, taken: &BTreeSet<usize>) -> Place {
        if let Some(index) = placed {
            let sinks = self.lines.get(index).map_or(&[][..], |line| &line.accepted);
            return send::formats(source, sinks).map_or_else(Place::Nowhere, |_| Place::At(index));
        }
        let (mut last, mut unsupported, mut known) = (Place::Missing, None, false);
        for (index, line) in self.lines.iter().enumerate().filter(|(_, line)| line.receives(source.kind)) {
            let free = line.is_free(source.kind) && !taken.contains(&index);
            if known && !free {
                continue;
            }
            if let Err(why) = send::formats(source, &line.accepted) {
                unsupported = Some(why);
                continue;
            }
            known = true;
            // A client may send again where it sent before: those lines are the last to be taken.
            match line.theirs.as_ref().is_none_or(|theirs| theirs.msid.is_none()) {
                true if free => return Place::At(index),
                false if free => last = Place::At(index),
                _ => {}
            }
        }
        // No line takes it, free or not: more of the same will not either.
        unsupported.filter(|_| !known).map_or(last, Place::Nowhere)
    }

    fn place_subscription(&mut self, id: SubscriptionId, index: usize) -> Option<Change> {
        let line = self.lines.get(index)?;
        let mid = line.mid?;
        let extensions = extension::sent(&extension::accept(&line.theirs.as_ref()?.extensions));
        let known = self.subscriptions.get_mut(&id)?;
        let formats = send::formats(&known.source, &line.accepted).ok()?;
        let repaired = formats.iter().any(|format| format.to.rtx.is_some());
        let rtx_ssrc = repaired.then_some(known.rtx_ssrc);
        let change = known.tell(id, SendParameters { mid, ssrc: known.ssrc, rtx_ssrc, formats, extensions });
        self.use_line(index, Use::Sending(id));
        change
    }

    fn carried(&self) -> BTreeMap<String, String> {
        let carried = |line: &Line| {
            let known = self.subscriptions.get(&line.subscription()?)?;
            Some((line.mid?.to_string(), known.source.sid.clone()))
        };
        self.lines.iter().filter_map(carried).collect()
    }
}
