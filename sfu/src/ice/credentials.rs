//! Whose password a check has to be signed with: ours of this generation, and for a while after a restart of the last.
//!
//! Invariants:
//! - at most two generations of ours are good at any time, and the older one only for [`PREVIOUS_LIFETIME`];
//! - a generation is a pair: our ufrag of one with the client's of another is nobody's name.

use std::time::{Duration, Instant};

use turn::stun::IntegrityKey;

use crate::params::IceCredentials;

/// How long our credentials from before a restart are good. Higher: survives a slower exchange of descriptions. Lower:
/// whoever overheard the old ones is shut out sooner.
const PREVIOUS_LIFETIME: Duration = Duration::from_secs(5);

/// One pair: ours, and the client's as far as it is known.
#[derive(Debug)]
struct Generation {
    number: u32,
    ufrag: String,
    key: IntegrityKey,
    theirs: Theirs,
}

/// What the client calls itself.
#[derive(Debug)]
enum Theirs {
    /// Its description is on its way, and no check came yet.
    Unknown,
    /// Its description is on its way; this is what its checks say. They are signed with our password, which it can
    /// only have from our description.
    Assumed(String),
    /// From its description.
    Told(String),
}

/// Who signed a check.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    /// Signs the answer as well.
    pub(super) key: IntegrityKey,
    /// Which generation it is: they count from 0.
    pub(super) generation: u32,
}

/// What a description changes about what was heard before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing.
    Same,
    /// Checks of this generation came from somebody else.
    Stranger { generation: u32 },
}

/// Both sides' credentials.
#[derive(Debug)]
pub(super) struct Credentials {
    current: Generation,
    previous: Option<(Generation, Instant)>,
    /// The client's of the next generation: its description came before we began ours.
    next: Option<String>,
}

impl Credentials {
    pub(super) fn new(local: IceCredentials) -> Self {
        Self { current: Generation::new(0, local, Theirs::Unknown), previous: None, next: None }
    }

    /// A new generation of ours (RFC 8445 §9). Whichever side began the restart, the client's part of it either came
    /// already or is on its way.
    pub(super) fn restart(&mut self, local: IceCredentials, now: Instant) {
        if local.ufrag == self.current.ufrag {
            return;
        }
        let theirs = self.next.take().map_or(Theirs::Unknown, Theirs::Told);
        let next = Generation::new(self.current.number.saturating_add(1), local, theirs);
        let old = std::mem::replace(&mut self.current, next);
        self.previous = Some((old, now + PREVIOUS_LIFETIME));
    }

    /// The client's credentials, from its description.
    pub(super) fn set_remote(&mut self, remote: &IceCredentials) -> Told {
        if self.is_previous(remote.ufrag.as_bytes()) {
            return Told::Same;
        }
        let told = match &self.current.theirs {
            Theirs::Told(known) => {
                if *known != remote.ufrag {
                    self.next = Some(remote.ufrag.clone());
                }
                return Told::Same;
            }
            Theirs::Assumed(heard) if *heard != remote.ufrag => {
                Told::Stranger { generation: self.current.number }
            }
            Theirs::Assumed(_) | Theirs::Unknown => Told::Same,
        };
        self.current.theirs = Theirs::Told(remote.ufrag.clone());
        told
    }

    /// The key a check with this username has to be signed with.
    pub(super) fn find(&mut self, ours: &[u8], theirs: &[u8], now: Instant) -> Option<Signer> {
        if self.previous.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.previous = None;
        }
        if self.current.ufrag.as_bytes() == ours {
            // A client that took our new name and still has its old one is in the middle of its restart. Were it
            // answered, libwebrtc would keep the half-new path and never check the new one.
            let halfway = self.current.number > 0 && self.is_previous(theirs);
            return (self.current.theirs.may_be(theirs) && !halfway).then(|| self.current.signer());
        }
        let (previous, _) = self.previous.as_ref()?;
        (previous.ufrag.as_bytes() == ours && previous.theirs.may_be(theirs)).then(|| previous.signer())
    }

    /// Notes what an authentic check calls its sender, as long as nothing better is known.
    pub(super) fn heard(&mut self, signer: &Signer, theirs: &[u8]) {
        if self.current.number == signer.generation && matches!(self.current.theirs, Theirs::Unknown) {
            self.current.theirs = Theirs::Assumed(String::from_utf8_lossy(theirs).into_owned());
        }
    }

    fn is_previous(&self, theirs: &[u8]) -> bool {
        let Some((previous, _)) = &self.previous else { return false };
        match &previous.theirs {
            Theirs::Unknown => false,
            Theirs::Assumed(name) | Theirs::Told(name) => name.as_bytes() == theirs,
        }
    }
}

impl Generation {
    fn new(number: u32, local: IceCredentials, theirs: Theirs) -> Self {
        Self { number, key: IntegrityKey::short_term(&local.pwd.0), ufrag: local.ufrag, theirs }
    }

    fn signer(&self) -> Signer {
        Signer { key: self.key.clone(), generation: self.number }
    }
}

impl Theirs {
    fn may_be(&self, name: &[u8]) -> bool {
        match self {
            Self::Unknown => !name.is_empty(),
            Self::Assumed(known) | Self::Told(known) => known.as_bytes() == name,
        }
    }
}
