//! One client's association: ICE-lite, DTLS, SRTP keys and data channels over one path.
//!
//! Invariants:
//! - nothing is sent to an address that did not pass an authenticated check, except the answer to that check;
//! - DTLS is heard only from such an address;
//! - keys exist only once the client has shown the certificate its description announced.

mod link;

use std::{collections::VecDeque, time::Duration, time::Instant};

use bytes::Bytes;
use turn::stun;

use self::link::{Link, LinkOutput};
pub use crate::channels::SendError;
use crate::{
    channels::{ChannelOutput, Channels},
    dtls::{Certificate, Server},
    event::Failure,
    ice::{Agent, Reply},
    params::{
        Channel, ChannelSetup, Consent, IceCredentials, Protocol, Remote, RemoteParameters, SrtpProfile,
    },
    srtp::Srtp,
};

/// From the first check to the end of the handshake. Higher: survives a worse path. Lower: less of a wait for an error.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// One client's association. After every call that changes it, poll until there is nothing left.
#[derive(Debug)]
pub struct Transport {
    agent: Agent,
    consent: Consent,
    liveness: Liveness,
    link: Link,
    channels: Channels,
    outputs: VecDeque<Output>,
}

/// Whether the client is there, as its checks tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Liveness {
    /// It never was.
    Unheard,
    /// It is. `since` the first check.
    Heard { since: Instant },
    /// No check for [`Consent::disconnected`].
    Disconnected { since: Instant },
    /// No check for [`Consent::failed`]: nothing is sent (RFC 7675 §5.1), yet it may come back.
    Lost { since: Instant },
    /// There is no way back.
    Failed,
}

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

impl Transport {
    /// A transport that waits for its client's first check.
    ///
    /// The seed counts with a certificate of [`Certificate::for_simulation`] only.
    #[must_use]
    pub fn new(
        local: IceCredentials,
        setup: ChannelSetup,
        consent: Consent,
        certificate: &Certificate,
        seed: u64,
        _now: Instant,
    ) -> Self {
        Self {
            agent: Agent::new(local),
            consent,
            liveness: Liveness::Unheard,
            link: Link::new(Box::new(Server::new(certificate, seed))),
            channels: Channels::new(setup),
            outputs: VecDeque::new(),
        }
    }

    /// What the client's description says; again when it restarts ICE.
    pub fn set_remote(&mut self, remote: RemoteParameters, now: Instant) {
        if self.liveness == Liveness::Failed {
            return;
        }
        self.agent.set_remote(&remote.ice);
        let result = self.link.expect(remote.fingerprint);
        self.settle(result, now);
    }

    /// New credentials of ours; the old path carries on until the client was heard with them.
    pub fn restart_ice(&mut self, local: IceCredentials, now: Instant) {
        self.agent.restart(local, now);
    }

    /// A STUN message whose USERNAME begins with an ufrag of ours, or that came from a known address.
    pub fn handle_stun(&mut self, message: &stun::Message<'_>, from: Remote, now: Instant) -> StunVerdict {
        if self.liveness == Liveness::Failed {
            return StunVerdict::Ignored;
        }
        match self.agent.handle(message, from, now) {
            Reply::Ignored => StunVerdict::Ignored,
            Reply::Refused(bytes) => {
                self.outputs.push_back(Output::Datagram { to: from, bytes });
                StunVerdict::Refused
            }
            Reply::Accepted(bytes) => {
                self.outputs.push_back(Output::Datagram { to: from, bytes });
                self.hear(now);
                StunVerdict::Accepted
            }
        }
    }

    /// A datagram that looks like DTLS (RFC 7983: first byte 20 to 63). Not heard unless `from` passed a check.
    pub fn handle_dtls(&mut self, datagram: &[u8], from: Remote, now: Instant) {
        if !self.sends() || !self.agent.knows(from, now) {
            return;
        }
        let result = self.link.handle(datagram, now);
        self.settle(result, now);
    }

    /// A message for a data channel; kept, up to a limit, while the channel is not open yet.
    pub fn send(&mut self, channel: Channel, message: Bytes, now: Instant) -> Result<(), SendError> {
        if self.liveness == Liveness::Failed {
            return Err(SendError::Closed);
        }
        let sent = self.channels.send(channel, message, now);
        self.settle(Ok(()), now);
        sent
    }

    /// Runs what is due.
    pub fn tick(&mut self, now: Instant) {
        self.check_consent(now);
        self.check_handshake(now);
        if !self.sends() {
            return;
        }
        let result = self.link.tick(now);
        self.channels.tick(now);
        self.settle(result, now);
    }

