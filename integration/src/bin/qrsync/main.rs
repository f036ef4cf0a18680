//! `qrsync`: verified masternode lists and quorums of the Dash network, on the command line.

mod args;
mod config;
mod decode;
mod demo;
mod exit;
mod masternodes;
mod network_flags;
mod output;
mod progress;
mod query;
mod quorums;
mod signals;
mod signer;
mod simnet;
mod sync;
mod telemetry;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use exit::Exit;

fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::log_to_stderr();
    match run(cli.command) {
        Ok(exit) => exit.into(),
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let exit = Exit::of(&error);
            output::error(&error);
            exit.into()
        }
    }
}

fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Demo(args) => in_runtime(demo::run(args)),
        Command::Sync(args) => in_runtime(sync::run(args)),
        Command::Simnet(args) => in_runtime(simnet::run(args)),
        Command::Decode(args) => decode::run(&args),
        Command::Status(args) => in_runtime(query::status(args)),
        Command::Masternodes(args) => in_runtime(masternodes::masternodes(args)),
        Command::Masternode(args) => in_runtime(masternodes::masternode(args)),
        Command::Quorums(args) => in_runtime(quorums::quorums(args)),
        Command::Quorum(args) => in_runtime(quorums::quorum(args)),
        Command::Signer(args) => in_runtime(signer::run(args)),
        Command::Config(args) => config::run(args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "qrsync", &mut script);
            output::text(String::from_utf8_lossy(&script).trim_end())?;
            Ok(Exit::Ok)
        }
    }
}

fn in_runtime(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(command)
}
