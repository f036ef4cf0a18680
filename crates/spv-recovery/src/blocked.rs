use std::time::Instant;

/// Why a peer must not be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// It failed too often in a row, and its breaker is open.
    Open {
        /// When a probe may go out.
        until: Instant,
    },
    /// Its breaker is half open, and the one probe is under way.
    Probing {
        /// When the probe is given up for lost; its outcome ends it sooner.
        until: Instant,
    },
    /// It has refused as many requests as it may on one connection. A new connection helps.
    Exhausted,
}

impl Blocked {
    /// When the peer may be asked if nothing else is heard of it; `None` when waiting does not help.
    #[must_use]
    pub const fn until(self) -> Option<Instant> {
        match self {
            Self::Open { until } | Self::Probing { until } => Some(until),
            Self::Exhausted => None,
        }
    }
}
