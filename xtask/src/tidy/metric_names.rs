//! The rule that `docs/metrics.md` and the code name the same metrics, and that whatever watches them names no others.

use std::collections::BTreeMap;

use super::{Finding, TextFile};

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let mut in_code = BTreeMap::new();
    for file in files.iter().filter(|file| declares_metrics(&file.path)) {
        for (line, text) in file.lines() {
            // Between double quotes lie the odd pieces.
            for name in text.split('"').skip(1).step_by(2).filter(|name| is_metric(name)) {
                in_code.entry(served(name)).or_insert((file.path.as_str(), line));
            }
        }
    }
    let mut in_document = BTreeMap::new();
    for file in files.iter().filter(|file| file.path == DOCUMENT) {
        for (line, text) in file.lines() {
            for name in text.split('`').skip(1).step_by(2).filter(|name| is_metric(name)) {
                in_document.entry(served(name)).or_insert((file.path.as_str(), line));
            }
        }
    }
    let undocumented = absent_from(&in_document, &in_code).map(|(name, (path, line))| {
        Finding::violation(path, line, format!("metric {name} is not in {DOCUMENT}, describe it there"))
    });
    let vanished = absent_from(&in_code, &in_document).map(|(name, (path, line))| {
        Finding::violation(path, line, format!("no metrics.rs has a metric {name}, remove or rename it here"))
    });
    let watched = files.iter().filter(|file| file.path.starts_with(WATCHERS)).flat_map(|file| {
        let unknown = |name: &&str| !in_document.contains_key(*name);
        let in_line = move |(line, text)| watched_metrics(text).filter(unknown).map(move |name| (name, line));
        file.lines().flat_map(in_line).map(|(name, line)| {
            Finding::violation(
                &file.path,
                line,
                format!("metric {name} is not in {DOCUMENT}, nothing will ever match it"),
            )
        })
    });
    undocumented.chain(vanished).chain(watched).collect()
}

/// The name by which `qrsync` serves a metric: those of the mechanism crates begin as all others there.
fn served(name: &str) -> String {
    name.strip_prefix("spv_").map_or_else(|| name.to_owned(), |rest| format!("qrsync_{rest}"))
}

/// The metrics that a line of a query, a rule or a dashboard names, without what Prometheus adds for histograms.
/// Recorded series have colons in their names and are no metrics of ours.
fn watched_metrics(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|name| is_metric(name))
        .map(|name| {
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
        })
}

type Names<'a> = BTreeMap<String, (&'a str, usize)>;

fn absent_from<'a>(
    there: &Names<'_>,
    here: &'a Names<'_>,
) -> impl Iterator<Item = (&'a str, (&'a str, usize))> {
    here.iter().filter(|(name, _)| !there.contains_key(*name)).map(|(name, place)| (name.as_str(), *place))
}

fn declares_metrics(path: &str) -> bool {
    let in_src =
        path.starts_with("integration/src/") || path.starts_with("crates/") && path.contains("/src/");
    in_src && (path.ends_with("/metrics.rs") || path.ends_with("/service_metrics.rs"))
}

fn is_metric(name: &str) -> bool {
    let rest = name.strip_prefix("spv_").or_else(|| name.strip_prefix("qrsync_"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    })
}

const DOCUMENT: &str = "docs/metrics.md";
const WATCHERS: &str = "observability/";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    const CODE: &str =
        "const A: &str = \"spv_x_a_total\";\n/// Not \"spv <a>\".\nconst B: &str = \"qrsync_b_seconds\";";

    #[test]
    fn the_same_names_on_both_sides_pass() {
        let document = file(
            DOCUMENT,
            "Names are `qrsync_<crate>_<thing>`.\n| `qrsync_x_a_total` | a |\n| `qrsync_b_seconds` |",
        );
        assert_eq!(check(&[file("crates/x/src/deep/metrics.rs", CODE), document]), []);
    }

    #[test]
    fn a_name_on_one_side_only_is_found_on_its_line() {
        let document = file(DOCUMENT, "\n| `qrsync_x_a_total` | `qrsync_x_gone` |");
        let found = check(&[file("integration/src/metrics.rs", CODE), document]);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "integration/src/metrics.rs:3: metric qrsync_b_seconds is not in docs/metrics.md, describe it there",
                "docs/metrics.md:2: no metrics.rs has a metric qrsync_x_gone, remove or rename it here",
            ]
        );
    }

    #[test]
    fn what_is_watched_is_documented() {
        let document = file(DOCUMENT, "| `qrsync_x_a_total` | `qrsync_b_seconds` |");
        let query = "expr: rate(qrsync_b_seconds_bucket{job=\"qrsync\"}[5m]) / qrsync:synced:bool > qrsync_x_gone_total";
        let files =
            [file("integration/src/metrics.rs", CODE), document, file("observability/alerts.yml", query)];
        let found: Vec<_> = check(&files).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "observability/alerts.yml:1: metric qrsync_x_gone_total is not in docs/metrics.md, nothing will ever match it"
            ]
        );
    }

    #[test]
    fn other_files_may_say_what_they_like() {
        assert_eq!(check(&[file("crates/x/tests/metrics.rs", CODE), file("crates/x/src/a.rs", CODE)]), []);
    }
}
