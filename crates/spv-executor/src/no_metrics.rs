//! What stands in for the metrics without the feature `metrics`: nothing is recorded.

use std::time::Duration;

use crate::Progress;

pub(crate) struct Metrics;

impl Metrics {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn moved(&self, _: &Progress, _: &Progress) {}

    pub(crate) fn ended(&self, _: &'static str) {}

    pub(crate) fn ended_late(&self, _: &'static str) {}

    pub(crate) fn hedge_ended(&self, _: &'static str) {}

    pub(crate) fn rejected(&self) {}

    pub(crate) fn answered(&self, _: Duration) {}
}
