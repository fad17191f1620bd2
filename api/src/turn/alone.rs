//! The relay without a media server: near its users, for media servers elsewhere.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::spawn_blocking, time::sleep};
use turn::{io::Relay, policy::Reach, server::Alternate};

use super::{TurnError, accounts, settings};
use crate::config::Config;

/// How often a draining relay looks whether everybody has left.
const LOOK: Duration = Duration::from_millis(250);

/// Why a relay does not run alone.
#[derive(Debug, thiserror::Error)]
pub enum AloneError {
    /// It does not start.
    #[error(transparent)]
    Turn(#[from] TurnError),
    /// Nobody could use it.
    #[error("a relay on its own needs turn.secret (the media servers' turn.servers_secret) or turn.users")]
    Nobody,
    /// It could reach nothing.
    #[error(
        "a relay on its own reaches nothing: name the media servers in turn.allow_peers, or set turn.peers"
    )]
    Nowhere,
}

/// Runs until `stop` says so once, then lets allocations end for as long as a stop may take; said twice, ends at once.
pub async fn run_alone(
    config: &Config,
    mut stop: mpsc::Receiver<()>,
    ready: impl FnOnce(&Relay),
) -> Result<(), AloneError> {
    let turn = &config.turn;
    if turn.secrets.is_empty() && turn.users.is_empty() {
        return Err(AloneError::Nobody);
    }
    if turn.allow.is_empty() && turn.reach == Reach::Neighbours {
        return Err(AloneError::Nowhere);
    }
    let (settings, _) = settings(config, Vec::new())?;
    let relay = Arc::new(Relay::start(settings, accounts(config)).map_err(TurnError::from)?);
    ready(&relay);
    stop.recv().await;
    relay.drain(Alternate::default());
    tracing::info!("draining");
    let empty = async {
        while relay.stats().iter().any(|worker| worker.relay.allocations != [0; 3]) {
            sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = empty => {}
        () = sleep(config.stop_timeout) => tracing::warn!("allocations were left"),
        _ = stop.recv() => tracing::warn!("stopped at once"),
    }
    let _ = spawn_blocking(move || relay.stop()).await;
    Ok(())
}
