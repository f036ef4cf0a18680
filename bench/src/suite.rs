//! Runs everybody on everything, on all cores, and puts the numbers together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::bound::{Bounds, bounds};
use crate::contestant::Contestant;
use crate::network::Net;
use crate::run::{LONGEST, Outcome, Spec, run};
use crate::stats::{Estimate, estimate, mean, quantile};
use crate::workload::Workload;

/// Who runs what where.
#[derive(Debug, Clone)]
pub(crate) struct Suite<'a> {
    pub(crate) contestants: &'a [Contestant],
    pub(crate) workloads: Vec<Workload>,
    pub(crate) nets: Vec<Net>,
    pub(crate) peers: usize,
    pub(crate) seeds: std::ops::Range<u64>,
}

/// What the runs of one contestant on one workload in one network came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) workload: String,
    pub(crate) net: String,
    pub(crate) contestant: String,
    pub(crate) peers: usize,
    /// Seconds, by seed; an unfinished run counts as the limit.
    pub(crate) seconds: Vec<f64>,
    pub(crate) median: Estimate,
    pub(crate) p95: Estimate,
    /// Time over the lower bound for clients with three requests per node.
    pub(crate) over_bound: Vec<f64>,
    pub(crate) over_bound_median: f64,
    pub(crate) over_bound_p95: f64,
    /// Time over what can be expected at best without knowing which answers fail.
    pub(crate) over_unforeseen_median: f64,
    pub(crate) over_unforeseen_p95: f64,
    /// Time over what a list schedule with full knowledge takes.
    pub(crate) over_oracle_median: f64,
    /// Median over seeds of the share of the sequential contestant's time that is saved.
    pub(crate) saved: Option<Estimate>,
    /// Median over seeds of the time beyond ours, in seconds; negative is faster than ours.
    pub(crate) beyond_ours: Option<Estimate>,
    /// 95th percentile over all requests of all runs of the seconds from each to its proof, where they come one by one.
    pub(crate) latency_p95: Option<f64>,
    /// Requests sent per request needed.
    pub(crate) requests_per_unit: f64,
    /// Copies sent to a second peer per request needed, where the contestant tells.
    pub(crate) hedged_per_unit: Option<f64>,
    /// Bytes of answers beyond one honest answer each, per byte of these.
    pub(crate) wasted: f64,
    /// As the nodes count it.
    pub(crate) max_in_flight: u32,
    pub(crate) max_misbehaviour: u32,
    pub(crate) wrong: usize,
    pub(crate) unfinished: usize,
    /// Runs in which a sync of ours ended without the tip and was begun anew.
    #[serde(default)]
    pub(crate) begun_anew: usize,
    /// Longest time from a request to knowing that it was refused, where the contestant can know.
    pub(crate) slowest_refusal_ms: Option<f64>,
    /// Runs in which the contestant beat a bound that nobody can beat: mistakes of the harness.
    pub(crate) beaten_bounds: usize,
}

impl Cell {
    /// Whether it is of the headers' workload, which has contestants of its own.
    pub(crate) fn is_of_headers(&self) -> bool {
        self.workload.starts_with(crate::workload::HEADERS)
    }

    /// Whether the contestant is our client as it ships.
    pub(crate) fn is_ours(&self) -> bool {
        self.contestant == "H" || self.contestant == crate::contestant::OURS
    }
}

/// By workload, network and seed, in the order of contestants.
type Results = BTreeMap<(Workload, Net, u64), Vec<(Bounds, Outcome)>>;

