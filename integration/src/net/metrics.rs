use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::{ConnectError, DisconnectReason};
use crate::wire::RequestKind;

const RECEIVED_BYTES: &str = "qrsync_received_bytes_total";
const UNDELIVERED_BYTES: &str = "qrsync_undelivered_bytes_total";
const REQUESTS: &str = "qrsync_requests_total";
const CONNECTIONS: &str = "qrsync_connections";
const DISCONNECTIONS: &str = "qrsync_disconnections_total";
const INCOMING_BYTES: &str = "qrsync_incoming_bytes";
const INSTANT_LOCKS: &str = "qrsync_instant_locks_total";
const INSTANT_LOCKS_WAITING: &str = "qrsync_instant_locks_waiting";
const CONNECT_FAILURES: &str = "qrsync_connect_failures_total";

/// All labels, so that what has not happened yet is exported as zero: a rate can then see its first event.
const DISCONNECT_REASONS: [&str; 12] = [
    "local", "renewed", "remote", "io", "framing", "unasked", "flood", "silent", "slow", "unread",
    "unproven", "panicked",
];
const FAILURE_REASONS: [&str; 7] = ["io", "framing", "malformed", "closed", "too_old", "abuse", "silent"];

/// Describes the metrics of connections.
pub(crate) fn describe() {
    describe_counter!(RECEIVED_BYTES, Unit::Bytes, "Bytes received from peers, framing included");
    describe_counter!(UNDELIVERED_BYTES, Unit::Bytes, "Bytes of answers that no request waited for");
    describe_counter!(REQUESTS, "Requests sent, by kind");
    describe_gauge!(CONNECTIONS, "Connected peers that can be asked");
    describe_counter!(DISCONNECTIONS, "Connections that ended, by reason");
    describe_gauge!(INCOMING_BYTES, Unit::Bytes, "Memory of large messages that are incomplete");
    describe_counter!(INSTANT_LOCKS, "InstantSend locks that nodes sent, by outcome");
    describe_gauge!(INSTANT_LOCKS_WAITING, "InstantSend locks that wait to be checked, or for their quorum");
    describe_counter!(CONNECT_FAILURES, "Failed attempts to connect, by reason");
    RequestKind::ALL.iter().for_each(|kind| counter!(REQUESTS, "kind" => kind.as_str()).increment(0));
    DISCONNECT_REASONS.iter().for_each(|reason| counter!(DISCONNECTIONS, "reason" => *reason).increment(0));
    FAILURE_REASONS.iter().for_each(|reason| counter!(CONNECT_FAILURES, "reason" => *reason).increment(0));
    counter!(RECEIVED_BYTES).increment(0);
    counter!(UNDELIVERED_BYTES).increment(0);
}

pub(super) fn bytes_received(count: usize) {
    counter!(RECEIVED_BYTES).increment(count as u64);
}

pub(super) fn undelivered(count: usize) {
    counter!(UNDELIVERED_BYTES).increment(count as u64);
}

pub(super) fn request_sent(kind: RequestKind) {
    counter!(REQUESTS, "kind" => kind.as_str()).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "connections are few")]
pub(super) fn connected(count: usize) {
    gauge!(CONNECTIONS).set(count as f64);
}

pub(super) fn disconnected(reason: &DisconnectReason) {
    debug_assert!(DISCONNECT_REASONS.contains(&reason.kind()), "{reason}");
    counter!(DISCONNECTIONS, "reason" => reason.kind()).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "it is far below the memory that there is")]
pub(super) fn incoming(bytes: usize) {
    gauge!(INCOMING_BYTES).set(bytes as f64);
}

/// An InstantSend lock came to this end.
pub(crate) fn instant_lock(outcome: &'static str) {
    counter!(INSTANT_LOCKS, "outcome" => outcome).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "they are bounded")]
pub(super) fn instant_locks_waiting(count: usize) {
    gauge!(INSTANT_LOCKS_WAITING).set(count as f64);
}

pub(super) fn connect_failed(error: &ConnectError) {
    debug_assert!(FAILURE_REASONS.contains(&error.kind()), "{error}");
    counter!(CONNECT_FAILURES, "reason" => error.kind()).increment(1);
}
