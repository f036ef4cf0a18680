//! What stands in for the metrics without the feature `metrics`: nothing is recorded.

use std::time::Duration;

use crate::verdict::Verdict;

pub(crate) fn record_verdict(_: &Verdict, _: bool) {}

pub(crate) fn record_outcome(_: &'static str) {}

pub(crate) fn record_fence(_: Duration) {}

pub(crate) fn record_unfenced() {}

pub(crate) fn record_flight(_: &'static str) {}

pub(crate) struct PendingRequest;

impl PendingRequest {
    pub(crate) fn new() -> Self {
        Self
    }
}
