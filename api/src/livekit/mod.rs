//! LiveKit's server API: Twirp calls to `/twirp/livekit.<Service>/<Method>`.
//!
//! Invariants:
//! - a call is answered in the form it came in, protobuf or JSON; an error always in JSON;
//! - nothing is done for a caller before its token was checked, and nothing in a room its token does not name.

mod elsewhere;
mod json;
mod room_service;
mod twirp;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{self, Path, Request},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use signaling::token::Claims;
use tokio::time::timeout;

use self::twirp::{Call, Code, Codec, Refusal};
use crate::http::{BODY_MAX, State};

/// What calls are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallKey {
    /// The service; `other` for what is unknown, so that callers cannot make up labels.
    pub service: &'static str,
    /// The method.
    pub method: &'static str,
    /// `ok`, or Twirp's code.
    pub code: &'static str,
}

/// Answers any call.
pub async fn serve(
    extract::State(state): extract::State<Arc<State>>,
    Path((service, method)): Path<(String, String)>,
    request: Request,
) -> Response {
    let service = service.strip_prefix("livekit.").unwrap_or_default();
    let found = route(service, &method);
    let (service_label, method_label) =
        found.map_or(("other", "other"), |route| (route.service, route.method));
    let outcome = match found {
        Some(found) => answer(&state, found, request).await,
        None => Err(Failure::Refused(no_handler(request.uri().path()))),
    };
    let (code, response) = match outcome {
        Ok(response) => ("ok", response),
        Err(Failure::Refused(refusal)) => (refusal.code.name(), refusal.into_response()),
        Err(Failure::Plain(status, text)) => ("http", (status, text).into_response()),
    };
    state.count_call(CallKey { service: service_label, method: method_label, code });
    response
}

/// A method that exists.
#[derive(Clone, Copy)]
struct Route {
    service: &'static str,
    method: &'static str,
}

fn route(service: &str, method: &str) -> Option<Route> {
    let rooms = (service == "RoomService").then_some(("RoomService", room_service::METHODS));
    let (service, methods) = rooms.or_else(|| elsewhere::methods(service))?;
    let method = methods.iter().find(|known| **known == method)?;
    Some(Route { service, method })
}

/// Why a call has no answer.
enum Failure {
    /// As Twirp says it.
    Refused(Refusal),
    /// Before Twirp was reached.
    Plain(StatusCode, String),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

async fn answer(state: &State, route: Route, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let claims = bearer(state, &parts.headers, parts.uri.query().unwrap_or_default())?;
    if parts.method != Method::POST {
        let text = format!("unsupported method {:?} (only POST is allowed)", parts.method.as_str());
        return Err(Refusal::new(Code::BadRoute, text).into());
    }
    let codec = Codec::of(&parts.headers)?;
    let body = read(body).await?;
    let Some(claims) = claims else { return Err(Refusal::denied().into()) };
    let call = Call { codec, claims, body };
    let answered = match route.service {
        "RoomService" => room_service::answer(&state.signaling, route.method, &call).await,
        service => elsewhere::answer(service, route.method, &call),
    };
    Ok(answered?)
}

/// How long a caller may take to send its request.
const BODY_TIME: Duration = Duration::from_secs(30);

async fn read(body: Body) -> Result<Bytes, Failure> {
    let plain = |status: StatusCode| Failure::Plain(status, status.to_string());
    match timeout(BODY_TIME, to_bytes(body, BODY_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(plain(StatusCode::PAYLOAD_TOO_LARGE)),
        Err(_) => Err(plain(StatusCode::REQUEST_TIMEOUT)),
    }
}

/// Whoever comes with a bad token is refused before anything else, as LiveKit does it: in plain text.
fn bearer(state: &State, headers: &HeaderMap, query: &str) -> Result<Option<Claims>, Failure> {
    let unauthorized = |text: String| Failure::Plain(StatusCode::UNAUTHORIZED, text);
    // An empty header is as good as none.
    let token = match headers.get(header::AUTHORIZATION).filter(|value| !value.is_empty()) {
        Some(value) => {
            let bearer = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
            bearer
                .ok_or_else(|| unauthorized("invalid authorization header. Must start with Bearer ".into()))?
        }
        // A token has no character that a query would escape.
        None => query.split('&').find_map(|pair| pair.strip_prefix("access_token=")).unwrap_or_default(),
    };
    if token.is_empty() {
        return Ok(None);
    }
    let verdict = state.signaling.verify(token, SystemTime::now());
    verdict.map(Some).map_err(|error| unauthorized(error.to_string()))
}

fn no_handler(path: &str) -> Refusal {
    Refusal::new(Code::BadRoute, format!("no handler for path {path:?}"))
}
