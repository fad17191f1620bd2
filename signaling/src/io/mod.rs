//! The outside of signaling: WebSockets, tasks and the clock.
//!
//! Invariant: a room is touched by its own task alone; everybody else sends it messages.
#![expect(clippy::disallowed_methods, reason = "the clock is read here and told to the cores")]
#![expect(clippy::disallowed_types, reason = "the table of open rooms is shared by all connections")]

mod media;
mod registry;
mod rooms;
mod router;
mod service;
mod task;
#[cfg(test)]
mod tests;
mod websocket;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

pub use media::{Busy, Commands, Media, MediaRoom};
use registry::Registry;

use crate::{
    config::Config,
    ids::SessionId,
    token::{Claims, TokenError},
};

/// Signaling as a whole: cheap to clone, every clone is the same.
#[derive(Clone)]
pub struct Signaling {
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<Config>,
    media: Box<dyn Media>,
    rooms: Registry,
    next_room: AtomicU64,
    next_session: AtomicU64,
}

/// How much there is at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Open rooms.
    pub rooms: u64,
    /// Participants in them.
    pub participants: u64,
    /// Published tracks.
    pub tracks: u64,
    /// Tracks forwarded to somebody.
    pub subscriptions: u64,
}

/// How long a stop waits for clients to be told.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(3);

impl Signaling {
    /// Begins without rooms.
    #[must_use]
    pub fn new(config: Config, media: impl Media) -> Self {
        let shared = Shared {
            config: Arc::new(config),
            media: Box::new(media),
            rooms: Registry::default(),
            next_room: AtomicU64::new(1),
            next_session: AtomicU64::new(1),
        };
        Self { shared: Arc::new(shared) }
    }

    /// `/rtc`, `/rtc/v1` and their `validate`.
    pub fn router(&self) -> axum::Router {
        router::router(self.clone())
    }

    /// Who bears a token, and what they may do.
    ///
    /// # Errors
    /// Says why it is not taken.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Claims, TokenError> {
        Claims::verify(token, &self.shared.config.keys, now)
    }

    /// What operators decided.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// How much there is.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for entry in self.shared.rooms.all() {
            let snapshot = entry.snapshot.borrow();
            stats.rooms = stats.rooms.saturating_add(1);
            stats.participants = stats.participants.saturating_add(snapshot.participants);
            stats.tracks = stats.tracks.saturating_add(snapshot.tracks);
            stats.subscriptions = stats.subscriptions.saturating_add(snapshot.subscriptions);
        }
        stats
    }

    /// Tells everybody that the node stops and ends all rooms.
    pub async fn shutdown(&self) {
        let entries = self.shared.rooms.all();
        for entry in &entries {
            let _ = entry.inbox.send(task::Message::Shutdown).await;
        }
        let ended = async {
            for entry in &entries {
                entry.inbox.closed().await;
            }
        };
        if tokio::time::timeout(SHUTDOWN_WAIT, ended).await.is_err() {
            tracing::warn!("some rooms did not end in time");
        }
    }

    fn session_id(&self) -> SessionId {
        SessionId(self.shared.next_session.fetch_add(1, Ordering::Relaxed))
    }
}
