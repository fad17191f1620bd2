//! Any page may call: tokens protect, origins do not. No answer goes without these headers, refusals least of all.

use axum::{
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

const METHODS: HeaderValue = HeaderValue::from_static("OPTIONS, HEAD, GET, POST, PATCH, DELETE");
const ANY: HeaderValue = HeaderValue::from_static("*");
const A_DAY: HeaderValue = HeaderValue::from_static("86400");

pub(super) async fn any_origin(request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        return next.run(request).await;
    };
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response =
        if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANY);
    if is_preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(ANY));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, A_DAY);
    }
    response
}
