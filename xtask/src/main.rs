#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task talks to the person who started it")]

mod bench;
mod ci;
mod sim;
mod tidy;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use xshell::Shell;

/// The tasks, one module each.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Development tasks of this workspace")]
enum Task {
    /// Measure the client beside its rivals: [--quick] [--seeds N] [--only W1,N1,H] [tune | real | executor | planning]
    #[command(disable_help_flag = true)]
    Bench {
        /// Handed to the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run everything that a change must pass, in order, up to the first failure
    Ci,
    /// Simulate the client against hostile networks: [--seeds N] [--seed S] [--scenario NAME]
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
        Task::Bench { arguments } => bench::run(&sh, arguments),
        Task::Ci => ci::run(&sh),
        Task::Sim { arguments } => sim::run(&sh, arguments),
        Task::Tidy => tidy::run(&sh),
    }
}
