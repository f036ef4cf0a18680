//! Runs the benchmark.
#![allow(clippy::print_stdout, reason = "what it prints is its result")]

mod bound;
mod client;
mod contestant;
mod line;
mod network;
mod rival;
mod run;
mod stats;
mod tuning;
mod workload;

use bound::bounds;
use contestant::contestants;
use network::Net;
use run::{LONGEST, Spec, run};
use stats::quantile;
use tuning::Tuned;
use workload::Workload;


fn main() -> anyhow::Result<()> {
    let tuned = Tuned::frozen()?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    let seeds: u64 = args[0].parse()?;
    for workload in Workload::ALL.into_iter().filter(|w| args[1..].iter().any(|a| a == w.name())) {
        for net in Net::ALL.into_iter().filter(|w| args[1..].iter().any(|a| a == w.name())) {
            for contestant in contestants(&tuned) {
                let started = std::time::SystemTime::now();
                let (mut over, mut req, mut waste, mut unf, mut inflight, mut times) = (vec![], 0, 0, 0, 0, vec![]);
                for seed in 0..seeds {
                    let spec = Spec { contestant: &contestant, workload, net, peers: 5, seed };
                    let outcome = run(&spec);
                    let bounds = bounds(workload, &spec.instance());
                    let time = outcome.makespan.unwrap_or(LONGEST);
                    unf += usize::from(outcome.makespan.is_none());
                    times.push(time.as_secs_f64());
                    over.push(time.as_secs_f64() / bounds.lower.as_secs_f64());
                    req += outcome.requests; waste += outcome.wasted_bytes() * 100 / outcome.useful_bytes;
                    inflight = inflight.max(outcome.max_in_flight);
                    assert!(!outcome.wrong);
                }
                println!("{} {} {:<3} t={:.3} /LB={:.3} p95={:.3} req={} waste={}% unf={} inflight={} real={:?}", workload.name(), net.name(), contestant.name, quantile(&times, 0.5),
                    quantile(&over, 0.5), quantile(&over, 0.95), req / seeds, waste / seeds, unf, inflight, started.elapsed()? / seeds as u32);
            }
        }
    }
    Ok(())
}
