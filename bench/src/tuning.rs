//! The numbers that rivals' documents leave open: chosen on training seeds, then frozen in `tuned.toml`.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Context as _;
use parking_lot::Mutex;

use crate::bound::bounds;
use crate::contestant::{Contestant, Kind};
use crate::network::Net;
use crate::rival::Rival;
use crate::run::{LONGEST, Spec, run};
use crate::stats::mean;
use crate::tuned::Tuned;
use crate::workload::Workload;

/// Far from the seeds that are measured.
const TRAINING: std::ops::Range<u64> = 1_000_000..1_000_003;

/// Tries every rival's grid, six points each, and gives the file to freeze: the best points, and the grid as comments.
///
/// # Errors
/// Never, but for a point that cannot be written as TOML.
pub(crate) fn tune() -> anyhow::Result<String> {
    let tower =
        [(0.3, Some(0.9)), (0.5, None), (0.5, Some(0.9)), (1.0, None), (1.0, Some(0.9)), (2.0, Some(0.95))];
    let managers = [(1, 0.5), (1, 1.0), (3, 0.25), (3, 0.5), (3, 1.0), (3, 2.0)];
    let grids: [(&str, Vec<Rival>); 4] = [
        ("unordered", [0.2, 0.35, 0.5, 1.0, 2.0, 4.0].map(|timeout| Rival::Unordered { timeout }).to_vec()),
        ("brief", [0.5, 1.0, 2.0, 3.0, 4.0, 8.0].map(|timeout| Rival::Brief { timeout }).to_vec()),
        ("tower", tower.map(|(timeout, hedge)| Rival::TowerStack { timeout, hedge }).to_vec()),
        ("neutrino", managers.map(|(per_peer, timeout)| Rival::Neutrino { per_peer, timeout }).to_vec()),
    ];
    let mut out = format!(
        "# Chosen by `cargo xtask bench tune`: for each rival the point of its grid with the least mean of\n\
         # ln(time / lower bound) over W1 to W3, all networks and training seeds {} to {}. The grid:\n",
        TRAINING.start,
        TRAINING.end - 1
    );
    let mut best = Vec::new();
    for (name, grid) in grids {
        let scores: Vec<f64> = grid.iter().map(score).collect();
        for (rival, score) in grid.iter().zip(&scores) {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "#   {name}: {rival:?}: {score:.3}");
        }
        let chosen = grid.into_iter().zip(scores).min_by(|a, b| a.1.total_cmp(&b.1));
        best.extend(chosen.map(|(rival, _)| rival));
    }
    let [unordered, brief, tower, neutrino] =
        <[Rival; 4]>::try_from(best).ok().context("every grid has a best point")?;
    let tuned = Tuned { unordered, brief, tower, neutrino };
    out.push('\n');
    out.push_str(&toml::to_string(&tuned)?);
    Ok(out)
}

/// Mean of ln(time / lower bound) over the training runs.
fn score(rival: &Rival) -> f64 {
    let contestant = Contestant { name: "tuned".to_owned(), about: "", kind: Kind::Rival(rival.clone()) };
    let mut jobs = Vec::new();
    for workload in [Workload::W1, Workload::W2, Workload::W3] {
        for net in Net::ALL {
            jobs.extend(TRAINING.map(|seed| Spec { contestant: &contestant, workload, net, peers: 5, seed }));
        }
    }
    let next = AtomicUsize::new(0);
    let scores = Mutex::new(vec![0.0; jobs.len()]);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(spec) = jobs.get(index) else { return };
            let time = run(spec).makespan.unwrap_or(LONGEST).as_secs_f64();
            let bound = bounds(spec.workload, &spec.instance()).lower.as_secs_f64();
            scores.lock()[index] = (time / bound).ln();
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    mean(&scores.into_inner())
}
