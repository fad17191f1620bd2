//! What a payload tells without being decoded: where key frames begin and which layers a packet belongs to.
//!
//! Invariant: a payload is opaque as far as it is malformed: it describes nothing, and it never panics.

pub mod vp8;

use crate::params::Codec;

/// Whether a packet belongs to a frame that can be shown without any other, and is where that frame begins or
/// where the parameters it needs are.
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
        Codec::Vp9 | Codec::H264 | Codec::H265 | Codec::Av1 => false,
        // Every packet of sound stands alone.
        Codec::Opus | Codec::Red => true,
        Codec::Other => false,
    };
    if start { Keyframe::Start } else { Keyframe::No }
}
