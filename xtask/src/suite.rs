//! All tests of the workspace, several programs at once.

mod binaries;
mod outcome;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

pub(crate) use binaries::{TestBinary, build};
use outcome::failures;

/// Programs that run at the same time. Many tests wait for a clock, and some programs have only one test that is long;
/// one after the other they leave the processor idle for a third of the time.
const LANES: usize = 2;

/// The longest that one program may take before its tests count as hanging.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// One test that failed once.
pub(crate) struct Failure {
    pub(crate) test: String,
    pub(crate) last_words: Vec<String>,
    pub(crate) log: PathBuf,
}

/// A program whose tests have all ended.
pub(crate) struct Ended<'a> {
    pub(crate) name: &'a str,
    pub(crate) time: Duration,
    /// Everything that it and its tests printed.
    pub(crate) printed: &'a str,
}

/// Which tests are run, and with which cases.
#[derive(Debug, Default)]
pub(crate) struct Choice<'a> {
    /// Only tests whose names contain this.
    pub(crate) only: Option<&'a str>,
    /// The seed of property tests; without one, each run tries other cases.
    pub(crate) seed: Option<u64>,
}

/// Runs the chosen tests; writes a log for each program into `folder`, tells `ended` of each, and
/// returns the tests that failed.
pub(crate) fn run(
    binaries: &[TestBinary],
    choice: &Choice<'_>,
    folder: &Path,
    ended: impl Fn(Ended<'_>) + Sync,
) -> Result<Vec<Failure>> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let lane = || -> Result<()> {
        while let Some(binary) = binaries.get(next.fetch_add(1, Ordering::Relaxed)) {
            let new = run_one(binary, choice, folder, &ended)?;
            failed.lock().expect("no lane panics while it holds this").extend(new);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().try_for_each(|lane| lane.join().expect("a lane does not panic"))
    })?;
    Ok(failed.into_inner().expect("no lane panics while it holds this"))
}

/// Runs the tests of one program; returns those that failed, each with its last words.
fn run_one(
    binary: &TestBinary,
    choice: &Choice<'_>,
    folder: &Path,
    ended: impl Fn(Ended<'_>),
) -> Result<Vec<Failure>> {
    let log = folder.join(format!("{}.log", binary.name));
    let start = now();
    let end = binary.run(choice, &log, PATIENCE)?;
    let printed = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    ended(Ended { name: &binary.name, time: start.elapsed(), printed: &printed });
    let failed = failures(&printed, &end).into_iter().map(|(test, last_words)| {
        let test = test.map_or_else(|| binary.name.clone(), |test| format!("{} {test}", binary.name));
        Failure { test, last_words, log: log.clone() }
    });
    Ok(failed.collect())
}

#[expect(clippy::disallowed_methods, reason = "how long tests take is a matter of real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
