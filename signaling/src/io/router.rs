//! The HTTP side: checks before the upgrade, `validate`, CORS.
//!
//! Invariant: whoever may not come in gets an HTTP status, never an open WebSocket.

use std::time::SystemTime;

use axum::{
    Router,
    extract::{FromRequestParts, Request, State, WebSocketUpgrade},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::any,
};
use tokio::sync::mpsc;

use super::{Signaling, task::SINK_MAX, websocket};
use crate::{
    admission::{Admission, Existence, admit},
    error::Refusal,
    room::{Join, farewell},
    token::Claims,
    wire::{
        frame::FRAME_LEN_MAX,
        join::{Door, JoinParameters},
        proto,
    },
};

pub(super) fn router(signaling: Signaling) -> Router {
    Router::new()
        .route("/rtc", any(v0))
        .route("/rtc/v1", any(v1))
        .route("/rtc/validate", any(validate_v0))
        .route("/rtc/v1/validate", any(validate_v1))
        .layer(middleware::from_fn(cross_origin))
        .with_state(signaling)
}

async fn v0(State(signaling): State<Signaling>, request: Request) -> Response {
    connect(signaling, Door::V0, request).await
}

async fn v1(State(signaling): State<Signaling>, request: Request) -> Response {
    connect(signaling, Door::V1, request).await
}

async fn validate_v0(State(signaling): State<Signaling>, request: Request) -> Response {
    validate(&signaling, Door::V0, &request)
}

async fn validate_v1(State(signaling): State<Signaling>, request: Request) -> Response {
    validate(&signaling, Door::V1, &request)
}

fn validate(signaling: &Signaling, door: Door, request: &Request) -> Response {
    match check(signaling, door, request) {
        Ok(_) => "success".into_response(),
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    tracing::debug!(%status, text = refusal.text, "connection refused");
    (status, refusal.text.clone()).into_response()
}

/// All that is checked before anything is made.
fn check(
    signaling: &Signaling,
    door: Door,
    request: &Request,
) -> Result<(Admission, JoinParameters), Refusal> {
    let query = request.uri().query().unwrap_or_default();
    let claims = bearer(signaling, request.headers(), query)?;
    if claims.as_ref().is_none_or(|claims| claims.video.is_none()) {
        return Err(Refusal::denied());
    }
    let user_agent = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let parameters = JoinParameters::read(door, query, user_agent.unwrap_or_default())?;
    let admission = admit(claims, &parameters, signaling.config(), |room| {
        if signaling.shared.rooms.find(room).is_some() { Existence::Open } else { Existence::Missing }
    })?;
    Ok((admission, parameters))
}

fn bearer(signaling: &Signaling, headers: &HeaderMap, query: &str) -> Result<Option<Claims>, Refusal> {
    // An empty header is as good as none.
    let token = match headers.get(header::AUTHORIZATION).filter(|value| !value.is_empty()) {
        Some(value) => {
            let bearer = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
            let text = "invalid authorization header. Must start with Bearer ";
            bearer.ok_or_else(|| Refusal::new(401, text))?.to_string()
        }
        None => {
            let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "access_token");
            found.map(|(_, token)| token.into_owned()).unwrap_or_default()
        }
    };
    if token.is_empty() {
        return Ok(None);
    }
    let verdict = signaling.verify(&token, SystemTime::now());
    verdict.map(Some).map_err(|error| Refusal::new(401, error.to_string()))
}

async fn connect(signaling: Signaling, door: Door, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let request = Request::from_parts(parts, body);
    let (admission, parameters) = match check(&signaling, door, &request) {
        Ok(admitted) => admitted,
        Err(refusal) => return refused(&refusal),
    };
    let upgrade = upgrade.max_message_size(FRAME_LEN_MAX).max_frame_size(FRAME_LEN_MAX);
    let (sink, queue) = mpsc::channel(SINK_MAX);
    let session = signaling.session_id();
    let resumes = parameters.resume.is_some();
    let wish = wish(&admission);
    let join = Join { session, claims: admission.claims, parameters };
    let entry = if resumes {
        signaling.resume(&admission.room, &join, &sink).await
    } else {
        match signaling.join(&wish, &join, &sink).await {
            Ok(entry) => Some(entry),
            Err(error) => return refused(&Refusal::new(503, error.to_string())),
        }
    };
    drop(sink);
    match entry {
        Some(entry) => websocket::serve(upgrade, session, entry.inbox, queue),
        None => websocket::say_and_close(upgrade, farewell::session_unknown(join.parameters.client.protocol)),
    }
}

/// The room as the first bearer's token wants it.
fn wish(admission: &Admission) -> proto::CreateRoomRequest {
    let config = admission.claims.room_config.clone().unwrap_or_default();
    proto::CreateRoomRequest {
        name: admission.room.clone(),
        room_preset: admission.claims.room_preset.clone(),
        empty_timeout: config.empty_timeout,
        departure_timeout: config.departure_timeout,
        max_participants: config.max_participants,
        metadata: config.metadata,
        tags: config.tags,
        min_playout_delay: config.min_playout_delay,
        max_playout_delay: config.max_playout_delay,
        sync_streams: config.sync_streams,
        ..Default::default()
    }
}

/// Any page may call: tokens protect, origins do not.
async fn cross_origin(request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let preflight = request.method() == Method::OPTIONS && origin.is_some();
    let mut response =
        if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.unwrap_or(HeaderValue::from_static("*")));
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    if preflight {
        const METHODS: HeaderValue = HeaderValue::from_static("OPTIONS, HEAD, GET, POST, PATCH, DELETE");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(HeaderValue::from_static("*")));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
    response
}
