use std::time::Duration;

use crate::registration::RequestId;

/// Why a request was not registered. It must then not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The table is full. Requests without a waiting caller count as long as their fence has not returned.
    #[error("the limit of {limit} requests whose fence has not returned is reached")]
    Full {
        /// [`Config::max_pending`](crate::Config::max_pending).
        limit: usize,
    },
    /// The peer does not keep order, and a request with the same content key is in flight.
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
    /// The peer handled the request but did not answer it. This does not prove that it is dishonest: it may be on
    /// another branch or lack old data. Do not repeat the request to this peer.
    #[error("refused by the peer after {after:?}")]
    Refused {
        /// Time from registration to the fence.
        after: Duration,
    },
    /// The answer in this request's place has content that fits no request.
    #[error("the peer answered something else")]
    Mismatched,
    /// The peer does not keep order, and its answer fits several requests, including this one.
    #[error("the answer fits several requests")]
    Ambiguous,
    /// Neither an answer nor the fence arrived within the allowed time.
    #[error("no answer within {after:?}")]
    Expired {
        /// Time from registration to the detection of the expiry.
        after: Duration,
    },
    /// A later fence returned, but the fence of this request did not: the peer swallowed the request and its fence, or
    /// they were never sent. It is not a refusal, so asking the peer again may succeed.
    #[error("the request was lost: the peer answered later requests {after:?} after it")]
    Lost {
        /// Time from registration to the later fence.
        after: Duration,
    },
    /// The connection ended before the answer.
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

    /// Tells whether the same request to the same peer may succeed over a working connection.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Ambiguous | Self::Expired { .. } | Self::Lost { .. } | Self::Disconnected)
    }
}
