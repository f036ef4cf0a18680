//! Runs the targets with mutated seeds, and prints the number of executions.

use std::fs;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use fastrand::Rng;
use fuzzing::{TARGETS, Target, mutated, target};

/// Fuzzes every decoder, the correlation table, list diffs and the database.
#[derive(Debug, Parser)]
struct Args {
    /// Time limit for each target in seconds [default: none]
    #[arg(long)]
    seconds: Option<u64>,
    /// Maximum number of executions of each target [default: 10000 without --seconds]
    #[arg(long)]
    executions: Option<u64>,
    /// Seed of the mutations; equal seeds give equal inputs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run this target only
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Run this input once instead
    #[arg(long, value_name = "FILE", requires = "target")]
    input: Option<PathBuf>,
    /// Write the seeds of each target to a folder of its name below this one, for cargo-fuzz, instead of running anything
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// Directory for inputs that fail
    #[arg(long, value_name = "DIR", default_value = "target/fuzzing")]
    failures: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let chosen = match &args.target {
        Some(name) => {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            vec![
                target(name)
                    .with_context(|| format!("no target {name:?}; there are {}", names.join(", ")))?,
            ]
        }
        None => TARGETS.iter().collect(),
    };
    if let Some(folder) = &args.corpus {
        chosen.into_iter().try_for_each(|target| write_corpus(target, folder))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut failed = false;
    for target in chosen {
        if let Some(path) = &args.input {
            let input = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            (target.run)(&input);
        } else {
            failed |= !fuzz(target, &args)?;
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

fn write_corpus(target: &Target, folder: &Path) -> anyhow::Result<()> {
    let folder = folder.join(target.name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (index, seed) in (target.seeds)().iter().enumerate() {
        fs::write(folder.join(format!("{index:05}")), seed)?;
    }
    Ok(())
}

/// Runs a target until its time is over or it fails.
#[expect(clippy::disallowed_methods, reason = "how long is a matter of real time")]
fn fuzz(target: &Target, args: &Args) -> anyhow::Result<bool> {
    let seeds = (target.seeds)();
    let mut rng = Rng::with_seed(args.seed);
    let most = match (args.executions, args.seconds) {
        (Some(executions), _) => executions,
        (None, Some(_)) => u64::MAX,
        (None, None) => DEFAULT_EXECUTIONS,
    };
    let longest = args.seconds.map_or(Duration::MAX, Duration::from_secs);
    let (started, mut executions, mut good) = (Instant::now(), 0_u64, 0_u64);
    let mut out = io::stdout().lock();
    while executions < most && started.elapsed() < longest {
        let index = usize::try_from(executions).unwrap_or(usize::MAX);
        let input = seeds.get(index).cloned().unwrap_or_else(|| mutated(&seeds, &mut rng));
        executions += 1;
        match catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) {
            Ok(was_good) => good += u64::from(was_good),
            Err(_) => {
                fs::create_dir_all(&args.failures)?;
                let path = args.failures.join(format!("{}-{}-{executions}", target.name, args.seed));
                fs::write(&path, &input)?;
                writeln!(
                    out,
                    "{} fails; repeat: cargo xtask fuzz --target {} --input {}",
                    target.name,
                    target.name,
                    path.display()
                )?;
                return Ok(false);
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    writeln!(
        out,
        "{:<14}{executions:>12} executions, {good:>10} good inputs, {seconds:>7.1} s",
        target.name
    )?;
    Ok(true)
}

/// Where neither a number nor a time is given.
const DEFAULT_EXECUTIONS: u64 = 10_000;
