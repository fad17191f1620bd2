//! Parsers with planted bugs, one for each family of inputs: a harness that does not find them within its bound finds
//! nothing else either. Nothing outside this file has these bugs.

#![expect(clippy::indexing_slicing, reason = "these are the planted bugs")]

/// A count that a sender made up, as in REMB: the list is indexed before its length is compared.
pub fn remb(data: &[u8]) {
    let [_, 206, _, _, _, _, _, _, _, _, _, _, b'R', b'E', b'M', b'B', count, _, _, _, sources @ ..] = data
    else {
        return;
    };
    for source in 0..usize::from(*count) {
        let _ = sources[source * 4];
    }
}

/// A header extension that reaches past its block.
pub fn extension(data: &[u8]) {
    let [first, _, _, _, _, _, _, _, _, _, _, _, 0xbe, 0xde, 0, words, block @ ..] = data else { return };
    let Some(block) = block.get(..usize::from(*words) * 4) else { return };
    if first & 0x1f != 0x10 {
        return;
    }
    let mut at = 0;
    while at < block.len() {
        if block[at] == 0 {
            at += 1;
            continue;
        }
        let len = usize::from(block[at] & 0x0f) + 1;
        let _ = &block[at + 1..at + 1 + len];
        at += 1 + len;
    }
}

/// A template id that is not among the templates, as in the dependency descriptor.
pub fn template(data: &[u8]) {
    let [len, id, _, _, flags, offset, ..] = data else { return };
    if *len > 5 && flags & 0x80 != 0 {
        let templates = [0; 16];
        let _ = templates[usize::from((id & 0x3f).wrapping_sub(offset >> 5) & 0x3f)];
    }
}

/// A length that is believed, as in ChannelData behind a whole STUN message.
pub fn channel(data: &[u8]) {
    let [_, _, _, l0, l1, 0x21, 0x12, 0xa4, 0x42, rest @ ..] = data else { return };
    let skip = 12 + usize::from(u16::from_be_bytes([*l0, *l1]));
    let Some([0x40..=0x4f, _, l0, l1, payload @ ..]) = rest.get(skip..) else { return };
    let _ = &payload[..usize::from(u16::from_be_bytes([*l0, *l1]))];
}
