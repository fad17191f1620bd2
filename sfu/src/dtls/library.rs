//! `dimpl` in our words: what it puts out piece by piece is told when it is whole.

use std::{fmt, time::Instant};

use super::{DtlsError, DtlsOutput, Established, certificate};
use crate::{
    params::{Fingerprint, Secret, SrtpProfile},
    srtp::KeyingMaterial,
};

/// Records are read into this much; the library asks for more when it needs it.
const BUFFER_LEN: usize = 1500;
/// A record is not longer than this (RFC 6347 §4.1).
const BUFFER_MAX: usize = (1 << 14) + 256;

/// One association, in either role.
pub(super) struct Library {
    inner: dimpl::Dtls,
    handshake: Handshake,
    deadline: Option<Instant>,
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

impl Library {
    pub(super) fn new(inner: dimpl::Dtls) -> Self {
        Self { inner, handshake: Handshake::default(), deadline: None, buffer: vec![0; BUFFER_LEN] }
    }

    pub(super) fn handle(&mut self, datagram: &[u8], now: Instant) -> Result<(), DtlsError> {
        self.inner.handle_timeout(now)?;
        Ok(self.inner.handle_packet(datagram)?)
    }

    pub(super) fn send(&mut self, data: &[u8], now: Instant) -> Result<(), DtlsError> {
        self.inner.handle_timeout(now)?;
        self.inner.send_application_data(data)?;
        Ok(())
    }

    pub(super) fn tick(&mut self, now: Instant) -> Result<(), DtlsError> {
        Ok(self.inner.handle_timeout(now)?)
    }

    /// When the library wants to be called, as it said when it was last polled.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn poll(&mut self) -> Result<Option<DtlsOutput>, DtlsError> {
        loop {
            if let Some(established) = self.handshake.take() {
                return Ok(Some(DtlsOutput::Connected(established)));
            }
            match self.inner.poll_output(&mut self.buffer) {
                dimpl::Output::Packet(bytes) => return Ok(Some(DtlsOutput::Datagram(bytes.to_vec()))),
                dimpl::Output::ApplicationData(bytes) => return Ok(Some(DtlsOutput::Data(bytes.to_vec()))),
                dimpl::Output::CloseNotify => return Ok(Some(DtlsOutput::Closed)),
                dimpl::Output::PeerCert(der) => self.handshake.peer = certificate::fingerprint(der),
                dimpl::Output::KeyingMaterial(bytes, profile) => {
                    self.handshake.keying = keying(&bytes, profile);
                }
                dimpl::Output::Connected => self.handshake.progress = Progress::Done,
                dimpl::Output::BufferTooSmall { needed } => {
                    self.buffer.resize(needed.clamp(BUFFER_LEN, BUFFER_MAX), 0);
                }
                dimpl::Output::Timeout(at) => {
                    self.deadline = Some(at);
                    return self.handshake.check().map(|()| None);
                }
                _ => {}
            }
        }
    }

    /// Says good-bye.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn close(&mut self) -> Result<(), DtlsError> {
        Ok(self.inner.close()?)
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

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.inner, self.handshake.progress)
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
