//! The gate. What passes here may be merged; a build server runs nothing else.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use crate::suite::{self, Choice, Failure, now};
use crate::workspace::{self, MECHANISM_CRATES};
use crate::{fuzz, tidy};

pub(crate) fn run(sh: &Shell) -> Result<()> {
    let commit = clean_commit(sh);
    let mut times = Vec::new();
    for (name, step) in STEPS {
        eprintln!("\n==> {name}");
        let start = now();
        let result = step(sh);
        times.push((name, start.elapsed()));
        if result.is_err() {
            print_times(&times);
        }
        result.with_context(|| format!("`{name}` failed"))?;
    }
    print_times(&times);
    if commit.is_some() && commit == clean_commit(sh) {
        remember_that_it_passed(sh)?;
    }
    Ok(())
}

/// Whether the gate has passed, in this clone, for the commit that is checked out.
pub(crate) fn has_passed(sh: &Shell) -> Result<bool> {
    let passed = sh.read_file(memory(sh)?).unwrap_or_default();
    Ok(clean_commit(sh).is_some_and(|commit| commit == passed))
}

pub(crate) fn remember_that_it_passed(sh: &Shell) -> Result<()> {
    Ok(sh.write_file(memory(sh)?, clean_commit(sh).unwrap_or_default())?)
}

/// Beside git's own files, so that it is no part of what it is about.
fn memory(sh: &Shell) -> Result<PathBuf> {
    Ok(sh.current_dir().join(cmd!(sh, "git rev-parse --git-path xtask-ci-passed").quiet().read()?))
}

/// The commit that the files are of; none where something is not committed, or there is no repository.
fn clean_commit(sh: &Shell) -> Option<String> {
    let changes = cmd!(sh, "git status --porcelain").quiet().ignore_stderr().read().ok()?;
    let commit = cmd!(sh, "git rev-parse HEAD").quiet().ignore_stderr().read().ok()?;
    changes.is_empty().then_some(commit)
}

type Step = fn(&Shell) -> Result<()>;

/// Cheapest first. All of them share one target directory and one profile.
const STEPS: [(&str, Step); 9] = [
    ("fmt", |sh| Ok(cmd!(sh, "cargo fmt --all --check").run()?)),
    ("clippy", |sh| Ok(cmd!(sh, "cargo clippy --locked --workspace --all-targets -- -D warnings").run()?)),
    ("test", test),
    ("doc tests", |sh| Ok(cmd!(sh, "cargo test --locked --workspace --doc").run()?)),
    ("fuzz", fuzz::run_briefly),
    ("doc", |sh| {
        let _denied = sh.push_env("RUSTDOCFLAGS", "-D warnings");
        Ok(cmd!(sh, "cargo doc --locked --workspace --no-deps").run()?)
    }),
    ("examples", examples),
    ("tidy", tidy::run),
    ("deny", deny),
];

/// Builds everything that the later steps run, and runs all tests.
fn test(sh: &Shell) -> Result<()> {
    cmd!(sh, "cargo build --locked --workspace --bins --examples").run()?;
    let binaries = suite::build(sh)?;
    let logs = workspace::target_directory(sh)?.join("tests");
    fs::create_dir_all(&logs)?;
    // What passes once passes again; `cargo xtask flaky` and `cargo test` try other cases each time.
    let choice = Choice { seed: Some(1), ..Choice::default() };
    let failed = suite::run(&binaries, &choice, &logs, |ended| {
        eprintln!("{:>7.1} s  {}", ended.time.as_secs_f64(), ended.name);
        ended
            .printed
            .lines()
            .filter(|line| line.contains("SKIPPED"))
            .for_each(|line| eprintln!("    {line}"));
    })?;
    for Failure { test, last_words, log } in &failed {
        eprintln!("\nFAILED {test}, see {}", log.display());
        last_words.iter().for_each(|line| eprintln!("    {line}"));
    }
    ensure!(failed.is_empty(), "{} tests failed", failed.len());
    Ok(())
}

/// An example that does not run is worse than none. Checking the crate alone shows that it asks for all the features of
/// its dependencies that it uses, which the rest of the workspace would hide.
fn examples(sh: &Shell) -> Result<()> {
    let programs = workspace::target_directory(sh)?.join("debug/examples");
    let packages = workspace::packages(sh)?;
    for package in packages.iter().filter(|package| MECHANISM_CRATES.contains(&package.name.as_str())) {
        let name = &package.name;
        ensure!(!package.examples.is_empty(), "{name} has no example, add one to its examples/");
        cmd!(sh, "cargo check --locked -q -p {name} --examples").run()?;
        for example in &package.examples {
            let program = programs.join(example);
            cmd!(sh, "{program}").run()?;
        }
    }
    Ok(())
}

fn deny(sh: &Shell) -> Result<()> {
    let installed = cmd!(sh, "cargo deny --version").quiet().ignore_stderr().read().is_ok();
    if !installed {
        eprintln!("skipped: cargo-deny is not installed");
        return Ok(());
    }
    Ok(cmd!(sh, "cargo deny --locked check licenses bans sources").run()?)
}

fn print_times(times: &[(&str, Duration)]) {
    eprintln!();
    for (name, time) in times {
        eprintln!("{name:<10}{:>8.1} s", time.as_secs_f64());
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    eprintln!("{:<10}{:>8.1} s", "total", total.as_secs_f64());
}
