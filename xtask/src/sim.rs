//! Simulation of the whole client in virtual time; see simulation/README.md.

use xshell::{Shell, cmd};

/// Builds the simulator optimised and hands it the arguments.
pub(crate) fn run(shell: &Shell, arguments: &[String]) -> anyhow::Result<()> {
    cmd!(shell, "cargo run --locked --release --quiet --package simulation -- {arguments...}").run()?;
    Ok(())
}
