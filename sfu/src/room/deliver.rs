//! What arrived goes out: per client, all news for it together.
//!
//! Invariants:
//! - payloads are sealed from the ring straight into the egress: no copy, no allocation;
//! - what goes to one client is consecutive, video first, so that equal packets leave as one segmented send and a
//!   short audio packet may end it.

use std::time::Instant;

use super::{
    Room,
    context::Context,
    feedback::REPORT_INTERVAL,
    subscription::Subscription,
    track::{Layer, News, NewsKind, Track},
};
use crate::{
    codec::{dependency, vp8},
    congestion::{Congestion, Micros},
    forward::{
        packet::{Numbered, Packet},
        rewrite::{Source, Written},
        ring::Ring,
        select::{Verdict, Wants},
    },
    params::{Codec, Extension, MediaKind, PayloadFormat, Remote},
    rtp::{AbsSendTime, Fields, HeaderWriter},
    srtp::{OVERHEAD_MAX, Sealer},
    units::{PayloadType, SeqNo, Ssrc},
    worker::{Counters, Egress},
};

/// A fixed header and the extensions we write: two names of 16 bytes and what travels on.
const HEADER_MAX: usize = 256;

/// The way out to one client.
struct Outlet<'a, E> {
    egress: &'a mut E,
    sealer: &'a mut Sealer,
    to: Remote,
    congestion: &'a mut Congestion,
    clock: Micros,
    /// Whether the packet that is being written has a transport-wide number.
    numbered: Numbering,
    counters: &'a mut Counters,
    sent_at: AbsSendTime,
    padding_max: u8,
    bytes: usize,
    now: Instant,
}

/// Whether a packet has a transport-wide number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Numbering {
    #[default]
    No,
    Yes,
}

/// What a packet's header says besides what travels on.
struct Head {
    payload_type: PayloadType,
    ssrc: Ssrc,
    index: u64,
    written: Written,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug)]
enum Filling {
    /// Its payload, padded to this length where little is missing.
    Payload(usize),
    /// Nothing: it came late, of a frame that is left out, and its number is waited for.
    Padding,
}

impl Room {
    /// Forwards the news of all tracks, and answers requests for lost packets.
    pub(super) fn deliver(&mut self, egress: &mut impl Egress, cx: &mut Context<'_>) {
        let mut destinations = std::mem::take(&mut self.destinations);
        let mut news = std::mem::take(&mut self.news);
        for key in &news {
            self.tracks
                .get_mut(*key)
                .into_iter()
                .flat_map(|track| &mut track.layers)
                .for_each(Layer::sort_news);
        }
        for kind in [MediaKind::Video, MediaKind::Audio] {
            for key in &news {
                let Some(track) = self.tracks.get(*key).filter(|track| track.parameters.kind == kind) else {
                    continue;
                };
                for subscription in &track.subscriptions {
                    let Some(peer) =
                        self.subscriptions.get(*subscription).map(|subscription| subscription.peer)
                    else {
                        continue;
                    };
                    let Some(down) = self.peers.get_mut(peer).map(|peer| &mut peer.down) else { continue };
                    if down.pending.is_empty() {
                        destinations.push(peer);
                    }
                    down.pending.push(*subscription);
                }
            }
        }
        for key in destinations.drain(..) {
            self.deliver_to(key, egress, cx);
        }
        for key in news.drain(..) {
            self.settle(key, cx.now);
        }
        self.destinations = destinations;
        self.news = news;
    }

