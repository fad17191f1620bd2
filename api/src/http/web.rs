//! The web client from inside the binary.
//!
//! `build.rs` puts the files of `web/dist` here. When they were not built there is one page that says how to.
//!
//! Invariant: files under `assets/` carry a digest in their names and never change; everything else is asked for anew.

use std::sync::Arc;

use axum::{
    body::Body,
    extract,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::{State, health};

/// One file of the web client.
struct File {
    /// From the root of the site, without a leading slash.
    path: &'static str,
    kind: &'static str,
    etag: &'static str,
    bytes: &'static [u8],
    /// The same, compressed, where that is shorter.
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/web.rs"));

/// What is said when the client is not there.
pub const MISSING: &str = "The web page was not built: install Node.js 20 or later and build again.";

/// What the page needs and no more; it is tested under the same line.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; \
     connect-src 'self' ws: wss:; worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// Whether the client is inside.
#[must_use]
pub fn is_built() -> bool {
    !FILES.is_empty()
}

/// People get the page; load balancers and SDKs get LiveKit's health answer.
pub(super) async fn root(extract::State(state): extract::State<Arc<State>>, headers: HeaderMap) -> Response {
    if wants_html(&headers) {
        return page("index.html", &headers);
    }
    match health::readiness(&state) {
        Ok(()) => "OK".into_response(),
        Err(why) => (StatusCode::NOT_ACCEPTABLE, why).into_response(),
    }
}

pub(super) async fn file(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::NOT_FOUND.into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if path.strip_prefix("r/").is_some_and(|room| !room.trim_end_matches('/').contains('/')) {
        return page("r/index.html", &headers);
    }
    match FILES.iter().find(|file| file.path == path) {
        Some(file) => send(file, &headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn page(path: &str, headers: &HeaderMap) -> Response {
    match FILES.iter().find(|file| file.path == path) {
        Some(file) => send(file, headers),
        None => missing(),
    }
}

fn send(file: &File, headers: &HeaderMap) -> Response {
    let asked = |name, text: &str| {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|value| value.contains(text))
    };
    let immutable = file.path.starts_with("assets/");
    let caching = if immutable { FOR_EVER } else { ASK_AGAIN };
    if asked(header::IF_NONE_MATCH, file.etag) {
        return (StatusCode::NOT_MODIFIED, [(header::CACHE_CONTROL, caching)]).into_response();
    }
    let zipped = file.gzip.filter(|_| asked(header::ACCEPT_ENCODING, "gzip"));
    let mut response = Response::new(Body::from(zipped.unwrap_or(file.bytes)));
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
    out.insert(header::ETAG, HeaderValue::from_static(file.etag));
    out.insert(header::CACHE_CONTROL, caching);
    out.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    out.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    out.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    if zipped.is_some() {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn missing() -> Response {
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sabha</title>\
         <body><h1>Sabha is running</h1><p>{MISSING}</p><pre>cd api/web &amp;&amp; npm ci &amp;&amp; npm run build\n\
         cargo build --release</pre><p>LiveKit clients and server SDKs can use this server meanwhile.</p></body></html>"
    );
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")))
}
