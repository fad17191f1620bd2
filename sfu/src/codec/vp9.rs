//! The VP9 payload descriptor (RFC 9628 §4.2).

use super::{
    Layers,
    vp8::{PictureId, Rewrite, put, put_picture_id},
};
use crate::wire::Reader;

/// RFC 9628 §4.2: the bits of the first byte.
const HAS_PICTURE_ID: u8 = 0x80;
const INTER_PICTURE: u8 = 0x40;
const HAS_LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const STARTS_FRAME: u8 = 0x08;
const ENDS_FRAME: u8 = 0x04;
const HAS_STRUCTURE: u8 = 0x02;
const NOT_NEEDED_ABOVE: u8 = 0x01;
/// Of the byte of layers.
const SWITCHING_UP: u8 = 0x10;
const INTER_LAYER: u8 = 0x01;
/// RFC 9628 §4.2: the picture id follows the first byte.
const PICTURE_ID_AT: usize = 1;
const LONG_PICTURE_ID: u8 = 0x80;
/// RFC 9628 §4.2: three references at most, each telling whether another follows.
const REFERENCES_MAX: usize = 3;
const REFERENCE_FOLLOWS: u8 = 0x01;
/// RFC 9628 §4.2.1: the bits of the scalability structure.
const STRUCTURE_SIZES: u8 = 0x10;
const STRUCTURE_PICTURES: u8 = 0x08;

/// What a payload begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Which picture, when it is told.
    pub picture_id: Option<PictureId>,
    /// Which layers, when it is told: all are zero else.
    pub layers: Layers,
    /// The picture of the lowest temporal layer this one needs, when it is told.
    pub tl0_picture_index: Option<u8>,
    /// How long the descriptor is.
    pub len: usize,
    flags: u8,
    layer_flags: u8,
    /// Where the index of the lowest temporal layer stands.
    tl0_at: usize,
}

impl Descriptor {
    /// `None` when the payload ends inside it, or has nothing after it.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let flags = reader.u8()?;
        let picture_id = if flags & HAS_PICTURE_ID == 0 { None } else { Some(picture_id(&mut reader)?) };
        let layer_flags = if flags & HAS_LAYERS == 0 { 0 } else { reader.u8()? };
        // RFC 9628 §4.2: in flexible mode pictures tell what they need one by one instead.
        let tl0 = flags & HAS_LAYERS != 0 && flags & FLEXIBLE == 0;
        let tl0_at = payload.len().saturating_sub(reader.rest().len());
        let tl0_picture_index = if tl0 { Some(reader.u8()?) } else { None };
        if flags & FLEXIBLE != 0 && flags & INTER_PICTURE != 0 {
            skip_references(&mut reader)?;
        }
        if flags & HAS_STRUCTURE != 0 {
            skip_structure(&mut reader)?;
        }
        let len = payload.len().checked_sub(reader.rest().len())?;
        let layers = Layers { spatial: layer_flags >> 1 & 0x07, temporal: layer_flags >> 5 };
        let descriptor = Self { picture_id, layers, tl0_picture_index, len, flags, layer_flags, tl0_at };
        (!reader.is_empty()).then_some(descriptor)
    }

    /// Writes other numbers over those of the payload this descriptor was read from; no byte moves. References are told
    /// as distances, so they stay.
    pub fn rewrite(&self, payload: &mut [u8], to: Rewrite) {
        if let Some(picture_id) = self.picture_id {
            put_picture_id(payload, PICTURE_ID_AT, picture_id.with(to.picture_id));
        }
        if self.tl0_picture_index.is_some() {
            put(payload, self.tl0_at, [to.tl0_picture_index]);
        }
    }

    /// The first packet of a frame of one spatial layer.
    #[must_use]
    pub const fn starts_frame(&self) -> bool {
        self.flags & STARTS_FRAME != 0
    }

    /// The last packet of a frame of one spatial layer.
    #[must_use]
    pub const fn ends_frame(&self) -> bool {
        self.flags & ENDS_FRAME != 0
    }

    /// Whether the frame needs a picture before it.
    #[must_use]
    pub const fn needs_pictures(&self) -> bool {
        self.flags & INTER_PICTURE != 0
    }

    /// Whether the frame needs the spatial layer below it.
    #[must_use]
    pub const fn needs_layer_below(&self) -> bool {
        self.layer_flags & INTER_LAYER != 0
    }

    /// Whether a receiver can go up to this temporal layer here.
    #[must_use]
    pub const fn switches_up(&self) -> bool {
        self.layer_flags & SWITCHING_UP != 0
    }

    /// Whether spatial layers above do without this frame.
    #[must_use]
    pub const fn unneeded_above(&self) -> bool {
        self.flags & NOT_NEEDED_ABOVE != 0
    }

    /// The first packet of a picture that needs no other.
    #[must_use]
    pub const fn starts_keyframe(&self) -> bool {
        self.starts_frame() && !self.needs_pictures() && self.layers.spatial == 0 && !self.needs_layer_below()
    }
}

