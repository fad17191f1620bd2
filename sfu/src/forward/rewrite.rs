//! SSRC, sequence number, timestamp and picture ids stay continuous whatever is forwarded.
//!
//! What was forwarded is a list of stretches: runs of one encoding with constant offsets. Everything follows from
//! it, both ways: where a late packet belongs, and which packet a subscriber's NACK means.
//!
//! Invariants:
//! - an outgoing sequence number stands for one incoming packet, for ever (RFC 3711 §9.1: a key stream is used once);
//! - a packet lost on the way to us leaves its gap, one left out by us leaves none;
//! - numbers of VP8 pictures left out are used again; VP9 and dependency descriptors tell distances, so theirs are not;
//! - outgoing timestamps of later pictures are later.

use std::collections::VecDeque;

use super::packet::{Numbered, Packet, PictureIds};
use crate::units::{RtpTime, SeqNo};

/// Stretches remembered: two seconds while every other frame is left out. Higher: later NACKs are answered. Lower: less
/// memory, 48 bytes each.
const STRETCHES_MAX: usize = 64;
/// RFC 7741 §4.2: a picture id has 7 or 15 bits.
const PICTURE_MASK: u16 = 0x7fff;
/// Packets later than this are of no use to anyone; a sender of SRTP has forgotten their numbers soon after.
const LATE_MAX: u64 = 512;
/// Stands for an encoding whose numbering ended.
const FORGOTTEN: u8 = u8::MAX;
/// RFC 7741 §4.2: KEYIDX has 5 bits.
const KEY_MASK: u8 = 0x1f;

/// A run of one encoding with constant offsets.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    layer: u8,
    first_in: u64,
    first_out: u64,
    timestamp: u32,
    picture: u16,
    tl0: u8,
    key: u8,
    frame: u16,
    /// The highest spatial layer that is forwarded: its last packet ends the picture.
    top: u8,
}

impl Stretch {
    fn written(&self, packet: &Packet) -> Written {
        let ids = packet.ids;
        let ends = packet.frame.place.is_last && packet.frame.layers.spatial == self.top;
        Written {
            seq: self.first_out.saturating_add(packet.seq.saturating_sub(self.first_in)),
            timestamp: packet.timestamp.plus(self.timestamp),
            marker: packet.marker || ends,
            ids: PictureIds {
                // A 7-bit id wraps within the 15-bit arithmetic: 128 divides 32,768.
                picture: ids.picture.map(|picture| picture.wrapping_add(self.picture) & PICTURE_MASK),
                tl0: ids.tl0.map(|tl0| tl0.wrapping_add(self.tl0)),
                key: ids.key.map(|key| key.wrapping_add(self.key) & KEY_MASK),
                frame: ids.frame.map(|frame| frame.wrapping_add(self.frame)),
            },
        }
    }
}

/// How a packet is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Rollover counter and sequence number (RFC 3711 §3.3.1).
    pub(crate) seq: u64,
    pub(crate) timestamp: RtpTime,
    /// Whether the picture ends here, as far as it is forwarded.
    pub(crate) marker: bool,
    pub(crate) ids: PictureIds,
}

/// What an outgoing sequence number stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// The number itself, with its rollover counter.
    pub(crate) out: u64,
    pub(crate) layer: u8,
    /// The packet of that encoding.
    pub(crate) seq: u64,
    stretch: Stretch,
}

impl Source {
    /// How the packet was written.
    pub(crate) fn written(&self, packet: &Packet) -> Written {
        self.stretch.written(packet)
    }
}

/// What a new stretch does with timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continuation {
    /// The same encoding goes on: its clock is the one that was forwarded all along.
    SameClock,
    /// Another clock: the stretch begins at this outgoing time, or as soon after as is later than all before.
    From(RtpTime),
}

/// Maps the packets of changing encodings to one continuous stream.
#[derive(Debug)]
pub(crate) struct Rewriter {
    stretches: VecDeque<Stretch>,
    next_out: u64,
    next_in: u64,
    last: Option<Written>,
    /// The VP8 picture that was left out last.
    left_out: Option<u16>,
}

/// No spatial layer is the highest: pictures end where their publisher ends them.
pub(crate) const NO_TOP: u8 = u8::MAX;

impl Rewriter {
    /// `first` is where the sequence begins; below 2^15, so that every receiver agrees on the rollover counter.
    pub(crate) fn new(first: u16) -> Self {
        Self {
            stretches: VecDeque::new(),
            next_out: u64::from(first & 0x7fff),
            next_in: 0,
            last: None,
            left_out: None,
        }
    }

    /// The encoding that is being forwarded, unless its numbering ended.
    pub(crate) fn layer(&self) -> Option<u8> {
        self.stretches.back().map(|stretch| stretch.layer).filter(|layer| *layer != FORGOTTEN)
    }

