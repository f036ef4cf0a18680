use metrics::{counter, describe_counter};

use crate::wire::RequestKind;

const RETRIES: &str = "qrsync_retries_total";

/// Describes the metrics of the download of lists.
pub(crate) fn describe() {
    describe_counter!(RETRIES, "Requests sent again after a failure, by kind");
    RequestKind::ALL.iter().for_each(|kind| counter!(RETRIES, "kind" => kind.as_str()).increment(0));
}

pub(super) fn retried(kind: RequestKind) {
    counter!(RETRIES, "kind" => kind.as_str()).increment(1);
}
