use metrics::{describe_gauge, gauge};

use super::Phase;

const TIP_HEIGHT: &str = "qrsync_tip_height";
const PLANNED_LISTS: &str = "qrsync_planned_lists";
const PROVEN_LISTS: &str = "qrsync_proven_lists";
const PHASE: &str = "qrsync_phase";

/// Describes the metrics of progress.
pub(crate) fn describe() {
    describe_gauge!(TIP_HEIGHT, "Height of the verified header chain");
    describe_gauge!(PLANNED_LISTS, "Lists in the range of the running sync");
    describe_gauge!(PROVEN_LISTS, "Lists in the range of the running sync that are proven and stored");
    describe_gauge!(PHASE, "1 for the phase that the sync is in, 0 for the others");
}

pub(super) fn phase(phase: Phase) {
    for each in Phase::ALL {
        gauge!(PHASE, "phase" => each.as_str()).set(f64::from(u8::from(each == phase)));
    }
}

pub(super) fn tip_height(height: u32) {
    gauge!(TIP_HEIGHT).set(f64::from(height));
}

#[expect(clippy::cast_precision_loss, reason = "lists are far fewer than 2^52")]
pub(super) fn lists(proven: u64, planned: u64) {
    gauge!(PROVEN_LISTS).set(proven as f64);
    gauge!(PLANNED_LISTS).set(planned as f64);
}
