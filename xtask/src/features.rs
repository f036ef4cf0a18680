//! Every crate builds with none of its features, and with each of them alone.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::workspace;

pub(crate) fn run(sh: &Shell) -> Result<()> {
    for package in workspace::packages(sh)? {
        let name = &package.name;
        if package.features.is_empty() {
            continue;
        }
        cmd!(sh, "cargo check --locked -p {name} --no-default-features").run()?;
        for feature in package.features.iter().filter(|feature| *feature != "default") {
            cmd!(sh, "cargo check --locked -p {name} --no-default-features --features {feature}").run()?;
        }
    }
    Ok(())
}
