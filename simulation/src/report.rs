use std::fmt;
use std::time::Duration;

use spv_integration::sync::EndState;

use crate::run::{Failure, Run};

/// What the runs of one scenario came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    runs: u64,
    synced: u64,
    failed: u64,
    wrong: u64,
    recovered: u64,
    recovered_by_first_strategy: u64,
    over_bound: Vec<f64>,
    makespans: Vec<Duration>,
    requests: u64,
    lists: u64,
    received: u64,
    wasted: u64,
    slowest_refusal_ms: f64,
    progress_error: f64,
}

impl Report {
    /// Counts a run that kept all promises.
    pub fn add(&mut self, run: &Run) {
        let summary = &run.summary;
        self.runs += 1;
        self.synced += u64::from(summary.state == EndState::Synced);
        self.recovered += summary.recovery.recovered;
        self.recovered_by_first_strategy += summary.recovery.by_first_strategy;
        self.over_bound.extend(run.bound.map(|bound| run.makespan.as_secs_f64() / bound.as_secs_f64()));
        self.makespans.push(run.makespan);
        self.requests += summary.requests.qrinfo + summary.requests.mnlistdiff;
        self.lists += summary.lists.verified;
        self.received += summary.bytes.received;
        self.wasted += summary.bytes.wasted;
        let refusals = summary.peers.iter().filter_map(|peer| peer.slowest_refusal_ms);
        self.slowest_refusal_ms = refusals.fold(self.slowest_refusal_ms, f64::max);
        self.progress_error = self.progress_error.max(run.progress_error);
    }

    /// Counts a run that broke a promise.
    pub fn add_failure(&mut self, failure: &Failure) {
        self.runs += 1;
        self.failed += 1;
        self.wrong += u64::from(matches!(failure, Failure::WrongList { .. }));
    }

    /// Runs that broke a promise.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Adds the runs of another report of the same scenario.
    pub fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.synced += other.synced;
        self.failed += other.failed;
        self.wrong += other.wrong;
        self.recovered += other.recovered;
        self.recovered_by_first_strategy += other.recovered_by_first_strategy;
        self.over_bound.extend(other.over_bound);
        self.makespans.extend(other.makespans);
        self.requests += other.requests;
        self.lists += other.lists;
        self.received += other.received;
        self.wasted += other.wasted;
        self.slowest_refusal_ms = self.slowest_refusal_ms.max(other.slowest_refusal_ms);
        self.progress_error = self.progress_error.max(other.progress_error);
    }

    /// The line above the reports.
    pub fn header() -> &'static str {
        "scenario      runs  synced  failed  wrong  1st strategy  makespan    p95   / bound    p95  req/list  wasted  refusal  progress"
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut over_bound = self.over_bound.clone();
        over_bound.sort_unstable_by(f64::total_cmp);
        let mut makespans: Vec<f64> = self.makespans.iter().map(Duration::as_secs_f64).collect();
        makespans.sort_unstable_by(f64::total_cmp);
        write!(
            f,
            "{:>6}  {:>5.1}%  {:>6}  {:>5}  {:>12}  {:>7}s  {:>4}s  {:>7}  {:>5}  {:>8}  {:>6}  {:>5.0}ms  {:>7.1}%",
            self.runs,
            percent(self.synced, self.runs),
            self.failed,
            self.wrong,
            shown(
                (self.recovered > 0).then(|| percent(self.recovered_by_first_strategy, self.recovered)),
                "%"
            ),
            shown(quantile(&makespans, 0.5), ""),
            shown(quantile(&makespans, 0.95), ""),
            shown(quantile(&over_bound, 0.5), ""),
            shown(quantile(&over_bound, 0.95), ""),
            shown((self.lists > 0).then(|| percent(self.requests, self.lists) / 100.0), ""),
            shown((self.received > 0).then(|| percent(self.wasted, self.received)), "%"),
            self.slowest_refusal_ms,
            self.progress_error * 100.0,
        )
    }
}

fn shown(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}{unit}"))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a short list"
)]
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).round() as usize).copied()
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
