use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use tokio::time::Instant;

const REQUESTS: &str = "qrsync_http_requests_total";
const SECONDS: &str = "qrsync_http_request_seconds";
const CONNECTIONS: &str = "qrsync_http_connections";
const REFUSED: &str = "qrsync_http_refused_connections_total";

/// The label for paths that do not exist, so that a client cannot make up labels.
const NO_ROUTE: &str = "none";

pub(super) fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "HTTP requests answered, by route and status code");
    describe_histogram!(SECONDS, Unit::Seconds, "Time from the head of a request to the head of its answer");
    describe_gauge!(CONNECTIONS, "Open connections to the HTTP API");
    describe_counter!(REFUSED, Unit::Count, "Connections refused because all others were being answered");
    gauge!(CONNECTIONS).set(0.0);
    counter!(REFUSED).increment(0);
}

/// Counts a request by its route and the status of its answer, and measures how long the answer took.
pub(super) async fn measured(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let began = Instant::now();
    let response = next.run(request).await;
    histogram!(SECONDS, "route" => route.clone()).record(began.elapsed());
    let status = response.status().as_str().to_owned();
    counter!(REQUESTS, "route" => route, "status" => status).increment(1);
    response
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
pub(super) fn connections(open: usize) {
    gauge!(CONNECTIONS).set(open as f64);
}

pub(super) fn refused() {
    counter!(REFUSED).increment(1);
}
