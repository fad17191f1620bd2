//! Payload types and header extensions of our offers: ours to choose, the same on every connection.

use sfu::units::PayloadType;

use crate::scenario::Codec;

pub(crate) const AUDIO_LEVEL: u8 = 1;
pub(crate) const TRANSPORT_CC: u8 = 3;
pub(crate) const MID: u8 = 4;
pub(crate) const RID: u8 = 10;
pub(crate) const REPAIRED_RID: u8 = 11;

pub(crate) const OPUS: PayloadType = number(111);
pub(crate) const VP8: PayloadType = number(96);
pub(crate) const VP8_RTX: PayloadType = number(97);
pub(crate) const H264: PayloadType = number(102);
pub(crate) const H264_RTX: PayloadType = number(103);

pub(crate) const fn of(codec: Codec) -> PayloadType {
    match codec {
        Codec::Vp8 => VP8,
        Codec::H264 => H264,
        Codec::Opus => OPUS,
    }
}

pub(crate) fn is_retransmission(payload_type: PayloadType) -> bool {
    payload_type == VP8_RTX || payload_type == H264_RTX
}

const fn number(value: u8) -> PayloadType {
    match PayloadType::new(value) {
        Some(payload_type) => payload_type,
        None => panic!("below 128"),
    }
}
