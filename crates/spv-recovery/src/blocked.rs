use std::time::Instant;

/// Why a peer must not be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// The peer failed too often in a row, and its breaker is open.
    Open {
        /// Time from which a probe may be sent.
        until: Instant,
    },
    /// The breaker of the peer is half-open, and its probe is in flight.
    Probing {
        /// Time at which the probe counts as lost, unless its outcome is reported before.
        until: Instant,
    },
    /// The peer has reached the limit of refusals on one connection. A new connection ends the block.
    Exhausted,
}

impl Blocked {
    /// Returns when the peer may be asked if no outcome is reported before, or `None` if waiting does not help.
    #[must_use]
    pub const fn until(self) -> Option<Instant> {
        match self {
            Self::Open { until } | Self::Probing { until } => Some(until),
            Self::Exhausted => None,
        }
    }
}
