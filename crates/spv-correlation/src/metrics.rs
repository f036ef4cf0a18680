use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::verdict::Verdict;

const RESPONSES: &str = "spv_correlation_responses_total";
const REQUESTS: &str = "spv_correlation_requests_total";
const PENDING: &str = "spv_correlation_pending_requests";
const FENCE: &str = "spv_correlation_fence_seconds";
const UNFENCED: &str = "spv_correlation_unfenced_peers_total";
const FLIGHTS: &str = "spv_correlation_flights_total";

const ANNOUNCED: &str = "announced";

/// All labels, so that what has not happened yet is exported as zero: a rate can then see its first event.
const VERDICTS: [&str; 8] =
    ["matched", "late", "duplicate", "unsolicited", ANNOUNCED, "mismatched", "ambiguous", "held"];
const OUTCOMES: [&str; 8] =
    ["answered", "refused", "mismatched", "ambiguous", "expired", "lost", "disconnected", "abandoned"];

/// Registers the help texts of this crate's metrics with the installed recorder, and its counters with their labels.
pub fn describe() {
    describe_counter!(RESPONSES, Unit::Count, "Responses by verdict");
    describe_counter!(REQUESTS, Unit::Count, "Ended requests by outcome");
    describe_gauge!(PENDING, Unit::Count, "Requests that a caller waits for, over all connections");
    describe_histogram!(FENCE, Unit::Seconds, "Time from registering an answered request to its fence");
    describe_counter!(UNFENCED, Unit::Count, "Peers that did not keep the order of answers and fences");
    describe_counter!(FLIGHTS, Unit::Count, "Callers of single flights by role");
    VERDICTS.iter().for_each(|verdict| counter!(RESPONSES, "verdict" => *verdict).increment(0));
    OUTCOMES.iter().for_each(|outcome| counter!(REQUESTS, "outcome" => *outcome).increment(0));
    counter!(UNFENCED).increment(0);
}

/// What may come unasked is an announcement where no request waits for it, and nothing against the peer.
pub(crate) fn record_verdict(verdict: &Verdict, may_come_unasked: bool) {
    let kind = match verdict {
        Verdict::Unsolicited if may_come_unasked => ANNOUNCED,
        verdict => verdict.kind(),
    };
    debug_assert!(VERDICTS.contains(&kind), "{kind}");
    counter!(RESPONSES, "verdict" => kind).increment(1);
}

pub(crate) fn record_outcome(outcome: &'static str) {
    debug_assert!(OUTCOMES.contains(&outcome), "{outcome}");
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
