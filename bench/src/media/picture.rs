//! One encoding: how large its pictures are and how they are cut into packets.

use std::time::Duration;

use sfu::transport::testing::Rng;

use super::{
    Stamp,
    packet::{self, PAYLOAD_MAX, Place},
};
use crate::scenario::{Codec, Device, Kind, Layer};

/// Shorter payloads have no room for descriptor and stamp.
const PAYLOAD_MIN: usize = 64;
/// What payloads are filled with: nothing that compresses or repeats.
const FILLING: [u8; PAYLOAD_MAX] = filling();

/// What an encoding sends, picture after picture.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    codec: Codec,
    kind: Kind,
    width: u16,
    height: u16,
    fps: u32,
    mean: f64,
    burst: f64,
    keyframe: f64,
    frame: u32,
    keyframe_wanted: bool,
    rng: Rng,
}

/// One picture, or one packet of sound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) number: u32,
    pub(crate) keyframe: bool,
    pub(crate) packets: u16,
    /// Bytes of its payloads together.
    len: usize,
}

impl Feed {
    /// The first picture is a key frame.
    pub(crate) fn new(device: &Device, layer: &Layer, seed: u64) -> Self {
        Self {
            codec: device.codec,
            kind: device.kind,
            width: layer.width,
            height: layer.height,
            fps: layer.fps.max(1),
            mean: f64::from(layer.kbps) * 125.0 / f64::from(layer.fps.max(1)),
            burst: device.burst.max(1.0),
            keyframe: device.keyframe.max(1.0),
            frame: 0,
            keyframe_wanted: true,
            rng: Rng::new(seed),
        }
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// The time between two pictures.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.fps
    }

    /// The same on the clock of RTP timestamps.
    pub(crate) const fn ticks(&self) -> u32 {
        match self.kind {
            Kind::Audio => 48_000 / self.fps,
            Kind::Video => 90_000 / self.fps,
        }
    }

    /// Somebody needs a key frame.
    pub(crate) const fn ask_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    /// The next picture.
    pub(crate) fn next(&mut self) -> Frame {
        let keyframe = self.kind == Kind::Video && std::mem::take(&mut self.keyframe_wanted);
        // From as far below the mean as above, so that the mean is kept.
        let spread = (self.burst - 1.0).min(0.9);
        #[expect(clippy::cast_precision_loss, reason = "a number below a thousand")]
        let draw = self.rng.below(1_000) as f64 / 1_000.0;
        let factor = match (keyframe, self.kind) {
            (true, _) => self.keyframe,
            (false, Kind::Audio) => 1.0,
            // One in a hundred pictures is as large as they come.
            (false, Kind::Video) if self.rng.percent(1) => self.burst,
            (false, Kind::Video) => 1.0 - spread / 2.0 + spread * draw,
        };
        let len = bytes(self.mean * factor).max(PAYLOAD_MIN);
        let packets = u16::try_from(len.div_ceil(PAYLOAD_MAX)).unwrap_or(u16::MAX);
        let frame = Frame { number: self.frame, keyframe, packets, len };
        self.frame = self.frame.wrapping_add(1);
        frame
    }

    /// Writes one payload and tells its length. Pictures are cut about equally, as libwebrtc cuts them.
    pub(crate) fn payload(&self, frame: &Frame, stamp: &Stamp, out: &mut [u8; PAYLOAD_MAX]) -> usize {
        let (packets, packet) = (usize::from(frame.packets.max(1)), usize::from(stamp.packet));
        let longer = usize::from(packet < frame.len % packets);
        let len = (frame.len / packets + longer).clamp(PAYLOAD_MIN, PAYLOAD_MAX);
        *out = FILLING;
        let place = Place {
            packet: stamp.packet,
            packets: frame.packets,
            keyframe: frame.keyframe,
            frame: frame.number,
            width: self.width,
            height: self.height,
        };
        let front = packet::front(self.codec, &place, out);
        if self.codec == Codec::H264 && frame.keyframe && packet == 0 && packets > 1 {
            let unit = u16::try_from(len.saturating_sub(front) + 1).unwrap_or(0).to_be_bytes();
            for (to, from) in out.iter_mut().skip(packet::UNIT_LEN_AT).zip(unit) {
                *to = from;
            }
        }
        for (to, from) in out.iter_mut().skip(len - Stamp::LEN).zip(stamp.write()) {
            *to = from;
        }
        len
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a picture's size, never negative"
)]
fn bytes(len: f64) -> usize {
    len.clamp(0.0, 1e6) as usize
}

const fn filling() -> [u8; PAYLOAD_MAX] {
    let mut bytes = [0; PAYLOAD_MAX];
    let (mut state, mut at) = (0x9e37_79b9_u32, 0);
    while at < PAYLOAD_MAX {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        #[expect(clippy::indexing_slicing, reason = "below its length")]
        {
            bytes[at] = (state >> 24) as u8;
        }
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Source;

    fn camera(codec: Codec) -> Feed {
        let layer = Layer { rid: None, width: 1280, height: 720, fps: 30, kbps: 1_500 };
        let device = Device {
            kind: Kind::Video,
            source: Source::Camera,
            codec,
            burst: 1.3,
            keyframe: 6.0,
            layers: vec![layer.clone()],
        };
        Feed::new(&device, &layer, 1)
    }

    #[test]
    fn a_camera_keeps_its_bitrate_and_begins_with_a_key_frame() {
        let mut feed = camera(Codec::Vp8);

        let first = feed.next();
        let bytes: usize = (0..3_000).map(|_| feed.next().len).sum();

        assert!(first.keyframe && first.packets > 20);
        let kbps = bytes * 8 / 100 / 1_000;
        assert!((1_425..=1_575).contains(&kbps), "{kbps} kbit/s");
    }

    #[test]
    fn payloads_of_a_picture_differ_by_a_byte_and_hold_their_stamp() {
        for codec in [Codec::Vp8, Codec::H264] {
            let mut feed = camera(codec);
            let frame = feed.next();
            let mut lens = Vec::new();
            for packet in 0..frame.packets {
                let stamp = Stamp {
                    publisher: 1,
                    device: 0,
                    layer: 0,
                    keyframe: true,
                    frame: frame.number,
                    packet,
                    packets: frame.packets,
                    sent: 7,
                };
                let mut out = [0; PAYLOAD_MAX];
                let len = feed.payload(&frame, &stamp, &mut out);
                assert_eq!(Stamp::read(&out[..len]), Some(stamp));
                lens.push(len);
            }
            assert!(lens.iter().max().unwrap() - lens.iter().min().unwrap() <= 1);
        }
    }
}