    /// The news of a track are forwarded; what subscribers still need is asked for.
    fn settle(&mut self, key: usize, now: Instant) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        track.has_news = false;
        track.layers.iter_mut().for_each(Layer::clear_news);
        if track.layers.iter().any(|layer| layer.keyframes.deadline(now).is_some_and(|at| at <= now)) {
            let publisher = track.peer;
            self.touch(publisher);
        }
    }

    /// Forwards to one client what is pending for it.
    fn deliver_to(&mut self, key: usize, egress: &mut impl Egress, cx: &mut Context<'_>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let down = &mut peer.down;
        let (Some(to), Some(srtp)) = (peer.transport.remote(), peer.transport.srtp()) else {
            for subscription in down.pending.drain(..) {
                self.subscriptions.get_mut(subscription).into_iter().for_each(Subscription::stop);
            }
            return;
        };
        let mut outlet = Outlet {
            egress,
            sealer: &mut srtp.outbound,
            to,
            clock: down.congestion.clock(cx.now),
            congestion: &mut down.congestion,
            numbered: Numbering::No,
            counters: cx.counters,
            sent_at: AbsSendTime::from_duration(cx.wall.since_start(cx.now)),
            padding_max: cx.config.padding_max,
            bytes: 0,
            now: cx.now,
        };
        let mut begun = false;
        for subscription in down.pending.drain(..) {
            let Some(subscription) = self.subscriptions.get_mut(subscription) else { continue };
            let Some(track) = self.tracks.get_mut(subscription.track) else { continue };
            let before = subscription.packets;
            outlet.forward(subscription, track);
            begun |= before == 0 && subscription.packets > 0;
        }
        down.budget.earn(outlet.bytes);
        if begun {
            // The first sender report goes along: without it sound and picture cannot be matched.
            peer.report_at = Some(cx.now);
            self.touch(key);
        } else if peer.report_at.is_none() {
            peer.report_at = Some(cx.now + REPORT_INTERVAL);
            self.touch(key);
        }
    }

    /// Sends again what this client asked for.
    pub(super) fn resend_to(&mut self, key: usize, egress: &mut impl Egress, cx: &mut Context<'_>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let rtt = peer.rtt();
        let down = &mut peer.down;
        let (Some(to), Some(srtp)) = (peer.transport.remote(), peer.transport.srtp()) else {
            down.resend.clear();
            return;
        };
        let mut outlet = Outlet {
            egress,
            sealer: &mut srtp.outbound,
            to,
            clock: down.congestion.clock(cx.now),
            congestion: &mut down.congestion,
            numbered: Numbering::No,
            counters: cx.counters,
            sent_at: AbsSendTime::from_duration(cx.wall.since_start(cx.now)),
            padding_max: cx.config.padding_max,
            bytes: 0,
            now: cx.now,
        };
        for (subscription, seq) in down.resend.drain(..) {
            let Some(subscription) = self.subscriptions.get_mut(subscription) else { continue };
            let Some(source) = subscription.rewriter.source(seq) else { continue };
            let Some(track) = self.tracks.get_mut(subscription.track) else { continue };
            // What is above the encoding that is given now was given up: it did not fit.
            if subscription.is_paused(track) || subscription.layer().is_none_or(|given| source.layer > given)
            {
                continue;
            }
            let layer = track.layers.get_mut(usize::from(source.layer));
            let Some(packet) = layer.and_then(|layer| layer.ring.get_mut(source.seq)) else { continue };
            let Some(format) = subscription.format(packet.payload_type) else { continue };
            // What cannot be sent now may be asked for again: it does not count as sent.
            if !down.budget.holds(packet.payload().len()) {
                continue;
            }
            for _ in 0..subscription.resends.allow(source.out, rtt, cx.now) {
                if down.budget.spend(packet.payload().len()) {
                    outlet.resend(subscription, packet, &format.to, &source);
                }
            }
        }
    }
}

