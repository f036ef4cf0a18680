use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::exit::Exit;

/// Writes a page for each command, `qrsync.1`, `qrsync-sync.1` and so on.
pub(crate) fn write(command: clap::Command, directory: &Path) -> anyhow::Result<Exit> {
    let path = directory.display();
    fs::create_dir_all(directory).with_context(|| format!("cannot create {path}"))?;
    clap_mangen::generate_to(command.disable_help_subcommand(true), directory)
        .with_context(|| format!("cannot write manual pages to {path}"))?;
    Ok(Exit::Ok)
}
