//! Redundant audio (RFC 2198): where the newest block of a packet is.

use crate::{units::PayloadType, wire::Reader};

/// RFC 2198 §3: set in every block header but the last.
const FOLLOWED: u8 = 0x80;
/// Blocks in one packet. Higher: more redundancy is understood. Lower: less work for a packet of headers.
const BLOCKS_MAX: usize = 16;

/// The newest block of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Primary {
    /// What the block is.
    pub payload_type: PayloadType,
    /// Where in the payload it begins; it goes on to the end.
    pub offset: usize,
}

/// The block that carries what the packet's timestamp stands for; those before it are older.
#[must_use]
pub fn primary(payload: &[u8]) -> Option<Primary> {
    let mut reader = Reader::new(payload);
    let mut older = 0_usize;
    for _ in 0..BLOCKS_MAX {
        let first = reader.u8()?;
        let payload_type = PayloadType::new(first & !FOLLOWED)?;
        if first & FOLLOWED == 0 {
            reader.take(older)?;
            return Some(Primary { payload_type, offset: payload.len().checked_sub(reader.rest().len())? });
        }
        // RFC 2198 §3: fourteen bits of timestamp offset and ten of length.
        older = older.saturating_add(usize::try_from(reader.u24()? & 0x3ff).ok()?);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(payload: &[u8]) -> Option<(u8, usize)> {
        primary(payload).map(|primary| (primary.payload_type.value(), primary.offset))
    }

    #[test]
    fn the_primary_block_comes_after_the_older_ones() {
        assert_eq!(found(&[111, 1, 2, 3]), Some((111, 1)));
        assert_eq!(found(&[0x80 | 111, 0x0f, 0x00, 2, 111, 9, 9, 1, 2, 3]), Some((111, 7)));
    }

    #[test]
    fn blocks_that_reach_past_the_end_are_refused() {
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[0x80 | 111, 0, 0, 5, 111, 1, 2]), None);
        assert_eq!(found(&[0xef; 200]), None);
        assert_eq!(found(&[0x80 | 111, 0, 0, 0, 111]), Some((111, 5)), "an empty block is silence");
    }
}
