//! Our certificate: self-signed, known to clients by its fingerprint alone (RFC 8122).

use std::fmt;

use aws_lc_rs::digest;

use crate::params::Fingerprint;

/// An ECDSA P-256 certificate with its key.
#[derive(Clone)]
pub struct Certificate {
    pub(super) inner: dimpl::DtlsCertificate,
    fingerprint: Fingerprint,
}

/// No certificate could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no certificate could be generated")]
pub struct CertificateError;

impl Certificate {
    /// A fresh one, valid for a year.
    pub fn generate() -> Result<Self, CertificateError> {
        let inner = dimpl::certificate::generate_self_signed_certificate().map_err(|_| CertificateError)?;
        let fingerprint = fingerprint(&inner.certificate).ok_or(CertificateError)?;
        Ok(Self { inner, fingerprint })
    }

    /// What descriptions announce.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.fingerprint)
    }
}

/// SHA-256 of a certificate in DER.
pub(super) fn fingerprint(der: &[u8]) -> Option<Fingerprint> {
    digest::digest(&digest::SHA256, der).as_ref().try_into().ok().map(Fingerprint)
}
