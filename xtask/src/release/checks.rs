//! What has to be so before a release. Everything that can be said at once is said at once.

use anyhow::{Context as _, Error, Result, anyhow, ensure};
use xshell::{Shell, cmd};

use super::version::{Change, Version};
use super::{changelog, licences};
use crate::{checkpoints, ci, workspace};

/// Days that the newest checkpoint of a release may be old: 35,000 blocks, 1.4 MB of compressed headers.
const MAX_CHECKPOINT_DAYS: u64 = 60;

pub(super) struct Plan {
    pub(super) version: Version,
    /// The newest release so far, by its tag.
    pub(super) previous: Option<Version>,
}

impl Plan {
    pub(super) fn new(sh: &Shell, version: &str) -> Result<Self> {
        let version = version.parse().with_context(|| format!("cannot release `{version}`"))?;
        let tags = cmd!(sh, "git tag --list v*").quiet().read()?;
        let previous = tags.lines().filter_map(|tag| tag.strip_prefix('v')?.parse().ok()).max();
        Ok(Self { version, previous })
    }

    pub(super) fn tag(&self) -> String {
        format!("v{}", self.version)
    }

    /// Everything that speaks against it, but for the gate.
    pub(super) fn check(&self, sh: &Shell) -> Result<Vec<Error>> {
        let changelog = sh.read_file("CHANGELOG.md")?;
        let current = workspace::version(sh)?.parse().context("the workspace has no plain version")?;
        let checks = [
            on_main(sh),
            clean(sh),
            self.follows(current),
            self.fits(&changelog),
            publishable(sh),
            licensed(sh),
            recent_checkpoints(sh),
        ];
        Ok(checks.into_iter().filter_map(Result::err).collect())
    }

    fn follows(&self, current: Version) -> Result<()> {
        let Self { version, previous } = self;
        match previous {
            None => ensure!(
                *version >= current,
                "{version} is below {current}, which the workspace has; the first release is at least that"
            ),
            Some(previous) => ensure!(
                previous.change_to(*version).is_some(),
                "{version} does not follow {previous} by one step; raise one number by one, and set those behind it to 0"
            ),
        }
        Ok(())
    }

    fn fits(&self, text: &str) -> Result<()> {
        let entries = changelog::entries_of(text, changelog::UNRELEASED)
            .context("CHANGELOG.md has no entries under [Unreleased]; say there what is new")?;
        let allowed = self.previous.and_then(|previous| previous.change_to(self.version));
        let needed = changelog::least_change(entries);
        let Some(allowed) = allowed.filter(|allowed| *allowed < needed) else { return Ok(()) };
        let what = match needed {
            Change::Breaking => "what breaks those who use it",
            Change::Addition | Change::Fix => "something new",
        };
        Err(anyhow!("CHANGELOG.md announces {what}, and {} allows no more than {allowed:?}", self.version))
    }
}

/// Passes if the gate has passed for this commit, and runs it otherwise.
pub(super) fn gate(sh: &Shell) -> Result<()> {
    if ci::has_passed(sh)? {
        eprintln!("the gate has passed for this commit");
        return Ok(());
    }
    eprintln!("the gate has not passed for this commit yet");
    ci::run(sh)
}

fn on_main(sh: &Shell) -> Result<()> {
    let branch = cmd!(sh, "git branch --show-current").quiet().read()?;
    ensure!(branch == "main", "this is not main but `{branch}`; releases are made from main");
    Ok(())
}

fn clean(sh: &Shell) -> Result<()> {
    let changes = cmd!(sh, "git status --porcelain").quiet().read()?;
    ensure!(changes.is_empty(), "there are changes that are not committed:\n{changes}");
    Ok(())
}

fn publishable(sh: &Shell) -> Result<()> {
    let packages = workspace::packages(sh)?;
    let bad: Vec<String> = packages
        .iter()
        .filter(|package| package.is_published)
        .flat_map(|package| package.unpublishable.iter().map(|name| format!("{} on {name}", package.name)))
        .collect();
    ensure!(bad.is_empty(), "dependencies from git, or by a path without a version: {}", bad.join(", "));
    Ok(())
}

/// A first sync downloads and hashes every header above the newest checkpoint, for as long as the release is in use.
fn recent_checkpoints(sh: &Shell) -> Result<()> {
    let now: u64 = cmd!(sh, "date +%s").quiet().read()?.parse()?;
    let mut stale = Vec::new();
    for network in ["main", "test"] {
        let time = checkpoints::newest_time(&sh.read_file(checkpoints::table(network))?);
        let age = time.map(|time| now.saturating_sub(time) / (24 * 60 * 60));
        match age {
            Some(days) if days <= MAX_CHECKPOINT_DAYS => {}
            Some(days) => stale.push(format!("that of {network} is {days} days old")),
            None => stale.push(format!("that of {network} is known by its hash alone")),
        }
    }
    ensure!(
        stale.is_empty(),
        "the newest checkpoint may be {MAX_CHECKPOINT_DAYS} days old, and {}; \
         `qrsync sync`, then `cargo xtask checkpoints --data-dir DIR --network main|test`",
        stale.join(", ")
    );
    Ok(())
}

fn licensed(sh: &Shell) -> Result<()> {
    if cmd!(sh, "cargo deny --version").quiet().ignore_stderr().read().is_ok() {
        return cmd!(sh, "cargo deny --locked check licenses bans sources")
            .run()
            .context("cargo-deny objects");
    }
    let forbidden = licences::forbidden(sh)?;
    ensure!(forbidden.is_empty(), "deny.toml does not allow: {}", forbidden.join("; "));
    Ok(())
}

#[cfg(test)]
mod tests;