    /// What is added to the timestamps of the encoding that is being forwarded.
    pub(crate) fn timestamp_offset(&self) -> u32 {
        self.stretches.back().map_or(0, |stretch| stretch.timestamp)
    }

    /// Whether this packet of this encoding is behind what was forwarded of it.
    pub(crate) fn has_passed(&self, layer: u8, seq: u64) -> bool {
        let mut end_out = self.next_out;
        for stretch in self.stretches.iter().rev() {
            let end_in = stretch.first_in.saturating_add(end_out.saturating_sub(stretch.first_out));
            if stretch.layer == layer {
                return seq < end_in;
            }
            end_out = stretch.first_out;
        }
        false
    }

    /// The numbering of an encoding ended: its numbers mean other packets from here on.
    pub(crate) fn forget(&mut self, layer: u8) {
        for stretch in self.stretches.iter_mut().filter(|stretch| stretch.layer == layer) {
            stretch.layer = FORGOTTEN;
        }
    }

    /// The newest packet written, by its place in the stream.
    pub(crate) fn last(&self) -> Option<Written> {
        self.last
    }

    /// From this packet on, this encoding is forwarded.
    pub(crate) fn begin(&mut self, layer: u8, packet: &Packet, continuation: Continuation) {
        let timestamp = match (continuation, self.last) {
            (Continuation::SameClock, _) => self.stretches.back().map_or(0, |stretch| stretch.timestamp),
            (Continuation::From(at), None) => at.0.wrapping_sub(packet.timestamp.0),
            (Continuation::From(at), Some(last)) => {
                let earliest = last.timestamp.plus(1);
                let at = if at.since(earliest) < 0 { earliest } else { at };
                at.0.wrapping_sub(packet.timestamp.0)
            }
        };
        let ids = self.last.map_or(packet.ids, |last| PictureIds {
            picture: last.ids.picture.map(|picture| picture.wrapping_add(1)),
            tl0: last.ids.tl0.map(|tl0| tl0.wrapping_add(1)),
            key: last.ids.key.map(|key| key.wrapping_add(1)),
            frame: last.ids.frame.map(|frame| frame.wrapping_add(1)),
        });
        let stretch = Stretch {
            layer,
            first_in: packet.seq,
            first_out: self.next_out,
            timestamp,
            picture: offset(ids.picture, packet.ids.picture, u16::wrapping_sub),
            tl0: offset(ids.tl0, packet.ids.tl0, u8::wrapping_sub),
            key: offset(ids.key, packet.ids.key, u8::wrapping_sub),
            frame: offset(ids.frame, packet.ids.frame, u16::wrapping_sub),
            top: NO_TOP,
        };
        self.left_out = None;
        self.next_in = packet.seq;
        self.push(stretch);
    }

    /// How a packet of this encoding is written; `None` when it has no place in the stream.
    pub(crate) fn write(&mut self, layer: u8, packet: &Packet) -> Option<Written> {
        let current = self.stretches.back()?;
        if current.layer != layer || packet.seq < self.next_in {
            return self.locate(layer, packet);
        }
        let mut written = current.written(packet);
        self.next_in = packet.seq.saturating_add(1);
        self.next_out = written.seq.saturating_add(1);
        // KEYIDX and TL0PICIDX are not in every packet: the last ones seen count.
        let before = self.last.map(|last| last.ids).unwrap_or_default();
        let ids = written.ids;
        written.ids = PictureIds {
            picture: ids.picture.or(before.picture),
            tl0: ids.tl0.or(before.tl0),
            key: ids.key.or(before.key),
            frame: ids.frame.or(before.frame),
        };
        self.last = Some(written);
        written.ids = ids;
        Some(written)
    }

    /// From this packet on, pictures end with their frame of this spatial layer.
    pub(crate) fn set_top(&mut self, packet: &Packet, top: u8) {
        let Some(current) = self.stretches.back_mut() else { return };
        if current.top == top || packet.seq < self.next_in {
            return;
        }
        if self.next_in <= current.first_in {
            current.top = top;
            return;
        }
        let first_out = current.first_out.saturating_add(packet.seq.saturating_sub(current.first_in));
        let next = Stretch { first_in: packet.seq, first_out, top, ..*current };
        self.push(next);
    }

    /// A packet of a frame that is not forwarded: the stream closes over it. One that comes late has a place already, that
    /// has to be filled.
    pub(crate) fn leave_out(&mut self, layer: u8, packet: &Packet) -> Option<Written> {
        if self.stretches.back()?.layer != layer || packet.seq < self.next_in {
            return self.locate(layer, packet);
        }
        self.skip(layer, packet.seq);
        let picture = packet.ids.picture.filter(|_| matches!(packet.numbered, Numbered::Vp8(_)));
        if let (Some(picture), Some(current)) = (picture, self.stretches.back_mut())
            && self.left_out.replace(picture) != Some(picture)
        {
            current.picture = current.picture.wrapping_sub(1);
        }
        None
    }

