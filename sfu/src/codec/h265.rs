//! H.265 payloads (RFC 7798): where decoding can start. Decoding order numbers are not negotiated in WebRTC.

use crate::wire::Reader;

/// RFC 7798 §1.1.4: the type of a unit stands above the lowest bit of its first byte.
const TYPE_MASK: u8 = 0x3f;
const AGGREGATE: u8 = 48;
const FRAGMENT: u8 = 49;
const FRAGMENT_START: u8 = 0x80;
/// ITU-T H.265 table 7-1: pictures where decoding can start, and the parameters before them.
const RANDOM_ACCESS: std::ops::RangeInclusive<u8> = 16..=21;
const VIDEO_PARAMETERS: u8 = 32;
const SEQUENCE_PARAMETERS: u8 = 33;
/// ITU-T H.265 §7.3.6.1: `first_slice_segment_in_pic_flag`.
const FIRST_OF_PICTURE: u8 = 0x80;

/// Whether parameter sets or the first slice of a random access picture begin in this payload.
#[must_use]
pub fn starts_keyframe(payload: &[u8]) -> bool {
    let mut reader = Reader::new(payload);
    let Some([header, _]) = reader.array() else { return false };
    match unit_type(header) {
        AGGREGATE => starts_in_aggregate(reader),
        FRAGMENT => {
            let Some(fragment) = reader.u8() else { return false };
            fragment & FRAGMENT_START != 0 && starts_in_unit(fragment & TYPE_MASK, reader.rest())
        }
        unit => starts_in_unit(unit, reader.rest()),
    }
}

const fn unit_type(header: u8) -> u8 {
    header >> 1 & TYPE_MASK
}

/// RFC 7798 §4.4.2: each unit after its length.
fn starts_in_aggregate(mut reader: Reader<'_>) -> bool {
    while let Some(unit) = reader.u16().and_then(|len| reader.take(usize::from(len))) {
        let mut unit = Reader::new(unit);
        if unit.array().is_some_and(|[header, _]| starts_in_unit(unit_type(header), unit.rest())) {
            return true;
        }
    }
    false
}

fn starts_in_unit(unit: u8, rest: &[u8]) -> bool {
    match unit {
        VIDEO_PARAMETERS | SEQUENCE_PARAMETERS => true,
        _ if RANDOM_ACCESS.contains(&unit) => rest.first().is_some_and(|byte| byte & FIRST_OF_PICTURE != 0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_start_alone_or_in_an_aggregate() {
        assert!(starts_keyframe(&[0x40, 0x01, 0x0c]));
        assert!(starts_keyframe(&[0x42, 0x01]));
        assert!(starts_keyframe(&[0x60, 0x01, 0, 3, 0x46, 0x01, 0x50, 0, 2, 0x42, 0x01]));
    }

    #[test]
    fn the_first_slice_of_a_random_access_picture_starts() {
        assert!(starts_keyframe(&[0x26, 0x01, 0xaf]));
        assert!(!starts_keyframe(&[0x26, 0x01, 0x2f]), "a later slice");
        assert!(starts_keyframe(&[0x62, 0x01, 0x93, 0xaf]));
        assert!(!starts_keyframe(&[0x62, 0x01, 0x13, 0xaf]), "a later fragment");
    }

    #[test]
    fn anything_else_does_not() {
        assert!(!starts_keyframe(&[0x02, 0x01, 0xd0]));
        assert!(!starts_keyframe(&[0x64, 0x01, 0x80, 0x40]), "a packet of control information");
        assert!(!starts_keyframe(&[0x60, 0x01, 0, 9, 0x42, 0x01]));
        assert!(!starts_keyframe(&[0x62, 0x01]));
    }
}
