//! An RTP packet in: opened straight into a buffer of its track's ring.
//!
//! Invariants:
//! - nothing is learnt from a packet that is not authentic;
//! - per packet: one look-up by SSRC, one decryption, no copy, no allocation once the ring has grown.

use std::time::Instant;

use super::{
    Room,
    context::Context,
    feedback::REPORT_INTERVAL,
    formats::Meaning,
    streams::{Binding, Bound, Claim, Role, Stream},
    track::{Flow, Layer, News, NewsKind},
};
use crate::{
    codec::{self, Keyframe, dependency, vp8, vp9},
    event::EventKind,
    forward::{
        frame::{Entry, Frame, KeyFrame, Table},
        layers::Target,
        nack::Gap,
        packet::{Carried, Filled, FramePart, HEADROOM, Numbered, Packet, PictureIds},
        ring::Inserted,
    },
    params::{Codec, Delivery, Extension, ExtensionMap, Feedback, MediaKind, PayloadFormat},
    rtp::{self, AudioLevel, transport_sequence},
    srtp::SrtpError,
    units::SeqNo,
    worker::DropReason,
};

/// A retransmission may overtake the packets after it, but not by much.
const AHEAD_MAX: u64 = 100;
/// RFC 4588 §4: a retransmission begins with the original sequence number.
const OSN_LEN: usize = 2;

/// An authentic packet, decrypted.
struct Opened<'a> {
    header: &'a rtp::Header<'a>,
    extensions: ExtensionMap,
    format: PayloadFormat,
    /// As its own SSRC numbers it.
    index: u64,
    buffer: Box<[u8]>,
    /// Of the payload, without padding.
    len: usize,
}

impl Room {
    /// An RTP packet came from this peer.
    pub(crate) fn receive_rtp(
        &mut self,
        key: usize,
        datagram: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), DropReason> {
        let header = rtp::Header::parse(datagram).map_err(|_| DropReason::RtpMalformed)?;
        let peer = self.peers.get_mut(key).ok_or(DropReason::UnknownRemote)?;
        let up = &mut peer.up;
        let srtp = peer.transport.srtp().ok_or(DropReason::NotConnected)?;
        let meaning = up.formats.meaning(header.payload_type);

        let mut fresh = Stream::default();
        let known = up.streams.get(header.ssrc).map_or(Binding::Unknown, |stream| stream.binding);
        let bound = match known {
            Binding::To(bound) => bound,
            Binding::Retired => return Err(DropReason::RtpUnknownStream),
            Binding::Unknown => {
                let claim =
                    Claim::read(&header, meaning, &up.extensions).ok_or(DropReason::RtpUnknownFormat)?;
                claim.resolve(&peer.tracks, &self.tracks).ok_or(DropReason::RtpUnknownStream)?
            }
        };
        let format = match (meaning, bound.role) {
            (Meaning::Media(format), Role::Primary) | (Meaning::Repair(format), Role::Repair) => format,
            (Meaning::Unknown | Meaning::Media(_) | Meaning::Repair(_), _) => {
                return Err(DropReason::RtpUnknownFormat);
            }
        };

        if known == Binding::Unknown && up.streams.is_full() && up.streams.get(header.ssrc).is_none() {
            return Err(DropReason::RtpTooManyStreams);
        }
        let body_len = datagram.len().saturating_sub(header.payload_offset);
        let mut buffer = self.pool.take(HEADROOM.saturating_add(body_len)).ok_or(DropReason::RtpOversize)?;
        let room = buffer.get_mut(HEADROOM..).unwrap_or_default();
        let stream = up.streams.get_mut(header.ssrc).unwrap_or(&mut fresh);
        let opened = match srtp.inbound.open_rtp(&mut stream.window, &header, datagram, room) {
            Ok(opened) => opened,
            Err(error) => {
                self.pool.give(buffer);
                return Err(reason(error));
            }
        };
        let payload = room.get(..opened.payload_len).unwrap_or_default();
        let unpadded = header.unpadded(payload).map(<[u8]>::len);
        cx.counters.packets_in += 1;
        if let Some(value) = up.extensions.id(Extension::TransportCc).and_then(|id| header.extension(id))
            && let Some(seq) = transport_sequence(value)
        {
            up.arrivals.arrived(SeqNo(seq), cx.wall.since_start(cx.now), cx.now);
            up.heard = Some(header.ssrc);
        }
        if !peer.is_touched {
            peer.is_touched = true;
            self.touched.push(key);
        }
        peer.report_at.get_or_insert(cx.now + REPORT_INTERVAL);
        up.began.get_or_insert(cx.now);
        let extensions = up.extensions;
        if known == Binding::Unknown {
            self.bind(key, header.ssrc, fresh, bound);
        }
        let Ok(len) = unpadded else {
            self.pool.give(buffer);
            return Err(DropReason::RtpMalformed);
        };
        let opened = Opened { header: &header, extensions, format, index: opened.index, buffer, len };
        match bound.role {
            Role::Primary => self.take_primary(bound, opened, datagram.len(), cx),
            Role::Repair => self.take_repair(bound, opened, cx),
        }
    }

