use std::time::{Duration, Instant};

/// When it makes sense to try again. The typed answer for whoever has to report an unfinished state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "stopping without an outlook looks like success"]
pub enum Outlook {
    /// Somebody may be asked now.
    Now,
    /// Not before this instant, unless an outcome changes the picture sooner: ask again after each.
    At(Instant),
    /// No wait helps: no peer is connected, or each has refused as much as its patience allows. A new connection does.
    NeedsPeer,
    /// Neither time nor other peers help: the data or our own side is at fault.
    Never,
}

impl Outlook {
    /// How long to wait; `None` when waiting does not help.
    #[must_use]
    pub fn wait(self, now: Instant) -> Option<Duration> {
        match self {
            Self::Now => Some(Duration::ZERO),
            Self::At(at) => Some(at.saturating_duration_since(now)),
            Self::NeedsPeer | Self::Never => None,
        }
    }
}
