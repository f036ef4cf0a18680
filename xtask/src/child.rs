//! A process that does not outlive the task that started it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{self, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};

pub(crate) struct Child {
    process: process::Child,
    output: BufReader<ChildStdout>,
}

impl Child {
    pub(crate) fn start<'a>(program: &Path, arguments: impl Iterator<Item = &'a str>) -> Result<Self> {
        let arguments: Vec<_> = arguments.collect();
        eprintln!("$ {} {}", program.display(), arguments.join(" "));
        Self::spawn(Command::new(program).args(arguments), program)
    }

    pub(crate) fn start_with<'a>(
        program: &Path,
        arguments: impl Iterator<Item = &'a str>,
        environment: &[(String, String)],
    ) -> Result<Self> {
        let environment = environment.iter().map(|(name, value)| (name, value));
        Self::spawn(Command::new(program).args(arguments).env_clear().envs(environment), program)
    }

    fn spawn(command: &mut Command, program: &Path) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = process.stdout.take().context("stdout is a pipe")?;
        Ok(Self { process, output: BufReader::new(output) })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn line_that_starts_with(&mut self, start: &str) -> Result<String> {
        for line in (&mut self.output).lines() {
            let line = line?;
            if line.starts_with(start) {
                return Ok(line);
            }
        }
        bail!("it ended without a line `{start}…`")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
