//! Fuzzing with the compiler that everything else takes; see fuzzing/README.md.

use xshell::{Shell, cmd};

use crate::workspace;

/// Builds the runner optimised and hands it the arguments.
pub(crate) fn run(shell: &Shell, arguments: &[String]) -> anyhow::Result<()> {
    cmd!(shell, "cargo run --locked --release --quiet --package fuzzing -- {arguments...}").run()?;
    Ok(())
}

/// The same inputs each time, some seconds in all, by the program that the tests have built: built alone it would have
/// other features of its dependencies, and so take as long again.
pub(crate) fn run_briefly(shell: &Shell) -> anyhow::Result<()> {
    let program = workspace::target_directory(shell)?.join("debug/fuzzing");
    cmd!(shell, "{program} --executions 2000 --seconds 2").run()?;
    Ok(())
}
