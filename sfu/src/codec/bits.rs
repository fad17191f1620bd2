//! Reads fields of single bits, most significant first.

/// What is left of a bit string that is being read.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at >> 3)?;
        let mask = [0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01].get(self.at & 7)?;
        self.at = self.at.saturating_add(1);
        Some(byte & mask != 0)
    }

    /// `f(count)`: 32 bits at most.
    pub(super) fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Some(value)
    }

    /// Eight bits at most.
    pub(super) fn small(&mut self, count: u32) -> Option<u8> {
        u8::try_from(self.bits(count)?).ok()
    }

    /// `ns(range)`: a number below `range`, in as few bits as that takes (AV1 bitstream §4.10.7).
    pub(super) fn below(&mut self, range: u32) -> Option<u32> {
        let width = u32::BITS.saturating_sub(range.leading_zeros());
        let spare = 1_u32.checked_shl(width)?.checked_sub(range)?;
        let value = self.bits(width.checked_sub(1)?)?;
        if value < spare {
            return Some(value);
        }
        let last = u32::from(self.bit()?);
        (value << 1 | last).checked_sub(spare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_most_significant_first_until_there_are_none() {
        let mut reader = BitReader::new(&[0b1010_0101, 0xff]);

        assert_eq!(reader.bit(), Some(true));
        assert_eq!(reader.bits(3), Some(0b010));
        assert_eq!(reader.bits(12), Some(0b0101_1111_1111));
        assert_eq!(reader.bit(), None);
        assert_eq!(BitReader::new(&[0xff]).bits(9), None);
    }

    #[test]
    fn a_number_below_a_range_takes_as_few_bits_as_it_can() {
        // Below five: 00, 01, 10, 110, 111.
        let mut reader = BitReader::new(&[0b0001_1011, 0b0111_0000]);

        let values: Vec<_> = std::iter::from_fn(|| reader.below(5)).take(5).collect();

        assert_eq!(values, [0, 1, 2, 3, 4]);
        assert_eq!(BitReader::new(&[]).below(1), Some(0));
        assert_eq!(BitReader::new(&[0xff]).below(0), None);
    }
}
