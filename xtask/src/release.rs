//! A release: everything is checked, then made in a temporary clone, and taken over from there when all of it worked.
//! So a release that fails half way, and a rehearsal, leave nothing behind.

mod changelog;
mod checks;
mod licences;
mod manifest;
mod packages;
mod version;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

use crate::workspace;
use checks::Plan;

pub(crate) fn run(sh: &Shell, version: &str, dry_run: bool) -> Result<()> {
    let plan = Plan::new(sh, version)?;
    let findings = plan.check(sh)?;
    for finding in &findings {
        eprintln!("error: {finding:#}");
    }
    if !findings.is_empty() {
        bail!("{} must not be released, see above", plan.version);
    }
    checks::gate(sh)?;

    let scratch = tempfile::tempdir()?;
    let output = workspace::target_directory(sh)?.join(format!("release-{}", plan.version));
    make(sh, &plan, scratch.path())?;
    packages::make(sh, scratch.path(), plan.previous.as_ref(), &output)?;

    let tag = plan.tag();
    if dry_run {
        println!("{tag} could be released; its packages are in {}", output.display());
        return Ok(());
    }
    take_over(sh, scratch.path(), &tag)?;
    println!("{tag} is committed and tagged here; its packages are in {}", output.display());
    println!("RELEASING.md says what to do with them");
    Ok(())
}

/// The commit and the tag, in a clone.
fn make(sh: &Shell, plan: &Plan, scratch: &Path) -> Result<()> {
    let origin = sh.current_dir();
    let author =
        |key| cmd!(sh, "git config {key}").quiet().read().with_context(|| format!("set git's {key}"));
    let (name, email) = (author("user.name")?, author("user.email")?);
    cmd!(sh, "git clone --quiet {origin} {scratch}").run()?;

    let _inside = sh.push_dir(scratch);
    cmd!(sh, "git config user.name {name}").run()?;
    cmd!(sh, "git config user.email {email}").run()?;
    let (version, tag) = (plan.version.to_string(), plan.tag());
    let date = cmd!(sh, "date --utc +%F").read()?;
    let cut =
        changelog::cut(&sh.read_file("CHANGELOG.md")?, &version, &date).context("nothing is unreleased")?;
    sh.write_file("CHANGELOG.md", cut)?;
    let bumped = manifest::with_version(&sh.read_file("Cargo.toml")?, &version);
    sh.write_file("Cargo.toml", bumped)?;
    cmd!(sh, "cargo update --quiet --workspace").run()?;
    cmd!(sh, "git commit --quiet --all --message").arg(format!("Release {version}")).run()?;
    let changelog = sh.read_file("CHANGELOG.md")?;
    let news = changelog::entries_of(&changelog, &version).unwrap_or_default();
    cmd!(sh, "git tag --annotate --cleanup=verbatim --file=- {tag}")
        .stdin(format!("{tag}\n\n{news}\n"))
        .run()?;
    Ok(())
}

/// The commit and the tag, from the clone.
fn take_over(sh: &Shell, scratch: &Path, tag: &str) -> Result<()> {
    cmd!(sh, "git fetch --quiet {scratch} tag {tag}").run()?;
    Ok(cmd!(sh, "git merge --quiet --ff-only {tag}").run()?)
}
