//! One packet as it was received: decrypted, its header read once.

use std::time::Instant;

use super::frame::Frame;
use crate::{
    codec::{vp8, vp9},
    params::{Extension, ExtensionMap},
    rtp::Form,
    units::{PayloadType, RtpTime},
};

/// Bytes kept free before a payload, so that a retransmission can put its original sequence number there.
pub(crate) const HEADROOM: usize = 2;

/// Where a packet stands in its frame, as far as forwarding cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FramePart {
    /// A subscriber can begin here: the first packet of a key frame, or anything that needs none.
    Entry,
    /// Anywhere else.
    Other,
}

/// The numbers that must stay continuous: of a VP8 or VP9 payload descriptor (RFC 7741 §4.2, RFC 9628 §4.2), and of a
/// dependency descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PictureIds {
    /// 7 or 15 bits.
    pub(crate) picture: Option<u16>,
    pub(crate) tl0: Option<u8>,
    /// 5 bits.
    pub(crate) key: Option<u8>,
    /// Of the dependency descriptor.
    pub(crate) frame: Option<u16>,
}

/// Where such numbers stand in a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Numbered {
    #[default]
    Nowhere,
    Vp8(vp8::Descriptor),
    Vp9(vp9::Descriptor),
}

/// A stored packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Extended by its rollover counter.
    pub(crate) seq: u64,
    pub(crate) arrival: Instant,
    pub(crate) timestamp: RtpTime,
    /// As the publisher numbers it.
    pub(crate) payload_type: PayloadType,
    pub(crate) marker: bool,
    pub(crate) part: FramePart,
    pub(crate) frame: Frame,
    pub(crate) ids: PictureIds,
    pub(crate) numbered: Numbered,
    /// Where the primary block of redundant audio begins.
    pub(crate) primary_at: Option<u16>,
    pub(crate) extensions: Carried,
    buffer: Box<[u8]>,
    start: u16,
    end: u16,
}

impl Packet {
    /// Takes over a buffer whose bytes `start..end` are the payload; `start` leaves the headroom free.
    pub(crate) fn new(seq: u64, arrival: Instant, payload_type: PayloadType, payload: Filled) -> Self {
        Self {
            seq,
            arrival,
            timestamp: RtpTime(0),
            payload_type,
            marker: false,
            part: FramePart::Other,
            frame: Frame::default(),
            ids: PictureIds::default(),
            numbered: Numbered::Nowhere,
            primary_at: None,
            extensions: Carried::default(),
            buffer: payload.buffer,
            start: payload.start,
            end: payload.end,
        }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.buffer.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }

    pub(crate) fn payload_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }

    /// The payload with an original sequence number before it (RFC 4588 §4).
    pub(crate) fn retransmission(&mut self, original: u16) -> &[u8] {
        let start = usize::from(self.start).saturating_sub(HEADROOM);
        let Some(bytes) = self.buffer.get_mut(start..usize::from(self.end)) else { return &[] };
        if let Some(osn) = bytes.first_chunk_mut() {
            *osn = original.to_be_bytes();
        }
        bytes
    }

    /// Its buffer, for the pool.
    pub(crate) fn into_buffer(self) -> Box<[u8]> {
        self.buffer
    }
}

/// A buffer and where the payload lies in it.
#[derive(Debug)]
pub(crate) struct Filled {
    buffer: Box<[u8]>,
    start: u16,
    end: u16,
}

impl Filled {
    /// `None` when the payload would lie outside, or leaves no headroom.
    pub(crate) fn new(buffer: Box<[u8]>, start: usize, len: usize) -> Result<Self, Box<[u8]>> {
        let end = start.saturating_add(len);
        let fits = start >= HEADROOM && end <= buffer.len();
        match (u16::try_from(start), u16::try_from(end)) {
            (Ok(start), Ok(end)) if fits => Ok(Self { buffer, start, end }),
            (Ok(_) | Err(_), Ok(_) | Err(_)) => Err(buffer),
        }
    }
}

/// Bytes for the header extensions that travel on with a packet. The longest is a dependency descriptor with its structure,
/// about 100 for three layers of each kind.
const CARRIED_LEN: usize = 160;

/// Header extensions that travel on, under each subscriber's own ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    // Elements of one byte of kind, one of length, and the value.
    bytes: [u8; CARRIED_LEN],
    len: u8,
}

impl Default for Carried {
    fn default() -> Self {
        Self { bytes: [0; CARRIED_LEN], len: 0 }
    }
}

