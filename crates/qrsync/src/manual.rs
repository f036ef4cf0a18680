use std::fs::{self, File};
use std::path::Path;

use anyhow::Context;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::exit::Exit;

/// How the list of exit codes in a command's help begins. A command without one has that of the program.
const EXIT_CODES: &str = "Exit codes:";

/// Files, by their commands; an empty name stands for all that read or write data.
const FILES: [(&str, &str, &str); 4] = [
    (
        "",
        "~/.local/share/qrsync/NETWORK/qrsync.redb",
        "the database, unless --data-dir names another directory; $XDG_DATA_HOME stands for ~/.local/share \
         where it is set",
    ),
    (
        "",
        "qrsync.redb.damaged-DATE",
        "beside it: a damaged database that sync set aside; the newest three are kept, and nothing reads them",
    ),
    (
        "",
        "/etc/qrsync/qrsync.toml",
        "the configuration of the systemd unit; any other file is named by --config",
    ),
    (
        "simnet",
        "~/.cache/spv-simnet",
        "worlds with the quorums of mainnet, so that they are generated once; $XDG_CACHE_HOME stands for \
         ~/.cache where it is set",
    ),
];

/// Environment variables, by their commands.
const VARIABLES: [(&str, &str, &str); 5] = [
    ("", "QRSYNC_CONFIG", "the configuration file, where --config names none"),
    (
        "",
        "QRSYNC_KEY",
        "the value of a configuration key, with an underscore for each dot: QRSYNC_SYNC_WINDOW sets \
         sync.window; a flag overrides it",
    ),
    ("", "RUST_LOG", "the level of logs, where QRSYNC_LOG_LEVEL is not set"),
    ("", "NO_COLOR", "where it is set, nothing is coloured unless --color always is given"),
    ("simnet", "SPV_SIMNET_CACHE", "the directory of generated worlds, where --world-cache names none"),
];

/// Writes a page for each command, `qrsync.1`, `qrsync-sync.1` and so on.
pub(crate) fn write(command: clap::Command, directory: &Path) -> anyhow::Result<Exit> {
    let path = directory.display();
    fs::create_dir_all(directory).with_context(|| format!("cannot create {path}"))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let of_program = split(&command).1;
    write_pages(&command, directory, &of_program)
        .with_context(|| format!("cannot write manual pages to {path}"))?;
    Ok(Exit::Ok)
}

fn write_pages(command: &clap::Command, directory: &Path, of_program: &str) -> std::io::Result<()> {
    for below in command.get_subcommands() {
        write_pages(below, directory, of_program)?;
    }
    let page = Man::new(command.clone());
    let mut file = File::create(directory.join(page.get_filename()))?;
    page.render_title(&mut file)?;
    page.render_name_section(&mut file)?;
    page.render_synopsis_section(&mut file)?;
    page.render_description_section(&mut file)?;
    page.render_options_section(&mut file)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut file)?;
    }
    let name = command.get_name();
    let (examples, codes) = split(command);
    let codes = if codes.is_empty() { of_program } else { &codes };
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for line in codes.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (code, meaning) = line.split_once(' ').unwrap_or((line, ""));
        item(&mut roff, code, meaning.trim());
    }
    section(&mut roff, "ENVIRONMENT", name, &VARIABLES);
    section(&mut roff, "FILES", name, &FILES);
    if !examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
        roff.control("nf", []);
        examples.lines().for_each(|line| _ = roff.text([roman(line.trim_start())]));
        roff.control("fi", []);
    }
    roff.to_writer(&mut file)
}

/// What a command's help ends with: its examples, and its exit codes.
fn split(command: &clap::Command) -> (String, String) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (examples, codes) = help.split_once(EXIT_CODES).unwrap_or((&help, ""));
    let examples = examples.trim().trim_start_matches("Examples:").trim_start_matches("Example:");
    (examples.trim().to_owned(), codes.to_owned())
}

fn section(roff: &mut Roff, title: &str, command: &str, entries: &[(&str, &str, &str)]) {
    roff.control("SH", [title]);
    for (_, name, meaning) in entries.iter().filter(|(of, ..)| of.is_empty() || *of == command) {
        item(roff, name, meaning);
    }
}

fn item(roff: &mut Roff, name: &str, meaning: &str) {
    roff.control("TP", []);
    roff.text([bold(name)]);
    roff.text([roman(meaning)]);
}
