//! One session key of either kind: which bytes are encrypted and where the tag goes.
//!
//! A `body` here is everything after the header; `open` writes the plain body and tells its length.

use super::{SrtpError, cm::Cm, gcm::Gcm};
use crate::units::Ssrc;

/// RFC 3711 §3.4: the highest bit of the word that carries the SRTCP index.
pub(super) const RTCP_ENCRYPTED: u32 = 1 << 31;
pub(super) const RTCP_INDEX_LEN: usize = 4;

/// Which packet: no two packets under one key have the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketId {
    pub(super) ssrc: Ssrc,
    /// 48 bits of rollover and sequence number, or the 31 bits of an SRTCP index.
    pub(super) index: u64,
}

/// What is encrypted: the payload and the RTP padding after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain<'a> {
    pub(super) payload: &'a [u8],
    pub(super) padding: &'a [u8],
}

#[derive(Debug)]
pub(super) enum Cipher {
    Gcm(Gcm),
    Cm(Box<Cm>),
}

impl Cipher {
    pub(super) const fn rtp_overhead(&self) -> usize {
        match self {
            Self::Gcm(_) => super::gcm::TAG_LEN,
            Self::Cm(_) => super::cm::TAG_LEN,
        }
    }

    pub(super) const fn rtcp_overhead(&self) -> usize {
        self.rtp_overhead().saturating_add(RTCP_INDEX_LEN)
    }

    pub(super) fn seal_rtp(
        &self,
        id: PacketId,
        header: &[u8],
        plain: Plain<'_>,
        body: &mut [u8],
    ) -> Result<(), SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtp(id, header, plain, body),
            Self::Cm(cm) => cm.seal_rtp(id, header, plain, body),
        }
    }

    pub(super) fn open_rtp(
        &self,
        id: PacketId,
        header: &[u8],
        body: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtp(id, header, body, out),
            Self::Cm(cm) => cm.open_rtp(id, header, body, out),
        }
    }

    pub(super) fn seal_rtcp(
        &self,
        id: PacketId,
        header: &[u8],
        plain: &[u8],
        body: &mut [u8],
    ) -> Result<(), SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtcp(id, header, plain, body),
            Self::Cm(cm) => cm.seal_rtcp(id, header, plain, body),
        }
    }

    pub(super) fn open_rtcp(
        &self,
        id: PacketId,
        header: &[u8],
        body: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtcp(id, header, body, out),
            Self::Cm(cm) => cm.open_rtcp(id, header, body, out),
        }
    }

    /// The word that carries the SRTCP index: the last four bytes, before the tag of AES-CM.
    pub(super) fn rtcp_word(&self, packet: &[u8]) -> Option<u32> {
        let end = match self {
            Self::Gcm(_) => packet.len(),
            Self::Cm(_) => packet.len().checked_sub(super::cm::TAG_LEN)?,
        };
        packet.get(..end)?.last_chunk().map(|word| u32::from_be_bytes(*word))
    }
}

/// The word that carries an SRTCP index, encrypted as all of ours are.
pub(super) fn rtcp_word(index: u64) -> Result<[u8; RTCP_INDEX_LEN], SrtpError> {
    let index = u32::try_from(index).ok().filter(|index| index & RTCP_ENCRYPTED == 0);
    Ok((index.ok_or(SrtpError::KeyUsedUp)? | RTCP_ENCRYPTED).to_be_bytes())
}
