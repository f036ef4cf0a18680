//! The rule that every alert is tested and explained, and that texts name no others.

use std::collections::BTreeSet;

use super::{Finding, TextFile};

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let text = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    let alerts: BTreeSet<&str> =
        text(RULES).lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let mut findings = Vec::new();
    for alert in &alerts {
        for (path, what) in [(TESTS, "show that it fires"), (EXPLANATIONS, "say what to do")] {
            if !names(text(path)).any(|name| name == *alert) {
                findings.push(Finding::violation(RULES, 1, format!("{alert} is not in {path}, {what}")));
            }
        }
    }
    for alert in &alerts {
        let place = alert.to_lowercase();
        let (link, target) =
            (format!("runbook_url: {EXPLANATIONS}#{place}"), format!("<a id=\"{place}\"></a>"));
        for (path, wanted) in [(RULES, link), (EXPLANATIONS, target)] {
            // A link is all of its line, so that it is not the beginning of another's.
            let is_there =
                |line: &str| if path == RULES { line.trim() == wanted } else { line.contains(&wanted) };
            if !text(path).lines().any(is_there) {
                findings.push(Finding::violation(path, 1, format!("{alert} has no {wanted}, add it")));
            }
        }
    }
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (number, line) in file.lines() {
            let unknown = names(line).filter(|name| !alerts.contains(name));
            findings.extend(unknown.map(|name| {
                Finding::violation(
                    &file.path,
                    number,
                    format!("there is no alert {name}, correct or remove it"),
                )
            }));
        }
    }
    findings
}

/// Words in the form of alerts' names.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let is_alert = |word: &&str| {
        word.strip_prefix("Qrsync")
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
    };
    text.split(|character: char| !character.is_ascii_alphanumeric()).filter(is_alert)
}

const RULES: &str = "observability/alerts.yml";
const TESTS: &str = "observability/tests.yml";
const EXPLANATIONS: &str = "docs/operations.md";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn an_alert_is_tested_and_explained() {
        let link = "runbook_url: docs/operations.md#qrsyncdown\n";
        let rules = file(
            RULES,
            &format!("rules:\n      - alert: QrsyncDown\n        expr: up == 0\n          {link}"),
        );
        let tested = || file(TESTS, "alertname: QrsyncDown }");
        let explained = || file(EXPLANATIONS, "| <a id=\"qrsyncdown\"></a>`QrsyncDown` | look |");
        assert_eq!(check(&[rules, tested(), explained()]), []);

        let rules = file(RULES, &format!("- alert: QrsyncDown\n{link}- alert: QrsyncDownAgain\n"));
        let text = file("README.md", "`QrsyncGone`, and Qrsync itself");
        let found = check(&[rules, tested(), explained(), text]);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "observability/alerts.yml:1: QrsyncDownAgain is not in observability/tests.yml, show that it fires",
                "observability/alerts.yml:1: QrsyncDownAgain is not in docs/operations.md, say what to do",
                "observability/alerts.yml:1: QrsyncDownAgain has no runbook_url: docs/operations.md#qrsyncdownagain, add it",
                "docs/operations.md:1: QrsyncDownAgain has no <a id=\"qrsyncdownagain\"></a>, add it",
                "README.md:1: there is no alert QrsyncGone, correct or remove it",
            ]
        );
    }
}
