//! From the exporter's output to session keys (RFC 5764 §4.2, RFC 3711 §4.3, RFC 7714 §11).
//!
//! The key derivation rate is zero, the only one DTLS-SRTP knows: keys are derived once.

use aws_lc_rs::{
    cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey},
    error::Unspecified,
    iv::FixedLength,
};

use super::{KeyingMaterial, SrtpError, cipher::Cipher, cm::Cm, gcm::Gcm};
use crate::{params::SrtpProfile, wire::Reader};

/// RFC 3711 §4.3.2: the labels of RTP; those of RTCP are three higher.
const LABEL_ENCRYPTION: u8 = 0;
const LABEL_AUTHENTICATION: u8 = 1;
const LABEL_SALT: u8 = 2;
const LABEL_RTCP: u8 = 3;
/// Where the label falls in the block that is encrypted: 48 bits above the lowest of the 112 of the salt.
const LABEL_AT: usize = 7;

/// HMAC-SHA1's.
pub(super) const AUTHENTICATION_KEY_LEN: usize = 20;
pub(super) const CM_SALT_LEN: usize = 14;
pub(super) const GCM_SALT_LEN: usize = 12;
const KEY_LEN_MAX: usize = 32;

pub(super) const fn key_len(profile: SrtpProfile) -> usize {
    match profile {
        SrtpProfile::AeadAes128Gcm | SrtpProfile::Aes128CmSha1_80 => 16,
        SrtpProfile::AeadAes256Gcm => KEY_LEN_MAX,
    }
}

pub(super) const fn salt_len(profile: SrtpProfile) -> usize {
    match profile {
        SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm => GCM_SALT_LEN,
        SrtpProfile::Aes128CmSha1_80 => CM_SALT_LEN,
    }
}

/// The master keys of both sides.
pub(super) struct Masters<'a> {
    pub(super) client: Master<'a>,
    pub(super) server: Master<'a>,
}

impl<'a> Masters<'a> {
    pub(super) fn split(keying: &'a KeyingMaterial) -> Result<Self, SrtpError> {
        let bytes = &keying.bytes.0;
        let profile = keying.profile;
        if bytes.len() != KeyingMaterial::len(profile) {
            return Err(SrtpError::Keying(bytes.len()));
        }
        Self::read(profile, Reader::new(bytes)).ok_or(SrtpError::Keying(bytes.len()))
    }

    fn read(profile: SrtpProfile, mut reader: Reader<'a>) -> Option<Self> {
        let client_key = reader.take(key_len(profile))?;
        let server_key = reader.take(key_len(profile))?;
        let client_salt = reader.take(salt_len(profile))?;
        let server_salt = reader.take(salt_len(profile))?;
        Some(Self {
            client: Master { profile, key: client_key, salt: client_salt },
            server: Master { profile, key: server_key, salt: server_salt },
        })
    }
}

/// One side's master key.
pub(super) struct Master<'a> {
    pub(super) profile: SrtpProfile,
    pub(super) key: &'a [u8],
    pub(super) salt: &'a [u8],
}

impl Master<'_> {
    pub(super) fn rtp(&self) -> Result<Cipher, SrtpError> {
        self.cipher(0)
    }

    pub(super) fn rtcp(&self) -> Result<Cipher, SrtpError> {
        self.cipher(LABEL_RTCP)
    }

    fn cipher(&self, labels: u8) -> Result<Cipher, SrtpError> {
        self.derive_cipher(labels).map_err(|_| SrtpError::Keying(self.key.len()))
    }

    fn derive_cipher(&self, labels: u8) -> Result<Cipher, Unspecified> {
        let mut key = [0; KEY_LEN_MAX];
        let key = key.get_mut(..key_len(self.profile)).ok_or(Unspecified)?;
        self.derive(LABEL_ENCRYPTION.saturating_add(labels), key)?;
        match self.profile {
            SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm => {
                let mut salt = [0; GCM_SALT_LEN];
                self.derive(LABEL_SALT.saturating_add(labels), &mut salt)?;
                Ok(Cipher::Gcm(Gcm::new(key, salt)?))
            }
            SrtpProfile::Aes128CmSha1_80 => {
                let mut salt = [0; CM_SALT_LEN];
                let mut authentication = [0; AUTHENTICATION_KEY_LEN];
                self.derive(LABEL_SALT.saturating_add(labels), &mut salt)?;
                self.derive(LABEL_AUTHENTICATION.saturating_add(labels), &mut authentication)?;
                Ok(Cipher::Cm(Box::new(Cm::new(key, &authentication, salt)?)))
            }
        }
    }

    /// AES in counter mode under the master key, begun at the salt with the label in it. RFC 7714 §11: the
    /// shorter salts of GCM are followed by zeroes.
    pub(super) fn derive(&self, label: u8, out: &mut [u8]) -> Result<(), Unspecified> {
        let algorithm = if self.key.len() == KEY_LEN_MAX { &AES_256 } else { &AES_128 };
        let key = EncryptingKey::ctr(UnboundCipherKey::new(algorithm, self.key)?)?;
        let mut block = [0; 16];
        block.get_mut(..self.salt.len()).ok_or(Unspecified)?.copy_from_slice(self.salt);
        if let Some(byte) = block.get_mut(LABEL_AT) {
            *byte ^= label;
        }
        out.fill(0);
        key.less_safe_encrypt(out, EncryptionContext::Iv128(FixedLength::from(block)))?;
        Ok(())
    }
}
