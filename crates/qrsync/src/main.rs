//! `qrsync`: verified masternode lists and quorums of the Dash network, on the command line.

mod answers;
mod args;
mod ask;
mod config;
mod decode;
mod demo;
mod diff;
mod exit;
mod live;
mod manual;
mod masternodes;
mod network_flags;
mod output;
mod peers;
mod progress;
mod quorums;
mod serve;
mod service_metrics;
mod show_config;
mod signals;
mod signer;
mod simnet;
mod status;
mod sync;
mod systemd;
mod table;
mod telemetry;
mod trace_file;
mod verify;
mod watch;

use std::cell::Cell;
use std::panic;
use std::process::{self, ExitCode};

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use config::LogArgs;
use exit::Exit;
use spv_integration::store::panic_is_contained;
use telemetry::Telemetry;

fn main() -> ExitCode {
    word_expected_panics();
    let Cli { log, command } = Cli::parse();
    log.color.apply();
    // A service manager takes it for any other failure, not for a crash.
    let finished = panic::catch_unwind(|| start(command, &log));
    match finished.unwrap_or_else(|_| Err(anyhow::anyhow!("an internal failure; the lines above say where")))
    {
        Ok(exit) => exit.into(),
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let exit = Exit::of(&error);
            output::error(&error);
            exit.into()
        }
    }
}

fn start(command: Command, log: &LogArgs) -> anyhow::Result<Exit> {
    let telemetry = Telemetry::start(&command.log_settings(log)?, command.trace())?;
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in config::unknown_variables(names) {
        tracing::warn!(
            %name,
            "no key of the configuration has this variable; `qrsync config show` says how they are named"
        );
    }
    let result = run(command, log, &telemetry);
    let finished = telemetry.finish();
    let exit = result?;
    finished?;
    Ok(exit)
}

fn run(command: Command, log: &LogArgs, telemetry: &Telemetry) -> anyhow::Result<Exit> {
    match command {
        Command::Demo(args) => in_runtime(demo::run(args, log, telemetry.drawn())),
        Command::Sync(args) => in_runtime(sync::run(args, log, telemetry)),
        Command::Simnet(args) => in_runtime(simnet::run(args)),
        Command::Decode(args) => decode::run(&args),
        Command::Status(args) => in_runtime(status::run(args)),
        Command::Watch(args) => in_runtime(watch::run(args)),
        Command::Diff(args) => in_runtime(diff::run(args)),
        Command::Masternodes(args) => in_runtime(masternodes::masternodes(args)),
        Command::Masternode(args) => in_runtime(masternodes::masternode(args)),
        Command::Quorums(args) => in_runtime(quorums::quorums(args)),
        Command::Quorum(args) => in_runtime(quorums::quorum(args)),
        Command::Signer(args) => in_runtime(signer::run(args)),
        Command::Verify(args) => in_runtime(verify::run(args)),
        Command::Peers(args) => in_runtime(peers::run(args)),
        Command::Config(args) => show_config::run(args, log),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "qrsync", &mut script);
            output::text(String::from_utf8_lossy(&script).trim_end())?;
            Ok(Exit::Ok)
        }
        Command::Man { directory } => manual::write(Cli::command(), &directory),
    }
}

thread_local! {
    static STARTS_RUNTIME: Cell<bool> = const { Cell::new(false) };
}

/// Two kinds of panics have messages of their own. The database panics over some damaged files, which becomes an error. The
/// runtime panics where the system gives it no threads or files, and would then wait for ever for the threads that it has.
fn word_expected_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if STARTS_RUNTIME.get() {
            let reason = info.payload().downcast_ref::<String>();
            output::error(&cannot_start(reason.map_or("no reason is known", String::as_str)));
            process::exit(Exit::Failed as i32);
        }
        if !panic_is_contained() {
            usual(info);
        }
    }));
}

fn in_runtime(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    STARTS_RUNTIME.set(true);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    STARTS_RUNTIME.set(false);
    runtime.map_err(|error| cannot_start(&error.to_string()))?.block_on(command)
}

fn cannot_start(reason: &str) -> anyhow::Error {
    anyhow::anyhow!("cannot start: {reason}; are too many files open, or too many processes running?")
}
