//! The client's side of DTLS, for tests.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Dtls, DtlsError, DtlsOutput, certificate, library::Library};
use crate::params::Fingerprint;

/// Which DTLS a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientVersion {
    /// 1.2 only.
    V1_2,
    /// 1.3 only.
    V1_3,
    /// Offers both.
    Both,
}

/// A certificate that several clients show: making one costs more than half a handshake.
#[derive(Clone)]
pub struct Identity {
    key: dimpl::DtlsCertificate,
    fingerprint: Fingerprint,
}

#[expect(clippy::expect_used, reason = "test support: what fails here is the test's fault")]
impl Identity {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        let key = dimpl::certificate::generate_self_signed_certificate().expect("a certificate");
        let fingerprint = certificate::fingerprint(&key.certificate).expect("32 bytes");
        Self { key, fingerprint }
    }

    /// Of the certificate.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fingerprint)
    }
}

/// A client.
#[derive(Debug)]
pub struct Client {
    library: Library,
    fingerprint: Fingerprint,
}

#[expect(clippy::expect_used, reason = "test support: what fails here is the test's fault")]
impl Client {
    /// A client with a certificate of its own: see [`Client::with_identity`].
    #[must_use]
    pub fn new(version: ClientVersion, mtu: usize, seed: u64, now: Instant) -> Self {
        Self::with_identity(&Identity::generate(), version, mtu, seed, now)
    }

    /// A client that begins when it is first ticked. A small `mtu` makes it send its ClientHello in pieces.
    #[must_use]
    pub fn with_identity(
        identity: &Identity,
        version: ClientVersion,
        mtu: usize,
        seed: u64,
        now: Instant,
    ) -> Self {
        let Identity { key, fingerprint } = identity.clone();
        let config = dimpl::Config::builder()
            .mtu(mtu)
            .flight_start_rto(Duration::from_millis(100))
            .flight_retries(8)
            .dangerously_set_rng_seed(seed)
            .build()
            .expect("a configuration");
        let config = Arc::new(config);
        let mut inner = match version {
            ClientVersion::V1_2 => dimpl::Dtls::new_12(config, key, now),
            ClientVersion::V1_3 => dimpl::Dtls::new_13(config, key, now),
            ClientVersion::Both => dimpl::Dtls::new_auto(config, key, now),
        };
        inner.set_active(true);
        Self { library: Library::new(inner), fingerprint }
    }

    /// Of its certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Says good-bye.
    pub fn close(&mut self) -> Result<(), DtlsError> {
        self.library.close()
    }
}

impl Dtls for Client {
    fn handle(&mut self, datagram: &[u8], now: Instant) -> Result<(), DtlsError> {
        self.library.handle(datagram, now)
    }

    fn send(&mut self, data: &[u8], now: Instant) -> Result<(), DtlsError> {
        self.library.send(data, now)
    }

    fn tick(&mut self, now: Instant) -> Result<(), DtlsError> {
        self.library.tick(now)
    }

    fn deadline(&self) -> Option<Instant> {
        self.library.deadline()
    }

    fn poll(&mut self) -> Result<Option<DtlsOutput>, DtlsError> {
        self.library.poll()
    }
}
