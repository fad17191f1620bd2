//! The server's side of DTLS: waits for a ClientHello, looks at it, and lets the library answer.

use std::time::Instant;

use super::{
    Certificate, Dtls, DtlsError, DtlsOutput, Peek,
    library::Library,
    version::{self, Version},
};

/// One client's association.
#[derive(Debug)]
pub struct Server(State);

#[derive(Debug)]
enum State {
    /// The ClientHello is not whole yet.
    Waiting { certificate: Certificate, seed: u64, peek: Peek },
    /// The library has it. Boxed: its state is large.
    Running(Box<Library>),
}

impl Server {
    /// Waits for a ClientHello. The seed counts with a certificate of [`Certificate::for_simulation`] only.
    #[must_use]
    pub fn new(certificate: &Certificate, seed: u64) -> Self {
        Self(State::Waiting { certificate: certificate.clone(), seed, peek: Peek::default() })
    }
}

impl Dtls for Server {
    fn handle(&mut self, datagram: &[u8], now: Instant) -> Result<(), DtlsError> {
        match &mut self.0 {
            State::Running(library) => library.handle(datagram, now),
            State::Waiting { certificate, seed, peek } => {
                let Some(hello) = peek.add(datagram)? else { return Ok(()) };
                let (config, key) = (certificate.config(*seed), certificate.inner.clone());
                let mut library = Library::new(match version::choose(&hello) {
                    Version::V1_2 => dimpl::Dtls::new_12(config, key, now),
                    Version::V1_3 => dimpl::Dtls::new_13(config, key, now),
                });
                for datagram in std::mem::take(peek).into_datagrams() {
                    library.handle(&datagram, now)?;
                }
                self.0 = State::Running(Box::new(library));
                Ok(())
            }
        }
    }

    fn send(&mut self, data: &[u8], now: Instant) -> Result<(), DtlsError> {
        match &mut self.0 {
            State::Waiting { .. } => Ok(()),
            State::Running(library) => library.send(data, now),
        }
    }

    fn tick(&mut self, now: Instant) -> Result<(), DtlsError> {
        match &mut self.0 {
            State::Waiting { .. } => Ok(()),
            State::Running(library) => library.tick(now),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.0 {
            State::Waiting { .. } => None,
            State::Running(library) => library.deadline(),
        }
    }

    fn poll(&mut self) -> Result<Option<DtlsOutput>, DtlsError> {
        match &mut self.0 {
            State::Waiting { .. } => Ok(None),
            State::Running(library) => library.poll(),
        }
    }
}
