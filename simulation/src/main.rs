//! Runs scenarios over many seeds on all cores and prints what they came to.

use std::alloc::System;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fmt, fs};

use anyhow::Context;
use clap::Parser;
use simulation::{
    BLOCKS_PER_DAY, Days, Figures, Report, SCENARIOS, Scenario, Survived, follow, run, scenario, survive,
};
use spv_simnet::Faults;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Simulates the client against hostile networks in virtual time.
#[derive(Debug, Parser)]
struct Args {
    /// Seeds per scenario
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// Run this seed only, and print its nodes and what it did; RUST_LOG chooses what the client logs meanwhile
    #[arg(long)]
    seed: Option<u64>,
    /// Run this scenario only
    #[arg(long)]
    scenario: Option<String>,
    /// Stay at the tip of a growing chain for so many days instead; the fourth has no network
    #[arg(long, value_name = "DAYS", conflicts_with_all = ["seeds", "scenario", "json"])]
    follow_days: Option<u32>,
    /// While following, a quick node with these faults is there too, as for `qrsync simnet --faults`; may be repeated
    #[arg(long, value_name = "FAULTS", requires = "follow_days")]
    beside: Vec<Faults>,
    /// While following, print the client's log at the level of RUST_LOG, or info; the chain is dated so that its tip is new
    #[arg(long, requires = "follow_days")]
    log: bool,
    /// While following, take the network away for these blocks, as in 300..324, instead of on the fourth day
    #[arg(long, value_name = "FROM..TO", value_parser = blocks, requires = "follow_days")]
    outage: Option<Range<u32>>,
    /// Instead, sync on disks that lose power, flip bits, are full or slow, with this number of seeds from --seed or 0 on
    #[arg(long, value_name = "SEEDS", conflicts_with_all = ["seeds", "scenario", "json", "follow_days"])]
    storage_faults: Option<u64>,
    /// Write the figures of all scenarios to this file as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    match simulate(&Args::parse()) {
        // A reader that had enough is no error.
        Err(error) if error.downcast_ref().is_some_and(is_broken_pipe) => Ok(ExitCode::SUCCESS),
        result => result,
    }
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

fn simulate(args: &Args) -> anyhow::Result<ExitCode> {
    let chosen: Vec<&Scenario> = match &args.scenario {
        Some(name) => {
            let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            vec![
                scenario(name)
                    .with_context(|| format!("no scenario {name:?}; there are {}", names.join(", ")))?,
            ]
        }
        None => SCENARIOS.iter().collect(),
    };
    let mut out = io::stdout().lock();
    if let Some(days) = args.follow_days {
        return follow_for(days, args, &mut out);
    }
    if let Some(seeds) = args.storage_faults {
        if seeds == 1 {
            log(EnvFilter::from_default_env());
        }
        return survive_all(args.seed.unwrap_or(0), seeds, &mut out);
    }
    if let Some(seed) = args.seed {
        log(EnvFilter::from_default_env());
        let mut failed = false;
        for scenario in chosen {
            for (index, node) in scenario.nodes(seed).iter().enumerate() {
                writeln!(out, "node {}: {} ms, {}", index + 1, node.rtt.as_millis(), node.faults)?;
            }
            let result = run(scenario, seed);
            failed |= result.is_err();
            writeln!(out, "{} --seed {seed}: {result:#?}", scenario.name)?;
        }
        return Ok(ExitCode::from(u8::from(failed)));
    }
    writeln!(out, "{}", Figures::header())?;
    let mut failed = 0;
    let mut all = Vec::new();
    for scenario in chosen {
        let (report, failures) = run_all(scenario, args.seeds);
        failed += report.failed();
        let figures = report.figures(scenario.name);
        writeln!(out, "{figures}")?;
        all.push(figures);
        for failure in failures {
            writeln!(out, "  {failure}")?;
        }
        out.flush()?;
    }
    if let Some(path) = &args.json {
        fs::write(path, serde_json::to_string_pretty(&all)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// A range of blocks, as in `300..324`.
fn blocks(text: &str) -> anyhow::Result<Range<u32>> {
    let (from, to) =
        text.split_once("..").context("give the first block and the one after the last, as in 300..324")?;
    Ok(from.parse()?..to.parse()?)
}

#[expect(clippy::disallowed_methods, reason = "a chain that is followed now ends now")]
fn unix_now() -> anyhow::Result<u32> {
    Ok(u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}

fn log(filter: EnvFilter) {
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_timer(VirtualTime(OnceLock::new()))
        .with_ansi(false)
        .init();
}

fn follow_for(days: u32, args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (seed, beside) = (args.seed.unwrap_or(1), &args.beside);
    let mut run = Days { hostile: beside, ..Days::new(days * BLOCKS_PER_DAY, seed) };
    if let Some(outage) = &args.outage {
        run.outage = outage.clone();
    }
    if args.log {
        log(EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env()?);
        run.start_time = Some(unix_now()?);
    }
    match follow(&run, allocated) {
        Ok(followed) => {
            writeln!(out, "{followed}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            let beside: String = beside.iter().map(|faults| format!(" --beside {faults}")).collect();
            writeln!(out, "{failure:?}; repeat: cargo xtask sim --follow-days {days} --seed {seed}{beside}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Time since the first line, by the clock of the runtime that logs it.
struct VirtualTime(OnceLock<Instant>);

impl FormatTime for VirtualTime {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(*self.0.get_or_init(|| now));
        let (seconds, millis) = (elapsed.as_secs(), elapsed.subsec_millis());
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        write!(out, "{hours:02}:{minutes:02}:{:02}.{millis:03}", seconds % 60)
    }
}

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn allocated() -> u64 {
    let stats = ALLOCATOR.stats();
    (stats.bytes_allocated - stats.bytes_deallocated) as u64
}

/// Syncs on failing disks, with these seeds on all cores, and prints each failure when it comes.
fn survive_all(first: u64, seeds: u64, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (done, results) = mpsc::channel();
    let next = AtomicU64::new(first);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            let (done, next) = (done.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed - first >= seeds || done.send((seed, survive(seed))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        let (mut total, mut failed) = (Survived::default(), 0);
        for (seed, result) in results {
            match result {
                Ok(survived) => total += survived,
                Err(failure) => {
                    failed += 1;
                    writeln!(out, "{failure:?}; repeat: cargo xtask sim --storage-faults 1 --seed {seed}")?;
                }
            }
        }
        writeln!(out, "{seeds} seeds, {failed} failed; {total}")?;
        Ok(ExitCode::from(u8::from(failed > 0)))
    })
}

/// Runs the seeds on all cores; gives the failures as the commands that repeat them.
fn run_all(scenario: &Scenario, seeds: u64) -> (Report, Vec<String>) {
    let next = AtomicU64::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let (mut report, mut failures) = (Report::default(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return (report, failures);
            }
            match run(scenario, seed) {
                Ok(run) => report.add(run),
                Err(failure) => {
                    report.add_failure(&failure);
                    let repeat = format!("cargo xtask sim --scenario {} --seed {seed}", scenario.name);
                    failures.push(format!("{failure:?}; repeat: {repeat}"));
                }
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let (mut report, mut failures) = (Report::default(), Vec::new());
        for worker in workers {
            match worker.join() {
                Ok((part, some)) => {
                    report.merge(part);
                    failures.extend(some);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        failures.sort();
        (report, failures)
    })
}
