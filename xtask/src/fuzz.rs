//! Fuzzing with the compiler that everything else takes; see fuzzing/README.md.

use xshell::{Shell, cmd};

/// Builds the runner optimised and hands it the arguments.
pub(crate) fn run(shell: &Shell, arguments: &[String]) -> anyhow::Result<()> {
    cmd!(shell, "cargo run --locked --release --quiet --package fuzzing -- {arguments...}").run()?;
    Ok(())
}

/// The same inputs each time, some seconds in all, with what the tests have built.
pub(crate) fn run_briefly(shell: &Shell) -> anyhow::Result<()> {
    cmd!(shell, "cargo run --locked --quiet --package fuzzing -- --executions 2000 --seconds 2").run()?;
    Ok(())
}
