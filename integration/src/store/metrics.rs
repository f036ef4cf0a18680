use metrics::{Unit, counter, describe_counter};

pub(crate) fn describe() {
    describe_counter!(DAMAGED, Unit::Count, "Damaged databases that were set aside");
    counter!(DAMAGED).increment(0);
}

/// A database was found to be damaged, and set aside.
pub(super) fn set_aside() {
    counter!(DAMAGED).increment(1);
}

const DAMAGED: &str = "qrsync_damaged_databases_total";
