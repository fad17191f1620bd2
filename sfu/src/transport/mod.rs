//! One client's association: ICE-lite, DTLS, SRTP keys and data channels over one path.
//!
//! Invariants:
//! - nothing is sent to an address that did not pass an authenticated check, except the answer to that check;
//! - DTLS is heard only from such an address;
//! - keys exist only once the client has shown the certificate its description announced.

use std::time::Instant;

use bytes::Bytes;
use turn::stun;

use crate::{
    dtls::Certificate,
    event::Failure,
    params::{
        Channel, ChannelSetup, Consent, IceCredentials, Protocol, Remote, RemoteParameters, SrtpProfile,
    },
};

/// One client's association.
#[derive(Debug)]
pub struct Transport {}

/// What came of a STUN message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StunVerdict {
    /// An authenticated check: datagrams from its sender belong to this transport.
    Accepted,
    /// Authenticated, but answered with an error: its sender belongs to nobody.
    Refused,
    /// Not for us, not authentic or not a request: no answer was given.
    Ignored,
}

/// What a transport wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// A datagram is to be sent.
    Datagram {
        /// Where to.
        to: Remote,
        /// What.
        bytes: Vec<u8>,
    },
    /// Something happened.
    Event(TransportEvent),
}

/// What can happen to a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportEvent {
    /// ICE and DTLS are done and the certificate is the right one. Told again when a silent client is heard anew.
    Connected {
        /// How media is protected.
        profile: SrtpProfile,
        /// How datagrams travel.
        protocol: Protocol,
    },
    /// No check for [`Consent::disconnected`].
    Disconnected,
    /// Nothing can be sent: for ever, except that a client lost by silence may be heard anew.
    Failed(Failure),
    /// A data channel can carry messages.
    ChannelOpen(Channel),
    /// A message came.
    Message(Channel, Bytes),
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Longer than the client takes.
    #[error("a message of {0} bytes is too long")]
    TooLong(usize),
    /// The client does not drain its channel.
    #[error("the channel is full")]
    Full,
    /// There is no such channel, or it was closed.
    #[error("there is no such channel")]
    Closed,
}

impl Transport {
    /// A transport that waits for its client's first check.
    #[must_use]
    pub fn new(
        local: IceCredentials,
        setup: ChannelSetup,
        consent: Consent,
        certificate: &Certificate,
        seed: u64,
        now: Instant,
    ) -> Self {
        let _ = (local, setup, consent, certificate, seed, now);
        Self {}
    }

    /// What the client's description says; again when it restarts ICE.
    pub fn set_remote(&mut self, remote: RemoteParameters, now: Instant) {
        let _ = (remote, now);
    }

    /// New credentials of ours; the old path carries on until the client was heard with them.
    pub fn restart_ice(&mut self, local: IceCredentials, now: Instant) {
        let _ = (local, now);
    }

    /// A STUN message whose USERNAME begins with an ufrag of ours, or that came from a known address.
    pub fn handle_stun(&mut self, message: &stun::Message<'_>, from: Remote, now: Instant) -> StunVerdict {
        let _ = (message, from, now);
        StunVerdict::Ignored
    }

    /// A datagram that looks like DTLS (RFC 7983: first byte 20 to 63). Not heard unless `from` passed a check.
    pub fn handle_dtls(&mut self, datagram: &[u8], from: Remote, now: Instant) {
        let _ = (datagram, from, now);
    }

    /// A message for a data channel; kept, up to a limit, while the channel is not open yet.
    pub fn send(&mut self, channel: Channel, message: Bytes, now: Instant) -> Result<(), SendError> {
        let _ = (channel, message, now);
        Ok(())
    }

    /// Runs what is due.
    pub fn tick(&mut self, now: Instant) {
        let _ = now;
    }

    /// When [`Self::tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// What to do next; `None` when all is done.
    pub fn poll(&mut self) -> Option<Output> {
        None
    }

    /// Where media goes; `None` before the first check and after a failure.
    #[must_use]
    pub fn remote(&self) -> Option<Remote> {
        None
    }
}