    /// When [`Self::tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let silence = match self.liveness {
            Liveness::Unheard | Liveness::Lost { .. } | Liveness::Failed => return None,
            Liveness::Heard { .. } => self.consent.disconnected.min(self.consent.failed),
            Liveness::Disconnected { .. } => self.consent.failed,
        };
        let consent = self.agent.heard().map(|heard| heard + silence);
        [consent, self.handshake_end(), self.link.deadline(), self.channels.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What to do next; `None` when all is done.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Where media goes; `None` before the first check and after a failure.
    #[must_use]
    pub fn remote(&self) -> Option<Remote> {
        if self.sends() { self.agent.selected() } else { None }
    }

    /// Protects media in both directions, once DTLS is done.
    pub fn srtp(&mut self) -> Option<&mut Srtp> {
        if self.liveness == Liveness::Failed {
            return None;
        }
        self.link.srtp()
    }

    /// Whether there is consent to send.
    fn sends(&self) -> bool {
        matches!(self.liveness, Liveness::Heard { .. } | Liveness::Disconnected { .. })
    }

    /// An authentic check came.
    fn hear(&mut self, now: Instant) {
        match self.liveness {
            Liveness::Heard { .. } | Liveness::Failed => {}
            Liveness::Unheard => self.liveness = Liveness::Heard { since: now },
            Liveness::Disconnected { since } | Liveness::Lost { since } => {
                self.liveness = Liveness::Heard { since };
                self.tell_connected();
            }
        }
    }

    fn tell_connected(&mut self) {
        let (Some(profile), Some(remote)) = (self.link.profile(), self.remote()) else { return };
        self.tell(TransportEvent::Connected { profile, protocol: remote.protocol });
    }

    /// RFC 7675: consent is as old as the last check on the path in use.
    fn check_consent(&mut self, now: Instant) {
        let Some(heard) = self.agent.heard() else { return };
        let (Liveness::Heard { since } | Liveness::Disconnected { since }) = self.liveness else { return };
        if heard + self.consent.failed <= now {
            self.liveness = Liveness::Lost { since };
            self.tell(TransportEvent::Failed(Failure::Silence));
        } else if heard + self.consent.disconnected <= now && self.liveness == (Liveness::Heard { since }) {
            self.liveness = Liveness::Disconnected { since };
            if self.link.profile().is_some() {
                self.tell(TransportEvent::Disconnected);
            }
        }
    }

    fn check_handshake(&mut self, now: Instant) {
        if self.handshake_end().is_some_and(|end| end <= now) {
            self.fail(Failure::Handshake);
        }
    }

    /// When a handshake that is not done will have failed.
    fn handshake_end(&self) -> Option<Instant> {
        let (Liveness::Heard { since } | Liveness::Disconnected { since }) = self.liveness else {
            return None;
        };
        match self.link.profile() {
            None => Some(since + HANDSHAKE_MAX),
            Some(_) => None,
        }
    }

    /// Carries what a change led to from layer to layer until all is still.
    fn settle(&mut self, result: Result<(), Failure>, now: Instant) {
        if let Err(failure) = result.and_then(|()| self.carry(now)) {
            self.fail(failure);
        }
    }

    fn carry(&mut self, now: Instant) -> Result<(), Failure> {
        loop {
            while let Some(output) = self.link.poll()? {
                match output {
                    LinkOutput::Datagram(bytes) => self.transmit(bytes),
                    LinkOutput::Up => self.tell_connected(),
                    LinkOutput::Data(packet) => self.channels.handle(&packet, now),
                }
            }
            match self.channels.poll() {
                None => return Ok(()),
                Some(ChannelOutput::Packet(packet)) => self.link.send(&packet, now)?,
                Some(ChannelOutput::Opened(channel)) => self.tell(TransportEvent::ChannelOpen(channel)),
                Some(ChannelOutput::Message(channel, message)) => {
                    self.tell(TransportEvent::Message(channel, message));
                }
            }
        }
    }

    /// What nobody consents to is dropped: whoever wrote it repeats it.
    fn transmit(&mut self, bytes: Vec<u8>) {
        if let Some(to) = self.remote() {
            self.outputs.push_back(Output::Datagram { to, bytes });
        }
    }

    fn fail(&mut self, failure: Failure) {
        if self.liveness != Liveness::Failed {
            self.liveness = Liveness::Failed;
            self.tell(TransportEvent::Failed(failure));
        }
    }

    fn tell(&mut self, event: TransportEvent) {
        self.outputs.push_back(Output::Event(event));
    }
}

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
