use std::time::Duration;

use crate::registration::RequestId;

/// Why a request was not registered. It must then not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The table holds as many requests as it may, counting those that nobody waits for any more but
    /// whose fence has not come back.
    #[error("the limit of {limit} requests whose fence has not returned is reached")]
    Full {
        /// [`Config::max_pending`](crate::Config::max_pending).
        limit: usize,
    },
    /// The peer keeps no order and a request that content could not tell from this one is in flight.
    #[error("request {in_flight} with the same key is already in flight, and the peer is unfenced")]
    KeyInFlight {
        /// The request that holds the key.
        in_flight: RequestId,
    },
    /// The connection was closed.
    #[error("the connection is closed")]
    Closed,
}

/// Why a request ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CorrelationError {
    /// The peer handled the request and sent nothing. No proof of bad faith: it may be on another branch
    /// or lack old data. Do not repeat the request to this peer.
    #[error("refused by the peer after {after:?}")]
    Refused {
        /// From registration to the fence.
        after: Duration,
    },
    /// The answer in this request's place has content of a request that was never made.
    #[error("the peer answered something else")]
    Mismatched,
    /// The peer keeps no order and its answer fits several requests, this one among them.
    #[error("the answer fits several requests")]
    Ambiguous,
    /// Neither an answer nor a fence within the time allowed.
    #[error("no answer within {after:?}")]
    Expired {
        /// From registration to the moment expiry was noticed.
        after: Duration,
    },
    /// A later fence came back and this request's own did not: the peer swallowed both, or was never sent them. It has
    /// not refused, so asking it again may succeed.
    #[error("the request was lost: the peer answered later requests {after:?} after it")]
    Lost {
        /// From registration to the later fence.
        after: Duration,
    },
    /// The connection ended first.
    #[error("the connection ended before the answer")]
    Disconnected,
}

impl CorrelationError {
    /// The error as a metric label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Mismatched => "mismatched",
            Self::Ambiguous => "ambiguous",
            Self::Expired { .. } => "expired",
            Self::Lost { .. } => "lost",
            Self::Disconnected => "disconnected",
        }
    }

    /// Whether the same request to the same peer over a live connection may succeed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Ambiguous | Self::Expired { .. } | Self::Lost { .. } | Self::Disconnected)
    }
}
