use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::store::Finding;

const QUORUMS: &str = "qrsync_quorums_total";
const CHAIN_LOCK: &str = "qrsync_chain_lock_height";

/// Describes the metrics of quorums.
pub(crate) fn describe() {
    describe_counter!(QUORUMS, "Checked quorums, by finding");
    describe_gauge!(CHAIN_LOCK, Unit::Count, "Height of the highest block that a verified ChainLock locks");
    // What has not happened yet is exported as zero: a rate can then see its first event.
    Finding::ALL.iter().for_each(|finding| counter!(QUORUMS, "finding" => finding.as_str()).increment(0));
}

pub(super) fn quorum_judged(finding: Finding) {
    counter!(QUORUMS, "finding" => finding.as_str()).increment(1);
}

/// The highest ChainLock is that of a block at this height.
pub(super) fn locked(height: u32) {
    gauge!(CHAIN_LOCK).set(f64::from(height));
}
