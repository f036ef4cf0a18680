//! The target of the events that a trace of a run is made of.

use std::time::Duration;

/// Target of the events that a waterfall is drawn from, all at level trace and emitted when something has ended.
/// `event` says which it is, and `elapsed_us` how long it took, in microseconds:
/// `request` (`peer`, `kind`, `outcome`, `bytes`), `stage` (`stage`, `count`), and `phase` (`phase`), which has just begun.
/// They cost nothing while nobody collects them.
pub const TRACE_TARGET: &str = "qrsync::waterfall";

/// A duration as the events carry it.
pub(crate) fn microseconds(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}
