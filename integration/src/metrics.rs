//! Metrics of the client; docs/metrics.md explains them.

use std::time::Duration;

use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::discovery::Counts;
use crate::peer::{ConnectError, RequestKind};
use crate::stages::Stage;
use crate::store::Finding;
use crate::sync::Phase;
use crate::verify::Verdict;

const RECEIVED_BYTES: &str = "qrsync_received_bytes_total";
const UNDELIVERED_BYTES: &str = "qrsync_undelivered_bytes_total";
const REQUESTS: &str = "qrsync_requests_total";
const RETRIES: &str = "qrsync_retries_total";
const CONNECTIONS: &str = "qrsync_connections";
const CONNECT_FAILURES: &str = "qrsync_connect_failures_total";
const KNOWN_ADDRESSES: &str = "qrsync_known_addresses";
const TRIED_ADDRESSES: &str = "qrsync_tried_addresses";
const BANNED_ADDRESSES: &str = "qrsync_banned_addresses";
const CONNECTED_NETWORKS: &str = "qrsync_connected_networks";
const VERIFIED_ANSWERS: &str = "qrsync_verified_answers_total";
const VERIFYING_ANSWERS: &str = "qrsync_verifying_answers";
const VERIFICATION_SECONDS: &str = "qrsync_verification_seconds";
const TIP_HEIGHT: &str = "qrsync_tip_height";
const PLANNED_LISTS: &str = "qrsync_planned_lists";
const PROVEN_LISTS: &str = "qrsync_proven_lists";
const QUORUMS: &str = "qrsync_quorums_total";
const STAGE_ITEMS: &str = "qrsync_stage_items_total";
const STAGE_SECONDS: &str = "qrsync_stage_seconds";
const LIST_LOOKUPS: &str = "qrsync_list_lookups_total";
const PHASE: &str = "qrsync_phase";

/// Describes the metrics of this crate and of the mechanism crates to the installed recorder.
pub fn describe_metrics() {
    spv_correlation::describe_metrics();
    spv_executor::describe_metrics();
    spv_netmon::describe_metrics();
    spv_recovery::describe_metrics();
    spv_scheduler::describe_metrics();
    describe_counter!(RECEIVED_BYTES, Unit::Bytes, "Bytes received from peers, framing included");
    describe_counter!(UNDELIVERED_BYTES, Unit::Bytes, "Bytes of answers that no request was waiting for");
    describe_counter!(REQUESTS, "Requests sent, by kind");
    describe_counter!(RETRIES, "Requests that were made again after a failure, by kind");
    describe_gauge!(CONNECTIONS, "Peers that can be asked");
    describe_counter!(CONNECT_FAILURES, "Failed attempts to connect, by reason");
    describe_gauge!(KNOWN_ADDRESSES, "Addresses of nodes that are remembered");
    describe_gauge!(
        TRIED_ADDRESSES,
        "Remembered addresses that were connected to at least once, with or without success"
    );
    describe_gauge!(BANNED_ADDRESSES, "Remembered addresses that are avoided for a while");
    describe_gauge!(CONNECTED_NETWORKS, "Different networks that the nodes in use are in");
    describe_counter!(VERIFIED_ANSWERS, "Answers by the outcome of their verification");
    describe_gauge!(VERIFYING_ANSWERS, "Answers that are being verified or wait for the list at their base");
    describe_histogram!(
        VERIFICATION_SECONDS,
        Unit::Seconds,
        "From an answer to its verdict, waiting for the base's list included"
    );
    describe_gauge!(TIP_HEIGHT, "Height of the verified header chain");
    describe_gauge!(PLANNED_LISTS, "Lists in the range of the running sync");
    describe_gauge!(PROVEN_LISTS, "Lists in the range of the running sync that are proven and stored");
    describe_counter!(QUORUMS, "Quorums judged, by what was found");
    describe_counter!(
        STAGE_ITEMS,
        "Answers, lists, quorums or ChainLocks that went through a stage of verification"
    );
    describe_histogram!(STAGE_SECONDS, Unit::Seconds, "One thread's time for an answer or a batch, by stage");
    describe_counter!(LIST_LOOKUPS, "Lists that lookups asked for, by where they came from");
    describe_gauge!(PHASE, "1 for the phase that the sync is in, 0 for the others");
}

pub(crate) fn bytes_received(count: usize) {
    counter!(RECEIVED_BYTES).increment(count as u64);
}

pub(crate) fn undelivered(count: usize) {
    counter!(UNDELIVERED_BYTES).increment(count as u64);
}

pub(crate) fn request_sent(kind: RequestKind) {
    counter!(REQUESTS, "kind" => kind.as_str()).increment(1);
}

pub(crate) fn retried(kind: RequestKind) {
    counter!(RETRIES, "kind" => kind.as_str()).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "connections are few")]
pub(crate) fn connected(count: usize) {
    gauge!(CONNECTIONS).set(count as f64);
}

pub(crate) fn connect_failed(error: &ConnectError) {
    counter!(CONNECT_FAILURES, "reason" => error.kind()).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "addresses are far fewer than 2^52")]
pub(crate) fn known_peers(counts: &Counts, networks: usize) {
    gauge!(KNOWN_ADDRESSES).set(counts.known as f64);
    gauge!(TRIED_ADDRESSES).set(counts.tried as f64);
    gauge!(BANNED_ADDRESSES).set(counts.banned as f64);
    gauge!(CONNECTED_NETWORKS).set(networks as f64);
}

/// Counts an answer as being verified for as long as it lives.
#[derive(Debug)]
pub(crate) struct Verifying(Gauge);

impl Verifying {
    pub(crate) fn new() -> Self {
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

pub(crate) fn verified(verdict: &Verdict, elapsed: Duration) {
    let outcome = verdict.as_ref().err().map_or("proven", |error| error.kind());
    counter!(VERIFIED_ANSWERS, "outcome" => outcome).increment(1);
    histogram!(VERIFICATION_SECONDS).record(elapsed);
}

pub(crate) fn quorum_judged(finding: Finding) {
    counter!(QUORUMS, "finding" => finding.as_str()).increment(1);
}

pub(crate) fn stage(stage: Stage, count: usize, elapsed: Duration) {
    counter!(STAGE_ITEMS, "stage" => stage.as_str()).increment(count as u64);
    histogram!(STAGE_SECONDS, "stage" => stage.as_str()).record(elapsed);
}

pub(crate) fn list_looked_up(source: &'static str) {
    counter!(LIST_LOOKUPS, "source" => source).increment(1);
}

pub(crate) fn phase(phase: Phase) {
    for each in Phase::ALL {
        gauge!(PHASE, "phase" => each.as_str()).set(f64::from(u8::from(each == phase)));
    }
}

pub(crate) fn tip_height(height: u32) {
    gauge!(TIP_HEIGHT).set(f64::from(height));
}

#[expect(clippy::cast_precision_loss, reason = "lists are far fewer than 2^52")]
pub(crate) fn lists(proven: u64, planned: u64) {
    gauge!(PROVEN_LISTS).set(proven as f64);
    gauge!(PLANNED_LISTS).set(planned as f64);
}
