//! Repeats the tests on a machine that is busy, and names those that do not always pass.

mod load;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use xshell::Shell;

use crate::suite::{self, Choice, Failure, now};
use crate::workspace;
use load::Load;

/// How often, and beside what.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Runs of the whole suite
    #[arg(long, value_name = "N", default_value = "5")]
    rounds: NonZeroU32,
    /// Busy loops beside it [default: twice as many as there are cores]
    #[arg(long, value_name = "N")]
    load: Option<usize>,
    /// Run only tests whose names contain this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

pub(crate) fn run(sh: &Shell, args: &Args) -> Result<()> {
    let binaries = suite::build(sh)?;
    let logs = workspace::target_directory(sh)?.join("flaky");
    if logs.exists() {
        fs::remove_dir_all(&logs).with_context(|| format!("cannot empty {}", logs.display()))?;
    }
    let loops = args.load.unwrap_or_else(|| 2 * thread::available_parallelism().map_or(1, usize::from));
    let _load = Load::start(loops);
    let mut failed = Failed::default();
    let choice = Choice { only: args.only.as_deref(), seed: None };
    for round in 1..=args.rounds.get() {
        let (start, before) = (now(), failed.count());
        let folder = logs.join(format!("round-{round}"));
        fs::create_dir_all(&folder)?;
        failed.add(suite::run(&binaries, &choice, &folder, |_| {})?);
        let (time, new) = (start.elapsed().as_secs_f64(), failed.count() - before);
        println!("round {round} of {}, beside {loops} busy loops: {time:.0} s, {new} failed", args.rounds);
    }
    print!("{}", failed.report(args.rounds.get()));
    ensure!(failed.count() == 0, "{} tests do not always pass", failed.tests.len());
    Ok(())
}

/// Failures by test.
#[derive(Default)]
struct Failed {
    tests: BTreeMap<String, Vec<Failure>>,
}

impl Failed {
    fn add(&mut self, failures: Vec<Failure>) {
        for failure in failures {
            println!("FAILED {}", failure.test);
            self.tests.entry(failure.test.clone()).or_default().push(failure);
        }
    }

    fn count(&self) -> usize {
        self.tests.values().map(Vec::len).sum()
    }

    /// Each test with how often it failed, the last words of its latest failure and where all its logs lie.
    fn report(&self, rounds: u32) -> String {
        let mut report = String::new();
        for (test, failures) in &self.tests {
            report += &format!("\n{test}: failed in {} of {rounds} rounds\n", failures.len());
            let last_words = failures.last().map_or(&[][..], |failure| &failure.last_words);
            last_words.iter().for_each(|line| report += &format!("    {line}\n"));
            failures.iter().for_each(|failure| report += &format!("  log: {}\n", failure.log.display()));
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_report_counts_failures_by_test_and_quotes_the_latest() {
        let failure = |test: &str, round: u32, words: &str| Failure {
            test: test.to_owned(),
            last_words: vec![words.to_owned()],
            log: PathBuf::from(format!("round-{round}/a.log")),
        };
        let mut failed = Failed::default();
        failed.add(vec![failure("a one", 1, "early"), failure("a two", 1, "alone")]);
        failed.add(Vec::new());
        failed.add(vec![failure("a one", 3, "late")]);
        assert_eq!((failed.count(), failed.tests.len()), (3, 2));
        assert_eq!(
            failed.report(3),
            "\na one: failed in 2 of 3 rounds\n    late\n  log: round-1/a.log\n  log: round-3/a.log\n\
             \na two: failed in 1 of 3 rounds\n    alone\n  log: round-1/a.log\n"
        );
    }
}
