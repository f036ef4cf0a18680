//! Whether every dependency may be used, for those who have no cargo-deny.

use anyhow::{Context as _, Result};
use serde_json::Value;
use xshell::{Shell, cmd};

/// A line for each dependency that is under none of the licences that deny.toml allows.
pub(super) fn forbidden(sh: &Shell) -> Result<Vec<String>> {
    let deny = sh.read_file("deny.toml")?;
    let allowed = allowed(&deny).context("deny.toml allows no licences")?;
    let json = cmd!(sh, "cargo metadata --locked --format-version 1").quiet().read()?;
    let metadata: Value = serde_json::from_str(&json)?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let judged = packages.iter().filter_map(|package| {
        let name = package["name"].as_str().unwrap_or("?");
        match package["license"].as_str() {
            None => Some(format!("{name} says no licence")),
            Some(text) if !is_allowed(text, &allowed) => Some(format!("{name} is under {text}")),
            Some(_) => None,
        }
    });
    Ok(judged.collect())
}

/// The list `allow` of deny.toml.
fn allowed(deny: &str) -> Option<Vec<&str>> {
    let (_, list) = deny.split_once("\nallow = [")?;
    let (list, _) = list.split_once("\n]")?;
    Some(list.lines().filter_map(|line| line.trim().strip_prefix('"')?.split('"').next()).collect())
}

/// Whether an SPDX expression can be satisfied with the allowed licences alone.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    // "MIT/Apache-2.0" is the old way to write OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    any(&mut rest, allowed).is_some_and(|satisfied| satisfied && rest.is_empty())
}

/// `a OR b`. `None` if it is no expression.
fn any(words: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut satisfied = all(words, allowed)?;
    while take(words, "OR") {
        satisfied |= all(words, allowed)?;
    }
    Some(satisfied)
}

/// `a AND b`, which binds more tightly.
fn all(words: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut satisfied = one(words, allowed)?;
    while take(words, "AND") {
        satisfied &= one(words, allowed)?;
    }
    Some(satisfied)
}

fn one(words: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    if take(words, "(") {
        let satisfied = any(words, allowed)?;
        return take(words, ")").then_some(satisfied);
    }
    let (licence, rest) = words.split_first()?;
    *words = rest;
    if take(words, "WITH") {
        // An exception makes another licence of it.
        let (exception, rest) = words.split_first()?;
        *words = rest;
        return Some(allowed.contains(&format!("{licence} WITH {exception}").as_str()));
    }
    Some(allowed.contains(licence))
}

fn take(words: &mut &[&str], word: &str) -> bool {
    let found = words.first() == Some(&word);
    if found {
        *words = &words[1..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_allowed_if_some_choice_is() {
        let list = ["MIT", "Apache-2.0", "Unicode-3.0"];
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-3.0-only", true),
            ("MIT/Apache-2.0", true),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
            ("MIT OR GPL-3.0-only AND Unicode-3.0", true),
            ("GPL-3.0-only OR MIT AND Zlib", false),
            ("Apache-2.0 WITH LLVM-exception", false),
            ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", true),
            ("", false),
            ("MIT OR", false),
            ("(MIT", false),
            ("MIT MIT", false),
        ] {
            assert_eq!(is_allowed(expression, &list), expected, "{expression}");
        }
    }

    #[test]
    fn the_list_of_deny_toml_is_read_with_its_comments() {
        let deny =
            "[licenses]\n# Why.\nallow = [\n    \"MIT\",\n    \"Zlib\", # foldhash\n]\nother = [\"x\"]\n";
        assert_eq!(allowed(deny), Some(vec!["MIT", "Zlib"]));
        assert_eq!(allowed("[licenses]\n"), None);
    }
}