fn picture_id(reader: &mut Reader<'_>) -> Option<PictureId> {
    let first = reader.u8()?;
    if first & LONG_PICTURE_ID == 0 {
        return Some(PictureId::Short(first));
    }
    Some(PictureId::Long(u16::from_be_bytes([first & !LONG_PICTURE_ID, reader.u8()?])))
}

fn skip_references(reader: &mut Reader<'_>) -> Option<()> {
    for _ in 0..REFERENCES_MAX {
        if reader.u8()? & REFERENCE_FOLLOWS == 0 {
            return Some(());
        }
    }
    None
}

/// RFC 9628 §4.2.1: sizes of the spatial layers, and which pictures of a group need which.
fn skip_structure(reader: &mut Reader<'_>) -> Option<()> {
    let head = reader.u8()?;
    if head & STRUCTURE_SIZES != 0 {
        let layers = usize::from(head >> 5).saturating_add(1);
        reader.take(layers.checked_mul(4)?)?;
    }
    if head & STRUCTURE_PICTURES != 0 {
        let pictures = reader.u8()?;
        for _ in 0..pictures {
            let references = reader.u8()? >> 2 & 0x03;
            reader.take(usize::from(references))?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_with_its_structure_starts() {
        // As libwebrtc sends it: long picture id, layers, a structure of one layer with its size.
        let payload =
            [0xaa, 0x81, 0x02, 0x00, 0x05, 0x18, 0x05, 0x00, 0x02, 0xd0, 0x01, 0x04, 0x01, 0x82, 0x49];

        let descriptor = Descriptor::parse(&payload).unwrap();

        assert_eq!(descriptor.picture_id, Some(PictureId::Long(0x102)));
        assert_eq!(descriptor.tl0_picture_index, Some(5));
        assert_eq!(descriptor.len, 13);
        assert!(descriptor.starts_keyframe() && descriptor.starts_frame() && !descriptor.ends_frame());
    }

    #[test]
    fn layers_are_told() {
        let descriptor = Descriptor::parse(&[0xec, 0x05, 0b0101_0101, 0x07, 0x82]).unwrap();

        assert_eq!(descriptor.layers, Layers { spatial: 2, temporal: 2 });
        assert!(descriptor.switches_up() && descriptor.needs_layer_below() && descriptor.needs_pictures());
        assert!(!descriptor.starts_keyframe());
    }

    #[test]
    fn an_upper_layer_of_a_key_frame_is_not_where_to_start() {
        assert!(!Descriptor::parse(&[0x28, 0b0000_0011, 0x07, 0x82]).unwrap().starts_keyframe());
    }

    #[test]
    fn numbers_are_rewritten_where_they_stand() {
        let to = Rewrite { picture_id: 0x1234, tl0_picture_index: 9, key_index: 0 };

        let mut payload = [0xa8, 0x81, 0x02, 0x00, 0x05, 0x82];
        Descriptor::parse(&payload).unwrap().rewrite(&mut payload, to);
        assert_eq!(payload, [0xa8, 0x92, 0x34, 0x00, 0x09, 0x82]);

        let mut payload = [0xb8, 0x02, 0x20, 0x82];
        Descriptor::parse(&payload).unwrap().rewrite(&mut payload, to);
        assert_eq!(payload, [0xb8, 0x34, 0x20, 0x82], "flexible: seven bits, and no index");
    }

    #[test]
    fn references_of_flexible_mode_are_three_at_most() {
        assert_eq!(Descriptor::parse(&[0x58, 0x03, 0x05, 0x02, 0x82]).unwrap().len, 4);
        assert_eq!(Descriptor::parse(&[0x58, 0x03, 0x05, 0x07, 0x82]), None);
    }

    #[test]
    fn a_structure_that_reaches_past_the_end_is_refused() {
        assert_eq!(Descriptor::parse(&[0x0a, 0xf0, 0, 0, 0, 0]), None);
        assert_eq!(Descriptor::parse(&[0x0a, 0x08, 0xff, 0x0c, 1, 2]), None);
        assert_eq!(Descriptor::parse(&[0x0a, 0x08, 0xff]), None);
    }
}
