use std::any::Any;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::metrics::measured;
use super::state::App;
use super::{hosts, openapi, platform, v1};
use crate::answers::{Problem, problem};

const PAGE: &str = include_str!("page.html");

/// The page may run its own script and ask where it came from, and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:";

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
/// Prometheus' text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Largest body of a request, in bytes. A lock has some hundred, and up to a few thousand with many inputs.
const MAX_BODY: usize = 64 * 1024;

type Routes = Vec<(&'static str, &'static str, MethodRouter<App>)>;

/// Everything that is served, by method and path; HEAD goes with GET.
fn routes() -> Routes {
    vec![
        ("get", "/", get(page)),
        ("get", "/health", get(health)),
        ("get", "/metrics", get(metrics)),
        ("get", "/ready", get(ready)),
        ("get", "/status", get(status)),
        ("get", "/v1/chainlock", get(v1::chain_lock)),
        ("get", "/v1/events", get(v1::events)),
        ("get", "/v1/masternodes", get(v1::masternodes)),
        ("get", "/v1/masternodes/diff", get(v1::diff)),
        ("get", "/v1/masternodes/{pro_tx_hash}", get(v1::masternode)),
        ("get", "/v1/openapi.json", get(openapi_document)),
        ("get", "/v1/peers", get(v1::peers)),
        ("get", "/v1/quorums", get(v1::quorums)),
        ("get", "/v1/quorums/{type}/{quorum_hash}", get(v1::quorum)),
        ("get", "/v1/signer/chainlock", get(v1::chain_lock_signer)),
        ("get", "/v1/signer/instantlock", get(v1::instant_lock_signer)),
        ("get", "/v1/signer/platform", get(v1::platform_signer)),
        ("get", "/v1/status", get(v1::status)),
        ("post", "/v1/verify/chainlock", post(v1::verify_chain_lock)),
        ("post", "/v1/verify/instantlock", post(v1::verify_instant_lock)),
    ]
}

/// The additional paths with `api.platform`.
fn platform_routes() -> Routes {
    vec![
        ("get", "/masternodes", get(platform::masternodes)),
        ("get", "/previous", get(platform::previous)),
        ("get", "/quorums", get(platform::quorums)),
        ("get", "/quorums/{quorum_hash}", get(platform::quorum)),
    ]
}

pub(super) fn router(app: App) -> Router {
    let platform = if app.settings.platform { platform_routes() } else { Vec::new() };
    let mut router = Router::new();
    for (_, path, handler) in routes().into_iter().chain(platform) {
        router = router.route(path, handler);
    }
    router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(app.clone(), in_time))
        .layer(CatchPanicLayer::custom(panicked));
    if let Some(cors) = cors(&app.settings.cors_origins) {
        router = router.layer(cors);
    }
    // What was not meant for this service gets nothing from it; it is counted all the same.
    router.layer(from_fn_with_state(app.clone(), hosts::check)).layer(from_fn(measured)).with_state(app)
}

/// `None` where no other origin may read the answers.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
        if origins.is_empty() {
            return None;
        }
        AllowOrigin::list(origins)
    };
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([CONTENT_TYPE]),
    )
}

async fn in_time(State(app): State<App>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(app.settings.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = "the request took too long; there is much to do, or its body came too slowly";
            v1::refuse(&Problem::transient("too_slow", message))
        }
    }
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    // The panic itself is in the log.
    v1::refuse(&Problem::new("internal", "internal error; please report this")).map(axum::body::Body::new)
}

async fn not_found() -> Response {
    let message = "there is no such path; there are /, /health, /metrics, /ready, /status, and /v1/openapi.json, which \
                   describes the rest";
    v1::refuse(&Problem::new(problem::NOT_FOUND, message))
}

async fn method_not_allowed() -> Response {
    let message = "this path has other methods; the header Allow names them";
    v1::refuse(&Problem::new(problem::METHOD_NOT_ALLOWED, message))
}

async fn page() -> Response {
    let mut page = text(StatusCode::OK, HTML, PAGE.to_owned());
    page.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    page
}

async fn openapi_document() -> Response {
    v1::json(StatusCode::OK, openapi::DOCUMENT)
}

async fn health(State(app): State<App>) -> Response {
    match app.live.is_healthy() {
        true => text(StatusCode::OK, TEXT, "ok\n".to_owned()),
        false => text(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the loop of the sync hangs\n".to_owned()),
    }
}

async fn metrics(State(app): State<App>) -> Response {
    match &app.metrics {
        Some(metrics) => text(StatusCode::OK, METRICS, metrics.render()),
        None => {
            v1::refuse(&Problem::new(problem::NOT_FOUND, "metrics are collected with --metrics-listen alone"))
        }
    }
}

async fn ready(State(app): State<App>) -> Response {
    match app.live.readiness() {
        Ok(()) => text(StatusCode::OK, TEXT, "ready\n".to_owned()),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
    }
}

async fn status(State(app): State<App>) -> Response {
    v1::serialized(StatusCode::OK, &app.live.status())
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let fixed = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [
        fixed(CONTENT_TYPE, content_type),
        fixed(CACHE_CONTROL, "no-store"),
        fixed(X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_route_is_described_and_every_description_is_of_a_route() {
        let document: Value = serde_json::from_str(openapi::DOCUMENT).unwrap();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(|method| (method.clone(), path.clone())).collect::<Vec<_>>()
            })
            .collect();
        let routes = routes().into_iter().chain(platform_routes());
        let routes: BTreeSet<(String, String)> =
            routes.map(|(method, path, _)| (method.to_owned(), path.to_owned())).collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn other_origins_read_nothing_unless_they_are_configured() {
        assert!(cors(&[]).is_none());
        assert!(cors(&["https://wallet.example".to_owned()]).is_some());
        assert!(cors(&["*".to_owned()]).is_some());
    }
}
