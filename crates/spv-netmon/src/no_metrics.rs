//! What stands in for the metrics without the feature `metrics`: nothing is recorded.

use std::time::Duration;

use crate::conditions::Conditions;

pub(crate) fn record_rtt(_: Duration) {}

pub(crate) fn record_outcome(_: &'static str) {}

pub(crate) fn record_conditions(_: Conditions) {}

pub(crate) fn record_tracked_peers(_: usize) {}