    /// Nothing is forwarded under this number: the stream closes over it.
    pub(crate) fn skip(&mut self, layer: u8, seq: u64) {
        let Some(current) = self.stretches.back_mut() else { return };
        if current.layer != layer || seq < self.next_in {
            return;
        }
        let first_out = current.first_out.saturating_add(seq.saturating_sub(current.first_in));
        let next = Stretch { first_in: seq.saturating_add(1), first_out, ..*current };
        let is_empty = self.next_in <= current.first_in && first_out == current.first_out;
        self.next_in = seq.saturating_add(1);
        self.next_out = first_out;
        if is_empty {
            *current = next;
        } else {
            self.push(next);
        }
    }

    /// What an outgoing sequence number stands for.
    pub(crate) fn source(&self, seq: SeqNo) -> Option<Source> {
        let out = seq.extend(self.next_out.checked_sub(1)?);
        if out >= self.next_out {
            return None;
        }
        let stretch = self.stretches.iter().rev().find(|stretch| stretch.first_out <= out)?;
        let seq = stretch.first_in.saturating_add(out.saturating_sub(stretch.first_out));
        Some(Source { out, layer: stretch.layer, seq, stretch: *stretch })
    }

    /// How a packet within what was forwarded already is written.
    pub(crate) fn locate(&self, layer: u8, packet: &Packet) -> Option<Written> {
        let mut end_out = self.next_out;
        for stretch in self.stretches.iter().rev() {
            if stretch.layer == layer && stretch.first_in <= packet.seq {
                let written = stretch.written(packet);
                if written.seq < end_out {
                    return (written.seq + LATE_MAX >= self.next_out).then_some(written);
                }
            }
            end_out = stretch.first_out;
        }
        None
    }

    fn push(&mut self, stretch: Stretch) {
        if self.stretches.len() >= STRETCHES_MAX {
            self.stretches.pop_front();
        }
        self.stretches.push_back(stretch);
    }
}

