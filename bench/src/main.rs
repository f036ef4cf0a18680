#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it prints is its result")]

mod allocations;
mod bound;
mod client;
mod contestant;
mod executor_load;
mod foresight;
mod headers;
mod line;
mod machine;
mod network;
mod planning;
mod real_time;
mod report;
mod rival;
mod run;
mod stats;
mod suite;
mod tuned;
mod tuning;
mod virtual_time;
mod workload;

#[cfg(test)]
mod self_checks;

use std::alloc::System;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use report::{Report, compare, summary, table};

/// Counts what the executor, and proving lists and quorums, allocate.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Measures the client beside its rivals.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    virtual_time: virtual_time::Args,
    /// Compare two reports instead of running anything
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"])]
    compare: Option<Vec<PathBuf>>,
    /// Print the tables of a report instead of running anything
    #[arg(long, value_name = "REPORT")]
    show: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Choose the numbers that rivals leave open, on training seeds, and print the grid
    Tune,
    /// Ours beside sequential, over loopback TCP in real time
    Real(real_time::Args),
    /// Headers over loopback TCP in real time, ours beside two other ways to ask for them
    Headers(headers::Args),
    /// Many trivial requests through the executor: time and memory
    Executor,
    /// What decoding, applying and verifying allocates
    Allocations,
    /// How many requests and bytes a plan needs
    Planning(planning::Args),
}

fn main() -> anyhow::Result<()> {
    let args = Cli::parse();
    if let Some([before, after]) = args.compare.as_deref() {
        println!("{}", compare(&read(before)?, &read(after)?));
        return Ok(());
    }
    if let Some(path) = &args.show {
        let report = read(path)?;
        println!("{}\n{}", summary(&report), table(&report));
        return Ok(());
    }
    match args.command {
        None => virtual_time::run(&args.virtual_time),
        Some(Command::Tune) => {
            println!("{}", tuning::tune()?);
            Ok(())
        }
        Some(Command::Real(args)) => real_time::run(&args),
        Some(Command::Headers(args)) => headers::real_time(&args),
        Some(Command::Executor) => executor_load::run(ALLOCATOR),
        Some(Command::Allocations) => allocations::run(ALLOCATOR),
        Some(Command::Planning(args)) => planning::run(&args),
    }
}

fn read(path: &PathBuf) -> anyhow::Result<Report> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}
