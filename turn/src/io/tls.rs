//! TLS for clients whose network lets nothing else out: certificates from files, or made for a laboratory.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    crypto::{self, CryptoProvider},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
};

/// RFC 7443 §2: what TURN over TLS is called during the handshake.
const ALPN: [&[u8]; 2] = [b"stun.turn", b"stun.nat-discovery"];

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Two files in PEM, the chain with our own first.
    Files {
        /// The chain.
        chain: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// Made at start for these names, and trusted by nobody who was not told to.
    SelfSigned(Vec<String>),
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{0} cannot be read")]
    Read(PathBuf, #[source] io::Error),
    /// A file is not what it should be.
    #[error("{0} has no usable PEM")]
    Pem(PathBuf),
    /// Key and certificate do not fit, or are of no use.
    #[error("the certificate cannot be used")]
    Rustls(#[from] rustls::Error),
    /// None could be made.
    #[error("no certificate can be made")]
    Make(#[from] rcgen::Error),
}

impl Certificate {
    /// Ready to be shown to clients.
    pub fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let (chain, key) = match self {
            Self::Files { chain, key } => {
                let pem = |path: &Path| fs::read(path).map_err(|source| TlsError::Read(path.into(), source));
                let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem(chain)?).collect();
                let certificates = certificates.map_err(|_| TlsError::Pem(chain.clone()))?;
                if certificates.is_empty() {
                    return Err(TlsError::Pem(chain.clone()));
                }
                let key =
                    PrivateKeyDer::from_pem_slice(&pem(key)?).map_err(|_| TlsError::Pem(key.clone()))?;
                (certificates, key)
            }
            Self::SelfSigned(names) => {
                let made = rcgen::generate_simple_self_signed(names.clone())?;
                let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
                (vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            }
        };
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        Ok(Arc::new(config))
    }
}

/// The cryptography of both ends.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::aws_lc_rs::default_provider())
}

/// Bytes nobody can foresee.
pub(super) fn random<const N: usize>() -> Result<[u8; N], crypto::GetRandomFailed> {
    let mut bytes = [0; N];
    provider().secure_random.fill(&mut bytes)?;
    Ok(bytes)
}
