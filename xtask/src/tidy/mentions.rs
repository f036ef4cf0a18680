//! The rule that texts speak of commands, flags, variables, configuration keys and JSON fields that there are.

use super::interface::{Interface, is_variable};
use super::{Finding, TextFile};

pub(super) fn check(file: &TextFile, interface: &Interface) -> Vec<Finding> {
    if !file.path.ends_with(".md") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
            continue;
        }
        let unknown = if in_code {
            let command = line.trim_start().trim_start_matches("$ ");
            unknown_in_command(command, interface)
        } else {
            // Between backticks lie the odd pieces.
            line.split('`').skip(1).step_by(2).flat_map(|code| unknown_in(code, interface)).collect()
        };
        findings.extend(unknown.into_iter().map(|what| {
            Finding::violation(&file.path, number, format!("there is no {what}, correct or remove it"))
        }));
    }
    findings
}

/// What a piece of code within a sentence names and does not exist.
fn unknown_in(code: &str, interface: &Interface) -> Vec<String> {
    if let Some(flag) = code.strip_prefix("--") {
        let flag = flag.split([' ', '=']).next().unwrap_or(flag);
        let known = interface.task_flags.contains(flag) || BUILT_IN.contains(&flag);
        return if known { Vec::new() } else { vec![format!("flag --{flag}")] };
    }
    if is_variable(code) {
        let known = interface.has_variable(code);
        return if known { Vec::new() } else { vec![format!("environment variable {code}")] };
    }
    if (code.starts_with("sync.") || code.starts_with("client.")) && !code.ends_with(".rs") {
        return unknown_fields(code.split('.').skip(1), interface);
    }
    if let Some((field, _)) = code.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        return unknown_fields([field].into_iter(), interface);
    }
    unknown_in_command(code, interface)
}

fn unknown_in_command(command: &str, interface: &Interface) -> Vec<String> {
    let command = command.split(" #").next().unwrap_or(command);
    let mut parts = command.split(" | ");
    let (Some(first), rest) = (parts.next(), parts) else { return Vec::new() };
    let mut unknown = Vec::new();
    if let Some(arguments) = first.strip_prefix("qrsync ") {
        unknown.extend(unknown_arguments(arguments, "command qrsync", &interface.commands, &interface.flags));
    } else if let Some(arguments) = first.strip_prefix("cargo xtask ") {
        unknown.extend(unknown_arguments(arguments, "task", &interface.tasks, &interface.task_flags));
    } else {
        return unknown;
    }
    for path in rest.filter_map(|part| part.strip_prefix("jq ")).filter_map(|jq| jq.strip_prefix('.')) {
        unknown.extend(unknown_fields(
            path.split(['.', ' ', '[', ']', '|']).filter(|name| !name.is_empty()),
            interface,
        ));
    }
    unknown
}

type Names = std::collections::BTreeSet<String>;

fn unknown_arguments(arguments: &str, kind: &str, commands: &Names, flags: &Names) -> Vec<String> {
    let words =
        arguments.split_whitespace().map(|word| word.trim_matches(['\'', '"', '[', ']', ',', ';', ':']));
    let mut unknown = Vec::new();
    for (index, word) in words.enumerate() {
        if let Some(flag) = word.strip_prefix("--") {
            let flag = flag.split('=').next().unwrap_or(flag);
            if !flags.contains(flag) && !BUILT_IN.contains(&flag) {
                unknown.push(format!("flag --{flag}"));
            }
        } else if index == 0
            && word.starts_with(|first: char| first.is_ascii_lowercase())
            && !commands.contains(word)
        {
            unknown.push(format!("{kind} {word}"));
        }
    }
    unknown
}

fn unknown_fields<'a>(names: impl Iterator<Item = &'a str>, interface: &Interface) -> Vec<String> {
    names.filter(|name| !interface.fields.contains(*name)).map(|name| format!("field {name}")).collect()
}

/// Flags that clap adds, and those of cargo that texts mention.
const BUILT_IN: [&str; 6] = ["help", "version", "locked", "release", "no-default-features", "workspace"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    fn found(text: &str) -> Vec<String> {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let interface = Interface {
            commands: set(&["sync", "masternodes"]),
            flags: set(&["json", "peer"]),
            tasks: set(&["ci", "sim"]),
            task_flags: set(&["json", "peer", "seeds"]),
            variables: set(&["QRSYNC_PEERS"]),
            fields: set(&["count", "window", "verified"]),
        };
        let prefix = "docs/a.md:1: there is no ";
        let findings = check(&file("docs/a.md", text), &interface);
        findings
            .iter()
            .map(|finding| finding.to_string().replace(prefix, "").replace(", correct or remove it", ""))
            .collect()
    }

    #[test]
    fn what_exists_may_be_mentioned() {
        for text in [
            "`qrsync sync --json --peer HOST:PORT`, `qrsync sync`, and `qrsync --help`",
            "`cargo xtask sim --seeds 1000`; `--peer`, `--help`; `QRSYNC_PEERS`; `sync.window`; `client.rs`; `\"verified\": true`",
            "`cargo test --workspace`, `git tag -d v1`, and qrsync gone without backticks",
            "```console\n$ qrsync masternodes --json | jq .count\n$ qrsync sync   # mainnet, or --whatever\n```",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_does_not_exist_is_found() {
        for (text, expected) in [
            ("`qrsync gone`", "command qrsync gone"),
            ("`qrsync sync --gone=1`", "flag --gone"),
            ("`qrsync sync --seeds 3`", "flag --seeds"),
            ("`cargo xtask gone`", "task gone"),
            ("`--gone`", "flag --gone"),
            ("`QRSYNC_GONE`", "environment variable QRSYNC_GONE"),
            ("`sync.gone`", "field gone"),
            ("`\"gone\": 1`", "field gone"),
        ] {
            assert_eq!(found(text), [expected], "{text}");
        }
        assert_eq!(found("```console\n$ qrsync sync --gone | jq .lists\n```").len(), 2);
    }
}