impl Carried {
    /// Those that mean the same to a subscriber as to us; of a dependency descriptor only the frame number does not. Names,
    /// send times and numbers of the path mean nothing to anybody else.
    const KINDS: [Extension; 5] = [
        Extension::AudioLevel,
        Extension::AbsCaptureTime,
        Extension::DependencyDescriptor,
        Extension::PlayoutDelay,
        Extension::VideoOrientation,
    ];

    /// Keeps an element if it travels on and there is room for it.
    pub(crate) fn keep(&mut self, extension: Extension, value: &[u8]) {
        let (Ok(kind), Ok(len)) = (u8::try_from(extension as usize), u8::try_from(value.len())) else {
            return;
        };
        if !Self::KINDS.contains(&extension) {
            return;
        }
        let at = usize::from(self.len);
        let Some(room) = self.bytes.get_mut(at..at + 2 + value.len()) else { return };
        if let [first, second, rest @ ..] = room {
            *first = kind;
            *second = len;
            rest.copy_from_slice(value);
            self.len = self.len.saturating_add(len).saturating_add(2);
        }
    }

    /// The form in which a subscriber can be written all it understands: browsers put a structure into each key frame that
    /// only the two-byte form holds, and decode nothing without it.
    pub(crate) fn form(&self, ids: &ExtensionMap) -> Form {
        let is_long = self
            .elements()
            .any(|(extension, value)| value.len() > Form::ONE_BYTE_MAX && ids.id(extension).is_some());
        if is_long { Form::TwoByte } else { Form::OneByte }
    }

    /// What was kept, in its order.
    pub(crate) fn elements(&self) -> impl Iterator<Item = (Extension, &[u8])> {
        let mut rest = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::iter::from_fn(move || {
            let [kind, len, tail @ ..] = rest else { return None };
            let (value, after) = tail.split_at_checked(usize::from(*len))?;
            rest = after;
            Some((*Extension::ALL.get(usize::from(*kind))?, value))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn packet(seq: u64, arrival: Instant) -> Packet {
        let payload = Filled::new(vec![0; 8].into_boxed_slice(), HEADROOM, 6).unwrap();
        Packet::new(seq, arrival, PayloadType::new(96).unwrap(), payload)
    }

    #[test]
    fn extensions_travel_on_under_the_subscribers_ids() {
        let mut carried = Carried::default();
        carried.keep(Extension::AudioLevel, &[0x85]);
        carried.keep(Extension::Mid, b"0");
        carried.keep(Extension::VideoOrientation, &[1]);

        let ids = ExtensionMap::default().with(Extension::VideoOrientation, 9).with(Extension::Mid, 4);
        let seen: Vec<_> =
            carried.elements().filter_map(|(extension, value)| Some((ids.id(extension)?, value))).collect();

        assert_eq!(
            seen,
            [(9, &[1][..])],
            "what the subscriber lacks and what is the path's own stays behind"
        );
    }

    #[test]
    fn an_element_without_room_is_left_out_whole() {
        let mut carried = Carried::default();
        carried.keep(Extension::AbsCaptureTime, &[1; CARRIED_LEN]);
        carried.keep(Extension::AudioLevel, &[2]);

        assert_eq!(carried.elements().collect::<Vec<_>>(), [(Extension::AudioLevel, &[2][..])]);
    }

    #[test]
    fn a_long_value_asks_for_the_two_byte_form_of_those_who_read_it() {
        let mut carried = Carried::default();
        carried.keep(Extension::DependencyDescriptor, &[0x80; 17]);

        let reads = ExtensionMap::default().with(Extension::DependencyDescriptor, 2);
        assert_eq!(carried.form(&reads), Form::TwoByte);
        assert_eq!(carried.form(&ExtensionMap::default()), Form::OneByte);
    }

    #[test]
    fn a_retransmission_carries_the_original_number_before_the_payload() {
        let mut buffer = vec![0; 16].into_boxed_slice();
        buffer[2..6].copy_from_slice(&[1, 2, 3, 4]);
        let filled = Filled::new(buffer, 2, 4).unwrap();
        let mut packet = Packet::new(7, crate::fixture::start(), PayloadType::new(96).unwrap(), filled);

        assert_eq!(packet.retransmission(0x1234), [0x12, 0x34, 1, 2, 3, 4]);
        assert_eq!(packet.payload(), [1, 2, 3, 4]);
    }
}
