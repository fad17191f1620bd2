//! What a payload tells without being decoded: where key frames begin and which layers a packet belongs to.
//!
//! Invariant: a payload is opaque as far as it is malformed: it describes nothing, and it never panics.
#![warn(clippy::arithmetic_side_effects)]

pub mod av1;
mod bits;
pub mod dependency;
pub mod h264;
pub mod h265;
pub mod red;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod vp8;
pub mod vp9;

use crate::params::Codec;

/// Whether a packet is where a receiver that has seen nothing can start: the beginning of a frame that needs no
/// other, or of the parameters that come before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyframe {
    /// A receiver can start here.
    Start,
    /// It cannot, or nobody can tell.
    No,
}

/// Whether a receiver that has seen nothing can start with this packet. `payload` is without padding.
#[must_use]
pub fn keyframe(codec: Codec, payload: &[u8]) -> Keyframe {
    let start = match codec {
        Codec::Vp8 => {
            vp8::Descriptor::parse(payload).is_some_and(|found| found.part == vp8::Part::KeyframeStart)
        }
        Codec::Vp9 => vp9::Descriptor::parse(payload).is_some_and(|found| found.starts_keyframe()),
        Codec::H264 => h264::starts_keyframe(payload),
        Codec::H265 => h265::starts_keyframe(payload),
        Codec::Av1 => av1::starts_keyframe(payload),
        // Every packet of sound stands alone.
        Codec::Opus | Codec::Red => !payload.is_empty(),
        Codec::Other => false,
    };
    if start { Keyframe::Start } else { Keyframe::No }
}

/// Which of the pictures that make up a stream one packet belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// 0 is the smallest picture.
    pub spatial: u8,
    /// 0 is the lowest frame rate.
    pub temporal: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODECS: [Codec; 8] =
        [Codec::Opus, Codec::Red, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::H265, Codec::Av1, Codec::Other];

    #[test]
    fn every_short_length_is_answered() {
        for codec in CODECS {
            for len in 0..=64 {
                for first in 0..=255 {
                    for fill in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                        let mut payload = vec![fill; len];
                        payload.iter_mut().take(1).for_each(|byte| *byte = first);
                        let _ = keyframe(codec, &payload);
                    }
                }
            }
            assert_eq!(keyframe(codec, &[]), Keyframe::No);
        }
    }
}
