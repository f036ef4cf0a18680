//! Rules about source files: their names, their length and what is left in them.

use super::{Finding, TextFile};

pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    if !file.path.ends_with(".rs") {
        return Vec::new();
    }
    let mut findings = unfinished(file);
    findings.extend(nameless(&file.path));
    findings.extend(overgrown(file));
    findings
}

/// A name that fits everything attracts everything.
fn nameless(path: &str) -> Option<Finding> {
    let (_, inside) = path.split_once("/src/")?;
    let drawer = inside.trim_end_matches(".rs").split('/').find(|part| {
        matches!(*part, "utils" | "util" | "helpers" | "common" | "misc") || part.contains("manager")
    })?;
    Some(Finding::violation(
        path,
        1,
        format!("`{drawer}` names no concept, name the file after what it holds"),
    ))
}

fn overgrown(file: &TextFile) -> Option<Finding> {
    if is_test(&file.path) {
        return None;
    }
    let lines = lines_without_tests(&file.text);
    if lines > MAX_LINES {
        let message = format!("{lines} lines without tests, more than {MAX_LINES}, split it by concept");
        Some(Finding::violation(&file.path, 1, message))
    } else if lines > MANY_LINES {
        let message = format!("{lines} lines without tests, has it two reasons to change?");
        Some(Finding::note(&file.path, 1, message))
    } else {
        None
    }
}

fn is_test(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "tests.rs"))
}

/// Lines outside the test modules, which are taken to end with a brace in the first column, as rustfmt has it.
fn lines_without_tests(text: &str) -> usize {
    let mut lines = text.lines().peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        let opens_module = |next: &str| next.starts_with("mod ") && next.ends_with('{');
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| opens_module(next)) {
            lines.by_ref().find(|line| *line == "}");
        } else {
            count += 1;
        }
    }
    count
}

fn unfinished(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        for name in LEFTOVERS {
            if line.contains(name) {
                let message = format!("`{name}` is left in, finish the work or return an error");
                findings.push(Finding::violation(&file.path, number, message));
            }
        }
        if let Some((_, reason)) = line.split_once(FIX_ME)
            && reason.trim_start_matches(':').trim().is_empty()
        {
            let message = format!("{FIX_ME} without a reason, write what is wrong and when it matters");
            findings.push(Finding::violation(&file.path, number, message));
        }
    }
    findings
}

/// From here on the length of a file is worth a thought.
const MANY_LINES: usize = 350;
const MAX_LINES: usize = 500;

// In pieces, or this file would break its own rule.
const LEFTOVERS: [&str; 3] = [concat!("todo", "!"), concat!("unimplemented", "!"), concat!("dbg", "!")];
const FIX_ME: &str = concat!("FIX", "ME");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn drawers_are_found_by_their_name() {
        for (path, found) in [
            ("crates/a/src/utils.rs", true),
            ("crates/a/src/wire/helpers.rs", true),
            ("crates/a/src/common/hash.rs", true),
            ("integration/src/peer_manager.rs", true),
            ("crates/a/src/commonwealth.rs", false),
            ("crates/a/tests/common/mod.rs", false),
            ("crates/common/src/lib.rs", false),
        ] {
            assert_eq!(nameless(path).is_some(), found, "{path}");
        }
    }

    #[test]
    fn length_is_counted_without_tests() {
        let code = "//\n".repeat(350);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    //\n".repeat(300));
        let both = code.clone() + &tests;
        assert_eq!(overgrown(&file("src/a.rs", &both)), None);

        let note = overgrown(&file("src/a.rs", &(code.clone() + &tests + "//\n"))).unwrap();
        assert!(!note.is_violation() && note.to_string().contains("351 lines"), "{note}");

        let long = code.repeat(2);
        assert!(overgrown(&file("src/a.rs", &long)).unwrap().is_violation());
        assert_eq!(overgrown(&file("src/a/tests.rs", &long)), None);
        assert_eq!(overgrown(&file("crates/a/tests/b.rs", &long)), None);
    }

    #[test]
    fn a_test_module_in_another_file_hides_nothing() {
        assert_eq!(lines_without_tests("#[cfg(test)]\nmod tests;\nfn a() {\n}\n"), 4);
    }

    #[test]
    fn leftovers_are_found_on_their_line() {
        let text =
            format!("fn a() {{\n    {}()\n}}\n// {FIX_ME}:\n// {FIX_ME}: wrong above 2^32\n", LEFTOVERS[0]);
        let found = unfinished(&file("src/a.rs", &text));
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("src/a.rs:2: ") && found[1].starts_with("src/a.rs:4: "), "{found:?}");
    }
}
