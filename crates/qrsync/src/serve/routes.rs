use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use hyper::http::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::live::Live;

const PAGE: &str = include_str!("page.html");

/// The page may run its own script and ask where it came from, and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:";

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
/// Prometheus' text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer to a request; what it carries besides method and path does not matter.
pub(super) fn respond<B>(
    request: &Request<B>,
    metrics: &PrometheusHandle,
    live: &Live,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !["/", "/health", "/metrics", "/ready", "/status"].contains(&path) {
        let text = "not found; there are /, /health, /metrics, /ready and /status\n";
        return answer(StatusCode::NOT_FOUND, TEXT, text);
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut refused = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are allowed\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match path {
        "/health" if live.is_healthy() => answer(StatusCode::OK, TEXT, "ok\n"),
        "/health" => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the loop of the sync hangs\n"),
        "/metrics" => answer(StatusCode::OK, METRICS, metrics.render()),
        "/ready" => match live.readiness() {
            Ok(()) => answer(StatusCode::OK, TEXT, "ready\n"),
            Err(reason) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
        },
        "/status" => match serde_json::to_vec(&live.status()) {
            Ok(status) => answer(StatusCode::OK, JSON, status),
            Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
        },
        _ => {
            let mut page = answer(StatusCode::OK, HTML, PAGE);
            page.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
            page
        }
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
