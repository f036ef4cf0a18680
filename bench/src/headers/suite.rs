use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

use super::NAME;
use super::bound::bounds;
use super::contestant::Asker;
use super::distance::Distance;
use super::run::{Shown, Spec, run};
use crate::bound::Bounds;
use crate::network::Net;
use crate::run::Outcome;
use crate::stats::estimate;
use crate::suite::{Cell, Labels, cell, time};

/// How far clients are behind: nothing to do, a day and a half, three months, and what a start on the main network is
/// above its newest checkpoint.
pub(crate) const FULL: &[u32] = &[0, 2_000, 60_000, 300_000];
/// The same for a minute of waiting.
pub(crate) const QUICK: &[u32] = &[0, 2_000, 20_000];

/// All contestants, at these distances, in these networks.
#[derive(Debug, Clone)]
pub(crate) struct Headers {
    pub(crate) behind: Vec<u32>,
    pub(crate) nets: Vec<Net>,
    pub(crate) peers: usize,
    pub(crate) seeds: Range<u64>,
}

/// With more, bars are too thin to be seen.
const MOST_DRAWN: u32 = 60_000;

type Results = BTreeMap<(u32, Net, u64), Vec<(Bounds, Outcome)>>;

impl Headers {
    /// Runs it all; equal arguments give equal numbers.
    pub(crate) fn run(&self, on_done: impl Fn(usize, usize) + Sync) -> Vec<Cell> {
        let mut jobs: Vec<(Arc<Distance>, Net, u64)> = Vec::new();
        for &behind in &self.behind {
            for &net in &self.nets {
                jobs.extend(self.seeds.clone().map(|seed| (Distance::of(behind), net, seed)));
            }
        }
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let results: Mutex<Results> = Mutex::default();
        let work = || {
            while let Some((distance, net, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let spec = |asker| Spec { asker, distance, net: *net, peers: self.peers, seed: *seed };
                let bounds = bounds(distance, &spec(Asker::Ours).instance());
                let light = |outcome| Outcome { seen: Vec::new(), progress: Vec::new(), ..outcome };
                let outcomes =
                    Asker::ALL.map(|asker| (bounds, light(run(&spec(asker), Shown::Headers)))).to_vec();
                results.lock().insert((distance.behind(), *net, *seed), outcomes);
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

    /// Single runs for the drawings: ours and one that asks in a row, somewhat behind, in an uneven network.
    pub(crate) fn shown(&self) -> Vec<(String, Outcome)> {
        let behind = self.behind.iter().copied().filter(|&behind| behind <= MOST_DRAWN).max().unwrap_or(0);
        let net = *self.nets.iter().find(|net| **net == Net::N2).unwrap_or(&self.nets[0]);
        let distance = Distance::of(behind);
        let drawn = [Asker::Ours, Asker::InARow].into_iter();
        drawn
            .map(|asker| {
                let spec =
                    Spec { asker, distance: &distance, net, peers: self.peers, seed: self.seeds.start };
                let name = format!(
                    "{}, {behind} headers behind in {}, seed {}",
                    asker.name(),
                    net.name(),
                    spec.seed
                );
                (name, run(&spec, Shown::WholeSync))
            })
            .collect()
    }

    fn cells(&self, results: &Results) -> Vec<Cell> {
        let mut cells = Vec::new();
        for &behind in &self.behind {
            let units = Distance::of(behind).answers().len();
            for &net in &self.nets {
                let runs: Vec<&Vec<(Bounds, Outcome)>> =
                    self.seeds.clone().filter_map(|seed| results.get(&(behind, net, seed))).collect();
                let seconds = |asker: Asker| -> Vec<f64> {
                    runs.iter().map(|run| time(&run[asker as usize].1)).collect()
                };
                for asker in Asker::ALL {
                    let labels = Labels {
                        workload: format!("{NAME} {behind}"),
                        net,
                        contestant: asker.name().to_owned(),
                        peers: self.peers,
                        units,
                        counts_hedged: false,
                    };
                    let own: Vec<(&Bounds, &Outcome)> =
                        runs.iter().map(|run| (&run[asker as usize].0, &run[asker as usize].1)).collect();
                    let mut cell = cell(&labels, &own);
                    let against = |other: Asker, of: fn(f64, f64) -> f64| {
                        let other = seconds(other);
                        let each: Vec<f64> =
                            cell.seconds.iter().zip(other).map(|(own, other)| of(*own, other)).collect();
                        estimate(&each, 0.5)
                    };
                    let (saved, beyond) = (
                        against(Asker::InARow, |own, other| 1.0 - own / other),
                        against(Asker::Ours, |own, other| own - other),
                    );
                    (cell.saved, cell.beyond_ours) = (Some(saved), Some(beyond));
                    cells.push(cell);
                }
            }
        }
        cells
    }
}