impl<E: Egress> Outlet<'_, E> {
    /// Forwards the news of one track to one subscription.
    fn forward(&mut self, subscription: &mut Subscription, track: &mut Track) {
        if subscription.is_paused(track) {
            return subscription.stop();
        }
        let given = subscription.layer();
        if let Some(layer) = given {
            self.send_news(subscription, track, layer, 0);
        }
        if subscription.in_aftermath(self.now) {
            for layer in (0..).take(track.layers.len()).filter(|layer| given != Some(*layer)) {
                self.send_late(subscription, track, layer);
            }
        }
        let Some(aim) = subscription.aim(track).filter(|aim| given != Some(*aim)) else { return };
        match subscription.entry(track, aim) {
            Some((layer, at)) => self.enter(subscription, track, layer, at),
            None => ask(subscription, track, aim),
        }
    }

    /// The subscription goes over to an encoding at this place of its news.
    fn enter(&mut self, subscription: &mut Subscription, track: &mut Track, layer: u8, at: usize) {
        let Some(held) = track.layers.get(usize::from(layer)) else { return };
        let Some(packet) = held.news.get(at).and_then(|news| held.ring.get(news.seq)) else { return };
        if subscription.format(packet.payload_type).is_none() {
            return;
        }
        subscription.enter(layer, packet, &track.layers, self.now);
        self.send_news(subscription, track, layer, at);
    }

    /// Forwards the news of the encoding that is given, from this place of them on.
    fn send_news(&mut self, subscription: &mut Subscription, track: &mut Track, layer: u8, at: usize) {
        let goal = subscription.goal(track);
        let Some(held) = track.layers.get_mut(usize::from(layer)) else { return };
        let all = held.news.get(at..).unwrap_or_default();
        let longest = self.longest(all, &held.ring);
        for news in all {
            let forwarded = match news.kind {
                NewsKind::Hole => None,
                NewsKind::Entry | NewsKind::Packet => held.ring.get_mut(news.seq).and_then(|packet| {
                    let format = subscription.format(packet.payload_type)?;
                    Some((packet, format))
                }),
            };
            let Some((packet, format)) = forwarded else {
                subscription.rewriter.skip(layer, news.seq);
                continue;
            };
            match subscription.judge(packet, goal, held.table.as_ref()) {
                Verdict::Forward => {
                    if let Some(written) = subscription.rewriter.write(layer, packet) {
                        self.send(subscription, packet, &format.to, written, Filling::Payload(longest));
                    }
                }
                Verdict::Drop => {
                    if let Some(written) = subscription.rewriter.leave_out(layer, packet) {
                        self.send(subscription, packet, &format.to, written, Filling::Padding);
                    }
                }
            }
        }
        if subscription.selection.take_wants() == Wants::Keyframe {
            held.keyframes.want();
        }
    }

    /// Forwards what comes late of an encoding that was given before.
    fn send_late(&mut self, subscription: &mut Subscription, track: &mut Track, layer: u8) {
        let Some(held) = track.layers.get_mut(usize::from(layer)) else { return };
        for news in &held.news {
            let Some(packet) = held.ring.get_mut(news.seq) else { continue };
            let Some(format) = subscription.format(packet.payload_type) else { continue };
            if let Some(written) = subscription.rewriter.locate(layer, packet) {
                self.send(subscription, packet, &format.to, written, Filling::Payload(0));
            }
        }
    }

    /// The payload that others of the same run are padded to.
    fn longest(&self, news: &[News], ring: &Ring) -> usize {
        if self.padding_max == 0 || news.len() < 2 {
            return 0;
        }
        let lens = news.iter().filter_map(|news| ring.get(news.seq)).map(|packet| packet.payload().len());
        lens.max().unwrap_or(0)
    }

    /// One packet for the first time.
    fn send(
        &mut self,
        subscription: &mut Subscription,
        packet: &mut Packet,
        format: &PayloadFormat,
        written: Written,
        filling: Filling,
    ) {
        let head = Head {
            payload_type: format.payload_type,
            ssrc: subscription.send.ssrc,
            index: written.seq,
            written,
        };
        let mut header = [0; HEADER_MAX];
        let header_len = self.write_header(&mut header, &head, packet, subscription);
        number(packet, written);
        let (payload, padding) = match (filling, format.codec, packet.primary_at) {
            (Filling::Padding, _, _) => (&[][..], 1),
            (Filling::Payload(_), Codec::Opus, Some(at)) => {
                (packet.payload().get(usize::from(at)..).unwrap_or_default(), 0)
            }
            (Filling::Payload(longest), _, _) => {
                let short = longest.saturating_sub(packet.payload().len());
                let padding = u8::try_from(short).ok().filter(|short| *short <= self.padding_max);
                (packet.payload(), padding.unwrap_or(0))
            }
        };
        let header = header.get(..header_len).unwrap_or_default();
        let room = header_len + payload.len() + usize::from(padding) + OVERHEAD_MAX;
        let out = self.egress.begin(self.to, room);
        let Ok(len) = self.sealer.seal_rtp(header, payload, padding, head.index, out) else {
            self.counters.unsealed += 1;
            self.numbered = Numbering::No;
            return;
        };
        if let Some(copies) = &mut subscription.copies {
            copies.keep(head.index, out.get(..len).unwrap_or_default());
        }
        self.egress.commit(len);
        subscription.packets = subscription.packets.wrapping_add(1);
        subscription.octets = subscription.octets.wrapping_add(u32::try_from(payload.len()).unwrap_or(0));
        subscription.bytes += len as u64;
        subscription.last_sent = Some(packet.arrival);
        self.counters.packets_forwarded += 1;
        self.count(len);
    }

    /// One packet once more: over RTX (RFC 4588 §4), or as it was.
    fn resend(
        &mut self,
        subscription: &mut Subscription,
        packet: &mut Packet,
        format: &PayloadFormat,
        source: &Source,
    ) {
        let (Some(ssrc), Some(payload_type)) = (subscription.send.rtx_ssrc, format.rtx) else {
            let Some(sealed) = subscription.copies.as_ref().and_then(|copies| copies.get(source.out)) else {
                return;
            };
            let out = self.egress.begin(self.to, sealed.len());
            let Some(out) = out.get_mut(..sealed.len()) else { return };
            out.copy_from_slice(sealed);
            self.egress.commit(sealed.len());
            self.counters.packets_retransmitted += 1;
            return self.count(sealed.len());
        };
        let written = source.written(packet);
        let index = subscription.repair_next;
        let head = Head { payload_type, ssrc, index, written };
        let mut header = [0; HEADER_MAX];
        let header_len = self.write_header(&mut header, &head, packet, subscription);
        number(packet, written);
        #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what the wire carries")]
        let payload = packet.retransmission(source.out as u16);
        let header = header.get(..header_len).unwrap_or_default();
        let out = self.egress.begin(self.to, header_len + payload.len() + OVERHEAD_MAX);
        let Ok(len) = self.sealer.seal_rtp(header, payload, 0, index, out) else {
            self.counters.unsealed += 1;
            self.numbered = Numbering::No;
            return;
        };
        subscription.repair_next += 1;
        self.egress.commit(len);
        self.counters.packets_retransmitted += 1;
        self.count(len);
    }

    fn count(&mut self, len: usize) {
        if std::mem::take(&mut self.numbered) == Numbering::Yes {
            self.congestion.sent(len, self.clock);
        }
        self.bytes += len;
        self.counters.datagrams_out += 1;
        self.counters.bytes_out += len as u64;
    }

    /// Writes the header and tells its length. An extension that does not fit stays away.
    fn write_header(
        &mut self,
        out: &mut [u8; HEADER_MAX],
        head: &Head,
        packet: &Packet,
        subscription: &Subscription,
    ) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what the wire carries")]
        let seq = SeqNo(head.index as u16);
        let fields = Fields {
            marker: head.written.marker,
            payload_type: head.payload_type,
            seq,
            timestamp: head.written.timestamp,
            ssrc: head.ssrc,
        };
        let ids = &subscription.send.extensions;
        let Ok(mut writer) = HeaderWriter::new(out, &fields, packet.extensions.form(ids)) else { return 0 };
        if let Some(id) = ids.id(Extension::Mid) {
            let _ = writer.extension(id, subscription.send.mid.as_bytes());
        }
        let mut described = None;
        for (extension, value) in packet.extensions.elements() {
            let Some(id) = ids.id(extension) else { continue };
            let written = writer.extension(id, value);
            if extension == Extension::DependencyDescriptor {
                described = written.ok();
            }
        }
        // What can only be sent again as it was carries nothing that says when it was sent.
        if subscription.copies.is_none() {
            if let Some(id) = ids.id(Extension::AbsSendTime) {
                let _ = writer.extension(id, &self.sent_at.to_bytes());
            }
            if let Some(id) = ids.id(Extension::TransportCc) {
                let _ = writer.extension(id, &self.congestion.next().0.to_be_bytes());
                self.numbered = Numbering::Yes;
            }
        }
        let len = writer.finish();
        if let (Some(at), Some(frame)) = (described, head.written.ids.frame) {
            let place = out.get_mut(at.saturating_add(dependency::FRAME_NUMBER_AT)..);
            if let Some(place) = place.and_then(<[u8]>::first_chunk_mut) {
                *place = frame.to_be_bytes();
            }
        }
        len
    }
}

/// Asks for what a subscription waits for, if it could read it.
pub(super) fn ask(subscription: &Subscription, track: &mut Track, aim: u8) {
    let Some(layer) = track.layers.get_mut(usize::from(aim)) else { return };
    let readable = layer.format.is_some_and(|format| subscription.format(format.payload_type).is_some());
    if readable && track.parameters.kind == MediaKind::Video {
        layer.keyframes.want();
    }
}

/// Writes the picture's numbers over those of its publisher, or of the subscription before.
fn number(packet: &mut Packet, written: Written) {
    let to = vp8::Rewrite {
        picture_id: written.ids.picture.unwrap_or(0),
        tl0_picture_index: written.ids.tl0.unwrap_or(0),
        key_index: written.ids.key.unwrap_or(0),
    };
    match packet.numbered {
        Numbered::Nowhere => {}
        Numbered::Vp8(found) => found.rewrite(packet.payload_mut(), to),
        Numbered::Vp9(found) => found.rewrite(packet.payload_mut(), to),
    }
}
