//! The changelog: what is unreleased, and the cut that makes a release of it.

use super::version::Change;

/// What is below `## [version]`, without blank lines around it. `None` if there is nothing but headings.
pub(super) fn entries_of<'a>(changelog: &'a str, version: &str) -> Option<&'a str> {
    let (_, rest) = split_at_heading(changelog, version)?;
    let section = rest.find("\n## ").map_or(rest, |end| &rest[..end]).trim();
    section.lines().any(|line| line.starts_with("- ")).then_some(section)
}

/// The changelog with its unreleased entries under the heading of a version, or `None` if there are none.
pub(super) fn cut(changelog: &str, version: &str, date: &str) -> Option<String> {
    entries_of(changelog, UNRELEASED)?;
    let (before, after) = split_at_heading(changelog, UNRELEASED)?;
    Some(format!("{before}\n\n## [{version}] - {date}{after}"))
}

/// The least that a release with these entries is.
pub(super) fn least_change(entries: &str) -> Change {
    let has = |heading: &str| entries.lines().any(|line| line.trim_end() == heading);
    if has("### Removed") || entries.contains("**Breaking**") {
        Change::Breaking
    } else if has("### Added") {
        Change::Addition
    } else {
        Change::Fix
    }
}

/// What comes before the end of the line with the heading of a version, and what comes after it.
fn split_at_heading<'a>(changelog: &'a str, version: &str) -> Option<(&'a str, &'a str)> {
    let heading = format!("## [{version}]");
    let start =
        changelog.match_indices(&heading).find(|&(at, _)| at == 0 || changelog[..at].ends_with('\n'))?.0;
    let end = changelog[start..].find('\n').map_or(changelog.len(), |length| start + length);
    Some(changelog.split_at(end))
}

pub(super) const UNRELEASED: &str = "Unreleased";

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n## [0.1.0] - 2020-01-02\n\n- First.\n";

    #[test]
    fn a_cut_moves_what_is_unreleased_below_a_version_and_leaves_room_for_news() {
        let cut = cut(TEXT, "0.2.0", "2020-03-04").unwrap();
        assert_eq!(
            cut,
            "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2020-03-04\n\n### Added\n\n- A thing.\n\n## [0.1.0] - 2020-01-02\n\n- First.\n"
        );
        assert_eq!(entries_of(&cut, "0.2.0"), Some("### Added\n\n- A thing."));
        assert_eq!(entries_of(&cut, "0.1.0"), Some("- First."));
        assert_eq!(entries_of(&cut, UNRELEASED), None);
    }

    #[test]
    fn without_entries_there_is_nothing_to_cut() {
        for text in
            ["# Changelog\n", "## [Unreleased]\n", "## [Unreleased]\n\n### Added\n\n## [0.1.0]\n\n- First.\n"]
        {
            assert_eq!(cut(text, "0.2.0", "2020-03-04"), None, "{text}");
        }
    }

    #[test]
    fn entries_say_what_kind_of_release_they_need() {
        assert_eq!(least_change("### Fixed\n\n- A bug."), Change::Fix);
        assert_eq!(least_change("### Added\n\n- A thing."), Change::Addition);
        assert_eq!(least_change("### Removed\n\n- A thing."), Change::Breaking);
        assert_eq!(least_change("### Changed\n\n- **Breaking**: another name."), Change::Breaking);
    }
}
