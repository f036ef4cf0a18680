use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;
use spv_integration::Config;

use super::layers::{keys, variable};

/// Written by `cargo xtask configuration` from the documentation of the types.
const MEANINGS: &str = include_str!("meanings.json");

/// The explanation of a key, or of a section, whose name ends with a dot.
#[derive(Debug, Deserialize)]
pub(super) struct Meaning {
    key: String,
    /// The flag that sets it too.
    flag: Option<String>,
    /// A line per paragraph.
    meaning: String,
}

/// All that can be said about the keys of the configuration.
#[derive(Debug)]
pub(super) struct Reference {
    meanings: BTreeMap<String, Meaning>,
    defaults: Value,
}

impl Reference {
    pub(super) fn new() -> anyhow::Result<Self> {
        let meanings: Vec<Meaning> = serde_json::from_str(MEANINGS)?;
        let meanings = meanings.into_iter().map(|meaning| (meaning.key.clone(), meaning)).collect();
        Ok(Self { meanings, defaults: serde_json::to_value(Config::default())? })
    }

    /// What a key means; of a section, with a dot at the end of its name.
    pub(super) fn meaning(&self, key: &str) -> Option<&str> {
        self.meanings.get(key).map(|meaning| meaning.meaning.as_str())
    }

    /// Which values a key can have, as the check of the configuration says when it is given too little or too much.
    /// Empty where any value will do.
    pub(super) fn range(&self, key: &str) -> String {
        let pointer = format!("/{}", key.replace('.', "/"));
        let extremes: [Value; 2] = match self.defaults.pointer(&pointer) {
            Some(Value::Number(number)) if number.is_f64() => [(-1.0).into(), 1e300.into()],
            Some(Value::Number(_)) => [0.into(), u32::MAX.into()],
            Some(Value::String(text)) if is_time(text) => ["0s".into(), "500000000000y".into()],
            _ => return String::new(),
        };
        let mut reasons: Vec<String> = Vec::new();
        for reason in extremes.into_iter().filter_map(|value| self.refusal(key, &pointer, value)) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        reasons.join("; ")
    }

    /// Why a value is none for a key.
    fn refusal(&self, key: &str, pointer: &str, value: Value) -> Option<String> {
        let mut tree = self.defaults.clone();
        *tree.pointer_mut(pointer)? = value;
        let error = match serde_json::from_value::<Config>(tree) {
            Ok(config) => config.validate().err()?.to_string(),
            Err(error) => error.to_string(),
        };
        if error.contains("expected a nonzero") {
            return Some("above zero".to_owned());
        }
        if error.starts_with("invalid value") {
            // More than its type holds.
            return None;
        }
        // Of another key: what that one has to be beside this one.
        let reason = error.strip_prefix(&format!("{key}: ")).unwrap_or(&error);
        let reason = reason.trim_start_matches("must ");
        Some(match reason.strip_prefix("not be ") {
            Some(limit) => format!("not {limit}"),
            None => reason.trim_start_matches("be ").to_owned(),
        })
    }

    /// All of it, as a page of the documentation.
    pub(super) fn markdown(&self) -> String {
        let mut text = PREFACE.to_owned();
        let mut section = None;
        for key in keys(&self.defaults) {
            let of = key.rsplit_once('.').map_or("", |(section, _)| section);
            if section.as_deref() != Some(of) {
                let title = if of.is_empty() { "Top level" } else { of };
                let about = self.meaning(&format!("{of}.")).unwrap_or_default();
                line(&mut text, format_args!("\n## {title}\n"));
                if !about.is_empty() {
                    line(&mut text, format_args!("{}\n", about.replace('\n', "\n\n")));
                }
                line(&mut text, format_args!("| key | default | range | meaning |\n|---|---|---|---|"));
                section = Some(of.to_owned());
            }
            let flag = self.meanings.get(&key).and_then(|meaning| meaning.flag.as_ref());
            let flag = flag.map(|flag| format!("<br>`{flag}`")).unwrap_or_default();
            let meaning = self.meaning(&key).unwrap_or_default().replace('\n', "<br>").replace('|', "\\|");
            let range = self.range(&key);
            line(
                &mut text,
                format_args!(
                    "| `{key}`<br>`{}`{flag} | {} | {range} | {meaning} |",
                    variable(&key),
                    self.default(&key)
                ),
            );
        }
        text
    }

    fn default(&self, key: &str) -> String {
        match self.defaults.pointer(&format!("/{}", key.replace('.', "/"))) {
            None | Some(Value::Null) => "not set".to_owned(),
            Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
            Some(Value::Array(list)) if list.is_empty() => "empty".to_owned(),
            Some(Value::String(text)) => format!("`{text}`"),
            Some(value) => format!("`{value}`"),
        }
    }
}

/// Times are written with a unit, such as `500ms` or `1day`.
fn is_time(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.ends_with(|last: char| last.is_ascii_lowercase())
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    writeln!(text, "{line}").ok();
}

const PREFACE: &str = "# Configuration

Every key, as `qrsync config reference` prints it. [Operations](operations.md#configuration) names the few that need
to be changed. A key is set in the file (`--config FILE` or `QRSYNC_CONFIG`, TOML), by its environment variable, or
by its flag where it has one; a flag overrides the variable, which overrides the file, which overrides the default.
`qrsync config show` prints the values in use with the origin of each.

Times are written with a unit, such as `500ms`, `5s`, `2m`, `1h` or `1day`. Sizes are in bytes, rates per second,
shares from 0 to 1. The range is what the check of the configuration says of values that are too small or too large.
Where the meaning of a key below `sync` names another default than the column, it is that of the crate alone, and
the column counts.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_section_has_a_meaning_and_no_other_has() {
        let reference = Reference::new().unwrap();
        let keys = keys(&reference.defaults);
        let sections =
            keys.iter().flat_map(|key| key.match_indices('.').map(|(at, _)| key[..=at].to_owned()));
        let mut expected: Vec<String> = keys.iter().cloned().chain(sections).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(reference.meanings.keys().cloned().collect::<Vec<_>>(), expected);
        assert!(reference.meanings.values().all(|meaning| !meaning.meaning.is_empty()));
    }

    #[test]
    fn ranges_are_those_that_the_check_enforces() {
        let reference = Reference::new().unwrap();
        for (key, range) in [
            ("sync.window", "from 1 to 16384"),
            ("sync.ping_interval", "from 1 ms to a year (365 days)"),
            ("sync.discovery.exploration", "from 0 to 1"),
            ("sync.verify_quorums", ""),
            ("network", ""),
        ] {
            assert_eq!(reference.range(key), range, "{key}");
        }
        let timeout = reference.range("sync.executor.hard_timeout");
        assert!(timeout.contains("not below soft_timeout") && timeout.contains("a day"), "{timeout}");
    }

    #[test]
    fn the_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        // The package alone does not have it.
        let Ok(page) = std::fs::read_to_string(path) else { return };
        let expected = Reference::new().unwrap().markdown();
        assert!(page == expected, "run `cargo run -p qrsync -- config reference > docs/configuration.md`");
    }
}
