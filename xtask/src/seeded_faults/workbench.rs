use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use super::list::Fault;

/// A copy of the workspace that may be broken, and what is built of it.
pub(super) struct Workbench {
    source: PathBuf,
    target: PathBuf,
}

/// What became of one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
    /// The list is wrong: no test of this name.
    NotFound,
    /// The list is wrong: what is put in does not compile.
    NotBuilt,
}

impl Outcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotFound => "NO TEST",
            Self::NotBuilt => "NO BUILD",
        }
    }
}

impl Workbench {
    /// Copies the workspace. Files that are equal stay as they are, so that they need not be built again.
    pub(super) fn new(sh: &Shell, folder: &Path) -> Result<Self> {
        let bench = Self { source: folder.join("source"), target: folder.join("target") };
        copy(&sh.current_dir(), &bench.source)?;
        Ok(bench)
    }

    /// Runs one test.
    pub(super) fn test(&self, sh: &Shell, fault: &Fault) -> Result<Outcome> {
        let _directory = sh.push_dir(&self.source);
        let _target = sh.push_env("CARGO_TARGET_DIR", &self.target);
        let Fault { package, target, test, .. } = fault;
        let which: &[&str] = if target == "lib" { &["--lib"] } else { &["--test", target] };
        let build = cmd!(sh, "cargo test --locked --quiet -p {package} {which...} --no-run");
        let built = build.quiet().ignore_status().ignore_stdout().output()?;
        if !built.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&built.stderr));
            return Ok(Outcome::NotBuilt);
        }
        let run = cmd!(sh, "cargo test --locked --quiet -p {package} {which...} -- --exact {test}");
        let ran = run.quiet().ignore_status().output()?;
        let printed = String::from_utf8_lossy(&ran.stdout);
        Ok(match (ran.status.success(), printed.contains("running 1 test")) {
            (true, true) => Outcome::Passed,
            (true, false) => Outcome::NotFound,
            (false, _) => Outcome::Failed,
        })
    }

    /// Does something while the fault is in.
    pub(super) fn with<T>(&self, fault: &Fault, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let path = self.source.join(&fault.file);
        let sound = fs::read_to_string(&path).with_context(|| format!("cannot read {}", fault.file))?;
        let times = sound.matches(&fault.find).count();
        ensure!(times == 1, "{}: its text occurs {times} times in {}", fault.name, fault.file);
        fs::write(&path, sound.replacen(&fault.find, &fault.replace, 1))?;
        let result = work();
        fs::write(&path, sound)?;
        result
    }
}

/// Copies all files but what is built and what is hidden, and removes what is no longer there.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut kept = Vec::new();
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        let (source, copied) = (entry.path(), to.join(&name));
        if entry.file_type()?.is_dir() {
            copy(&source, &copied)?;
        } else {
            let content = fs::read(&source)?;
            if fs::read(&copied).ok().as_ref() != Some(&content) {
                fs::write(&copied, content)?;
            }
        }
        kept.push(name);
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !kept.contains(&entry.file_name()) {
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}
