use spv_correlation::{CorrelationError, RegisterError};
use spv_recovery::{Classify, FailureKind};

/// Why a request brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RequestError {
    /// There is no connection to the peer, or it ended.
    #[error("not connected")]
    Disconnected,
    /// The peer has refused as many requests as it may be made to on one connection.
    #[error("not sent: the peer has refused too many requests on this connection")]
    CreditSpent,
    /// The connection's table of requests has no place.
    #[error("cannot be sent now: {0}")]
    Register(#[from] RegisterError),
    /// The peer sent a `headers2` that cannot be decoded. It is asked for plain headers from now on.
    #[error("sent compressed headers that cannot be decoded")]
    Undecodable,
    /// The peer refused, or answered something else.
    #[error("{0}")]
    Correlation(#[from] CorrelationError),
}

impl RequestError {
    /// Name in a trace.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Disconnected | Self::Correlation(CorrelationError::Disconnected) => "disconnected",
            Self::Register(_) | Self::CreditSpent => "not_sent",
            Self::Correlation(CorrelationError::Refused { .. }) => "refused",
            Self::Correlation(CorrelationError::Expired { .. }) => "expired",
            Self::Correlation(CorrelationError::Lost { .. }) => "lost",
            Self::Undecodable => "undecodable",
            Self::Correlation(_) => "mismatched",
        }
    }
}

impl RequestError {
    /// Whether it says something of the peer; it does not where our own bookkeeping had no place for the request.
    pub(crate) const fn blames_peer(&self) -> bool {
        match self {
            Self::CreditSpent => false,
            Self::Register(error) => matches!(error, RegisterError::Closed),
            Self::Disconnected | Self::Undecodable | Self::Correlation(_) => true,
        }
    }
}

impl Classify for RequestError {
    fn failure_kind(&self) -> FailureKind {
        match self {
            Self::Disconnected
            | Self::Register(RegisterError::Closed)
            | Self::Correlation(CorrelationError::Disconnected) => FailureKind::Disconnected,
            Self::Correlation(CorrelationError::Refused { .. }) => FailureKind::Refused,
            Self::Correlation(CorrelationError::Expired { .. } | CorrelationError::Lost { .. }) => {
                FailureKind::Timeout
            }
            Self::Undecodable | Self::Correlation(_) => FailureKind::Invalid,
            // Nothing was attempted: the peer is busier than it looked, or is not to be asked any more.
            Self::Register(_) | Self::CreditSpent => FailureKind::NoPeer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_we_had_no_place_for_blames_nobody() {
        let refused = CorrelationError::Refused { after: Duration::ZERO };
        for (error, blames) in [
            (RequestError::CreditSpent, false),
            (RegisterError::Full { limit: 3 }.into(), false),
            (RegisterError::Closed.into(), true),
            (RequestError::Disconnected, true),
            (RequestError::Undecodable, true),
            (refused.into(), true),
        ] {
            assert_eq!(error.blames_peer(), blames, "{error}");
        }
    }
}