    fn take_primary(
        &mut self,
        bound: Bound,
        opened: Opened<'_>,
        wire_len: usize,
        cx: &mut Context<'_>,
    ) -> Result<(), DropReason> {
        let track = self.tracks.get_mut(bound.track).ok_or(DropReason::RtpUnknownStream)?;
        let id = track.id;
        if let Some(voice) = &mut track.voice
            && let Some(level) = opened.audio_level()
            && track.delivery == Delivery::On
        {
            voice.heard(level.attenuation, opened.header.timestamp, opened.format.clock_rate);
            self.speakers.heard(cx.now);
        }
        let layer = track.layers.get_mut(usize::from(bound.layer)).ok_or(DropReason::RtpUnknownStream)?;
        let (seq, clock_rate) = (opened.index, opened.format.clock_rate);
        layer.reception.arrived(seq, opened.header.timestamp, clock_rate, cx.wall.since_start(cx.now));
        layer.reception.count(wire_len);
        layer.format = Some(opened.format);
        let starts = layer.flow == Flow::Silent;
        layer.flow = Flow::Since(cx.now);
        layer.highest = Some(layer.highest.map_or(seq, |highest| highest.max(seq)));
        layer.missed(seq, &opened.format, cx.now);
        if starts {
            cx.tell(EventKind::LayerStarted(id, bound.layer));
            self.reallocate_all(bound.track, cx);
        }
        let layer = self.layer_mut(bound.track, bound.layer).ok_or(DropReason::RtpUnknownStream)?;
        if opened.len == 0 {
            layer.news.push(News { seq, kind: NewsKind::Hole });
            self.pool.give(opened.buffer);
            self.has_news(bound.track);
            return Err(DropReason::RtpPadding);
        }
        self.store(bound, seq, HEADROOM, opened, cx)
    }

    fn take_repair(
        &mut self,
        bound: Bound,
        opened: Opened<'_>,
        cx: &mut Context<'_>,
    ) -> Result<(), DropReason> {
        let original = opened.buffer.get(HEADROOM..).and_then(<[u8]>::first_chunk).copied();
        let Some(original) = original.filter(|_| opened.len > OSN_LEN) else {
            self.pool.give(opened.buffer);
            return Err(DropReason::RtpPadding);
        };
        let track = self.tracks.get_mut(bound.track).ok_or(DropReason::RtpUnknownStream)?;
        let layer = track.layers.get_mut(usize::from(bound.layer)).ok_or(DropReason::RtpUnknownStream)?;
        let Some(highest) = layer.highest else {
            self.pool.give(opened.buffer);
            return Err(DropReason::RtpStale);
        };
        let seq = SeqNo(u16::from_be_bytes(original)).extend(highest);
        if seq > highest + AHEAD_MAX {
            self.pool.give(opened.buffer);
            return Err(DropReason::RtpStale);
        }
        if layer.ring.contains(seq) {
            self.pool.give(opened.buffer);
            return Err(DropReason::RtpDuplicate);
        }
        layer.highest = Some(highest.max(seq));
        layer.missed(seq, &opened.format, cx.now);
        let opened = Opened { len: opened.len.saturating_sub(OSN_LEN), ..opened };
        self.store(bound, seq, HEADROOM + OSN_LEN, opened, cx)?;
        cx.counters.packets_recovered += 1;
        Ok(())
    }

    /// Puts a packet into its ring and among the news.
    fn store(
        &mut self,
        bound: Bound,
        seq: u64,
        start: usize,
        opened: Opened<'_>,
        cx: &mut Context<'_>,
    ) -> Result<(), DropReason> {
        let track = self.tracks.get_mut(bound.track).ok_or(DropReason::RtpUnknownStream)?;
        let kind = track.parameters.kind;
        let layer = track.layers.get_mut(usize::from(bound.layer)).ok_or(DropReason::RtpUnknownStream)?;
        let carried = opened.carried();
        let descriptor = opened.extensions.id(Extension::DependencyDescriptor);
        let descriptor =
            descriptor.and_then(|id| opened.header.extension(id)).filter(|_| kind == MediaKind::Video);
        let (header, format) = (opened.header, opened.format);
        let payload = match Filled::new(opened.buffer, start, opened.len) {
            Ok(payload) => payload,
            Err(buffer) => {
                self.pool.give(buffer);
                return Err(DropReason::RtpOversize);
            }
        };
        let mut packet = Packet::new(seq, cx.now, format.payload_type, payload);
        packet.timestamp = header.timestamp;
        packet.marker = header.marker;
        packet.extensions = carried;
        describe(&mut packet, kind, format.codec);
        if let Some(value) = descriptor {
            packet.ids.frame = dependency::Descriptor::frame_number(value);
            if let Some((frame, key)) = Table::read(&mut layer.table, value) {
                packet.described(frame, key);
            }
        }
        if (kind, format.codec) == (MediaKind::Video, Codec::Other) && !layer.follows_marker(seq) {
            packet.part = FramePart::Other;
        }
        let layers = packet.frame.layers;
        let layers = Target { spatial: layers.spatial, temporal: layers.temporal };
        layer.rates.count(opened.len, layers, cx.now);
        let news = match packet.part {
            FramePart::Entry => NewsKind::Entry,
            FramePart::Other => NewsKind::Packet,
        };
        match layer.ring.insert(packet, cx.now) {
            Inserted::Stored(replaced) => {
                if let Some(replaced) = replaced {
                    self.pool.give(replaced.into_buffer());
                }
            }
            Inserted::Duplicate(packet) => {
                self.pool.give(packet.into_buffer());
                return Err(DropReason::RtpDuplicate);
            }
            Inserted::Stale(packet) => {
                self.pool.give(packet.into_buffer());
                return Err(DropReason::RtpStale);
            }
        }
        if news == NewsKind::Entry && kind == MediaKind::Video {
            layer.keyframes.arrived();
            layer.nacks.forget_before(seq);
        }
        layer.news.push(News { seq, kind: news });
        self.has_news(bound.track);
        Ok(())
    }

