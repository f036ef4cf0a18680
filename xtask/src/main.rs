#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task talks to the person who started it")]

mod api;
mod bench;
mod checkpoints;
mod child;
mod ci;
mod configuration;
mod consumer;
mod dist;
mod examples;
mod features;
mod flaky;
mod fuzz;
mod observe;
mod openapi;
mod page;
mod release;
mod seeded_faults;
mod sim;
mod suite;
mod tidy;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use xshell::Shell;

/// The tasks, one module each.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Development tasks of this workspace")]
enum Task {
    /// Try the API of a real service, with a schema-driven fuzzer or under load
    #[command(subcommand)]
    Api(api::Args),
    /// Measure the client beside its rivals: [--quick] [--seeds N] [--only W1,N1,H] [tune | real | executor | planning |
    /// allocations]
    #[command(disable_help_flag = true)]
    Bench {
        /// Handed to the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Write a network's built-in checkpoints anew, from a chain that qrsync has proven
    Checkpoints {
        /// Where qrsync keeps its data
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// main or test
        #[arg(long, value_parser = ["main", "test"])]
        network: String,
    },
    /// Run everything that a change must pass, in order, up to the first failure
    Ci,
    /// Write the meanings of the configuration keys anew, from the documentation of their types
    Configuration,
    /// Build and run programs outside the workspace against the packages of the mechanism crates
    Consumer,
    /// Make archives of the binary, its completions and man pages
    Dist,
    /// Run every command in the documentation and in help texts against a simulated network; list those that cannot run
    Examples,
    /// Check that every crate builds alone, with none of its features and with each of them
    Features,
    /// Repeat all tests beside busy loops, and name those that do not always pass
    Flaky(flaky::Args),
    /// Fuzz decoders, the correlation table, list diffs and the database: [--seconds N] [--executions N] [--seed S]
    /// [--target NAME] [--input FILE] [--corpus DIR]
    Fuzz {
        /// Handed to the runner
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Test the alert rules, and see them fire in a real Prometheus
    Observe {
        /// Fetch Debian's package of Prometheus if there is none
        #[arg(long)]
        install: bool,
    },
    /// Write the description of the API that the service serves, from schemas/
    Openapi,
    /// Look at the live page of `qrsync sync --follow` in Chromium, and leave pictures below the target directory
    Page,
    /// Check that a version may be released; then set it, cut the changelog, package every crate, and tag
    Release {
        /// Do all of it in a temporary clone, and leave this one as it is
        #[arg(long)]
        dry_run: bool,
        /// Such as 0.2.0
        version: String,
    },
    /// Put known faults into a copy of the sources and see that each is caught by its test
    SeededFaults(seeded_faults::Args),
    /// Simulate the client against hostile networks: [--seeds N] [--seed S] [--scenario NAME] [--json FILE], days at
    /// the tip: [--follow-days N], or disks that fail: [--storage-faults N]
    Sim {
        /// Handed to the simulator
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check the rules of the repository that no other tool checks
    Tidy,
}

fn main() -> ExitCode {
    match run(&Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // What failed has spoken already; a backtrace through this program would bury it.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<()> {
    let sh = Shell::new().context("no shell")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    sh.change_dir(root);
    match task {
        Task::Api(args) => api::run(&sh, args),
        Task::Bench { arguments } => bench::run(&sh, arguments),
        Task::Checkpoints { data_dir, network } => {
            checkpoints::run(&sh, &std::path::absolute(data_dir)?, network)
        }
        Task::Ci => ci::run(&sh),
        Task::Configuration => configuration::run(&sh),
        Task::Consumer => consumer::run(&sh),
        Task::Dist => dist::run(&sh),
        Task::Examples => examples::run(&sh),
        Task::Features => features::run(&sh),
        Task::Flaky(args) => flaky::run(&sh, args),
        Task::Fuzz { arguments } => fuzz::run(&sh, arguments),
        Task::Observe { install } => observe::run(&sh, *install),
        Task::Openapi => openapi::run(&sh),
        Task::Page => page::run(&sh),
        Task::Release { dry_run, version } => release::run(&sh, version, *dry_run),
        Task::SeededFaults(args) => seeded_faults::run(&sh, args),
        Task::Sim { arguments } => sim::run(&sh, arguments),
        Task::Tidy => tidy::run(&sh),
    }
}