impl Suite<'_> {
    /// Runs it all; equal arguments give equal numbers.
    pub(crate) fn run(&self, on_done: impl Fn(usize, usize) + Sync) -> Vec<Cell> {
        let mut jobs = Vec::new();
        for &workload in &self.workloads {
            for &net in &self.nets {
                jobs.extend(self.seeds.clone().map(|seed| (workload, net, seed)));
            }
        }
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let results: Mutex<Results> = Mutex::default();
        let work = || {
            while let Some(&(workload, net, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let spec = |contestant| Spec { contestant, workload, net, peers: self.peers, seed };
                let bounds = bounds(workload, &net.instance(workload, self.peers, seed));
                let light = |outcome| Outcome { seen: Vec::new(), progress: Vec::new(), ..outcome };
                let outcomes = self.contestants.iter().map(|one| (bounds, light(run(&spec(one))))).collect();
                results.lock().insert((workload, net, seed), outcomes);
                on_done(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
        });
        self.cells(&results.into_inner())
    }

    fn cells(&self, results: &Results) -> Vec<Cell> {
        let index_of = |name: &str| self.contestants.iter().position(|one| one.name == name);
        let (sequential, ours) = (index_of("A"), index_of("H"));
        let mut cells = Vec::new();
        for &workload in &self.workloads {
            for &net in &self.nets {
                let runs: Vec<&Vec<(Bounds, Outcome)>> =
                    self.seeds.clone().filter_map(|seed| results.get(&(workload, net, seed))).collect();
                let seconds =
                    |index: usize| -> Vec<f64> { runs.iter().map(|run| time(&run[index].1)).collect() };
                for (index, contestant) in self.contestants.iter().enumerate() {
                    let own = runs.iter().map(|run| (&run[index].0, &run[index].1)).collect::<Vec<_>>();
                    let mut cell = cell(&labels(workload, net, contestant, self.peers), &own);
                    cell.saved = sequential.map(|other| {
                        let saved =
                            cell.seconds.iter().zip(seconds(other)).map(|(own, other)| 1.0 - own / other);
                        estimate(&saved.collect::<Vec<_>>(), 0.5)
                    });
                    cell.beyond_ours = ours.map(|other| {
                        let beyond = cell.seconds.iter().zip(seconds(other)).map(|(own, other)| own - other);
                        estimate(&beyond.collect::<Vec<_>>(), 0.5)
                    });
                    cells.push(cell);
                }
            }
        }
        cells
    }
}

/// Seconds; the limit for a run that did not end.
pub(crate) fn time(outcome: &Outcome) -> f64 {
    outcome.makespan.unwrap_or(LONGEST).as_secs_f64()
}

/// What a cell is about.
#[derive(Debug)]
pub(crate) struct Labels {
    pub(crate) workload: String,
    pub(crate) net: Net,
    pub(crate) contestant: String,
    pub(crate) peers: usize,
    /// Requests that are needed.
    pub(crate) units: usize,
    /// Whether the contestant counts copies that it sends to a second peer.
    pub(crate) counts_hedged: bool,
}

fn labels(workload: Workload, net: Net, contestant: &Contestant, peers: usize) -> Labels {
    Labels {
        workload: workload.name().to_owned(),
        net,
        contestant: contestant.name.clone(),
        peers,
        units: workload.items().len(),
        counts_hedged: matches!(contestant.kind, crate::contestant::Kind::Ours(_)),
    }
}

/// What runs came to, each with its bounds; without a comparison to others.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn cell(labels: &Labels, runs: &[(&Bounds, &Outcome)]) -> Cell {
    let seconds: Vec<f64> = runs.iter().map(|(_, outcome)| time(outcome)).collect();
    let over = |bound: fn(&Bounds) -> std::time::Duration| -> Vec<f64> {
        runs.iter().map(|(bounds, outcome)| time(outcome) / bound(bounds).as_secs_f64()).collect()
    };
    let over_bound = over(|bounds| bounds.lower);
    let over_unforeseen = over(|bounds| bounds.without_foresight);
    let units = labels.units as f64;
    let finished = || runs.iter().map(|(_, outcome)| outcome);
    let each =
        |of: &dyn Fn(&Outcome) -> f64| mean(&finished().map(|outcome| of(outcome)).collect::<Vec<_>>());
    let latencies: Vec<f64> = runs
        .iter()
        .flat_map(|(_, outcome)| &outcome.latencies)
        .map(std::time::Duration::as_secs_f64)
        .collect();
    let refusals = finished().filter_map(|outcome| outcome.report.slowest_refusal);
    let beats = |(bounds, outcome): &&(&Bounds, &Outcome)| {
        let limited = outcome.max_in_flight as usize <= crate::rival::PER_PEER;
        let bound = if limited { bounds.lower } else { bounds.unlimited };
        outcome.makespan.is_some_and(|makespan| makespan + TOLERANCE < bound)
    };
    Cell {
        workload: labels.workload.clone(),
        net: labels.net.name().to_owned(),
        contestant: labels.contestant.clone(),
        peers: labels.peers,
        median: estimate(&seconds, 0.5),
        p95: estimate(&seconds, 0.95),
        over_bound_median: quantile(&over_bound, 0.5),
        over_bound_p95: quantile(&over_bound, 0.95),
        over_unforeseen_median: quantile(&over_unforeseen, 0.5),
        over_unforeseen_p95: quantile(&over_unforeseen, 0.95),
        over_oracle_median: quantile(&over(|bounds| bounds.oracle), 0.5),
        over_bound,
        saved: None,
        beyond_ours: None,
        latency_p95: (!latencies.is_empty()).then(|| quantile(&latencies, 0.95)),
        requests_per_unit: each(&|outcome| outcome.requests as f64 / units),
        hedged_per_unit: labels.counts_hedged.then(|| each(&|outcome| outcome.report.hedged as f64 / units)),
        wasted: each(&|outcome| outcome.wasted_bytes() as f64 / outcome.useful_bytes as f64),
        max_in_flight: finished().map(|outcome| outcome.max_in_flight).max().unwrap_or(0),
        max_misbehaviour: finished().map(|outcome| outcome.misbehaviour).max().unwrap_or(0),
        wrong: finished().filter(|outcome| outcome.wrong).count(),
        unfinished: finished().filter(|outcome| outcome.makespan.is_none()).count(),
        begun_anew: finished().filter(|outcome| outcome.report.begun_anew > 0).count(),
        slowest_refusal_ms: refusals.max().map(|after| after.as_secs_f64() * 1e3),
        beaten_bounds: runs.iter().filter(beats).count(),
        seconds,
    }
}

/// Timers have a resolution of a millisecond.
const TOLERANCE: std::time::Duration = std::time::Duration::from_millis(5);
