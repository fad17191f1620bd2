//! `POST /api/token`: tokens for whoever asks, so that the web page works at once. In development mode only, where
//! everybody knows the secret anyway; otherwise the route does not exist.
//!
//! Asked with `{"room", "name", "identity"?}`, answered with `{"token", "room", "identity"}` or `{"message"}`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json,
    extract::{self, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use signaling::token::{Claims, NumericDate, VideoGrant};

use super::State;

/// As long as the SDKs' default.
const TTL: Duration = Duration::from_secs(6 * 3_600);
/// Names and rooms: signaling's own limit.
const NAME_LEN_MAX: usize = 256;

/// Who wants to come in, and where.
#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    room: String,
    #[serde(default)]
    name: String,
    identity: Option<String>,
}

pub(super) async fn token(
    extract::State(state): extract::State<Arc<State>>,
    wish: Result<Json<Wish>, JsonRejection>,
) -> Response {
    let Ok(Json(wish)) = wish else {
        return refuse(StatusCode::BAD_REQUEST, "Send a JSON object with room and name.");
    };
    let (room, name) = (wish.room.trim(), wish.name.trim());
    let identity = match wish.identity.as_deref().map(str::trim) {
        Some(identity) if !identity.is_empty() => identity.to_string(),
        Some(_) | None => format!("guest-{:08x}", crate::app::random() >> 32),
    };
    if room.is_empty() {
        return refuse(StatusCode::BAD_REQUEST, "The room needs a name.");
    }
    if [room, name, &identity].iter().any(|text| text.len() > NAME_LEN_MAX) {
        return refuse(StatusCode::BAD_REQUEST, "A name is longer than 256 bytes.");
    }
    let Some((key, secret)) = &state.signing_key else {
        return refuse(StatusCode::NOT_FOUND, "There is no key to sign with.");
    };
    let now = SystemTime::now();
    let claims = Claims {
        key: key.clone(),
        identity: identity.clone(),
        name: name.into(),
        not_before: Some(NumericDate::of(now)),
        expires: Some(NumericDate::of(now + TTL)),
        video: Some(VideoGrant {
            room_join: true,
            room: room.into(),
            can_update_own_metadata: Some(true),
            ..VideoGrant::default()
        }),
        ..Claims::default()
    };
    match claims.sign(secret) {
        Ok(token) => Json(json!({ "token": token, "room": room, "identity": identity })).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}
