//! The VP8 payload descriptor (RFC 7741 §4.2).

use crate::wire::Reader;

/// RFC 7741 §4.2: the bits of the first byte, and of the extension after it.
const EXTENDED: u8 = 0x80;
const NON_REFERENCE: u8 = 0x20;
const PARTITION_START: u8 = 0x10;
const PARTITION_MASK: u8 = 0x07;
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_TL0_PICTURE_INDEX: u8 = 0x40;
const HAS_TEMPORAL_LAYER: u8 = 0x20;
const HAS_KEY_INDEX: u8 = 0x10;
/// Set when the picture id has fifteen bits.
const LONG_PICTURE_ID: u8 = 0x80;
const LAYER_SYNC: u8 = 0x20;
const KEY_INDEX_MASK: u8 = 0x1f;
/// RFC 7741 §4.3: clear in the first byte of a key frame.
const INTERFRAME: u8 = 0x01;

/// Which picture a packet belongs to: it grows by one with every picture and wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureId {
    /// Seven bits.
    Short(u8),
    /// Fifteen bits.
    Long(u16),
}

impl PictureId {
    /// The number.
    #[must_use]
    pub const fn value(self) -> u16 {
        match self {
            Self::Short(value) => value as u16,
            Self::Long(value) => value,
        }
    }

    /// Another number in the same field: what does not fit into its bits is cut off.
    #[must_use]
    pub const fn with(self, value: u16) -> Self {
        match self {
            Self::Short(_) => Self::Short((value & 0x7f) as u8),
            Self::Long(_) => Self::Long(value & 0x7fff),
        }
    }
}

/// What a payload begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Which picture, when it is told.
    pub picture_id: Option<PictureId>,
    /// The picture of the lowest temporal layer this one needs, when it is told.
    pub tl0_picture_index: Option<u8>,
    /// 0 to 3, when it is told.
    pub temporal_layer: Option<u8>,
    /// Whether a receiver can go up to this temporal layer here.
    pub layer_sync: bool,
    /// Key frames, counted, when it is told: five bits.
    pub key_index: Option<u8>,
    /// No other picture needs this one.
    pub discardable: bool,
    /// Where in its picture the packet stands.
    pub part: Part,
    /// How long the descriptor is.
    pub len: usize,
    /// Where the fields that are rewritten stand.
    picture_id_at: usize,
    tl0_at: usize,
    key_index_at: usize,
}

/// Where in its picture a packet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A key frame begins.
    KeyframeStart,
    /// Any other picture begins.
    InterframeStart,
    /// A picture goes on.
    Rest,
}

/// What is written in place of the source's numbers, in VP9 as in VP8. Fields a payload does not have stay away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Cut to as many bits as the source uses.
    pub picture_id: u16,
    /// See [`Descriptor::tl0_picture_index`].
    pub tl0_picture_index: u8,
    /// See [`Descriptor::key_index`].
    pub key_index: u8,
}

impl Descriptor {
    /// `None` when the payload ends inside it, or has nothing after it.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let first = reader.u8()?;
        let flags = if first & EXTENDED == 0 { 0 } else { reader.u8()? };
        let at = |reader: &Reader<'_>| payload.len().saturating_sub(reader.rest().len());

        let picture_id_at = at(&reader);
        let picture_id = if flags & HAS_PICTURE_ID == 0 { None } else { Some(picture_id(&mut reader)?) };
        let tl0_at = at(&reader);
        let tl0_picture_index = if flags & HAS_TL0_PICTURE_INDEX == 0 { None } else { Some(reader.u8()?) };
        let key_index_at = at(&reader);
        let layers = flags & (HAS_TEMPORAL_LAYER | HAS_KEY_INDEX);
        let layer_byte = if layers == 0 { 0 } else { reader.u8()? };

        let starts = first & PARTITION_START != 0 && first & PARTITION_MASK == 0;
        let part = match reader.rest().first()? & INTERFRAME {
            0 if starts => Part::KeyframeStart,
            _ if starts => Part::InterframeStart,
            _ => Part::Rest,
        };
        Some(Self {
            picture_id,
            tl0_picture_index,
            temporal_layer: (flags & HAS_TEMPORAL_LAYER != 0).then_some(layer_byte >> 6),
            layer_sync: flags & HAS_TEMPORAL_LAYER != 0 && layer_byte & LAYER_SYNC != 0,
            key_index: (flags & HAS_KEY_INDEX != 0).then_some(layer_byte & KEY_INDEX_MASK),
            discardable: first & NON_REFERENCE != 0,
            part,
            len: at(&reader),
            picture_id_at,
            tl0_at,
            key_index_at,
        })
    }

    /// Writes other numbers over those of the payload this descriptor was read from; no byte moves.
    pub fn rewrite(&self, payload: &mut [u8], to: Rewrite) {
        if let Some(picture_id) = self.picture_id {
            put_picture_id(payload, self.picture_id_at, picture_id.with(to.picture_id));
        }
        if self.tl0_picture_index.is_some() {
            put(payload, self.tl0_at, [to.tl0_picture_index]);
        }
        if self.key_index.is_some()
            && let Some(byte) = payload.get_mut(self.key_index_at)
        {
            *byte = *byte & !KEY_INDEX_MASK | to.key_index & KEY_INDEX_MASK;
        }
    }
}

