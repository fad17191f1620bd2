//! Which version of DTLS a client is met with, so that SRTP ends up with AES-GCM.
//!
//! `dimpl` 0.9 lets nobody choose the SRTP profile. Its DTLS 1.2 server has an order of its own, AEAD_AES_256_GCM
//! first. Its DTLS 1.3 server takes the first profile of the client's list that it knows, and Chromium's list begins
//! with AES128_CM_HMAC_SHA1_80, five times dearer for every packet of the call than GCM. So 1.3 is for clients that
//! offer it and put GCM first (Firefox: the cheaper AEAD_AES_128_GCM, and a round trip less), 1.2 for all others.

use super::hello::Hello;
use crate::params::SrtpProfile;

/// A version of DTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// RFC 6347.
    V1_2,
    /// RFC 9147.
    V1_3,
}

/// The version for this client.
pub(super) fn choose(hello: &Hello) -> Version {
    match hello.srtp_profiles.first() {
        Some(SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm) if hello.offers_1_3 => Version::V1_3,
        Some(SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm | SrtpProfile::Aes128CmSha1_80)
        | None => Version::V1_2,
    }
}
