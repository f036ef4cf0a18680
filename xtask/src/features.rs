//! Every crate builds alone: with none of its features, and with each of them.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::workspace;

pub(crate) fn run(sh: &Shell) -> Result<()> {
    for package in workspace::packages(sh)? {
        let name = &package.name;
        // A crate without features is built too: what it forgot to ask of a dependency, the rest of the workspace hides.
        cmd!(sh, "cargo check --locked -p {name} --no-default-features").run()?;
        for feature in package.features.iter().filter(|feature| *feature != "default") {
            cmd!(sh, "cargo check --locked -p {name} --no-default-features --features {feature}").run()?;
        }
    }
    Ok(())
}