fn picture_id(reader: &mut Reader<'_>) -> Option<PictureId> {
    let first = reader.u8()?;
    if first & LONG_PICTURE_ID == 0 {
        return Some(PictureId::Short(first));
    }
    Some(PictureId::Long(u16::from_be_bytes([first & !LONG_PICTURE_ID, reader.u8()?])))
}

pub(super) fn put_picture_id(payload: &mut [u8], at: usize, picture_id: PictureId) {
    match picture_id {
        PictureId::Short(value) => put(payload, at, [value]),
        PictureId::Long(value) => {
            put(payload, at, (value | u16::from(LONG_PICTURE_ID) << 8).to_be_bytes());
        }
    }
}

pub(super) fn put<const N: usize>(payload: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = payload.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<N>) {
        *place = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Extended, begins partition 0, all fields; a long picture id; then a key frame.
    const KEYFRAME: [u8; 8] = [0x90, 0xf0, 0x92, 0x34, 0x56, 0x67, 0x10, 0x02];

    #[test]
    fn every_field_is_read() {
        let descriptor = Descriptor::parse(&KEYFRAME).unwrap();

        assert_eq!(descriptor.picture_id, Some(PictureId::Long(0x1234)));
        assert_eq!(descriptor.tl0_picture_index, Some(0x56));
        assert_eq!(descriptor.temporal_layer, Some(1));
        assert!(descriptor.layer_sync && !descriptor.discardable);
        assert_eq!(descriptor.key_index, Some(7));
        assert_eq!(descriptor.part, Part::KeyframeStart);
        assert_eq!(descriptor.len, 6);
    }

    #[test]
    fn a_picture_begins_with_partition_zero_only() {
        let part = |payload: &[u8]| Descriptor::parse(payload).unwrap().part;

        assert_eq!(part(&[0x10, 0x00]), Part::KeyframeStart);
        assert_eq!(part(&[0x10, 0x01]), Part::InterframeStart);
        assert_eq!(part(&[0x11, 0x00]), Part::Rest);
        assert_eq!(part(&[0x00, 0x00]), Part::Rest);
    }

    #[test]
    fn a_payload_that_ends_inside_its_descriptor_is_refused() {
        for len in 0..=6 {
            assert_eq!(Descriptor::parse(&KEYFRAME[..len]), None, "length {len}");
        }
        assert!(Descriptor::parse(&KEYFRAME[..7]).is_some());
    }

    #[test]
    fn numbers_are_rewritten_in_as_many_bits_as_they_had() {
        let to = Rewrite { picture_id: 0xffff, tl0_picture_index: 0xaa, key_index: 0xff };

        let mut payload = KEYFRAME;
        Descriptor::parse(&payload).unwrap().rewrite(&mut payload, to);
        assert_eq!(payload, [0x90, 0xf0, 0xff, 0xff, 0xaa, 0x7f, 0x10, 0x02]);

        let mut payload = [0x90, 0xc0, 0x05, 0x56, 0x10];
        Descriptor::parse(&payload).unwrap().rewrite(&mut payload, to);
        assert_eq!(payload, [0x90, 0xc0, 0x7f, 0xaa, 0x10]);
    }

    #[test]
    fn rewriting_moves_nothing_and_touches_nothing_else() {
        for flags in (0..=255_u8).filter(|flags| flags & 0x0f == 0) {
            for first in [0x01, 0x81] {
                let mut payload = [0x90, flags, first, 0x11, 0x22, 0x33, 0x44, 0x55];
                let before = Descriptor::parse(&payload).unwrap();
                let to = Rewrite { picture_id: 0x0123, tl0_picture_index: 0x45, key_index: 0x06 };

                before.rewrite(&mut payload, to);

                let after = Descriptor::parse(&payload).unwrap();
                assert_eq!(after.picture_id, before.picture_id.map(|id| id.with(0x0123)));
                assert_eq!(after.tl0_picture_index, before.tl0_picture_index.map(|_| 0x45));
                assert_eq!(after.key_index, before.key_index.map(|_| 0x06));
                assert_eq!(
                    (after.temporal_layer, after.layer_sync),
                    (before.temporal_layer, before.layer_sync)
                );
                assert_eq!(after.len, before.len);
                assert_eq!(
                    payload[before.len..],
                    [0x90, flags, first, 0x11, 0x22, 0x33, 0x44, 0x55][before.len..]
                );
            }
        }
    }

    #[test]
    fn a_payload_shorter_than_the_descriptor_says_is_left_alone() {
        let descriptor = Descriptor::parse(&KEYFRAME).unwrap();
        for len in 0..=4 {
            let mut payload = KEYFRAME;
            descriptor.rewrite(
                &mut payload[..len],
                Rewrite { picture_id: 0, tl0_picture_index: 0x56, key_index: 7 },
            );
            assert_eq!(payload[4..], KEYFRAME[4..]);
        }
    }
}
