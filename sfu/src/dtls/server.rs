//! The server's side of DTLS over `dimpl`.

use std::time::Instant;

use super::{
    Certificate, Dtls, DtlsError, DtlsOutput, Established, Peek, certificate,
    version::{self, Version},
};
use crate::{
    params::{Fingerprint, Secret, SrtpProfile},
    srtp::KeyingMaterial,
};

/// Records are read into this much; the library asks for more when it needs it.
const BUFFER_LEN: usize = 1500;
/// A record is not longer than this (RFC 6347 §4.1).
const BUFFER_MAX: usize = (1 << 14) + 256;

/// One client's association.
#[derive(Debug)]
pub struct Server {
    state: State,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// The ClientHello is not whole yet.
    Waiting { certificate: Certificate, seed: u64, peek: Peek },
    /// The library has it. Boxed: its state is large.
    Running(Box<Running>),
}

struct Running {
    library: dimpl::Dtls,
    handshake: Handshake,
    buffer: Vec<u8>,
}

/// What the handshake has shown so far.
#[derive(Default)]
struct Handshake {
    peer: Option<Fingerprint>,
    keying: Option<KeyingMaterial>,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    Underway,
    Done,
    Told,
}

impl Server {
    /// Waits for a ClientHello.
    #[must_use]
    pub fn new(certificate: &Certificate, seed: u64) -> Self {
        let state = State::Waiting { certificate: certificate.clone(), seed, peek: Peek::default() };
        Self { state, deadline: None }
    }

    fn start(&mut self, version: Version, now: Instant) -> Result<(), DtlsError> {
        let State::Waiting { certificate, seed, peek } = &mut self.state else { return Ok(()) };
        let datagrams = std::mem::take(peek).into_datagrams();
        let (config, key) = (certificate.config(*seed), certificate.inner.clone());
        let library = match version {
            Version::V1_2 => dimpl::Dtls::new_12(config, key, now),
            Version::V1_3 => dimpl::Dtls::new_13(config, key, now),
        };
        let mut running =
            Box::new(Running { library, handshake: Handshake::default(), buffer: vec![0; BUFFER_LEN] });
        running.library.handle_timeout(now)?;
        for datagram in datagrams {
            running.library.handle_packet(&datagram)?;
        }
        self.state = State::Running(running);
        Ok(())
    }
}

impl Dtls for Server {
    fn handle(&mut self, datagram: &[u8], now: Instant) -> Result<(), DtlsError> {
        match &mut self.state {
            State::Waiting { peek, .. } => {
                let Some(hello) = peek.add(datagram)? else { return Ok(()) };
                self.start(version::choose(&hello), now)
            }
            State::Running(running) => {
                running.library.handle_timeout(now)?;
                Ok(running.library.handle_packet(datagram)?)
            }
        }
    }

    fn send(&mut self, data: &[u8], now: Instant) -> Result<(), DtlsError> {
        let State::Running(running) = &mut self.state else { return Ok(()) };
        running.library.handle_timeout(now)?;
        running.library.send_application_data(data)?;
        Ok(())
    }

    fn tick(&mut self, now: Instant) -> Result<(), DtlsError> {
        let State::Running(running) = &mut self.state else { return Ok(()) };
        Ok(running.library.handle_timeout(now)?)
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn poll(&mut self) -> Result<Option<DtlsOutput>, DtlsError> {
        let State::Running(running) = &mut self.state else { return Ok(None) };
        loop {
            if let Some(established) = running.handshake.take() {
                return Ok(Some(DtlsOutput::Connected(established)));
            }
            match running.library.poll_output(&mut running.buffer) {
                dimpl::Output::Packet(bytes) => return Ok(Some(DtlsOutput::Datagram(bytes.to_vec()))),
                dimpl::Output::ApplicationData(bytes) => return Ok(Some(DtlsOutput::Data(bytes.to_vec()))),
                dimpl::Output::CloseNotify => return Ok(Some(DtlsOutput::Closed)),
                dimpl::Output::PeerCert(der) => running.handshake.peer = certificate::fingerprint(der),
                dimpl::Output::KeyingMaterial(bytes, profile) => {
                    running.handshake.keying = keying(&bytes, profile);
                }
                dimpl::Output::Connected => running.handshake.progress = Progress::Done,
                dimpl::Output::BufferTooSmall { needed } => {
                    running.buffer.resize(needed.clamp(BUFFER_LEN, BUFFER_MAX), 0);
                }
                dimpl::Output::Timeout(at) => {
                    self.deadline = Some(at);
                    return running.handshake.check().map(|()| None);
                }
                _ => {}
            }
        }
    }
}

impl Handshake {
    /// All that it led to, once all of it is there.
    fn take(&mut self) -> Option<Established> {
        if self.progress != Progress::Done || self.peer.is_none() {
            return None;
        }
        let established = Established { keying: self.keying.take()?, peer: self.peer? };
        self.progress = Progress::Told;
        Some(established)
    }

    /// Whether a handshake that is done led to all that it has to.
    fn check(&self) -> Result<(), DtlsError> {
        match (self.progress, self.peer) {
            (Progress::Underway | Progress::Told, _) => Ok(()),
            (Progress::Done, None) => Err(DtlsError::NoCertificate),
            (Progress::Done, Some(_)) => Err(DtlsError::NoSrtp),
        }
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, {:?}", self.library, self.handshake.progress)
    }
}

/// The exporter's output in our words.
fn keying(bytes: &[u8], profile: dimpl::SrtpProfile) -> Option<KeyingMaterial> {
    let profile = match profile {
        dimpl::SrtpProfile::AEAD_AES_128_GCM => SrtpProfile::AeadAes128Gcm,
        dimpl::SrtpProfile::AEAD_AES_256_GCM => SrtpProfile::AeadAes256Gcm,
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => SrtpProfile::Aes128CmSha1_80,
        _ => return None,
    };
    Some(KeyingMaterial { profile, bytes: Secret(bytes.to_vec()) })
}
