//! What is sent: pictures and sound that tell what they are, so that a receiver can tell whether they are whole.

use std::time::Duration;

/// What one video packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// The encoding.
    pub layer: u8,
    /// The picture, counted from the first of its encoding.
    pub frame: u32,
    /// Which packet of the picture.
    pub packet: u16,
    /// How many there are.
    pub packets: u16,
    /// Whether the picture needs no other.
    pub keyframe: bool,
}

/// A camera: pictures at a steady rate.
#[derive(Clone, Debug)]
pub struct Camera {
    /// The encoding.
    pub layer: u8,
    /// Pictures per second.
    pub rate: u32,
    /// Packets per picture; key frames have three times as many.
    pub packets: u16,
    /// Bytes per packet; every other one is a byte shorter, as encoders split pictures.
    pub len: usize,
    frame: u32,
    picture_id: u16,
    tl0: u8,
    wants_keyframe: bool,
}

impl Camera {
    /// A camera whose first picture is a key frame.
    #[must_use]
    pub const fn new(layer: u8, rate: u32, packets: u16, len: usize) -> Self {
        Self { layer, rate, packets, len, frame: 0, picture_id: 32_700, tl0: 250, wants_keyframe: true }
    }

    /// Someone asked for a key frame.
    pub const fn ask_keyframe(&mut self) {
        self.wants_keyframe = true;
    }

    /// The time between two pictures.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.rate
    }

    /// The payloads of the next picture.
    pub fn shoot(&mut self) -> Vec<Vec<u8>> {
        let keyframe = std::mem::take(&mut self.wants_keyframe);
        let packets = if keyframe { self.packets * 3 } else { self.packets };
        let payloads = (0..packets)
            .map(|packet| {
                let stamp = Stamp { layer: self.layer, frame: self.frame, packet, packets, keyframe };
                self.payload(stamp, self.len - usize::from(packet % 2))
            })
            .collect();
        self.frame += 1;
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        self.tl0 = self.tl0.wrapping_add(1);
        payloads
    }

    fn payload(&self, stamp: Stamp, len: usize) -> Vec<u8> {
        // X, start of partition | I, L | picture id | TL0PICIDX (RFC 7741 §4.2).
        let start = if stamp.packet == 0 { 0x10 } else { 0 };
        let [high, low] = (self.picture_id | 0x8000).to_be_bytes();
        let mut payload = vec![0x80 | start, 0xc0, high, low, self.tl0];
        payload.push(u8::from(!stamp.keyframe));
        payload.push(stamp.layer);
        payload.extend(stamp.frame.to_be_bytes());
        payload.extend(stamp.packet.to_be_bytes());
        payload.extend(stamp.packets.to_be_bytes());
        payload.push(u8::from(stamp.keyframe));
        let filler = payload.len()..len.max(payload.len());
        payload.extend(filler.map(|at| filling(stamp.frame, stamp.packet, at)));
        payload
    }
}

/// The numbers of a VP8 payload descriptor as a decoder uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureNumbers {
    /// 15 bits.
    pub picture: u16,
    /// The temporal base layer's index.
    pub tl0: u8,
}

/// Reads a video payload; `None` when a byte is not as it was sent.
#[must_use]
pub fn read_video(payload: &[u8]) -> Option<(Stamp, PictureNumbers)> {
    let [_, 0xc0, high, low, tl0, _, layer, f0, f1, f2, f3, p0, p1, n0, n1, keyframe, rest @ ..] = payload
    else {
        return None;
    };
    let stamp = Stamp {
        layer: *layer,
        frame: u32::from_be_bytes([*f0, *f1, *f2, *f3]),
        packet: u16::from_be_bytes([*p0, *p1]),
        packets: u16::from_be_bytes([*n0, *n1]),
        keyframe: *keyframe == 1,
    };
    let at = payload.len() - rest.len();
    let whole = (at..).zip(rest).all(|(at, byte)| *byte == filling(stamp.frame, stamp.packet, at));
    let numbers = PictureNumbers { picture: u16::from_be_bytes([*high, *low]) & 0x7fff, tl0: *tl0 };
    whole.then_some((stamp, numbers))
}

/// The payload of one packet of sound.
#[must_use]
pub fn sound(number: u32) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload.extend((4..80).map(|at| filling(number, 0, at)));
    payload
}

/// Reads a packet of sound; `None` when a byte is not as it was sent.
#[must_use]
pub fn read_sound(payload: &[u8]) -> Option<u32> {
    let (number, rest) = payload.split_first_chunk()?;
    let number = u32::from_be_bytes(*number);
    let whole = (4..).zip(rest).all(|(at, byte)| *byte == filling(number, 0, at));
    whole.then_some(number)
}

fn filling(frame: u32, packet: u16, at: usize) -> u8 {
    let at = u32::try_from(at).unwrap_or(0);
    let mixed = frame.wrapping_mul(31).wrapping_add(u32::from(packet) * 7).wrapping_add(at.wrapping_mul(13));
    mixed.to_be_bytes()[3]
}
