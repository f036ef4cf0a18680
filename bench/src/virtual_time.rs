//! The suite in virtual time, and what is written about it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::bound::bounds;
use crate::contestant::{Contestant, ablations, contestants};
use crate::headers::{self, Asker, Headers};
use crate::network::Net;
use crate::report::{Report, Sweep, page, summary, table};
use crate::run::{LONGEST, Outcome, Spec, run as run_one};
use crate::stats::quantile;
use crate::suite::Suite;
use crate::tuned::Tuned;
use crate::workload::Workload;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Few seeds: everything in less than two minutes on two cores
    #[arg(long)]
    quick: bool,
    /// Seeds per workload and network; 200 unless --quick
    #[arg(long)]
    seeds: Option<u64>,
    /// First seed
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Only these workloads, networks and contestants, separated by commas: W1,N2,A,H
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How many headers the clients of W0 are behind; 0, 2000, 60000 and 300000, or with --quick at most 20000
    #[arg(long, value_delimiter = ',')]
    behind: Vec<u32>,
    /// Nodes in every network
    #[arg(long, default_value_t = 5)]
    peers: usize,
    /// Leave out ours with features off
    #[arg(long)]
    without_ablations: bool,
    /// Where to write all numbers
    #[arg(long, default_value = "target/bench/report.json")]
    json: PathBuf,
    /// Where to write the page
    #[arg(long, default_value = "target/bench/report.html")]
    html: PathBuf,
}

const FULL_SEEDS: u64 = 200;
const QUICK_SEEDS: u64 = 4;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    ensure!((2..=64).contains(&args.peers), "--peers must be from 2 to 64");
    ensure!(
        args.behind.iter().all(|&behind| behind <= headers::MOST),
        "--behind must be at most {}",
        headers::MOST
    );
    let mut everybody = contestants(&Tuned::frozen()?);
    if !args.without_ablations {
        everybody.extend(ablations());
    }
    let is_named = |name: &str| args.only.iter().any(|wanted| wanted == name);
    let names_lists = Workload::ALL.iter().any(|workload| is_named(workload.name()));
    let (with_headers, with_lists) =
        (is_named(headers::NAME) || !names_lists, names_lists || !is_named(headers::NAME));
    let workloads = match with_lists {
        true => chosen(&args.only, &Workload::ALL, |workload| workload.name()),
        false => Vec::new(),
    };
    let nets = chosen(&args.only, &Net::ALL, |net| net.name());
    let named: Vec<Contestant> =
        everybody.iter().filter(|one| args.only.contains(&one.name)).cloned().collect();
    let known = |name: &String| {
        everybody.iter().any(|one| one.name == *name)
            || Workload::ALL.iter().any(|one| one.name() == name)
            || Net::ALL.iter().any(|one| one.name() == name)
            || name == headers::NAME
    };
    if let Some(unknown) = args.only.iter().find(|name| !known(name)) {
        anyhow::bail!("--only {unknown}: no such workload, network or contestant");
    }
    let contestants = if named.is_empty() { everybody } else { named };
    let seeds = args.seeds.unwrap_or(if args.quick { QUICK_SEEDS } else { FULL_SEEDS });
    let suite = Suite {
        contestants: &contestants,
        workloads,
        nets,
        peers: args.peers,
        seeds: args.first_seed..args.first_seed + seeds,
    };
    let seen_done = |done: usize, all: usize| {
        if done.is_multiple_of((all / 20).max(1)) {
            eprintln!("{done} of {all}");
        }
    };
    let mut cells = Vec::new();
    let headers = Headers {
        behind: match (&args.behind[..], args.quick) {
            ([], true) => headers::QUICK.to_vec(),
            ([], false) => headers::FULL.to_vec(),
            (behind, _) => behind.to_vec(),
        },
        nets: suite.nets.clone(),
        peers: args.peers,
        seeds: suite.seeds.clone(),
    };
    if with_headers {
        cells.extend(headers.run(seen_done));
    }
    cells.extend(suite.run(seen_done));
    let beaten = cells.iter().filter(|cell| cell.beaten_bounds > 0).count();
    let of_headers = Asker::ALL.iter().map(|one| (one.name(), one.about()));
    let of_headers = std::iter::once((headers::NAME, headers::ABOUT)).chain(of_headers);
    let legend = (of_headers.filter(|_| with_headers))
        .chain(suite.workloads.iter().map(|one| (one.name(), one.about())))
        .chain(suite.nets.iter().map(|one| (one.name(), one.about())))
        .chain(contestants.iter().filter(|_| with_lists).map(|one| (one.name.as_str(), one.about)))
        .map(|(name, about)| (name.to_owned(), about.to_owned()))
        .collect();
    let report = Report {
        legend,
        command: command_line(),
        commit: output("git", &["rev-parse", "--short", "HEAD"]),
        machine: crate::machine::machine(),
        seeds: (suite.seeds.start, suite.seeds.end),
        cells,
    };
    println!("{}\n{}", summary(&report), table(&report));
    write(&args.json, &serde_json::to_string(&report)?)?;
    let mut shown = shown(&suite, &contestants);
    if with_headers {
        shown.splice(0..0, headers.shown());
    }
    let sweep = with_lists.then(|| sweep(&contestants, if args.quick { 2 } else { 10 }));
    write(&args.html, &page(&report, sweep.as_ref(), &shown))?;
    eprintln!("written: {} and {}", args.json.display(), args.html.display());
    ensure!(beaten == 0, "a bound was beaten in {beaten} cells: the harness is wrong");
    Ok(())
}

