use std::fmt;

/// Something a rule has to say about a line of a file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    path: String,
    line: usize,
    severity: Severity,
    message: String,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Violation,
    Note,
}

impl Finding {
    /// Fails the check.
    pub(super) fn violation(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, severity: Severity::Violation, message: message.into() }
    }

    /// Is printed, and no more.
    pub(super) fn note(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, severity: Severity::Note, message: message.into() }
    }

    pub(super) fn is_violation(&self) -> bool {
        self.severity == Severity::Violation
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let note = if self.is_violation() { "" } else { "note: " };
        write!(f, "{}:{}: {note}{}", self.path, self.line, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_that_editors_can_jump_to() {
        assert_eq!(Finding::violation("a/b.rs", 3, "x, do y").to_string(), "a/b.rs:3: x, do y");
        assert_eq!(Finding::note("a/b.rs", 3, "x").to_string(), "a/b.rs:3: note: x");
    }
}
