//! Every route of the house in one table.
//!
//! | path | who answers |
//! |---|---|
//! | `/`, `/r/…`, files | [`web`]: the web client; `/` says `OK` to whoever does not ask for HTML |
//! | `/rtc`, `/rtc/v1`, `…/validate` | signaling |
//! | `/twirp/livekit.<Service>/<Method>` | [`crate::livekit`] |
//! | `/api/turn/credentials` | [`turn`]: STUN and TURN servers for who has an access token |
//! | `/api/token` | [`dev`]: tokens for whoever asks, in development mode only |
//! | `/healthz`, `/readyz` | [`health`] |
//! | `/metrics` | [`metrics`] |

mod cors;
pub mod dev;
pub mod health;
pub mod metrics;
mod serve;
mod turn;
pub mod web;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{StatusCode, Uri, uri::PathAndQuery},
    middleware,
    routing::{any, get, post},
};
use sfu::{io::Sfu, params::Secret};
use signaling::Signaling;

pub(crate) use self::serve::serve;
use crate::{
    config::{Config, Mode},
    livekit,
    turn::Turn,
};

/// The largest body the server API reads: what LiveKit allows.
pub const BODY_MAX: usize = 10 << 20;

/// What the routes share.
pub struct State {
    /// Conversations.
    pub signaling: Signaling,
    /// The media plane.
    pub sfu: Sfu,
    /// The relay, and what clients are told of it.
    pub turn: Arc<Turn>,
    pub(crate) mode: Mode,
    pub(crate) metrics_elsewhere: bool,
    pub(crate) signing_key: Option<(String, Secret<String>)>,
    pub(crate) node_id: String,
    pub(crate) started: Instant,
    draining: AtomicBool,
    calls: Mutex<BTreeMap<livekit::CallKey, u64>>,
}

impl State {
    /// Ready to serve.
    #[must_use]
    pub fn new(config: &Config, signaling: Signaling, sfu: Sfu, turn: Arc<Turn>) -> Self {
        let key = config.keys.first_key_value().map(|(key, secret)| (key.clone(), secret.clone()));
        Self {
            signaling,
            sfu,
            turn,
            mode: config.mode,
            metrics_elsewhere: config.metrics.is_some(),
            signing_key: key,
            node_id: config.node_id.clone(),
            started: Instant::now(),
            draining: AtomicBool::new(false),
            calls: Mutex::default(),
        }
    }

    /// From here on load balancers should look elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn count_call(&self, key: livekit::CallKey) {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
    }

    pub(crate) fn calls(&self) -> BTreeMap<livekit::CallKey, u64> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The routes, as clients see them.
pub fn router(state: &Arc<State>) -> Router {
    let mut routes = Router::new()
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/api/turn/credentials", get(turn::credentials))
        .route("/twirp/{service}/{method}", any(livekit::serve))
        .route("/", get(web::root))
        .fallback(web::file);
    if state.mode == Mode::Development {
        routes = routes.route("/api/token", post(dev::token));
    }
    if !state.metrics_elsewhere {
        routes = routes.route("/metrics", get(metrics::show));
    }
    let routes = routes
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Arc::clone(state))
        .merge(state.signaling.router())
        .layer(middleware::from_fn(cors::any_origin));
    // Paths are mended before they are routed, so the routes stand behind a router of their own.
    Router::new().fallback_service(routes).layer(middleware::map_request(collapse_slashes))
}

/// What is served beside, away from the public.
pub fn metrics_router(state: &Arc<State>) -> Router {
    Router::new()
        .route("/metrics", get(metrics::show))
        .route("/", get(metrics::show))
        .with_state(Arc::clone(state))
}

/// SDKs append `/rtc` to whatever they are given, `ws://host/` too.
async fn collapse_slashes(mut request: Request) -> Result<Request, StatusCode> {
    let Some(path) = request.uri().path_and_query().filter(|path| path.as_str().starts_with("//")) else {
        return Ok(request);
    };
    let mended = format!("/{}", path.as_str().trim_start_matches('/'));
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(mended).map_err(|_| StatusCode::BAD_REQUEST)?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(request)
}
