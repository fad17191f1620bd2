//! DTLS (RFC 6347, RFC 9147) with SRTP keys (RFC 5764), always as the server.
//!
//! The handshake itself is `dimpl`'s; this folder alone knows its name.
//!
//! Invariants:
//! - it is fed by [`Server`]'s owner only with datagrams of an address that passed ICE;
//! - it ends in keys for AES-GCM with every client that offers it (`version` says how).

mod certificate;
mod hello;
mod library;
mod server;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod version;

use std::{fmt, time::Instant};

pub use certificate::{Certificate, CertificateError};
pub use hello::{Hello, HelloError, Peek};
pub use server::Server;

use crate::{params::Fingerprint, srtp::KeyingMaterial};

/// One side of a DTLS association. After every call that changes it, poll until there is nothing left.
pub trait Dtls: fmt::Debug + Send {
    /// Reads a datagram.
    fn handle(&mut self, datagram: &[u8], now: Instant) -> Result<(), DtlsError>;
    /// Protects application data.
    fn send(&mut self, data: &[u8], now: Instant) -> Result<(), DtlsError>;
    /// Runs what is due.
    fn tick(&mut self, now: Instant) -> Result<(), DtlsError>;
    /// When something is due.
    fn deadline(&self) -> Option<Instant>;
    /// What to do next.
    fn poll(&mut self) -> Result<Option<DtlsOutput>, DtlsError>;
}

/// What an association wants done, or tells.
#[derive(Debug)]
pub enum DtlsOutput {
    /// A datagram for the other side.
    Datagram(Vec<u8>),
    /// The handshake is done. Whether it was with the right one is for the caller to say.
    Connected(Established),
    /// Application data from the other side.
    Data(Vec<u8>),
    /// The other side said good-bye.
    Closed,
}

/// What a handshake leads to.
#[derive(Clone, Debug)]
pub struct Established {
    /// Keys and profile of SRTP.
    pub keying: KeyingMaterial,
    /// The certificate the other side showed.
    pub peer: Fingerprint,
}

/// An association that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DtlsError {
    /// The library gave up.
    #[error(transparent)]
    Library(#[from] dimpl::Error),
    /// The two sides have no SRTP profile in common (RFC 5764 §4.1).
    #[error("no srtp profile in common")]
    NoSrtp,
    /// The other side showed no certificate.
    #[error("no certificate was shown")]
    NoCertificate,
    /// The first flight is not a ClientHello.
    #[error(transparent)]
    Hello(#[from] HelloError),
}

#[cfg(test)]
mod tests;
