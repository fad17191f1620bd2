//! Packets as they were sent, for clients that ask again and know no RTX.
//!
//! RFC 3711 §9.1: a packet number is encrypted once. What goes out a second time under the same number has to be the
//! very bytes that went out the first time, so those are kept.

/// Packets kept: 1.2 s of speech. A power of two.
const KEPT: usize = 64;
/// Larger ones are not kept: without RTX only audio is asked for again.
const LEN_MAX: usize = 400;

#[derive(Debug, Default)]
struct Copy {
    seq: u64,
    bytes: Vec<u8>,
}

/// The last packets of one subscription, sealed.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    kept: Vec<Copy>,
}

impl Copies {
    /// A packet goes out for the first time.
    pub(crate) fn keep(&mut self, seq: u64, sealed: &[u8]) {
        if sealed.len() > LEN_MAX {
            return;
        }
        if self.kept.is_empty() {
            self.kept.resize_with(KEPT, Copy::default);
        }
        let Some(copy) = self.kept.get_mut(place(seq)) else { return };
        copy.seq = seq;
        copy.bytes.clear();
        copy.bytes.extend_from_slice(sealed);
    }

    /// The packet of this number.
    pub(crate) fn get(&self, seq: u64) -> Option<&[u8]> {
        let copy = self.kept.get(place(seq))?;
        (copy.seq == seq && !copy.bytes.is_empty()).then_some(copy.bytes.as_slice())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "masked to the number kept")]
const fn place(seq: u64) -> usize {
    seq as usize & (KEPT - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_out_is_found_until_its_place_is_taken() {
        let mut copies = Copies::default();
        copies.keep(7, &[1, 2, 3]);

        assert_eq!(copies.get(7), Some(&[1, 2, 3][..]));
        copies.keep(7 + KEPT as u64, &[4]);

        assert_eq!(copies.get(7), None);
        assert_eq!(copies.get(8), None);
    }
}
