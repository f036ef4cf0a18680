//! The mechanism crates as strangers get them: from their packages, outside the workspace, one by one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use crate::workspace::{self, MECHANISM_CRATES};

pub(crate) fn run(sh: &Shell) -> Result<()> {
    let outside = tempfile::tempdir()?;
    let packages = unpack_packages(sh, outside.path())?;
    for program in sh.read_dir("consumers")?.iter().filter(|path| path.is_dir()) {
        build_and_run(sh, program, outside.path(), &packages)?;
    }
    Ok(())
}

/// The names of the crates and where each lies unpacked.
type Packages = Vec<(String, PathBuf)>;

fn unpack_packages(sh: &Shell, outside: &Path) -> Result<Packages> {
    let selection = MECHANISM_CRATES.iter().flat_map(|name| ["-p", name]);
    cmd!(sh, "cargo package --quiet --locked --allow-dirty --no-verify {selection...}").run()?;
    let made = workspace::target_directory(sh)?.join("package");
    let mut packages = Packages::new();
    for package in workspace::packages(sh)? {
        let workspace::Package { name, version, .. } = package;
        if MECHANISM_CRATES.contains(&name.as_str()) {
            let archive = made.join(format!("{name}-{version}.crate"));
            cmd!(sh, "tar --extract --gzip --file {archive} --directory {outside}").run()?;
            packages.push((name.clone(), outside.join(format!("{name}-{version}"))));
        }
    }
    Ok(packages)
}

fn build_and_run(sh: &Shell, program: &Path, outside: &Path, packages: &Packages) -> Result<()> {
    let name = program.file_name().context("a directory has a name")?;
    let copy = outside.join(name);
    cmd!(sh, "cp -r {program} {copy}").run()?;
    // The versions of everything else are those that the workspace was tested with.
    sh.copy_file("Cargo.lock", copy.join("Cargo.lock"))?;
    let manifest = sh.read_file(program.join("Cargo.toml"))?;
    let uses = |name: &str| manifest.lines().any(|line| line.starts_with(&format!("{name} = ")));
    let patches: Vec<String> = packages
        .iter()
        .filter(|(name, _)| uses(name))
        .flat_map(|(name, path)| {
            ["--config".to_owned(), format!("patch.crates-io.{name}.path='{}'", path.display())]
        })
        .collect();
    ensure!(!patches.is_empty(), "{} uses none of the crates", program.display());
    let target = workspace::target_directory(sh)?;
    let _built = sh.push_env("CARGO_TARGET_DIR", target);
    let _outside = sh.push_dir(copy);
    Ok(cmd!(sh, "cargo run --quiet {patches...}").run()?)
}
