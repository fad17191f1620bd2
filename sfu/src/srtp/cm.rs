//! AES in counter mode with a truncated HMAC-SHA1 (RFC 3711 §4.1.1, §4.2.1), for clients without GCM.

use aws_lc_rs::{
    cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey},
    constant_time,
    error::Unspecified,
    hmac,
    iv::FixedLength,
};

use super::{
    SrtpError,
    cipher::{PacketId, Plain, RTCP_INDEX_LEN, rtcp_word},
    keys::CM_SALT_LEN,
};
use crate::wire::Full;

/// The 80 bits in the profile's name.
pub(super) const TAG_LEN: usize = 10;
/// RFC 3711 §3.3.1: what of the index is not in the header.
const ROLLOVER_SHIFT: u32 = 16;

pub(super) struct Cm {
    key: EncryptingKey,
    /// Holds the state after the inner and the outer key block: a packet pays for its own bytes only.
    authentication: hmac::Key,
    salt: u128,
}

impl std::fmt::Debug for Cm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cm(…)")
    }
}

impl Cm {
    pub(super) fn new(
        key: &[u8],
        authentication: &[u8],
        salt: [u8; CM_SALT_LEN],
    ) -> Result<Self, Unspecified> {
        let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, key)?)?;
        let authentication = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, authentication);
        let salt = salt.iter().fold(0, |salt, byte| salt << 8 | u128::from(*byte)) << 16;
        Ok(Self { key, authentication, salt })
    }

    /// RFC 3711 §4.1.1: the salt, the SSRC and the index, with 16 bits left for the block counter.
    fn crypt(&self, id: PacketId, in_out: &mut [u8]) -> Result<(), SrtpError> {
        let block = self.salt ^ u128::from(id.ssrc.0) << 64 ^ u128::from(id.index) << 16;
        let context = EncryptionContext::Iv128(FixedLength::from(block.to_be_bytes()));
        let done = self.key.less_safe_encrypt(in_out, context);
        done.map(|_| ()).map_err(|Unspecified| SrtpError::Malformed)
    }

    fn tag(&self, header: &[u8], cipher: &[u8], last: &[u8]) -> [u8; TAG_LEN] {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(header);
        context.update(cipher);
        context.update(last);
        let tag = context.sign();
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    pub(super) fn seal_rtp(
        &self,
        id: PacketId,
        header: &[u8],
        plain: Plain<'_>,
        body: &mut [u8],
    ) -> Result<(), SrtpError> {
        let len = plain.payload.len().saturating_add(plain.padding.len());
        let (cipher, rest) = body.split_at_mut_checked(len).ok_or(Full)?;
        let tag = rest.first_chunk_mut::<TAG_LEN>().ok_or(Full)?;
        let (payload, padding) = cipher.split_at_mut_checked(plain.payload.len()).ok_or(Full)?;
        payload.copy_from_slice(plain.payload);
        padding.copy_from_slice(plain.padding);
        self.crypt(id, cipher)?;
        *tag = self.tag(header, cipher, &rollover(id));
        Ok(())
    }

    pub(super) fn open_rtp(
        &self,
        id: PacketId,
        header: &[u8],
        body: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SrtpError> {
        let (cipher, tag) = body.split_last_chunk::<TAG_LEN>().ok_or(SrtpError::Malformed)?;
        let expected = self.tag(header, cipher, &rollover(id));
        self.open(id, expected, cipher, tag, out)
    }

    pub(super) fn seal_rtcp(
        &self,
        id: PacketId,
        header: &[u8],
        plain: &[u8],
        body: &mut [u8],
    ) -> Result<(), SrtpError> {
        let word = rtcp_word(id.index)?;
        let (cipher, rest) = body.split_at_mut_checked(plain.len()).ok_or(Full)?;
        let (word_out, rest) = rest.split_first_chunk_mut::<RTCP_INDEX_LEN>().ok_or(Full)?;
        let tag = rest.first_chunk_mut::<TAG_LEN>().ok_or(Full)?;
        cipher.copy_from_slice(plain);
        self.crypt(id, cipher)?;
        *word_out = word;
        *tag = self.tag(header, cipher, &word);
        Ok(())
    }

    pub(super) fn open_rtcp(
        &self,
        id: PacketId,
        header: &[u8],
        body: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SrtpError> {
        let (body, tag) = body.split_last_chunk::<TAG_LEN>().ok_or(SrtpError::Malformed)?;
        let (cipher, word) = body.split_last_chunk::<RTCP_INDEX_LEN>().ok_or(SrtpError::Malformed)?;
        let expected = self.tag(header, cipher, word);
        self.open(id, expected, cipher, tag, out)
    }

    fn open(
        &self,
        id: PacketId,
        expected: [u8; TAG_LEN],
        cipher: &[u8],
        tag: &[u8; TAG_LEN],
        out: &mut [u8],
    ) -> Result<usize, SrtpError> {
        let out = out.get_mut(..cipher.len()).ok_or(Full)?;
        constant_time::verify_slices_are_equal(&expected, tag)
            .map_err(|Unspecified| SrtpError::NotAuthentic)?;
        out.copy_from_slice(cipher);
        self.crypt(id, out)?;
        Ok(cipher.len())
    }
}

fn rollover(id: PacketId) -> [u8; 4] {
    u32::try_from(id.index >> ROLLOVER_SHIFT).unwrap_or(u32::MAX).to_be_bytes()
}
