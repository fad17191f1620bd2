//! DTLS (RFC 6347) with SRTP keys (RFC 5764), always as the server.

mod certificate;

pub use certificate::{Certificate, CertificateError};
