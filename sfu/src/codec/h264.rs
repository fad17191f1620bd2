//! H.264 payloads (RFC 6184): where decoding can start.

use crate::wire::Reader;

/// RFC 6184 §5.2, and ITU-T H.264 table 7-1.
const TYPE_MASK: u8 = 0x1f;
const IDR_SLICE: u8 = 5;
const SEQUENCE_PARAMETERS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const FU_START: u8 = 0x80;
/// ITU-T H.264 §7.3.3: a slice whose first macroblock is the first of the picture begins with a one.
const FIRST_OF_PICTURE: u8 = 0x80;

/// Whether sequence parameters or the first slice of an IDR picture begin in this payload.
#[must_use]
pub fn starts_keyframe(payload: &[u8]) -> bool {
    let mut reader = Reader::new(payload);
    let Some(header) = reader.u8() else { return false };
    match header & TYPE_MASK {
        STAP_A => starts_in_aggregate(reader),
        FU_A => {
            let Some(fragment) = reader.u8() else { return false };
            fragment & FU_START != 0 && starts_in_unit(fragment, reader.rest())
        }
        _ => starts_in_unit(header, reader.rest()),
    }
}

/// RFC 6184 §5.7.1: each unit after its length.
fn starts_in_aggregate(mut reader: Reader<'_>) -> bool {
    while let Some(unit) = reader.u16().and_then(|len| reader.take(usize::from(len))) {
        if unit.split_first().is_some_and(|(header, rest)| starts_in_unit(*header, rest)) {
            return true;
        }
    }
    false
}

fn starts_in_unit(header: u8, rest: &[u8]) -> bool {
    match header & TYPE_MASK {
        SEQUENCE_PARAMETERS => true,
        IDR_SLICE => rest.first().is_some_and(|byte| byte & FIRST_OF_PICTURE != 0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_parameters_start_alone_or_in_an_aggregate() {
        assert!(starts_keyframe(&[0x67, 0x42, 0xe0]));
        assert!(starts_keyframe(&[0x78, 0, 2, 0x09, 0x10, 0, 2, 0x67, 0x42, 0, 1, 0x68]));
    }

    #[test]
    fn the_first_slice_of_an_idr_picture_starts() {
        assert!(starts_keyframe(&[0x65, 0x88]));
        assert!(!starts_keyframe(&[0x65, 0x40]), "a later slice");
        assert!(starts_keyframe(&[0x7c, 0x85, 0x88]));
        assert!(!starts_keyframe(&[0x7c, 0x05, 0x88]), "a later fragment");
    }

    #[test]
    fn anything_else_does_not() {
        assert!(!starts_keyframe(&[0x41, 0x9a]));
        assert!(!starts_keyframe(&[0x7c, 0x81, 0x9a]));
        assert!(!starts_keyframe(&[0x78, 0, 9, 0x67]), "a unit that reaches past the end");
        assert!(!starts_keyframe(&[0x78, 0, 0, 0, 0]));
        assert!(!starts_keyframe(&[0x7c]));
    }
}
