use std::fmt;

use serde::Serialize;
use spv_integration::session::EndState;

use crate::accuracy::Accuracy;
use crate::failure::Failure;
use crate::run::Run;

/// The runs of one scenario.
#[derive(Debug, Clone, Default)]
pub struct Report {
    runs: u64,
    synced: u64,
    failed: u64,
    wrong: u64,
    recovered: u64,
    recovered_by_first_strategy: u64,
    over_bound: Vec<f64>,
    makespans: Vec<f64>,
    requests: u64,
    lists: u64,
    received: u64,
    wasted: u64,
    slowest_refusals_ms: Vec<f64>,
    accuracy: Accuracy,
    peak_held_bytes: u64,
    peak_verifying: u64,
    longest_idle_seconds: f64,
}

/// What the runs of one scenario came to. Absent is what did not occur.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Name of the scenario.
    pub scenario: String,
    /// Runs made.
    pub runs: u64,
    /// Share of the runs that ended with everything proven.
    pub completion_rate: f64,
    /// Runs that broke a promise.
    pub failed: u64,
    /// Runs that stored a wrong list.
    pub wrong_acceptances: u64,
    /// Of the work that failed at first and was proven in the end, the share that needed one strategy only.
    pub first_strategy_recovery_rate: Option<f64>,
    /// Virtual seconds from start to end.
    pub makespan_seconds: Option<Spread>,
    /// The same, as a multiple of what no client can beat.
    pub makespan_over_lower_bound: Option<Spread>,
    /// Requests for lists sent, per list proven.
    pub requests_per_list: Option<f64>,
    /// Share of the bytes received that were not used.
    pub wasted_bytes: Option<f64>,
    /// Longest time, per run, until a refusal was known.
    pub refusal_detection_ms: Option<Spread>,
    /// Share of lists shown as proven, against what the store held.
    pub progress_error: Option<Spread>,
    /// Share of time shown as passed, by the time shown as left, against what had really passed.
    pub eta_error: Option<Spread>,
    /// Share of lists shown as proven, against the share of time that had passed.
    pub progress_against_time: Option<Spread>,
    /// Most bytes of answers expected or not used yet, over all runs.
    pub peak_buffered_bytes: u64,
    /// Most answers in verification, over all runs.
    pub peak_verifying: u64,
    /// Longest time without a request in flight while an honest node could be asked, over all runs.
    pub longest_idle_seconds: f64,
}

/// Where values lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Half are below.
    pub median: f64,
    /// Nineteen of twenty are below.
    pub p95: f64,
}

impl Report {
    /// Counts a run that kept all promises.
    pub fn add(&mut self, run: Run) {
        let summary = &run.summary;
        self.runs += 1;
        self.synced += u64::from(summary.state == EndState::Synced);
        self.recovered += summary.recovery.recovered;
        self.recovered_by_first_strategy += summary.recovery.by_first_strategy;
        self.over_bound.extend(run.bound.map(|bound| run.makespan.as_secs_f64() / bound.as_secs_f64()));
        self.makespans.push(run.makespan.as_secs_f64());
        self.requests += summary.requests.qrinfo + summary.requests.mnlistdiff;
        self.lists += summary.lists.verified;
        self.received += summary.bytes.received;
        self.wasted += summary.bytes.wasted;
        let refusals = summary.peers.iter().filter_map(|peer| peer.slowest_refusal_ms);
        self.slowest_refusals_ms.extend(refusals.reduce(f64::max));
        self.accuracy.extend(run.accuracy);
        self.peak_held_bytes = self.peak_held_bytes.max(run.peaks.held_bytes);
        self.peak_verifying = self.peak_verifying.max(run.peaks.verifying);
        self.longest_idle_seconds = self.longest_idle_seconds.max(run.longest_idle.as_secs_f64());
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
        self.slowest_refusals_ms.extend(other.slowest_refusals_ms);
        self.accuracy.extend(other.accuracy);
        self.peak_held_bytes = self.peak_held_bytes.max(other.peak_held_bytes);
        self.peak_verifying = self.peak_verifying.max(other.peak_verifying);
        self.longest_idle_seconds = self.longest_idle_seconds.max(other.longest_idle_seconds);
    }

