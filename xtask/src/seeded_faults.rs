//! Puts faults into a copy of the workspace, one after the other, and sees whether the tests notice.

mod list;
mod workbench;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use xshell::Shell;

pub(crate) use list::{DOCUMENT, Fault, LIST, parse, table};
use workbench::{Outcome, Workbench};

/// Which faults to try.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Try this fault only
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Write the table of docs/seeded-faults.md anew, and try nothing
    #[arg(long)]
    document: bool,
}

pub(crate) fn run(sh: &Shell, args: &Args) -> Result<()> {
    let root = sh.current_dir();
    let faults = read(&root)?;
    if args.document {
        return Ok(fs::write(root.join(DOCUMENT), table(&faults))?);
    }
    let chosen: Vec<&Fault> =
        faults.iter().filter(|fault| args.only.as_ref().is_none_or(|name| *name == fault.name)).collect();
    ensure!(!chosen.is_empty(), "no fault of this name in {LIST}");

    let bench = Workbench::new(sh, &target_dir(&root))?;
    let mut tested = BTreeSet::new();
    let mut missed = 0;
    println!("{:<32}{:<16}{:<10}test", "fault", "crate", "");
    for fault in chosen {
        if tested.insert((&fault.package, &fault.test)) {
            let outcome = bench.test(sh, fault)?;
            ensure!(outcome == Outcome::Passed, "without any fault: {} {}", fault.test, outcome.as_str());
        }
        let outcome = bench.with(fault, || bench.test(sh, fault))?;
        let (word, caught) = match outcome {
            Outcome::Failed => ("caught", true),
            Outcome::Passed => ("MISSED", false),
            Outcome::NotBuilt | Outcome::NotFound => (outcome.as_str(), false),
        };
        missed += usize::from(!caught);
        println!("{:<32}{:<16}{word:<10}{}", fault.name, fault.krate(), fault.test);
    }
    ensure!(missed == 0, "{missed} faults were not caught");
    Ok(())
}

fn read(root: &Path) -> Result<Vec<Fault>> {
    let text = fs::read_to_string(root.join(LIST)).with_context(|| format!("cannot read {LIST}"))?;
    parse(&text)
}

/// Beside what is built anyway, and kept, so that only what a fault changes is built again.
fn target_dir(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    root.join(target).join("seeded-faults")
}
