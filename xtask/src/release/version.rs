//! Versions, and which may follow which.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) patch: u32,
}

/// What a release may do to those who use the one before, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    Fix,
    Addition,
    Breaking,
}

impl Version {
    /// What the step to `next` allows, or `None` if it is no single step.
    pub(super) fn change_to(self, next: Self) -> Option<Change> {
        let Self { major, minor, patch } = self;
        // Before 1.0 the minor version stands for the major one, and the patch for both others.
        if next == (Self { major: major + 1, minor: 0, patch: 0 }) {
            Some(Change::Breaking)
        } else if next == (Self { major, minor: minor + 1, patch: 0 }) {
            Some(if major == 0 { Change::Breaking } else { Change::Addition })
        } else if next == (Self { major, minor, patch: patch + 1 }) {
            Some(if major == 0 { Change::Addition } else { Change::Fix })
        } else {
            None
        }
    }
}

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let number = |part: &str| {
            let canonical = part == "0" || !part.starts_with(['0', '+']);
            part.parse().ok().filter(|_| canonical).ok_or(NotAVersion)
        };
        let parts: Vec<&str> = text.split('.').collect();
        let [major, minor, patch] = parts[..] else { return Err(NotAVersion) };
        Ok(Self { major: number(major)?, minor: number(minor)?, patch: number(patch)? })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAVersion;

impl fmt::Display for NotAVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version has three numbers, such as 0.2.0")
    }
}

impl std::error::Error for NotAVersion {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn three_numbers_are_a_version_and_nothing_else_is() {
        assert_eq!(version("0.10.3"), Version { major: 0, minor: 10, patch: 3 });
        assert!(version("0.10.0") > version("0.9.9"));
        for text in ["", "1", "1.2", "1.2.3.4", "v1.2.3", "1.2.x", "01.2.3", "+1.2.3", "1.2.3-rc1", "1.2.-3"]
        {
            assert_eq!(text.parse::<Version>(), Err(NotAVersion), "{text}");
        }
    }

    #[test]
    fn a_version_follows_another_by_one_step() {
        for (from, to, change) in [
            ("0.1.0", "0.1.1", Some(Change::Addition)),
            ("0.1.4", "0.2.0", Some(Change::Breaking)),
            ("0.9.0", "1.0.0", Some(Change::Breaking)),
            ("1.2.3", "1.2.4", Some(Change::Fix)),
            ("1.2.3", "1.3.0", Some(Change::Addition)),
            ("1.2.3", "2.0.0", Some(Change::Breaking)),
            ("0.1.0", "0.1.0", None),
            ("0.1.0", "0.0.9", None),
            ("0.1.0", "0.3.0", None),
            ("0.1.3", "0.2.1", None),
        ] {
            assert_eq!(version(from).change_to(version(to)), change, "{from} to {to}");
        }
    }
}
