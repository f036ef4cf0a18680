use metrics::{counter, describe_counter};

const LIST_LOOKUPS: &str = "qrsync_list_lookups_total";

/// Describes the metrics of lookups.
pub(crate) fn describe() {
    describe_counter!(LIST_LOOKUPS, "Lists that lookups needed, by source");
}

pub(super) fn list_looked_up(source: &'static str) {
    counter!(LIST_LOOKUPS, "source" => source).increment(1);
}
