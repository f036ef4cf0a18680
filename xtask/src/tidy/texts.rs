//! Rules about the texts: links lead somewhere, and two of them keep their form.

use super::{Finding, TextFile};

pub(super) fn check(file: &TextFile, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    if !file.path.ends_with(".md") {
        return Vec::new();
    }
    let mut findings = broken_links(file, exists);
    findings.extend(malformed(file));
    findings
}

fn broken_links(file: &TextFile, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line) {
            let resolved = resolve(&file.path, &target);
            if !resolved.is_some_and(|path| exists(&path)) {
                let message = format!("link to {target} leads nowhere, correct or remove it");
                findings.push(Finding::violation(&file.path, number, message));
            }
        }
    }
    findings
}

/// Targets of the relative links in a line, without anchors.
fn targets(line: &str) -> Vec<String> {
    // Outside code lie the even pieces between backticks.
    let line: String = line.split('`').step_by(2).collect();
    let inline = line.split("](").skip(1).map(|rest| rest.split(')').next().unwrap_or(rest));
    let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]:")).map(|(_, target)| target);
    inline
        .chain(definition)
        .filter_map(|target| target.split_whitespace().next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .filter_map(|target| target.split('#').next())
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `target` as seen from the file `from`, or `None` if that is outside the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn malformed(file: &TextFile) -> Option<Finding> {
    let lines = file.text.lines().count();
    match file.name() {
        "ARCHITECTURE.md" if lines > MAX_ARCHITECTURE_LINES => {
            let message =
                format!("{lines} lines, more than {MAX_ARCHITECTURE_LINES}, move detail to where it applies");
            Some(Finding::violation(&file.path, MAX_ARCHITECTURE_LINES + 1, message))
        }
        "CHANGELOG.md" if !file.text.lines().any(|line| line.trim_end() == UNRELEASED) => {
            Some(Finding::violation(
                &file.path,
                1,
                format!("no section `{UNRELEASED}`, add it above the releases"),
            ))
        }
        _ => None,
    }
}

const MAX_ARCHITECTURE_LINES: usize = 200;
const UNRELEASED: &str = "## [Unreleased]";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    fn links(text: &str) -> Vec<String> {
        let exists = |path: &str| ["docs/metrics.md", "crates/a", ""].contains(&path);
        let found = broken_links(&file("docs/a.md", text), exists);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn relative_links_must_resolve() {
        assert_eq!(
            links("See [b](b.md)."),
            ["docs/a.md:1: link to b.md leads nowhere, correct or remove it"],
        );
        for (text, broken) in [
            ("[m](metrics.md#labels) and ![a](../crates/a/ \"title\") and [root](..)", 0),
            ("[x](../../outside.md) [y](/docs/metrics.md)", 2),
            ("[ref]: gone.md", 1),
            ("[web](https://dash.org/x) [mail](mailto:a@b.c) [here](#section)", 0),
        ] {
            assert_eq!(links(text).len(), broken, "{text}");
        }
    }

    #[test]
    fn code_has_no_links() {
        assert_eq!(links("`[x](gone.md)`\n```rust\na[0](b)\n```\nend"), [""; 0]);
        assert_eq!(links("```\n```\n[x](gone.md)").len(), 1);
    }

    #[test]
    fn the_architecture_stays_short() {
        assert_eq!(malformed(&file("ARCHITECTURE.md", &"line\n".repeat(200))), None);
        assert!(malformed(&file("ARCHITECTURE.md", &"line\n".repeat(201))).is_some());
    }

    #[test]
    fn the_changelog_has_a_place_for_news() {
        assert_eq!(malformed(&file("CHANGELOG.md", "# Changes\n\n## [Unreleased]\n")), None);
        assert!(malformed(&file("crates/a/CHANGELOG.md", "# Changes\n\n## [0.1.0]\n")).is_some());
    }
}
