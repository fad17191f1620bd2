//! Dependency descriptors as a scalable encoder writes them, for tests and benchmarks: one to four spatial layers of three
//! temporal layers each, with inter-layer prediction everywhere (L3T3) or at key frames only (L3T3_KEY).
//!
//! Written from RTP Payload Format For AV1, appendix A: it shares nothing with the parser.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test support: what fails here is the test's fault"
)]

/// Temporal layers of every mode here.
const TEMPORAL: usize = 3;
/// Templates of one spatial layer: a key frame, and what follows it in order of temporal layers.
const KINDS: usize = 5;

/// How spatial layers use the ones below them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// In every picture.
    Full,
    /// In key frames only.
    KeyFrames,
}

/// A scalability mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Spatial layers.
    pub spatial: usize,
    /// How they use one another.
    pub prediction: Prediction,
}

/// Bits, most significant first.
#[derive(Debug, Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: usize, count: u32) {
        (0..count).rev().for_each(|bit| self.0.push(value >> bit & 1 != 0));
    }

    /// `ns(range)` of the AV1 bitstream, §4.10.7.
    fn below(&mut self, value: usize, range: usize) {
        let width = usize::BITS - range.leading_zeros();
        let spare = (1 << width) - range;
        if value < spare { self.put(value, width - 1) } else { self.put(value + spare, width) }
    }

    fn bytes(self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | u8::from(*bit) << (7 - at))
        };
        self.0.chunks(8).map(byte).collect()
    }
}

impl Mode {
    /// The descriptor of one spatial layer of a picture, in one packet. Pictures count from a key frame on; `frame` is the
    /// number of the picture's lowest frame.
    #[must_use]
    pub fn descriptor(self, picture: usize, layer: usize, frame: u16) -> Vec<u8> {
        self.packet(picture, layer, frame, (true, true))
    }

    /// One packet of several: whether it is the first, and whether it is the last of its frame.
    #[must_use]
    pub fn packet(self, picture: usize, layer: usize, frame: u16, (first, last): (bool, bool)) -> Vec<u8> {
        let mut bits = Bits::default();
        bits.put(usize::from(first), 1);
        bits.put(usize::from(last), 1);
        bits.put(layer * KINDS + kind(picture), 6);
        bits.put(usize::from(frame) + layer, 16);
        if picture == 0 && layer == 0 && first {
            // The structure, and nothing of the frame's own.
            bits.put(0b10000, 5);
            self.structure(&mut bits);
        }
        bits.bytes()
    }

    /// The temporal layer of a picture: 0 2 1 2.
    #[must_use]
    pub const fn temporal(picture: usize) -> u8 {
        [0, 2, 1, 2][picture % 4]
    }

    fn structure(self, bits: &mut Bits) {
        let targets = self.spatial * TEMPORAL;
        bits.put(0, 6);
        bits.put(targets - 1, 5);
        for layer in 0..self.spatial {
            // The same layers, the next temporal layer twice, the same, and the next spatial layer or the end.
            for next in [0, 1, 1, 0] {
                bits.put(next, 2);
            }
            bits.put(if layer + 1 == self.spatial { 3 } else { 2 }, 2);
        }
        let templates = || (0..self.spatial).flat_map(|layer| (0..KINDS).map(move |kind| (layer, kind)));
        for (layer, kind) in templates() {
            (0..targets).for_each(|target| bits.put(self.indication(layer, kind, target), 2));
        }
        for (layer, kind) in templates() {
            for back in self.needs(layer, kind) {
                bits.put(1, 1);
                bits.put(back - 1, 4);
            }
            bits.put(0, 1);
        }
        bits.below(self.spatial, targets + 1);
        (0..targets).for_each(|target| bits.below(target / TEMPORAL, self.spatial));
        templates().for_each(|_| (0..self.spatial).for_each(|_| bits.put(0, 4)));
        bits.put(0, 1);
    }

    /// Not present 0, discardable 1, switch 2, required 3.
    fn indication(self, layer: usize, kind: usize, target: usize) -> usize {
        let (spatial, temporal) = (target / TEMPORAL, target % TEMPORAL);
        let own = [0, 0, 1, 2, 2][kind];
        let above = spatial > layer && (kind == 0 || self.prediction == Prediction::Full);
        match (spatial == layer, above) {
            _ if temporal < own => 0,
            (true, _) if temporal == own && own > 0 => 1,
            (true, _) => 2,
            (false, true) if kind == 0 => 2,
            (false, true) => 3,
            (false, false) => 0,
        }
    }

    fn needs(self, layer: usize, kind: usize) -> Vec<usize> {
        let before = match kind {
            0 => None,
            1 => Some(4 * self.spatial),
            2 => Some(2 * self.spatial),
            _ => Some(self.spatial),
        };
        let below = layer > 0 && (kind == 0 || self.prediction == Prediction::Full);
        before.into_iter().chain(below.then_some(1)).collect()
    }
}

const fn kind(picture: usize) -> usize {
    if picture == 0 { 0 } else { [1, 3, 2, 4][picture % 4] }
}
