//! DTLS up to the point where its keys may be used: the right client has shown its certificate.
//!
//! Invariant: neither keys nor data leave this file before the certificate was compared with the description.

use std::time::Instant;

use crate::{
    dtls::{Dtls, DtlsOutput, Established},
    event::Failure,
    params::{Fingerprint, SrtpProfile},
    srtp::Srtp,
};

/// Datagrams of a client whose description is still on its way: SCTP begins right after the handshake, and to lose its
/// first packet costs a second. Higher: survives a slower exchange. Lower: less memory for somebody unknown.
const EARLY_MAX: usize = 16;

/// What a link wants done, or tells.
#[derive(Debug)]
pub(super) enum LinkOutput {
    /// A datagram for the client.
    Datagram(Vec<u8>),
    /// It is the right client: keys are there.
    Up,
    /// Application data.
    Data(Vec<u8>),
}

/// The DTLS association and what is known of the client's certificate.
#[derive(Debug)]
pub(super) struct Link {
    dtls: Box<dyn Dtls>,
    expected: Option<Fingerprint>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Handshaking,
    /// Somebody is there; the description that says whether it is the client has not come.
    Unverified {
        established: Established,
        early: Vec<Vec<u8>>,
    },
    Up {
        peer: Fingerprint,
        profile: SrtpProfile,
        srtp: Box<Srtp>,
        early: std::vec::IntoIter<Vec<u8>>,
    },
}

impl Link {
    pub(super) fn new(dtls: Box<dyn Dtls>) -> Self {
        Self { dtls, expected: None, stage: Stage::Handshaking }
    }

    /// The certificate that the description announces. Another one than before would be another association
    /// (RFC 8842 §5.5), which a transport never has.
    pub(super) fn expect(&mut self, fingerprint: Fingerprint) -> Result<(), Failure> {
        self.expected = Some(fingerprint);
        match &self.stage {
            Stage::Up { peer, .. } if *peer != fingerprint => Err(Failure::Fingerprint),
            Stage::Up { .. } | Stage::Unverified { .. } | Stage::Handshaking => Ok(()),
        }
    }

    pub(super) fn handle(&mut self, datagram: &[u8], now: Instant) -> Result<(), Failure> {
        self.dtls.handle(datagram, now).map_err(|error| self.failed(&error))
    }

    pub(super) fn send(&mut self, data: &[u8], now: Instant) -> Result<(), Failure> {
        self.dtls.send(data, now).map_err(|error| self.failed(&error))
    }

    pub(super) fn tick(&mut self, now: Instant) -> Result<(), Failure> {
        self.dtls.tick(now).map_err(|error| self.failed(&error))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.dtls.deadline()
    }

    /// What to do next. An error is the end of it.
    pub(super) fn poll(&mut self) -> Result<Option<LinkOutput>, Failure> {
        loop {
            if self.verify()? {
                return Ok(Some(LinkOutput::Up));
            }
            if let Stage::Up { early, .. } = &mut self.stage
                && let Some(data) = early.next()
            {
                return Ok(Some(LinkOutput::Data(data)));
            }
            match self.dtls.poll().map_err(|error| self.failed(&error))? {
                None => return Ok(None),
                Some(DtlsOutput::Datagram(bytes)) => return Ok(Some(LinkOutput::Datagram(bytes))),
                Some(DtlsOutput::Closed) => return Err(Failure::Closed),
                Some(DtlsOutput::Connected(established)) => {
                    self.stage = Stage::Unverified { established, early: Vec::new() };
                }
                Some(DtlsOutput::Data(data)) => match &mut self.stage {
                    Stage::Handshaking => {}
                    Stage::Unverified { early, .. } if early.len() < EARLY_MAX => early.push(data),
                    Stage::Unverified { .. } => {}
                    Stage::Up { .. } => return Ok(Some(LinkOutput::Data(data))),
                },
            }
        }
    }

    /// Keys for media, once they may be used.
    pub(super) fn srtp(&mut self) -> Option<&mut Srtp> {
        match &mut self.stage {
            Stage::Handshaking | Stage::Unverified { .. } => None,
            Stage::Up { srtp, .. } => Some(srtp),
        }
    }

    /// How media is protected, once it is.
    pub(super) fn profile(&self) -> Option<SrtpProfile> {
        match &self.stage {
            Stage::Handshaking | Stage::Unverified { .. } => None,
            Stage::Up { profile, .. } => Some(*profile),
        }
    }

    /// Compares certificate and description as soon as both are there; tells once when they match.
    fn verify(&mut self) -> Result<bool, Failure> {
        let (Stage::Unverified { established, early }, Some(expected)) = (&mut self.stage, self.expected)
        else {
            return Ok(false);
        };
        if established.peer != expected {
            return Err(Failure::Fingerprint);
        }
        let profile = established.keying.profile;
        let srtp = Srtp::server(&established.keying).map_err(|_| Failure::Handshake)?;
        let early = std::mem::take(early).into_iter();
        self.stage = Stage::Up { peer: expected, profile, srtp: Box::new(srtp), early };
        Ok(true)
    }

    fn failed(&self, error: &crate::dtls::DtlsError) -> Failure {
        tracing::debug!(%error, stage = self.stage.name(), "dtls failed");
        Failure::Handshake
    }
}

impl Stage {
    fn name(&self) -> &'static str {
        match self {
            Self::Handshaking => "handshaking",
            Self::Unverified { .. } => "unverified",
            Self::Up { .. } => "up",
        }
    }
}
