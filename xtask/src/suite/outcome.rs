//! What a test binary's own report says, in libtest's plain form, which is the one that is stable.

use std::collections::BTreeSet;
use std::time::Duration;

/// How the process of a test binary ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Passed,
    /// With this status.
    Failed(String),
    /// It was ended after this time.
    Hung(Duration),
}

/// The tests that failed, each with the last lines that it printed. A failure that no test can be named for has none.
pub(super) fn failures(printed: &str, end: &End) -> Vec<(Option<String>, Vec<String>)> {
    let named: BTreeSet<&str> = match end {
        End::Passed => return Vec::new(),
        End::Failed(_) => tests_that(printed, " ... FAILED"),
        End::Hung(_) => {
            let begun = tests_that(printed, " has been running for over 60 seconds");
            let failed = tests_that(printed, " ... FAILED");
            let ended = &tests_that(printed, " ... ok") | &failed;
            &(&begun - &ended) | &failed
        }
    };
    if named.is_empty() {
        let reason = match end {
            End::Failed(status) => format!("it ended with {status}"),
            End::Hung(after) => format!("it did not end within {} s", after.as_secs()),
            End::Passed => return Vec::new(),
        };
        let lines: Vec<&str> = printed.lines().collect();
        return vec![(None, last(&lines).chain([reason]).collect())];
    }
    let words = |test| last(&section(printed, test)).collect();
    named.into_iter().map(|test| (Some(test.to_owned()), words(test))).collect()
}

/// Lines `test NAME` with this end.
fn tests_that<'a>(printed: &'a str, end: &str) -> BTreeSet<&'a str> {
    let name = |line: &'a str| line.strip_suffix(end)?.strip_prefix("test ");
    printed.lines().filter_map(name).map(|name| name.trim_end_matches(" - should panic")).collect()
}

/// What a test printed: libtest repeats it, under a heading, once all tests have ended.
fn section<'a>(printed: &'a str, test: &str) -> Vec<&'a str> {
    let heading = format!("---- {test} stdout ----");
    let lines = printed.lines().skip_while(|line| *line != heading).skip(1);
    lines.take_while(|line| !line.starts_with("---- ") && *line != "failures:").collect()
}

fn last(lines: &[&str]) -> impl Iterator<Item = String> {
    const COUNT: usize = 12;
    let lines: Vec<&str> = lines.iter().copied().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(COUNT);
    lines[from..].iter().map(|line| cut(line)).collect::<Vec<_>>().into_iter()
}

/// A summary of many peers is one line; its start tells enough here, the log has the rest.
fn cut(line: &str) -> String {
    const WIDTH: usize = 300;
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "
running 3 tests
test a::passes ... ok
test a::fails ... FAILED
SKIPPED: nothing of a test's
test b::fails_too - should panic ... FAILED

failures:

---- a::fails stdout ----

thread 'a::fails' (77) panicked at tests/a.rs:7:5:
liar
---- b::fails_too stdout ----
note: test did not panic as expected


failures:
    a::fails
    b::fails_too

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

    fn found(printed: &str, end: &End) -> Vec<(Option<String>, String)> {
        failures(printed, end).into_iter().map(|(test, words)| (test, words.join("|"))).collect()
    }

    #[test]
    fn each_failed_test_is_named_with_its_own_last_words() {
        assert_eq!(
            found(PRINTED, &End::Failed("exit status: 101".into())),
            [
                (Some("a::fails".into()), "thread 'a::fails' (77) panicked at tests/a.rs:7:5:|liar".into()),
                (Some("b::fails_too".into()), "note: test did not panic as expected".into()),
            ]
        );
        assert_eq!(found(PRINTED, &End::Passed), []);
    }

    #[test]
    fn a_process_that_died_is_a_failure_without_a_test() {
        let printed = "running 2 tests\ntest a::passes ... ok\nmemory allocation failed\n";
        let words = "running 2 tests|test a::passes ... ok|memory allocation failed|it ended with signal: 6";
        assert_eq!(found(printed, &End::Failed("signal: 6".into())), [(None, words.into())]);
    }

    #[test]
    fn whoever_has_not_ended_hangs() {
        let long = |test| format!("test {test} has been running for over 60 seconds\n");
        let printed = [&long("a::slow"), &long("a::hangs"), "test a::slow ... ok\n"].concat();
        let hung = End::Hung(Duration::from_secs(90));
        assert_eq!(found(&printed, &hung), [(Some("a::hangs".into()), String::new())]);
        assert_eq!(found("", &hung), [(None, "it did not end within 90 s".into())]);
    }

    #[test]
    fn last_words_are_few_and_short() {
        let long = "x".repeat(1_000);
        let lines: Vec<&str> = std::iter::repeat_n(long.as_str(), 50).collect();
        let words: Vec<String> = last(&lines).collect();
        assert!(words.len() == 12 && words.iter().all(|line| line.chars().count() == 301));
    }
}
