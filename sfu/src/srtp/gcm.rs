//! AES-GCM as RFC 7714 applies it to RTP and RTCP. Bodies go from one buffer to another in one pass.

use aws_lc_rs::{
    aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    error::Unspecified,
};

use super::{
    SrtpError,
    cipher::{PacketId, Plain, RTCP_INDEX_LEN, rtcp_word},
    keys::GCM_SALT_LEN,
};
use crate::wire::Full;

/// RFC 7714 §13: the full tag.
pub(super) const TAG_LEN: usize = 16;
const AES_256_KEY_LEN: usize = 32;
/// RFC 7714 §17: the fixed header and the word of the index.
const RTCP_AAD_LEN: usize = super::opener::RTCP_HEADER_LEN + RTCP_INDEX_LEN;

#[derive(Debug)]
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; GCM_SALT_LEN],
}

impl Gcm {
    pub(super) fn new(key: &[u8], salt: [u8; GCM_SALT_LEN]) -> Result<Self, Unspecified> {
        let algorithm = if key.len() == AES_256_KEY_LEN { &AES_256_GCM } else { &AES_128_GCM };
        Ok(Self { key: LessSafeKey::new(UnboundKey::new(algorithm, key)?), salt })
    }

    /// RFC 7714 §8.1 and §9.1 put the same fields at the same places: two zero bytes, the SSRC, and the index
    /// in 48 bits; an SRTCP index fills the lower 31.
    fn nonce(&self, id: PacketId) -> Nonce {
        let block = u128::from(id.ssrc.0) << 48 | u128::from(id.index);
        let [_, _, _, _, block @ ..] = block.to_be_bytes();
        let mut nonce = self.salt;
        for (byte, field) in nonce.iter_mut().zip(block) {
            *byte ^= field;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    pub(super) fn seal_rtp(
        &self,
        id: PacketId,
        header: &[u8],
        plain: Plain<'_>,
        body: &mut [u8],
    ) -> Result<(), SrtpError> {
        let (cipher, rest) = body.split_at_mut_checked(plain.payload.len()).ok_or(Full)?;
        let tail = plain.padding.len().saturating_add(TAG_LEN);
        let tail = rest.get_mut(..tail).ok_or(Full)?;
        self.key
            .seal_out_of_place_scatter(
                self.nonce(id),
                Aad::from(header),
                plain.payload,
                cipher,
                plain.padding,
                tail,
            )
            .map_err(|Unspecified| SrtpError::Full(Full))
    }

    pub(super) fn open_rtp(
        &self,
        id: PacketId,
        header: &[u8],
        body: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SrtpError> {
        self.open(id, header, body, out)
    }

    pub(super) fn seal_rtcp(
        &self,
        id: PacketId,
        header: &[u8],
        plain: &[u8],
        body: &mut [u8],
    ) -> Result<(), SrtpError> {
        let word = rtcp_word(id.index)?;
        let aad = rtcp_aad(header, word)?;
        let sealed = plain.len().saturating_add(TAG_LEN);
        let (sealed, rest) = body.split_at_mut_checked(sealed).ok_or(Full)?;
        rest.get_mut(..RTCP_INDEX_LEN).ok_or(Full)?.copy_from_slice(&word);
        self.seal_rtp(id, &aad, Plain { payload: plain, padding: &[] }, sealed)
    }

    pub(super) fn open_rtcp(
        &self,
        id: PacketId,
        header: &[u8],
        body: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SrtpError> {
        let (body, word) = body.split_last_chunk::<RTCP_INDEX_LEN>().ok_or(SrtpError::Malformed)?;
        let aad = rtcp_aad(header, *word)?;
        self.open(id, &aad, body, out)
    }

    fn open(&self, id: PacketId, aad: &[u8], body: &[u8], out: &mut [u8]) -> Result<usize, SrtpError> {
        let (cipher, tag) = body.split_last_chunk::<TAG_LEN>().ok_or(SrtpError::Malformed)?;
        let out = out.get_mut(..cipher.len()).ok_or(Full)?;
        self.key
            .open_separate_gather(self.nonce(id), Aad::from(aad), cipher, tag, out)
            .map_err(|Unspecified| SrtpError::NotAuthentic)?;
        Ok(cipher.len())
    }
}

fn rtcp_aad(header: &[u8], word: [u8; RTCP_INDEX_LEN]) -> Result<[u8; RTCP_AAD_LEN], SrtpError> {
    let header =
        <[u8; super::opener::RTCP_HEADER_LEN]>::try_from(header).map_err(|_| SrtpError::Malformed)?;
    let mut aad = [0; RTCP_AAD_LEN];
    for (byte, field) in aad.iter_mut().zip(header.into_iter().chain(word)) {
        *byte = field;
    }
    Ok(aad)
}
