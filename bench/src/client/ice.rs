//! The client's side of ICE (RFC 8445) towards a server that is lite or waits: checks, consent, answers.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sfu::transport::testing::Rng;
use turn::stun::{Builder, Class, IntegrityKey, Message, Method, TransactionId};

/// Until the first answer, as libwebrtc on a path that is not known to work.
const CHECKING: Duration = Duration::from_millis(50);
/// As libwebrtc on a path that works; RFC 7675 §5.1 asks for it every five seconds.
const CONSENT: Duration = Duration::from_millis(2_500);
/// RFC 7675 §5.1: consent that was not renewed for so long is gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// RFC 8445 §5.1.2.1: a host candidate over IPv4, component 1.
const PRIORITY: u32 = 126 << 24 | 65_535 << 8 | 255;

/// One side's user fragment and password.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
}

impl Credentials {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        Self {
            ufrag: format!("{:08x}", rng.draw() & 0xffff_ffff),
            pwd: format!("{:016x}{:016x}", rng.draw(), rng.draw()),
        }
    }
}

/// RFC 8445 §6.1.1: who offered chooses the path, unless the other side is lite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Controlling,
    Controlled,
}

/// What came of a STUN message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The far end answered a check from here.
    Answered(SocketAddr),
    /// It wants this many bytes of the buffer sent back.
    Reply(usize),
    Nothing,
}

/// The checks of one peer connection.
#[derive(Debug)]
pub(crate) struct Ice {
    username: String,
    theirs: IntegrityKey,
    ours: IntegrityKey,
    candidates: Vec<SocketAddr>,
    role: Role,
    tiebreaker: u64,
    next: Instant,
    heard: Instant,
    pub(crate) path: Option<SocketAddr>,
}

impl Ice {
    pub(crate) fn new(
        role: Role,
        local: &Credentials,
        remote: &Credentials,
        candidates: Vec<SocketAddr>,
        rng: &mut Rng,
        now: Instant,
    ) -> Self {
        Self {
            username: format!("{}:{}", remote.ufrag, local.ufrag),
            theirs: IntegrityKey::short_term(&remote.pwd),
            ours: IntegrityKey::short_term(&local.pwd),
            candidates,
            role,
            tiebreaker: rng.draw(),
            next: now,
            heard: now,
            path: None,
        }
    }

    /// One more place where the far end may be.
    pub(crate) fn add(&mut self, candidate: SocketAddr, now: Instant) {
        if self.path.is_none() && !self.candidates.contains(&candidate) {
            self.candidates.push(candidate);
            self.next = now;
        }
    }

    pub(crate) const fn deadline(&self) -> Instant {
        self.next
    }

    pub(crate) fn is_lost(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) > PATIENCE
    }

    /// Where checks are due to be sent to now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<SocketAddr> {
        if self.next > now {
            return Vec::new();
        }
        self.next = now + if self.path.is_some() { CONSENT } else { CHECKING };
        self.path.map_or_else(|| self.candidates.clone(), |path| vec![path])
    }

    /// Writes a check.
    pub(crate) fn check(&self, rng: &mut Rng, out: &mut [u8]) -> usize {
        let (mut id, draws) = ([0; 12], [rng.draw().to_be_bytes(), rng.draw().to_be_bytes()]);
        for (place, byte) in id.iter_mut().zip(draws.into_iter().flatten()) {
            *place = byte;
        }
        let check = Builder::new(Class::Request, Method::BINDING, TransactionId(id), out)
            .username(self.username.as_bytes())
            .priority(PRIORITY);
        let check = match self.role {
            Role::Controlling => check.ice_controlling(self.tiebreaker).use_candidate(),
            Role::Controlled => check.ice_controlled(self.tiebreaker),
        };
        check.integrity(&self.theirs).fingerprint().finish().unwrap_or(0)
    }

    /// Reads a STUN message; an answer to it is written to `out`.
    pub(crate) fn handle(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        out: &mut [u8],
        now: Instant,
    ) -> Outcome {
        let Ok(message) = Message::parse(datagram) else { return Outcome::Nothing };
        match message.class() {
            Class::Success if message.check_integrity(&self.theirs).is_ok() => {
                self.heard = now;
                let path = *self.path.get_or_insert(from);
                Outcome::Answered(path)
            }
            Class::Request if message.check_integrity(&self.ours).is_ok() => {
                let len = Builder::new(Class::Success, Method::BINDING, message.transaction_id(), out)
                    .xor_mapped_address(from)
                    .integrity(&self.ours)
                    .fingerprint()
                    .finish();
                len.map_or(Outcome::Nothing, Outcome::Reply)
            }
            Class::Success | Class::Request | Class::Error | Class::Indication => Outcome::Nothing,
        }
    }
}
