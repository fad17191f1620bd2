//! AV1 payloads (RTP Payload Format For AV1, §4.4): where decoding can start.

/// §4.4: the aggregation header is the first byte.
const CONTINUES: u8 = 0x80;
const NEW_SEQUENCE: u8 = 0x08;

/// Whether a coded video sequence begins with this payload: its key frame and the parameters before it.
#[must_use]
pub fn starts_keyframe(payload: &[u8]) -> bool {
    let [header, _, ..] = payload else { return false };
    header & NEW_SEQUENCE != 0 && header & CONTINUES == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_sequence_starts_where_it_does_not_continue() {
        assert!(starts_keyframe(&[0x18, 0x0a]));
        assert!(!starts_keyframe(&[0x10, 0x32]));
        assert!(!starts_keyframe(&[0x98, 0x0a]), "§4.4: a new sequence cannot begin with a fragment");
        assert!(!starts_keyframe(&[0x18]), "nothing after the header");
    }
}