/// What must be added to `from` to have `to`; nothing when either is unknown.
fn offset<T: Default>(to: Option<T>, from: Option<T>, minus: impl Fn(T, T) -> T) -> T {
    match (to, from) {
        (Some(to), Some(from)) => minus(to, from),
        (Some(_) | None, Some(_) | None) => T::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{fixture, forward::packet::tests};

    fn packet(seq: u64, timestamp: u32, now: Instant) -> Packet {
        let mut packet = tests::packet(seq, now);
        packet.timestamp = RtpTime(timestamp);
        packet
    }

    fn numbered(seq: u64, picture: u16, tl0: u8, now: Instant) -> Packet {
        let mut packet = packet(seq, 0, now);
        packet.ids = PictureIds { picture: Some(picture), tl0: Some(tl0), ..PictureIds::default() };
        packet
    }

    fn begun(first_in: u64, now: Instant) -> Rewriter {
        let mut rewriter = Rewriter::new(1_000);
        rewriter.begin(0, &packet(first_in, 0, now), Continuation::SameClock);
        rewriter
    }

    fn traced(rewriter: &Rewriter, seq: u16) -> Option<(u8, u64)> {
        rewriter.source(SeqNo(seq)).map(|source| (source.layer, source.seq))
    }

    #[test]
    fn losses_leave_gaps_and_late_packets_fill_them() {
        let now = fixture::start();
        let mut rewriter = begun(500, now);

        let seqs: Vec<_> = [500, 501, 504, 502, 505]
            .map(|seq| rewriter.write(0, &packet(seq, 0, now)).map(|written| written.seq))
            .into();

        assert_eq!(seqs, [Some(1_000), Some(1_001), Some(1_004), Some(1_002), Some(1_005)]);
    }

    #[test]
    fn a_stream_may_begin_with_the_first_number_there_is() {
        let now = fixture::start();

        assert_eq!(begun(0, now).write(0, &packet(0, 0, now)).map(|written| written.seq), Some(1_000));
    }

    #[test]
    fn what_is_left_out_leaves_no_gap() {
        let now = fixture::start();
        let mut rewriter = begun(10, now);
        rewriter.write(0, &packet(10, 0, now));

        rewriter.skip(0, 11);
        rewriter.skip(0, 12);
        let after = rewriter.write(0, &packet(13, 0, now)).unwrap();

        assert_eq!(after.seq, 1_001);
        assert_eq!(traced(&rewriter, 1_001), Some((0, 13)));
        assert_eq!(rewriter.stretches.len(), 2, "neighbours left out share one stretch");
    }

    #[test]
    fn a_late_packet_before_something_left_out_finds_its_place() {
        let now = fixture::start();
        let mut rewriter = begun(10, now);
        rewriter.write(0, &packet(10, 0, now));
        rewriter.skip(0, 12);
        assert_eq!(rewriter.write(0, &packet(13, 0, now)).map(|written| written.seq), Some(1_002));

        assert_eq!(rewriter.write(0, &packet(11, 0, now)).map(|written| written.seq), Some(1_001));
        assert_eq!(rewriter.write(0, &packet(12, 0, now)), None, "what was left out has no place");
    }

    #[test]
    fn a_switch_continues_sequence_timestamp_and_picture_ids() {
        let now = fixture::start();
        let mut rewriter = Rewriter::new(0);
        let mut first = numbered(100, 32_766, 254, now);
        first.timestamp = RtpTime(3_000);
        rewriter.begin(0, &first, Continuation::SameClock);
        rewriter.write(0, &first);
        let mut second = numbered(7, 5, 9, now);
        second.timestamp = RtpTime(900_000);

        rewriter.begin(2, &second, Continuation::From(RtpTime(6_000)));
        let written = rewriter.write(2, &second).unwrap();

        assert_eq!(written.seq, 1);
        assert_eq!(written.timestamp, RtpTime(6_000));
        assert_eq!(written.ids.picture, Some(32_767));
        assert_eq!(written.ids.tl0, Some(255));
        let third = numbered(8, 6, 10, now);
        assert_eq!(rewriter.write(2, &third).unwrap().ids.picture, Some(0), "15 bits wrap");
    }

    #[test]
    fn a_clock_that_would_run_back_is_held() {
        let now = fixture::start();
        let mut rewriter = Rewriter::new(0);
        let first = packet(1, 9_000, now);
        rewriter.begin(0, &first, Continuation::SameClock);
        rewriter.write(0, &first);
        let second = packet(1, 50, now);

        rewriter.begin(1, &second, Continuation::From(RtpTime(8_000)));

        assert_eq!(rewriter.write(1, &second).map(|written| written.timestamp), Some(RtpTime(9_001)));
    }

    #[test]
    fn a_nack_is_traced_back_over_switches() {
        let now = fixture::start();
        let mut rewriter = begun(100, now);
        for seq in 100..110 {
            rewriter.write(0, &packet(seq, 0, now));
        }
        rewriter.begin(1, &packet(5_000, 0, now), Continuation::From(RtpTime(10)));
        rewriter.write(1, &packet(5_000, 0, now));

        assert_eq!(traced(&rewriter, 1_009), Some((0, 109)));
        assert_eq!(traced(&rewriter, 1_010), Some((1, 5_000)));
        assert_eq!(traced(&rewriter, 1_011), None, "not sent");
        assert_eq!(traced(&rewriter, 999), None, "before the first");
    }

    #[test]
    fn a_late_packet_of_the_layer_before_a_switch_finds_its_place_and_no_other() {
        let now = fixture::start();
        let mut rewriter = begun(100, now);
        rewriter.write(0, &packet(100, 0, now));
        rewriter.write(0, &packet(102, 0, now));
        rewriter.begin(1, &packet(5_000, 0, now), Continuation::From(RtpTime(10)));
        rewriter.write(1, &packet(5_000, 0, now));

        assert_eq!(rewriter.write(0, &packet(101, 0, now)).map(|written| written.seq), Some(1_001));
        assert_eq!(rewriter.write(0, &packet(103, 0, now)), None);
    }

    #[test]
    fn no_outgoing_number_ever_stands_for_two_packets() {
        let now = fixture::start();
        for seed in 0..200_u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut random = |below: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % below
            };
            let mut rewriter = Rewriter::new(0x7fff);
            let mut heads = [1_000_u64, 70_000, 5];
            let mut meaning = std::collections::BTreeMap::new();
            let mut layer = 0_usize;
            rewriter.begin(0, &packet(heads[0], 0, now), Continuation::SameClock);
            for _ in 0..400 {
                let seq = (heads[layer] + random(4)).saturating_sub(random(8)).max(1);
                heads[layer] = heads[layer].max(seq);
                let number = u8::try_from(layer).unwrap();
                match random(20) {
                    0 => {
                        layer = usize::try_from(random(3)).unwrap();
                        heads[layer] += random(3);
                        let number = u8::try_from(layer).unwrap();
                        let at = Continuation::From(RtpTime(0));
                        if !rewriter.has_passed(number, heads[layer]) {
                            rewriter.begin(number, &packet(heads[layer], 0, now), at);
                        }
                    }
                    1..=3 => rewriter.skip(number, seq),
                    _ => {
                        let Some(written) = rewriter.write(number, &packet(seq, 0, now)) else { continue };
                        let before = meaning.insert(written.seq, (layer, seq));
                        assert!(before.is_none_or(|before| before == (layer, seq)), "seed {seed}");
                    }
                }
            }
        }
    }
}
