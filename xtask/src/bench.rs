//! Benchmarks; see BENCHMARKS.md.

use xshell::{Shell, cmd};

/// Builds the benchmark optimised and hands it the arguments.
pub(crate) fn run(shell: &Shell, arguments: &[String]) -> anyhow::Result<()> {
    cmd!(shell, "cargo run --locked --release --quiet --package spv-bench -- {arguments...}").run()?;
    Ok(())
}
