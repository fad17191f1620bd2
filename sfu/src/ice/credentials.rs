//! Whose password a check has to be signed with: ours now, and for a while after a restart, ours before.
//!
//! Invariant: at most two generations of ours are good at any time, and the older one only for [`PREVIOUS_LIFETIME`].

use std::time::{Duration, Instant};

use turn::stun::IntegrityKey;

use crate::params::IceCredentials;

/// How long our credentials from before a restart are good. Higher: survives a slower exchange of descriptions. Lower:
/// whoever overheard the old ones is shut out sooner.
const PREVIOUS_LIFETIME: Duration = Duration::from_secs(5);

/// One pair of ours.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    ufrag: String,
    /// Signs checks and answers.
    pub(super) key: IntegrityKey,
    /// Counts restarts.
    pub(super) number: u32,
}

/// Both sides' credentials, as far as they are known.
#[derive(Debug)]
pub(super) struct Credentials {
    current: Generation,
    previous: Option<(Generation, Instant)>,
    remote: RemoteUfrag,
}

/// What the client calls itself.
#[derive(Debug)]
enum RemoteUfrag {
    /// Its description is on its way, and no check came yet.
    Unknown,
    /// Its description is on its way; this is what its checks say. They are signed with our password, which it can
    /// only have from our description.
    Assumed(String),
    /// From its description, with the one before that.
    Told { now: String, before: Option<String> },
}

impl Credentials {
    pub(super) fn new(local: IceCredentials) -> Self {
        Self { current: Generation::new(local, 0), previous: None, remote: RemoteUfrag::Unknown }
    }

    pub(super) fn restart(&mut self, local: IceCredentials, now: Instant) {
        if local.ufrag == self.current.ufrag {
            return;
        }
        let next = Generation::new(local, self.current.number.saturating_add(1));
        let old = std::mem::replace(&mut self.current, next);
        self.previous = Some((old, now + PREVIOUS_LIFETIME));
    }

    /// Whether what was heard so far came from this client.
    pub(super) fn set_remote(&mut self, remote: &IceCredentials) -> bool {
        let told = |before| RemoteUfrag::Told { now: remote.ufrag.clone(), before };
        match &self.remote {
            RemoteUfrag::Unknown => {
                self.remote = told(None);
                true
            }
            RemoteUfrag::Assumed(heard) => {
                let same = *heard == remote.ufrag;
                self.remote = told(None);
                same
            }
            RemoteUfrag::Told { now, .. } => {
                if *now != remote.ufrag {
                    self.remote = told(Some(now.clone()));
                }
                true
            }
        }
    }

    /// The generation a username belongs to.
    pub(super) fn find(&mut self, ours: &[u8], theirs: &[u8], now: Instant) -> Option<&Generation> {
        if !self.remote.may_be(theirs) {
            return None;
        }
        if self.previous.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.previous = None;
        }
        if self.current.ufrag.as_bytes() == ours {
            return Some(&self.current);
        }
        let (previous, _) = self.previous.as_ref()?;
        (previous.ufrag.as_bytes() == ours).then_some(previous)
    }

    /// Notes what an authentic check calls its sender, as long as nothing better is known.
    pub(super) fn assume_remote(&mut self, theirs: &[u8]) {
        if matches!(self.remote, RemoteUfrag::Unknown) {
            self.remote = RemoteUfrag::Assumed(String::from_utf8_lossy(theirs).into_owned());
        }
    }
}

impl Generation {
    fn new(local: IceCredentials, number: u32) -> Self {
        Self { key: IntegrityKey::short_term(&local.pwd.0), ufrag: local.ufrag, number }
    }
}

impl RemoteUfrag {
    /// While a restart is under way either side may be ahead of the other, so the name before counts as well.
    fn may_be(&self, theirs: &[u8]) -> bool {
        match self {
            Self::Unknown => !theirs.is_empty(),
            Self::Assumed(heard) => heard.as_bytes() == theirs,
            Self::Told { now, before } => {
                now.as_bytes() == theirs || before.as_ref().is_some_and(|before| before.as_bytes() == theirs)
            }
        }
    }
}
