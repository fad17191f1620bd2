//! Payload descriptors of every codec: the first byte chooses one.

use std::hint::black_box;

use sfu::{
    codec::{keyframe, red, vp8, vp9},
    params::Codec,
};

const CODECS: [Codec; 8] =
    [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::H265, Codec::Av1, Codec::Red, Codec::Opus, Codec::Other];

pub fn run(data: &[u8]) {
    let Some((choice, payload)) = data.split_first() else { return };
    let Some(codec) = CODECS.get(usize::from(choice & 0x07)) else { return };
    black_box(keyframe(*codec, payload));
    match codec {
        Codec::Vp8 => rewrite_vp8(*choice, payload),
        Codec::Vp9 => {
            let Some(descriptor) = vp9::Descriptor::parse(payload) else { return };
            assert!(
                descriptor.len < payload.len()
                    && descriptor.layers.spatial < 8
                    && descriptor.layers.temporal < 8
            );
        }
        Codec::Red => {
            let Some(primary) = red::primary(payload) else { return };
            assert!(primary.offset <= payload.len());
        }
        Codec::H264 | Codec::H265 | Codec::Av1 | Codec::Opus | Codec::Other => {}
    }
}

/// Rewriting changes the numbers and nothing else.
fn rewrite_vp8(seed: u8, payload: &[u8]) {
    let Some(before) = vp8::Descriptor::parse(payload) else { return };
    assert!(before.len < payload.len());
    let to = vp8::Rewrite {
        picture_id: u16::from(seed) << 7 | 0x55,
        tl0_picture_index: seed,
        key_index: seed >> 3,
    };
    let mut rewritten = payload.to_vec();
    before.rewrite(&mut rewritten, to);
    let after = vp8::Descriptor::parse(&rewritten).expect("still a descriptor");
    assert_eq!(after.picture_id, before.picture_id.map(|id| id.with(to.picture_id)));
    assert_eq!(after.tl0_picture_index, before.tl0_picture_index.map(|_| to.tl0_picture_index));
    assert_eq!(after.key_index, before.key_index.map(|_| to.key_index & 0x1f));
    assert_eq!((after.len, after.part), (before.len, before.part));
    assert_eq!(after.temporal_layer, before.temporal_layer);
    assert_eq!(rewritten.get(after.len..), payload.get(before.len..));
}
