//! Whether the process lives, and whether it should be sent clients.

use std::{sync::Arc, time::Instant};

use axum::{
    extract,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::State;
use crate::app::STALL_MAX;

/// Lives: it can answer at all.
pub(super) async fn live() -> &'static str {
    "OK"
}

/// Ready: not stopping, and every media worker turned a moment ago.
pub(super) async fn ready(extract::State(state): extract::State<Arc<State>>) -> Response {
    match readiness(&state) {
        Ok(()) => "OK".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}

pub(super) fn readiness(state: &State) -> Result<(), &'static str> {
    if state.is_draining() {
        return Err("Not Ready: stopping");
    }
    let now = Instant::now();
    let stalled = |updated: Option<Instant>| {
        let since = updated.unwrap_or(state.started);
        now.saturating_duration_since(since) > STALL_MAX
    };
    if state.sfu.counters().iter().any(|worker| stalled(worker.updated)) {
        return Err("Not Ready: a media worker stands still");
    }
    Ok(())
}
