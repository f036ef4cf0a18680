use std::time::{Duration, Instant};

/// When it makes sense to try again. Report it together with unfinished work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "stopping without an outlook looks like success"]
pub enum Outlook {
    /// A peer may be asked now.
    Now,
    /// Not before this time, unless an outcome changes this before. Call again after each outcome.
    At(Instant),
    /// Waiting does not help, because no peer is connected or each has reached its limit of refusals. A new connection
    /// helps.
    NeedsPeer,
    /// Neither waiting nor other peers help, because the data or the local side is at fault.
    Never,
}

impl Outlook {
    /// Returns how long to wait, or `None` if waiting does not help.
    #[must_use]
    pub fn wait(self, now: Instant) -> Option<Duration> {
        match self {
            Self::Now => Some(Duration::ZERO),
            Self::At(at) => Some(at.saturating_duration_since(now)),
            Self::NeedsPeer | Self::Never => None,
        }
    }
}