    /// What it all came to.
    pub fn figures(&self, scenario: &str) -> Figures {
        let wide = |shares: &[f32]| shares.iter().map(|&share| f64::from(share)).collect::<Vec<f64>>();
        Figures {
            scenario: scenario.to_owned(),
            runs: self.runs,
            completion_rate: share(self.synced, self.runs).unwrap_or(0.0),
            failed: self.failed,
            wrong_acceptances: self.wrong,
            first_strategy_recovery_rate: share(self.recovered_by_first_strategy, self.recovered),
            makespan_seconds: Spread::of(self.makespans.clone()),
            makespan_over_lower_bound: Spread::of(self.over_bound.clone()),
            requests_per_list: share(self.requests, self.lists),
            wasted_bytes: share(self.wasted, self.received),
            refusal_detection_ms: Spread::of(self.slowest_refusals_ms.clone()),
            progress_error: Spread::of(wide(&self.accuracy.lists)),
            eta_error: Spread::of(wide(&self.accuracy.time)),
            progress_against_time: Spread::of(wide(&self.accuracy.lists_against_time)),
            peak_buffered_bytes: self.peak_held_bytes,
            peak_verifying: self.peak_verifying,
            longest_idle_seconds: self.longest_idle_seconds,
        }
    }
}

impl Figures {
    /// The lines above the figures.
    pub fn header() -> &'static str {
        "                                                    makespan      / bound        requests          refusal ms    progress %     eta %       buffered   idle\n\
         scenario     runs synced failed wrong 1st strategy  p50 s   p95 s   p50   p95  per list wasted   p50   p95   p50   p95   p50   p95        KiB      s"
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median = |spread: Option<Spread>, scale: f64| spread.map(|spread| spread.median * scale);
        let p95 = |spread: Option<Spread>, scale: f64| spread.map(|spread| spread.p95 * scale);
        write!(
            f,
            "{:<12}{:>5}{:>6.1}%{:>7}{:>6}{:>13} {:>6} {:>7} {:>5} {:>5}  {:>8} {:>5}% {:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>10.0} {:>6.1}",
            self.scenario,
            self.runs,
            100.0 * self.completion_rate,
            self.failed,
            self.wrong_acceptances,
            shown(self.first_strategy_recovery_rate.map(|rate| 100.0 * rate), 2, "%"),
            shown(median(self.makespan_seconds, 1.0), 2, ""),
            shown(p95(self.makespan_seconds, 1.0), 2, ""),
            shown(median(self.makespan_over_lower_bound, 1.0), 2, ""),
            shown(p95(self.makespan_over_lower_bound, 1.0), 2, ""),
            shown(self.requests_per_list, 2, ""),
            shown(self.wasted_bytes.map(|share| 100.0 * share), 1, ""),
            shown(median(self.refusal_detection_ms, 1.0), 0, ""),
            shown(p95(self.refusal_detection_ms, 1.0), 0, ""),
            shown(median(self.progress_error, 100.0), 1, ""),
            shown(p95(self.progress_error, 100.0), 1, ""),
            shown(median(self.eta_error, 100.0), 1, ""),
            shown(p95(self.eta_error, 100.0), 1, ""),
            self.peak_buffered_bytes as f64 / 1024.0,
            self.longest_idle_seconds,
        )
    }
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        Some(Self { median: quantile(&values, 50)?, p95: quantile(&values, 95)? })
    }
}

fn shown(value: Option<f64>, digits: usize, unit: &str) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}{unit}"))
}

fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last * percent + 50) / 100).copied()
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let spread = Spread::of((1..=100).rev().map(f64::from).collect()).unwrap();
        assert_eq!((spread.median, spread.p95), (51.0, 95.0));
        assert_eq!(Spread::of(Vec::new()), None);
        assert_eq!(Spread::of(vec![3.0]), Some(Spread { median: 3.0, p95: 3.0 }));
    }

    #[test]
    fn the_figures_fit_their_header() {
        let header = Figures::header().lines().last().unwrap_or_default();
        let line = Report::default().figures("a-scenario").to_string();
        assert_eq!(line.len(), header.len(), "{header}\n{line}");
    }
}
