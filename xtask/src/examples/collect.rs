//! Where examples stand.

use std::path::Path;

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

/// A command, and where it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Example {
    pub(super) command: String,
    pub(super) place: String,
}

/// The commands in the console blocks of Markdown.
pub(super) fn from_texts(sh: &Shell) -> Result<Vec<Example>> {
    let listed = cmd!(sh, "git ls-files *.md").quiet().read()?;
    let mut examples = Vec::new();
    for path in listed.lines() {
        examples.extend(in_text(path, &sh.read_file(path)?));
    }
    Ok(examples)
}

fn in_text(path: &str, text: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut is_console = false;
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(language) = line.strip_prefix("```") {
            is_console = language == "console";
        } else if is_console
            && let Some(command) = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "))
        {
            let command = without_comment(command).to_owned();
            examples.push(Example { command, place: format!("{path}:{number}") });
        }
    }
    examples
}

/// A comment stands at some distance from its command.
fn without_comment(command: &str) -> &str {
    command.split_once("  #").map_or(command, |(command, _)| command).trim_end()
}

/// The examples at the end of the help of each command.
pub(super) fn from_help(sh: &Shell, qrsync: &Path) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    let mut commands = vec![Vec::new()];
    while let Some(command) = commands.pop() {
        // As for a terminal that is wide enough for a line to stay one.
        let words = &command;
        let help = cmd!(sh, "{qrsync} {words...} --help").env("COLUMNS", "400").quiet().read()?;
        let place = format!("qrsync {} --help", command.join(" ")).replace("  ", " ");
        examples.extend(in_help(&place, &help));
        for below in subcommands(&help) {
            commands.push(command.iter().cloned().chain([below]).collect());
        }
    }
    ensure!(examples.len() > 10, "help has hardly any examples");
    Ok(examples)
}

fn in_help(place: &str, help: &str) -> Vec<Example> {
    // The usage, above, looks like a command and is none.
    let shown = help.split_once("Example").map_or("", |(_, examples)| examples);
    let lines = shown.lines().map(|line| line.trim_start_matches(':').trim());
    let commands = lines.filter(|line| line.starts_with("qrsync "));
    commands.map(|command| Example { command: command.to_owned(), place: place.to_owned() }).collect()
}

fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.take_while(|line| !line.is_empty()).filter_map(|line| {
        let name = line.strip_prefix("  ")?.split_whitespace().next()?;
        // Lines of a long description are indented further.
        (line.as_bytes().get(2) != Some(&b' ') && name != "help").then(|| name.to_owned())
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_where_they_are_shown() {
        let text = "```console\n$ qrsync sync     # mainnet\nSynced\n# install x\n```\n```text\n$ no\n```\n";
        let found: Vec<_> =
            in_text("a.md", text).into_iter().map(|example| (example.command, example.place)).collect();
        let expected = [("qrsync sync", "a.md:2"), ("install x", "a.md:4")];
        assert_eq!(found, expected.map(|(command, place)| (command.to_owned(), place.to_owned())));

        let help = "Shows it\n\nUsage: qrsync x\n       qrsync x <COMMAND>\n\nCommands:\n  one  The first\n  two  The second\n       goes on\n  help  Print this\n\nExamples:\n  qrsync x one\n  qrsync x two --all\n";
        let found: Vec<_> = in_help("x", help).into_iter().map(|example| example.command).collect();
        assert_eq!(found, ["qrsync x one", "qrsync x two --all"]);
        assert_eq!(subcommands(help), ["one", "two"]);
        assert_eq!(in_help("x", "Example: qrsync demo")[0].command, "qrsync demo");
    }
}
