//! Our certificate: self-signed, known to clients by its fingerprint alone (RFC 8122).

use std::{fmt, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use dimpl::NamedGroup;

use crate::params::Fingerprint;

/// Our datagrams stay below what every path carries.
const MTU: usize = 1200;
/// The first repetition of a flight; it doubles from there. Higher: a lost flight costs more of the join. Lower: slow
/// clients are sent everything twice.
const FLIGHT_RTO: Duration = Duration::from_millis(200);
/// How often a flight is repeated: up to 12.8 s after the first time.
const FLIGHT_RETRIES: usize = 6;
/// How long a handshake may take altogether.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// An ECDSA P-256 certificate with its key, and how it is used.
#[derive(Clone)]
pub struct Certificate {
    pub(super) inner: dimpl::DtlsCertificate,
    config: Arc<dimpl::Config>,
    fingerprint: Fingerprint,
    randomness: Randomness,
}

/// Where timing jitter and nonces come from. Keys come from the system in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Randomness {
    System,
    Seeded,
}

/// No certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// There is no entropy, or no such curve.
    #[error("no certificate could be generated")]
    Generate,
    /// The cryptography does not pass its own tests.
    #[error("dtls cannot be configured")]
    Configure(#[from] dimpl::Error),
}

impl Certificate {
    /// A fresh one, valid for a year.
    pub fn generate() -> Result<Self, CertificateError> {
        let inner =
            dimpl::certificate::generate_self_signed_certificate().map_err(|_| CertificateError::Generate)?;
        let fingerprint = fingerprint(&inner.certificate).ok_or(CertificateError::Generate)?;
        let config = Arc::new(settings().build()?);
        Ok(Self { inner, config, fingerprint, randomness: Randomness::System })
    }

    /// One for simulations: transports with it do the same in every run of a seed, as far as DTLS lets itself be told.
    pub fn for_simulation() -> Result<Self, CertificateError> {
        Ok(Self { randomness: Randomness::Seeded, ..Self::generate()? })
    }

    /// How a transport with this seed is to use it.
    pub(super) fn config(&self, seed: u64) -> Arc<dimpl::Config> {
        let config = Arc::clone(&self.config);
        match self.randomness {
            Randomness::System => config,
            Randomness::Seeded => settings().dangerously_set_rng_seed(seed).build().map_or(config, Arc::new),
        }
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

fn settings() -> dimpl::ConfigBuilder {
    dimpl::Config::builder()
        .mtu(MTU)
        // A HelloVerifyRequest shows that the client is where it says it is. ICE has shown that already.
        .use_server_cookie(false)
        .require_client_certificate(true)
        .flight_start_rto(FLIGHT_RTO)
        .flight_retries(FLIGHT_RETRIES)
        .handshake_timeout(HANDSHAKE_MAX)
        // The cheapest first: our order decides.
        .kx_groups(&[NamedGroup::X25519, NamedGroup::Secp256r1, NamedGroup::Secp384r1])
}

/// SHA-256 of a certificate in DER.
pub(super) fn fingerprint(der: &[u8]) -> Option<Fingerprint> {
    digest::digest(&digest::SHA256, der).as_ref().try_into().ok().map(Fingerprint)
}
