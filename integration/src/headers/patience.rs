use std::time::Duration;

/// How long the download of headers waits for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Longest time that one peer is waited for.
    pub(crate) longest: Duration,
    /// Without news for this long, everybody is asked again.
    pub(crate) poll: Duration,
}

impl Patience {
    /// How long nodes are looked for that could be heard besides those that are there.
    pub(super) fn gathering(&self) -> Duration {
        self.longest * 6
    }

    /// How long peers are asked again and again when none has answered.
    pub(super) fn unanswered(&self) -> Duration {
        self.longest * 4
    }
}
