//! SRTP and SRTCP (RFC 3711) with the keys of DTLS (RFC 5764) in AES-GCM (RFC 7714) or AES-CM with HMAC-SHA1.
//!
//! Invariants:
//! - nothing is learnt from a packet before it is authentic: no rollover, no window, no sender;
//! - one key never seals the same (SSRC, index) twice: [`Sealer`] refuses;
//! - nothing is allocated for a packet, and payloads are not copied on their way through GCM.

#![warn(clippy::arithmetic_side_effects)]

mod cipher;
mod cm;
mod gcm;
mod keys;
mod opener;
mod sealer;
mod window;

pub use self::{
    opener::{Opened, Opener},
    sealer::Sealer,
    window::ReplayWindow,
};

use crate::{
    params::{Secret, SrtpProfile},
    units::Ssrc,
    wire::Full,
};

/// The most that protection adds to an RTP or RTCP packet: a tag of 16 bytes and, for RTCP, the index.
pub const OVERHEAD_MAX: usize = 20;

/// RFC 3711 §3.3.1: an index is the rollover counter and the sequence number.
const INDEX_BITS: u32 = 48;

/// Why a packet was not sealed or not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// The exporter's output has another length than the profile needs.
    #[error("keying material of {0} bytes does not fit the profile")]
    Keying(usize),
    /// Shorter than a header and a tag, or not the header that was said to be sealed.
    #[error("not a whole packet")]
    Malformed,
    /// The output buffer is too short.
    #[error(transparent)]
    Full(#[from] Full),
    /// The tag is not the sender's.
    #[error("not authentic")]
    NotAuthentic,
    /// It was opened before.
    #[error("packet {1} of {0} came before")]
    Replayed(Ssrc, u64),
    /// It is so far behind the newest that nobody can tell whether it was opened before.
    #[error("a packet of {0} came too late")]
    Old(Ssrc),
    /// RFC 8827 §6.5: media is never sent in the clear; an SRTCP packet without the E flag is.
    #[error("sent in the clear")]
    NotEncrypted,
    /// This key has sealed that index of that SSRC, or may have: sealing again would give the key away.
    #[error("packet {1} of {0} was sealed before")]
    SealedBefore(Ssrc, u64),
    /// RFC 3711 §9.2: the key has protected as many packets as it may.
    #[error("the key is used up")]
    KeyUsedUp,
    /// More SSRCs than anyone needs.
    #[error("too many synchronisation sources")]
    TooManySources,
}

/// What DTLS hands over: the profile and the exporter's output (RFC 5764 §4.2).
#[derive(Clone, Debug)]
pub struct KeyingMaterial {
    /// What was negotiated.
    pub profile: SrtpProfile,
    /// Client key, server key, client salt, server salt.
    pub bytes: Secret<Vec<u8>>,
}

impl KeyingMaterial {
    /// How many bytes the exporter is to be asked for.
    #[must_use]
    pub const fn len(profile: SrtpProfile) -> usize {
        keys::key_len(profile).saturating_add(keys::salt_len(profile)).saturating_mul(2)
    }
}

/// Both directions of one transport.
#[derive(Debug)]
pub struct Srtp {
    /// For what arrives.
    pub inbound: Opener,
    /// For what leaves.
    pub outbound: Sealer,
}

impl Srtp {
    /// For the side that was the DTLS server.
    pub fn server(keying: &KeyingMaterial) -> Result<Self, SrtpError> {
        let masters = keys::Masters::split(keying)?;
        Self::new(&masters.client, &masters.server)
    }

    /// For the side that was the DTLS client.
    pub fn client(keying: &KeyingMaterial) -> Result<Self, SrtpError> {
        let masters = keys::Masters::split(keying)?;
        Self::new(&masters.server, &masters.client)
    }

    fn new(inbound: &keys::Master<'_>, outbound: &keys::Master<'_>) -> Result<Self, SrtpError> {
        Ok(Self {
            inbound: Opener::new(inbound.rtp()?, inbound.rtcp()?),
            outbound: Sealer::new(outbound.rtp()?, outbound.rtcp()?),
        })
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]
mod tests;
