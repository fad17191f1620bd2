//! What stands at the front of a payload: descriptors and headers as the codec's RTP format has them.

use crate::scenario::Codec;

/// The longest payload: with header, extensions and tag a datagram stays below 1,200 bytes, as libwebrtc keeps it.
pub(crate) const PAYLOAD_MAX: usize = 1_140;

/// RFC 6184 §5.4: packet types of H.264, and of what they hold.
const FU_A: u8 = 28;
const STAP_A: u8 = 24;
const IDR: u8 = 5;
const SLICE: u8 = 1;
const REFERENCE: u8 = 0x60;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;
/// Sequence and picture parameters of 42e01f, as in a STAP-A (RFC 6184 §5.7.1), each after its length.
const PARAMETERS: [u8; 17] =
    [0, 9, 0x67, 0x42, 0xe0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe9, 0, 4, 0x68, 0xce, 0x06, 0xe2];

/// Which packet of which picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) packet: u16,
    pub(crate) packets: u16,
    pub(crate) keyframe: bool,
    pub(crate) frame: u32,
    pub(crate) width: u16,
    pub(crate) height: u16,
}

impl Place {
    const fn is_first(&self) -> bool {
        self.packet == 0
    }

    const fn is_last(&self) -> bool {
        self.packet + 1 >= self.packets
    }
}

/// Writes the front of a payload and tells its length; `out` has room for all of them.
pub(crate) fn front(codec: Codec, place: &Place, out: &mut [u8]) -> usize {
    let mut bytes = [0; 32];
    let len = match codec {
        Codec::Vp8 => vp8(place, &mut bytes),
        Codec::H264 => h264(place, &mut bytes),
        // RFC 6716 §3.1: CELT, fullband, 20 ms, mono, one frame.
        Codec::Opus => put(&mut bytes, 0, &[31 << 3]),
    };
    for (to, from) in out.iter_mut().zip(bytes.iter().take(len)) {
        *to = *from;
    }
    len
}

/// RFC 7741 §4.2: X, S | I, L, T | picture | TL0PICIDX | temporal layer; then the frame header (RFC 6386 §9.1).
fn vp8(place: &Place, out: &mut [u8]) -> usize {
    let start = if place.is_first() { 0x10 } else { 0 };
    let [.., high, low] = place.frame.to_be_bytes();
    let len = put(out, 0, &[0x80 | start, 0xe0, high | 0x80, low, low, 0x20]);
    if !place.is_first() {
        return len;
    }
    if !place.keyframe {
        return put(out, len, &[0x11, 0x02, 0]);
    }
    let ([w0, w1], [h0, h1]) = (place.width.to_le_bytes(), place.height.to_le_bytes());
    put(out, len, &[0x10, 0x02, 0, 0x9d, 0x01, 0x2a, w0, w1 & 0x3f, h0, h1 & 0x3f])
}

/// RFC 6184 §5.8: fragments; a key frame's parameters go first in a packet of their own, as its first packet.
fn h264(place: &Place, out: &mut [u8]) -> usize {
    if place.keyframe && place.is_first() && place.packets > 1 {
        let len = put(out, 0, &[REFERENCE | STAP_A]);

        let len = put(out, len, &PARAMETERS);
        // The rest of the packet is one more unit: supplemental information (type 6) with the stamp in it.
        return put(out, len, &[0, 0, 6]);
    }
    let kind = if place.keyframe { IDR } else { SLICE };
    let first = if place.keyframe { place.packet == 1 || place.packets == 1 } else { place.is_first() };
    let start = if first { FU_START } else { 0 };
    let end = if place.is_last() { FU_END } else { 0 };
    let len = put(out, 0, &[REFERENCE | FU_A, start | end | kind]);
    if first { put(out, len, &[0x88]) } else { len }
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    for (to, from) in out.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
    at + bytes.len()
}

/// Where the length of the last unit of an H.264 parameter packet stands: it is known once the packet is.
pub(crate) const UNIT_LEN_AT: usize = 1 + PARAMETERS.len();

#[cfg(test)]
mod tests {
    use super::*;
    use sfu::codec::{h264::starts_keyframe, vp8};

    const KEY: Place = Place { packet: 0, packets: 3, keyframe: true, frame: 5, width: 640, height: 360 };
    const DELTA: Place = Place { keyframe: false, ..KEY };

    #[test]
    fn vp8_is_read_as_what_it_is() {
        let mut out = [0; 64];
        front(Codec::Vp8, &KEY, &mut out);
        let descriptor = vp8::Descriptor::parse(&out).unwrap();

        assert!(descriptor.part == vp8::Part::KeyframeStart);
        assert_eq!(descriptor.picture_id.map(vp8::PictureId::value), Some(5));

        front(Codec::Vp8, &DELTA, &mut out);
        assert!(vp8::Descriptor::parse(&out).unwrap().part != vp8::Part::KeyframeStart);
    }

    #[test]
    fn an_h264_key_frame_starts_with_its_parameters() {
        let mut out = [0; 64];
        front(Codec::H264, &KEY, &mut out);
        assert!(starts_keyframe(&out));

        front(Codec::H264, &DELTA, &mut out);
        assert!(!starts_keyframe(&out));
    }
}
