//! `GET /api/turn/credentials`: STUN and TURN servers with fresh credentials, for whoever has an access token that lets it
//! into a room: clients that outlive their first ones, and those that are not LiveKit's.
//!
//! Answered with `{"iceServers": [{"urls", "username", "credential"}], "ttl"}`: the list is what `RTCPeerConnection` takes.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Json,
    extract::State as Extract,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::State;

pub(super) async fn credentials(Extract(state): Extract<Arc<State>>, headers: HeaderMap) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = token.and_then(|value| value.strip_prefix("Bearer ")) else {
        return refuse(StatusCode::UNAUTHORIZED, "Send an access token: Authorization: Bearer …");
    };
    let now = SystemTime::now();
    let claims = match state.signaling.verify(token, now) {
        Ok(claims) => claims,
        Err(error) => return refuse(StatusCode::UNAUTHORIZED, &error.to_string()),
    };
    if !claims.video.as_ref().is_some_and(|grant| grant.room_join) || claims.identity.is_empty() {
        return refuse(StatusCode::FORBIDDEN, "The token lets nobody into a room.");
    }
    let servers: Vec<_> = state
        .turn
        .servers
        .mint(&claims.identity, now)
        .into_iter()
        .map(|server| match server.username.is_empty() {
            true => json!({ "urls": server.urls }),
            false => json!({
                "urls": server.urls,
                "username": server.username,
                "credential": server.credential,
            }),
        })
        .collect();
    let body = Json(json!({ "iceServers": servers, "ttl": state.turn.servers.ttl().as_secs() }));
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}
