use std::time::Duration;

use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::stage::Stage;

const VERIFIED_ANSWERS: &str = "qrsync_verified_answers_total";
const VERIFYING_ANSWERS: &str = "qrsync_verifying_answers";
const VERIFICATION_SECONDS: &str = "qrsync_verification_seconds";
const STAGE_ITEMS: &str = "qrsync_stage_items_total";
const STAGE_SECONDS: &str = "qrsync_stage_seconds";

const OUTCOMES: [&str; 6] = ["proven", "decode", "resolve", "missing_list", "proof", "panicked"];

/// Describes the metrics of verification.
pub(crate) fn describe() {
    describe_counter!(VERIFIED_ANSWERS, "Answers by the outcome of their verification");
    describe_gauge!(VERIFYING_ANSWERS, "Answers that are being verified or wait for the list at their base");
    describe_histogram!(
        VERIFICATION_SECONDS,
        Unit::Seconds,
        "Time from an answer to the result of its verification, including the wait for the list at its base"
    );
    describe_counter!(
        STAGE_ITEMS,
        "Answers, lists, quorums or ChainLocks that passed through a stage of verification"
    );
    describe_histogram!(STAGE_SECONDS, Unit::Seconds, "One thread's time for an answer or a batch, by stage");
    // What has not happened yet is exported as zero: a rate can then see its first event.
    OUTCOMES.iter().for_each(|outcome| counter!(VERIFIED_ANSWERS, "outcome" => *outcome).increment(0));
}

pub(super) fn verified(outcome: &'static str, elapsed: Duration) {
    debug_assert!(OUTCOMES.contains(&outcome), "{outcome}");
    counter!(VERIFIED_ANSWERS, "outcome" => outcome).increment(1);
    histogram!(VERIFICATION_SECONDS).record(elapsed);
}

pub(super) fn stage(stage: Stage, count: usize, elapsed: Duration) {
    counter!(STAGE_ITEMS, "stage" => stage.as_str()).increment(count as u64);
    histogram!(STAGE_SECONDS, "stage" => stage.as_str()).record(elapsed);
}

/// Counts an answer as being verified for as long as it lives.
#[derive(Debug)]
pub(super) struct Verifying(Gauge);

impl Verifying {
    pub(super) fn new() -> Self {
        let gauge = gauge!(VERIFYING_ANSWERS);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Verifying {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
