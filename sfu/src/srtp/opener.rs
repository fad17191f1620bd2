//! Opens what arrives.

use rustc_hash::FxHashMap;

use super::{
    SrtpError,
    cipher::{Cipher, PacketId, RTCP_ENCRYPTED},
    window::{Guess, ReplayWindow, Standing, Window},
};
use crate::{rtp, units::Ssrc};

/// RFC 3711 §3.4: what of an SRTCP packet is never encrypted.
pub(super) const RTCP_HEADER_LEN: usize = 8;
/// SSRCs that may send RTCP on one transport. Higher: clients that publish hundreds of tracks. Lower: less
/// memory for one that makes SSRCs up.
const RTCP_SENDERS_MAX: usize = 1_024;
/// RFC 3711 §3.3.2 asks for 64 packets at least.
const RTCP_WORDS: usize = 2;

/// One packet that was authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// How many bytes were written; RTP padding is among them.
    pub payload_len: usize,
    /// Rollover counter and sequence number.
    pub index: u64,
}

/// Opens the packets of one transport.
#[derive(Debug)]
pub struct Opener {
    rtp: Cipher,
    rtcp: Cipher,
    rtcp_seen: FxHashMap<Ssrc, Window<RTCP_WORDS>>,
}

impl Opener {
    pub(super) fn new(rtp: Cipher, rtcp: Cipher) -> Self {
        Self { rtp, rtcp, rtcp_seen: FxHashMap::default() }
    }

    /// Decrypts and authenticates one SRTP packet: its payload is written to `out`, its header stays where it
    /// is. `stream` is what is known of the header's SSRC, and is left alone unless the packet is authentic;
    /// so is `out` worth nothing then.
    pub fn open_rtp(
        &mut self,
        stream: &mut ReplayWindow,
        header: &rtp::Header<'_>,
        packet: &[u8],
        out: &mut [u8],
    ) -> Result<Opened, SrtpError> {
        let ssrc = header.ssrc;
        let (head, body) = packet.split_at_checked(header.payload_offset).ok_or(SrtpError::Malformed)?;
        let mut open = |index| {
            let payload_len = self.rtp.open_rtp(PacketId { ssrc, index }, head, body, out)?;
            Ok(Opened { payload_len, index })
        };
        let opened = match stream.guess(header.seq) {
            Guess::Index(index) => open(index),
            Guess::Either(index, other) => match open(index) {
                Err(SrtpError::NotAuthentic) => open(other),
                opened => opened,
            },
            Guess::Ahead(index) => match open(index) {
                Err(SrtpError::NotAuthentic) => Err(SrtpError::Old(ssrc)),
                opened => opened,
            },
            Guess::Seen(index) => Err(SrtpError::Replayed(ssrc, index)),
            Guess::UsedUp => Err(SrtpError::KeyUsedUp),
        }?;
        stream.mark(opened.index);
        Ok(opened)
    }

    /// Decrypts and authenticates one SRTCP packet into `out` and tells the length of the compound packet.
    pub fn open_rtcp(&mut self, packet: &[u8], out: &mut [u8]) -> Result<usize, SrtpError> {
        let (head, body) = packet.split_first_chunk::<RTCP_HEADER_LEN>().ok_or(SrtpError::Malformed)?;
        if head.first().is_none_or(|first| first >> 6 != 2) {
            return Err(SrtpError::Malformed);
        }
        let [.., a, b, c, d] = *head;
        let ssrc = Ssrc(u32::from_be_bytes([a, b, c, d]));
        let word = self.rtcp.rtcp_word(body).ok_or(SrtpError::Malformed)?;
        if word & RTCP_ENCRYPTED == 0 {
            return Err(SrtpError::NotEncrypted);
        }
        let index = u64::from(word & !RTCP_ENCRYPTED);
        self.check_rtcp(ssrc, index)?;
        let (head_out, out) = out.split_first_chunk_mut::<RTCP_HEADER_LEN>().ok_or(crate::wire::Full)?;
        let len = self.rtcp.open_rtcp(PacketId { ssrc, index }, head, body, out)?;
        *head_out = *head;
        self.rtcp_seen.entry(ssrc).or_default().mark(index);
        Ok(len.saturating_add(RTCP_HEADER_LEN))
    }

    fn check_rtcp(&self, ssrc: Ssrc, index: u64) -> Result<(), SrtpError> {
        let Some(seen) = self.rtcp_seen.get(&ssrc) else {
            let room = self.rtcp_seen.len() < RTCP_SENDERS_MAX;
            return if room { Ok(()) } else { Err(SrtpError::TooManySources) };
        };
        match seen.standing(index) {
            Standing::Fresh => Ok(()),
            Standing::Seen => Err(SrtpError::Replayed(ssrc, index)),
            Standing::Old => Err(SrtpError::Old(ssrc)),
        }
    }
}
