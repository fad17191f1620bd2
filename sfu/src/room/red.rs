//! Redundant audio (RFC 2198): where the newest block begins, for subscribers who know no redundancy.

/// RFC 2198 §3: a header follows.
const FOLLOWS: u8 = 0x80;
/// Blocks in one packet: the newest and what repeats those before. Higher: stranger encoders. Lower: less work.
const BLOCKS_MAX: usize = 8;

/// Where the primary block begins; `None` when the headers do not add up.
pub(crate) fn primary(payload: &[u8]) -> Option<u16> {
    let mut rest = payload;
    let mut redundant = 0_usize;
    for _ in 0..BLOCKS_MAX {
        match rest {
            [first, _, high, low, after @ ..] if first & FOLLOWS != 0 => {
                // RFC 2198 §3: type, 14 bits of timestamp offset, 10 bits of length.
                redundant = redundant.checked_add(usize::from(u16::from_be_bytes([high & 0x03, *low])))?;
                rest = after;
            }
            [first, after @ ..] if first & FOLLOWS == 0 => {
                let headers = payload.len().checked_sub(after.len())?;
                let at = headers.checked_add(redundant)?;
                return u16::try_from(at).ok().filter(|_| at < payload.len());
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_block_follows_the_redundant_ones() {
        let payload = [0x80 | 111, 0, 0, 3, 0x80 | 111, 0, 0, 2, 111, 1, 1, 1, 2, 2, 9, 9, 9];

        assert_eq!(primary(&payload), Some(14));
        assert_eq!(primary(&[111, 7]), Some(1));
    }

    #[test]
    fn headers_that_do_not_add_up_have_no_primary_block() {
        assert_eq!(primary(&[]), None);
        assert_eq!(primary(&[111]), None, "empty");
        assert_eq!(primary(&[0x80 | 111, 0, 0, 3, 111, 1, 1]), None, "shorter than its blocks");
        assert_eq!(primary(&[0x80; 64]), None, "headers without end");
    }
}