fn chosen<T: Copy>(only: &[String], all: &[T], name: impl Fn(&T) -> &'static str) -> Vec<T> {
    let named: Vec<T> =
        all.iter().copied().filter(|one| only.iter().any(|wanted| wanted == name(one))).collect();
    if named.is_empty() { all.to_vec() } else { named }
}

/// Single runs for the drawings.
fn shown(suite: &Suite<'_>, contestants: &[Contestant]) -> Vec<(String, Outcome)> {
    let net = *suite.nets.iter().find(|net| **net == Net::N2).unwrap_or(&suite.nets[0]);
    let Some(&workload) = suite.workloads.first() else { return Vec::new() };
    let drawn = contestants.iter().filter(|one| ["H", "A", "E"].contains(&one.name.as_str()));
    drawn
        .map(|contestant| {
            let spec = Spec { contestant, workload, net, peers: suite.peers, seed: suite.seeds.start };
            let name =
                format!("{}, {} in {}, seed {}", contestant.about, workload.name(), net.name(), spec.seed);
            (name, run_one(&spec))
        })
        .collect()
}

fn sweep(contestants: &[Contestant], seeds: u64) -> Sweep {
    let (workload, net) = (Workload::W3, Net::N1);
    let peers: Vec<usize> = vec![1, 2, 3, 4, 5, 6, 8, 10, 12];
    let sequential = |peers: usize, seed: u64| {
        // One request after the other at one node: its round trip and service times, and the transfer.
        let instance = net.instance(workload, peers, seed);
        let peer = &instance.peers[0];
        let each = workload.items().iter().map(|item| {
            let transfer = peer.bandwidth.map_or(0.0, |rate| {
                #[expect(clippy::cast_precision_loss, reason = "bytes of one answer")]
                let bytes = (item.answer.len() + crate::workload::FRAME_HEADER) as f64;
                #[expect(clippy::cast_precision_loss, reason = "bytes per second")]
                let rate = rate.get() as f64;
                bytes / rate
            });
            (peer.rtt + peer.fate(&item.request, 0).service).as_secs_f64() + transfer
        });
        each.sum::<f64>()
    };
    let median = |count: usize, time: &dyn Fn(u64) -> f64| {
        let ratios: Vec<f64> = (0..seeds).map(|seed| sequential(count, seed) / time(seed)).collect();
        quantile(&ratios, 0.5)
    };
    let drawn = contestants.iter().filter(|one| ["H", "C", "E", "F", "G"].contains(&one.name.as_str()));
    let mut speed_ups: Vec<(String, Vec<f64>)> = drawn
        .map(|contestant| {
            let speed_up = |&count: &usize| {
                median(count, &|seed| {
                    let outcome = run_one(&Spec { contestant, workload, net, peers: count, seed });
                    outcome.makespan.unwrap_or(LONGEST).as_secs_f64()
                })
            };
            (contestant.name.clone(), peers.iter().map(speed_up).collect())
        })
        .collect();
    let bound = |&count: &usize| {
        median(count, &|seed| bounds(workload, &net.instance(workload, count, seed)).lower.as_secs_f64())
    };
    speed_ups.push(("bound".to_owned(), peers.iter().map(bound).collect()));
    Sweep { peers, speed_ups }
}

fn write(path: &PathBuf, text: &str) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

fn command_line() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo xtask bench {}", arguments.join(" "))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}
