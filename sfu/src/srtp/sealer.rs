//! Seals what leaves.
//!
//! Invariant: no (SSRC, index) is sealed twice under one key. AES-GCM falls apart when a nonce is used again,
//! so an index that is behind everything remembered is refused too.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::{
    INDEX_BITS, SrtpError,
    cipher::{Cipher, PacketId, Plain},
    opener::RTCP_HEADER_LEN,
    window::{RTP_WORDS, Standing, Window},
};
use crate::{rtp, units::Ssrc, wire::Full};

/// SSRCs that may be sent on one transport over its life: each is remembered until its keys are gone.
const SOURCES_MAX: usize = 16_384;
const PADDING_BIT: u8 = 1 << 5;

/// Seals the packets of one transport.
#[derive(Debug)]
pub struct Sealer {
    rtp: Cipher,
    rtcp: Cipher,
    rtcp_index: u64,
    sealed: FxHashMap<Ssrc, Window<RTP_WORDS>>,
}

impl Sealer {
    pub(super) fn new(rtp: Cipher, rtcp: Cipher) -> Self {
        Self { rtp, rtcp, rtcp_index: 0, sealed: FxHashMap::default() }
    }

    /// Writes one SRTP packet to `out` and tells its length. `header` is whole, its extensions included;
    /// `padding` bytes of RTP padding follow the payload, and the padding bit is set for them. `index` is the
    /// rollover counter and the header's sequence number, and is never used again for this SSRC.
    pub fn seal_rtp(
        &mut self,
        header: &[u8],
        payload: &[u8],
        padding: u8,
        index: u64,
        out: &mut [u8],
    ) -> Result<usize, SrtpError> {
        let ssrc = check_header(header, index)?;
        let body_len = payload.len().saturating_add(usize::from(padding));
        let body_len = body_len.saturating_add(self.rtp.rtp_overhead());
        let (head, rest) = out.split_at_mut_checked(header.len()).ok_or(Full)?;
        let body = rest.get_mut(..body_len).ok_or(Full)?;
        self.guard(ssrc, index)?;

        head.copy_from_slice(header);
        let id = PacketId { ssrc, index };
        if padding == 0 {
            self.rtp.seal_rtp(id, head, Plain { payload, padding: &[] }, body)?;
        } else {
            if let Some(first) = head.first_mut() {
                *first |= PADDING_BIT;
            }
            let bytes = padding_bytes(padding);
            let padding = bytes.get(..usize::from(padding)).unwrap_or_default();
            self.rtp.seal_rtp(id, head, Plain { payload, padding }, body)?;
        }
        Ok(header.len().saturating_add(body_len))
    }

    /// Writes one SRTCP packet to `out` and tells its length. `packet` is a compound packet, or a single one
    /// (RFC 5506).
    pub fn seal_rtcp(&mut self, packet: &[u8], out: &mut [u8]) -> Result<usize, SrtpError> {
        let (head, plain) = packet.split_first_chunk::<RTCP_HEADER_LEN>().ok_or(SrtpError::Malformed)?;
        let [.., a, b, c, d] = *head;
        let ssrc = Ssrc(u32::from_be_bytes([a, b, c, d]));
        let len = packet.len().saturating_add(self.rtcp.rtcp_overhead());
        let out = out.get_mut(..len).ok_or(Full)?;
        let (head_out, body) = out.split_first_chunk_mut::<RTCP_HEADER_LEN>().ok_or(Full)?;
        let id = PacketId { ssrc, index: self.rtcp_index };
        // One counter for every SSRC, counted before it is used: no way leads back to it.
        self.rtcp_index = self.rtcp_index.saturating_add(1);
        *head_out = *head;
        self.rtcp.seal_rtcp(id, head, plain, body)?;
        Ok(len)
    }

    #[cfg(test)]
    pub(super) fn set_rtcp_index(&mut self, index: u64) {
        self.rtcp_index = index;
    }

    fn guard(&mut self, ssrc: Ssrc, index: u64) -> Result<(), SrtpError> {
        let known = self.sealed.len();
        let sealed = match self.sealed.entry(ssrc) {
            Entry::Occupied(sealed) => sealed.into_mut(),
            Entry::Vacant(_) if known >= SOURCES_MAX => return Err(SrtpError::TooManySources),
            Entry::Vacant(place) => place.insert(Window::default()),
        };
        match sealed.standing(index) {
            Standing::Fresh => sealed.mark(index),
            Standing::Seen | Standing::Old => return Err(SrtpError::SealedBefore(ssrc, index)),
        }
        Ok(())
    }
}

/// The SSRC of a header that says what its index says.
fn check_header(header: &[u8], index: u64) -> Result<Ssrc, SrtpError> {
    if index >> INDEX_BITS != 0 {
        return Err(SrtpError::KeyUsedUp);
    }
    let fixed = header.first_chunk::<{ rtp::FIXED_HEADER_LEN }>().ok_or(SrtpError::Malformed)?;
    let [first, _, seq_high, seq_low, _, _, _, _, a, b, c, d] = *fixed;
    if first >> 6 != 2 || u64::from(u16::from_be_bytes([seq_high, seq_low])) != index & 0xffff {
        return Err(SrtpError::Malformed);
    }
    Ok(Ssrc(u32::from_be_bytes([a, b, c, d])))
}

/// RFC 3550 §5.1: zeroes, and how many bytes there are in the last.
fn padding_bytes(count: u8) -> [u8; 255] {
    let mut bytes = [0; 255];
    if let Some(last) = usize::from(count).checked_sub(1).and_then(|last| bytes.get_mut(last)) {
        *last = count;
    }
    bytes
}
