//! The packages of a release, each built from its package as those who download it will.

use std::path::Path;

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use super::version::Version;
use crate::{features, workspace};

/// Packages the crates of the clone `scratch` into `output`, with checksums.
pub(super) fn make(sh: &Shell, scratch: &Path, previous: Option<&Version>, output: &Path) -> Result<()> {
    let target = workspace::target_directory(sh)?;
    sh.create_dir(&target)?;
    // Cargo takes what it has of a version in a registry for final. A rehearsal would be remembered in the release, if both
    // were built in one place.
    let fresh = tempfile::tempdir_in(&target)?;
    let _inside = sh.push_dir(scratch);
    {
        let _shared = sh.push_env("CARGO_TARGET_DIR", &target);
        features::run(sh)?;
        compare_with(sh, previous)?;
    }

    let packages = workspace::packages(sh)?;
    let published: Vec<_> = packages.iter().filter(|package| package.is_published).collect();
    let selection = published.iter().flat_map(|package| ["-p", package.name.as_str()]);
    // Cargo takes them in the order of their dependencies, and lets each find those before it.
    cmd!(sh, "cargo package --locked {selection...}").env("CARGO_TARGET_DIR", fresh.path()).run()?;

    sh.remove_path(output)?;
    sh.create_dir(output)?;
    let made = fresh.path().join("package");
    let mut names = Vec::new();
    for package in published {
        let name = format!("{}-{}.crate", package.name, package.version);
        sh.copy_file(made.join(&name), output.join(&name))?;
        names.push(name);
    }
    let _output = sh.push_dir(output);
    let sums = cmd!(sh, "sha256sum {names...}").read()?;
    Ok(sh.write_file("SHA256SUMS", sums + "\n")?)
}

/// Whether the interfaces changed no more than the version says.
fn compare_with(sh: &Shell, previous: Option<&Version>) -> Result<()> {
    let Some(previous) = previous else {
        eprintln!("skipped: cargo semver-checks has no earlier release to compare with");
        return Ok(());
    };
    let installed = cmd!(sh, "cargo semver-checks --version").quiet().ignore_stderr().read().is_ok();
    ensure!(installed, "cargo-semver-checks is not installed; `cargo install --locked cargo-semver-checks`");
    let baseline = format!("v{previous}");
    Ok(cmd!(sh, "cargo semver-checks --workspace --baseline-rev {baseline}").run()?)
}
