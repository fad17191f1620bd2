//! What a subscriber got of one track, and what it experiences of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::media::{PictureNumbers, Stamp, read_sound, read_video};

/// What a packet carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Part of a picture.
    Video(Stamp, PictureNumbers),
    /// Sound, by its number.
    Audio(u32),
    /// Something that was changed on the way.
    Broken,
}

/// One packet as a subscriber got it.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// When.
    pub at: Instant,
    /// With its rollovers.
    pub seq: u64,
    /// As it is on the wire.
    pub timestamp: u32,
    /// The end of a picture.
    pub marker: bool,
    /// What it carried.
    pub content: Content,
}

/// Everything a subscriber got of one track, in the order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    /// Packet by packet.
    pub packets: Vec<Received>,
    decoder: Decoder,
}

/// How far a decoder has come.
#[derive(Clone, Debug, Default)]
struct Decoder {
    last: Option<Picture>,
    asked: Option<Instant>,
}

/// A decoder that could show nothing for so long, while packets come, asks for a key frame.
const STUCK: Duration = Duration::from_millis(250);
/// How far back a decoder's buffer reaches.
const BUFFERED: Duration = Duration::from_secs(1);

/// A picture that arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// When its last packet came.
    pub at: Instant,
    /// The encoding.
    pub layer: u8,
    /// Its number within the encoding.
    pub frame: u32,
    /// Whether it needs no other.
    pub keyframe: bool,
    /// Its timestamp.
    pub timestamp: u32,
    /// Its number as the decoder sees it.
    pub numbers: PictureNumbers,
}

impl Sink {
    /// One packet more.
    pub fn take(&mut self, at: Instant, seq: u64, header: (u32, bool), payload: &[u8]) {
        let (timestamp, marker) = header;
        let content = match (read_video(payload), read_sound(payload)) {
            (Some((stamp, numbers)), _) => Content::Video(stamp, numbers),
            (None, Some(number)) => Content::Audio(number),
            (None, None) => Content::Broken,
        };
        self.packets.push(Received { at, seq, timestamp, marker, content });
    }

    /// Whether the decoder is stuck and asks for a key frame at this moment, as clients do.
    pub fn wants_keyframe(&mut self, now: Instant) -> bool {
        let buffered = self.packets.iter().rev().take_while(|packet| packet.at + BUFFERED > now).count();
        let lately =
            Self { packets: self.packets[self.packets.len() - buffered..].to_vec(), ..Self::default() };
        let Some(first) = lately.packets.first().filter(|first| matches!(first.content, Content::Video(..)))
        else {
            return false;
        };
        let mut last = self.decoder.last;
        for picture in lately.pictures() {
            let follows =
                last.is_some_and(|last| last.layer == picture.layer && last.frame + 1 == picture.frame);
            let is_new = last.is_none_or(|last| last.at < picture.at);
            if follows || (picture.keyframe && is_new) {
                last = Some(picture);
            }
        }
        self.decoder.last = last;
        let since = last.map_or(first.at, |last| last.at.max(first.at));
        let asked = self.decoder.asked.is_some_and(|asked| asked + STUCK > now);
        if asked || since + STUCK > now || lately.packets.last().is_none_or(|last| last.at + STUCK < now) {
            return false;
        }
        self.decoder.asked = Some(now);
        true
    }

    /// Sequence numbers that are missing between the first and the last.
    #[must_use]
    pub fn missing(&self) -> Vec<u64> {
        let seqs: BTreeSet<u64> = self.packets.iter().map(|packet| packet.seq).collect();
        let (Some(first), Some(last)) = (seqs.first(), seqs.last()) else { return Vec::new() };
        (*first..=*last).filter(|seq| !seqs.contains(seq)).collect()
    }

    /// Sequence numbers that came more than once.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        let seqs: BTreeSet<u64> = self.packets.iter().map(|packet| packet.seq).collect();
        self.packets.len() - seqs.len()
    }

    /// Whether each packet came after the one before it in sequence.
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        self.packets.is_sorted_by_key(|packet| packet.seq)
    }

    /// Packets that were changed on the way.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.packets.iter().filter(|packet| packet.content == Content::Broken).count()
    }

    /// The numbers of the sound that came, in the order of sequence.
    #[must_use]
    pub fn sounds(&self) -> Vec<u32> {
        let by_seq: BTreeMap<u64, &Received> =
            self.packets.iter().map(|packet| (packet.seq, packet)).collect();
        let numbers = by_seq.values().filter_map(|packet| match packet.content {
            Content::Audio(number) => Some(number),
            Content::Video(..) | Content::Broken => None,
        });
        numbers.collect()
    }

    /// Pictures whose packets all came, in the order of sequence. A picture is whole when its packets follow each
    /// other in sequence, under one timestamp and one number, with the marker on the last.
    #[must_use]
    pub fn pictures(&self) -> Vec<Picture> {
        let by_seq: BTreeMap<u64, &Received> =
            self.packets.iter().map(|packet| (packet.seq, packet)).collect();
        let mut pictures = Vec::new();
        for (seq, first) in &by_seq {
            let Content::Video(stamp, numbers) = first.content else { continue };
            if stamp.packet != 0 {
                continue;
            }
            let mut at = first.at;
            let whole = (0..stamp.packets).all(|packet| {
                let Some(part) = by_seq.get(&(seq + u64::from(packet))) else { return false };
                at = at.max(part.at);
                let expected = Content::Video(Stamp { packet, ..stamp }, numbers);
                part.content == expected
                    && part.timestamp == first.timestamp
                    && part.marker == (packet + 1 == stamp.packets)
            });
            if whole {
                let Stamp { layer, frame, keyframe, .. } = stamp;
                pictures.push(Picture { at, layer, frame, keyframe, timestamp: first.timestamp, numbers });
            }
        }
        pictures
    }

    /// Pictures a decoder can show: from a key frame on, as long as none is missing within the encoding.
    #[must_use]
    pub fn shown(&self) -> Vec<Picture> {
        let mut last: Option<Picture> = None;
        let mut shown = Vec::new();
        for picture in self.pictures() {
            let follows =
                last.is_some_and(|last| last.layer == picture.layer && last.frame + 1 == picture.frame);
            if picture.keyframe || follows {
                shown.push(picture);
                last = Some(picture);
            }
        }
        shown
    }

    /// Pictures that follow each other, wherever the first is: for a stretch in the middle of a stream.
    #[must_use]
    pub fn shown_from_any(&self) -> Vec<Picture> {
        let pictures = self.pictures();
        let mut shown: Vec<Picture> = Vec::new();
        for picture in pictures {
            let follows = shown
                .last()
                .is_none_or(|last| last.layer == picture.layer && last.frame + 1 == picture.frame);
            if picture.keyframe || follows {
                shown.push(picture);
            }
        }
        shown
    }

    /// The longest time nothing could be shown between two moments.
    #[must_use]
    pub fn longest_freeze(&self, from: Instant, to: Instant) -> Duration {
        let within = self.shown().into_iter().map(|picture| picture.at).filter(|at| (from..to).contains(at));
        let moments: Vec<Instant> = std::iter::once(from).chain(within).chain([to]).collect();
        moments.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or_default()
    }

    /// What came after a moment.
    #[must_use]
    pub fn since(&self, moment: Instant) -> Self {
        let packets = self.packets.iter().filter(|packet| packet.at >= moment).copied().collect();
        Self { packets, ..Self::default() }
    }
}
