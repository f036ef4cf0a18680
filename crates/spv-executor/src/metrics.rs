use std::collections::BTreeMap;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};

use crate::Progress;
use crate::outcome::{ANSWERED, HEDGE_FAILED, HEDGE_LOST, HEDGE_WON, SUCCEEDED, UNJUDGED, WRONG_ANSWER};

/// Describes the metrics of this crate to the installed recorder. Call once, after installing it.
///
/// An executor looks its metrics up when it is made, so the recorder must be installed before that.
pub fn describe_metrics() {
    metrics::describe_gauge!(IN_FLIGHT, Unit::Count, "Slots in use: requests sent and not ended at the peer");
    metrics::describe_gauge!(WAITING, Unit::Count, "Requests not sent yet, including announced ones");
    metrics::describe_counter!(
        REQUESTS,
        Unit::Count,
        "Ended requests by outcome; answered ones are counted after their verdict"
    );
    metrics::describe_counter!(LATE, Unit::Count, "Requests past their soft timeout, by how they ended");
    metrics::describe_counter!(REJECTED, Unit::Count, "Answers that their callers rejected");
    metrics::describe_counter!(HEDGES, Unit::Count, "Copies sent to a second peer, by who answered first");
    metrics::describe_gauge!(HELD, Unit::Bytes, "Bytes of answers expected or held");
    metrics::describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "Time from sending a request to its answer, including late answers"
    );
    // An executor registers its counters, so that what has not happened yet is exported as zero.
}

/// The handles of one executor. Gauges move by differences, so that several executors add up.
pub(crate) struct Metrics {
    in_flight: Gauge,
    waiting: Gauge,
    seconds: Histogram,
    requests: BTreeMap<&'static str, Counter>,
    late: BTreeMap<&'static str, Counter>,
    hedges: BTreeMap<&'static str, Counter>,
    rejected: Counter,
    held: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let counters = |name: &'static str, outcomes: &[&'static str]| {
            outcomes.iter().map(|&outcome| (outcome, metrics::counter!(name, "outcome" => outcome))).collect()
        };
        Self {
            in_flight: metrics::gauge!(IN_FLIGHT),
            waiting: metrics::gauge!(WAITING),
            seconds: metrics::histogram!(SECONDS),
            requests: counters(REQUESTS, &OUTCOMES),
            late: counters(LATE, &LATE_OUTCOMES),
            hedges: counters(HEDGES, &HEDGE_OUTCOMES),
            rejected: metrics::counter!(REJECTED),
            held: metrics::gauge!(HELD),
        }
    }

    pub(crate) fn moved(&self, before: &Progress, after: &Progress) {
        self.in_flight.increment(after.in_flight as f64 - before.in_flight as f64);
        self.waiting.increment(after.waiting as f64 - before.waiting as f64);
        self.held.increment(after.held_bytes as f64 - before.held_bytes as f64);
    }

    pub(crate) fn ended(&self, outcome: &'static str) {
        if let Some(counter) = self.requests.get(outcome) {
            counter.increment(1);
        }
    }

    pub(crate) fn ended_late(&self, outcome: &'static str) {
        if let Some(counter) = self.late.get(outcome) {
            counter.increment(1);
        }
    }

    pub(crate) fn hedge_ended(&self, outcome: &'static str) {
        if let Some(counter) = self.hedges.get(outcome) {
            counter.increment(1);
        }
    }

    pub(crate) fn rejected(&self) {
        self.rejected.increment(1);
    }

    pub(crate) fn answered(&self, elapsed: Duration) {
        self.seconds.record(elapsed.as_secs_f64());
    }
}

const IN_FLIGHT: &str = "spv_executor_in_flight_requests";
const WAITING: &str = "spv_executor_waiting_requests";
const REQUESTS: &str = "spv_executor_requests_total";
const LATE: &str = "spv_executor_late_requests_total";
const REJECTED: &str = "spv_executor_rejected_answers_total";
const HEDGES: &str = "spv_executor_hedges_total";
const HELD: &str = "spv_executor_held_bytes";
const SECONDS: &str = "spv_executor_request_seconds";

/// Made beforehand, so that an outcome that never happened is exported as zero and not missing.
const OUTCOMES: [&str; 11] = [
    SUCCEEDED,
    WRONG_ANSWER,
    UNJUDGED,
    "cancelled",
    "no_eligible_peer",
    "queue_full",
    "soft_timeout",
    "hard_timeout",
    "transport",
    "panicked",
    "closed",
];
const LATE_OUTCOMES: [&str; 5] = [ANSWERED, "transport", "panicked", "hard_timeout", "closed"];
const HEDGE_OUTCOMES: [&str; 3] = [HEDGE_WON, HEDGE_LOST, HEDGE_FAILED];