    fn has_news(&mut self, key: usize) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        if !track.has_news {
            track.has_news = true;
            self.news.push(key);
        }
    }
}

impl Layer {
    /// A packet came: what is missing before it is asked for, if the publisher hears such requests.
    fn missed(&mut self, seq: u64, format: &PayloadFormat, now: Instant) {
        if !format.feedback.has(Feedback::NACK) {
            return;
        }
        if self.nacks.arrived(seq, now) == Gap::TooLarge {
            self.keyframes.want();
        }
    }
}

impl Layer {
    /// Whether a picture ended right before this packet, as far as is known.
    fn follows_marker(&self, seq: u64) -> bool {
        seq.checked_sub(1).and_then(|before| self.ring.get(before)).is_none_or(|before| before.marker)
    }
}

impl Packet {
    /// What a dependency descriptor says counts, whatever the payload seems to say: it may be encrypted.
    fn described(&mut self, frame: Frame, key: KeyFrame) {
        self.frame.described = frame.described;
        if self.frame.entry == Entry::Untold {
            self.frame.layers = frame.layers;
            self.frame.place = frame.place;
        }
        self.part = match key {
            KeyFrame::Begins => FramePart::Entry,
            KeyFrame::No => FramePart::Other,
        };
    }
}

impl Opened<'_> {
    fn audio_level(&self) -> Option<AudioLevel> {
        let id = self.extensions.id(Extension::AudioLevel)?;
        AudioLevel::parse(self.header.extension(id)?)
    }

    fn carried(&self) -> Carried {
        let mut carried = Carried::default();
        for (id, value) in self.header.extensions() {
            if let Some(extension) = self.extensions.extension(id) {
                carried.keep(extension, value);
            }
        }
        carried
    }
}

/// Reads what the payload tells.
fn describe(packet: &mut Packet, kind: MediaKind, codec: Codec) {
    match codec {
        Codec::Vp8 => {
            let Some(found) = vp8::Descriptor::parse(packet.payload()) else { return };
            if found.part == vp8::Part::KeyframeStart {
                packet.part = FramePart::Entry;
            }
            packet.ids = PictureIds {
                picture: found.picture_id.map(vp8::PictureId::value),
                tl0: found.tl0_picture_index,
                key: found.key_index,
                frame: None,
            };
            packet.frame = Frame::of_vp8(&found);
            packet.numbered = Numbered::Vp8(found);
        }
        Codec::Vp9 => {
            let Some(found) = vp9::Descriptor::parse(packet.payload()) else { return };
            if found.starts_keyframe() {
                packet.part = FramePart::Entry;
            }
            packet.ids = PictureIds {
                picture: found.picture_id.map(vp8::PictureId::value),
                tl0: found.tl0_picture_index,
                ..PictureIds::default()
            };
            packet.frame = Frame::of_vp9(&found);
            packet.numbered = Numbered::Vp9(found);
        }
        Codec::Red => {
            packet.part = FramePart::Entry;
            packet.primary_at =
                codec::red::primary(packet.payload()).and_then(|primary| u16::try_from(primary.offset).ok());
        }
        Codec::H264 | Codec::H265 | Codec::Av1 => {
            if codec::keyframe(codec, packet.payload()) == Keyframe::Start {
                packet.part = FramePart::Entry;
            }
        }
        // Sound stands alone; of an unknown codec nobody can tell but where a picture begins.
        Codec::Opus | Codec::Other => packet.part = FramePart::Entry,
    }
    if kind == MediaKind::Audio {
        packet.part = FramePart::Entry;
    }
}

fn reason(error: SrtpError) -> DropReason {
    match error {
        SrtpError::Malformed | SrtpError::NotEncrypted => DropReason::RtpMalformed,
        SrtpError::Full(_) => DropReason::RtpOversize,
        SrtpError::Replayed(..) | SrtpError::Old(_) => DropReason::RtpReplayed,
        SrtpError::NotAuthentic
        | SrtpError::Keying(_)
        | SrtpError::SealedBefore(..)
        | SrtpError::KeyUsedUp
        | SrtpError::TooManySources => DropReason::RtpForged,
    }
}
