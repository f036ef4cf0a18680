use metrics::{counter, describe_counter};

use crate::store::Finding;

const QUORUMS: &str = "qrsync_quorums_total";

/// Describes the metrics of quorums.
pub(crate) fn describe() {
    describe_counter!(QUORUMS, "Quorums judged, by what was found");
}

pub(super) fn quorum_judged(finding: Finding) {
    counter!(QUORUMS, "finding" => finding.as_str()).increment(1);
}
