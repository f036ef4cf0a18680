use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::verdict::Verdict;

const RESPONSES: &str = "spv_correlation_responses_total";
const REQUESTS: &str = "spv_correlation_requests_total";
const PENDING: &str = "spv_correlation_pending_requests";
const FENCE: &str = "spv_correlation_fence_seconds";
const UNFENCED: &str = "spv_correlation_unfenced_peers_total";
const FLIGHTS: &str = "spv_correlation_flights_total";

/// Registers the help texts of this crate's metrics with the installed recorder.
pub fn describe() {
    describe_counter!(RESPONSES, Unit::Count, "Responses by verdict");
    describe_counter!(REQUESTS, Unit::Count, "Ended requests by outcome");
    describe_gauge!(PENDING, Unit::Count, "Requests that a caller waits for, over all connections");
    describe_histogram!(FENCE, Unit::Seconds, "Time from registering an answered request to its fence");
    describe_counter!(UNFENCED, Unit::Count, "Peers that did not keep the order of answers and fences");
    describe_counter!(FLIGHTS, Unit::Count, "Callers of single flights by role");
}

pub(crate) fn record_verdict(verdict: &Verdict) {
    counter!(RESPONSES, "verdict" => verdict.kind()).increment(1);
}

pub(crate) fn record_outcome(outcome: &'static str) {
    counter!(REQUESTS, "outcome" => outcome).increment(1);
}

pub(crate) fn record_fence(elapsed: Duration) {
    histogram!(FENCE).record(elapsed);
}

pub(crate) fn record_unfenced() {
    counter!(UNFENCED).increment(1);
}

pub(crate) fn record_flight(role: &'static str) {
    counter!(FLIGHTS, "role" => role).increment(1);
}

/// Counts as pending for as long as it lives, so that no way of ending a request is forgotten.
pub(crate) struct PendingRequest(metrics::Gauge);

impl PendingRequest {
    pub(crate) fn new() -> Self {
        let gauge = gauge!(PENDING);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
