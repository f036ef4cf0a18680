use std::fmt;
use std::time::Duration;

use crate::{Completed, LateAnswer, LateError, Transport};

/// Why a request did not complete in time.
///
/// `P` is the peer, `R` the response, `E` the transport's error. If a copy was sent to a second peer, neither answered,
/// and the error is about whichever was heard of last.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError<P, R, E> {
    /// No connected peer is eligible for the request, and nothing was sent. There was none when the request was
    /// submitted, or while it waited the last one was removed or was found to be no longer
    /// [eligible](crate::Executor::recheck).
    #[error("no connected peer may take this request")]
    NoEligiblePeer,
    /// The request could not start at once and the waiting queue is full. Nothing was sent.
    #[error("the waiting queue is full ({max_waiting} requests)")]
    QueueFull {
        /// The configured limit.
        max_waiting: usize,
    },
    /// The soft timeout expired. The peer is still busy with the request, and its answer may still arrive.
    #[error("{peer:?} has not answered within {after:?}")]
    SoftTimeout {
        /// The slow peer.
        peer: P,
        /// The soft timeout, as adapted to the peer.
        after: Duration,
        /// Resolves to the answer if it arrives before the hard timeout.
        late: LateAnswer<P, R, E>,
    },
    /// The hard timeout expired. This is only returned if the soft timeout equals the hard one; otherwise the request
    /// ends with [`SoftTimeout`](Self::SoftTimeout) first.
    #[error("{peer:?} has not answered within the hard timeout of {after:?}")]
    HardTimeout {
        /// The peer that did not answer.
        peer: P,
        /// The hard timeout, as adapted to the peer.
        after: Duration,
    },
    /// The transport failed.
    #[error("the transport to {peer:?} failed")]
    Transport {
        /// The peer the request was sent to.
        peer: P,
        /// The error of the transport.
        source: E,
    },
    /// The transport panicked; no other request is affected.
    #[error("the transport to {peer:?} panicked")]
    Panicked {
        /// The peer the request was sent to.
        peer: P,
    },
    /// The executor was closed, or its runtime was shut down.
    #[error("the executor is closed")]
    Closed,
}

/// Result of a request, for the types of transport `T`.
pub type ExecuteResult<T> = Result<
    Completed<<T as Transport>::Peer, <T as Transport>::Response>,
    ExecuteError<<T as Transport>::Peer, <T as Transport>::Response, <T as Transport>::Error>,
>;

impl<P, R, E> ExecuteError<P, R, E> {
    /// The peer the request was sent to, if it was sent.
    pub const fn peer(&self) -> Option<&P> {
        match self {
            Self::SoftTimeout { peer, .. }
            | Self::HardTimeout { peer, .. }
            | Self::Transport { peer, .. }
            | Self::Panicked { peer } => Some(peer),
            Self::NoEligiblePeer | Self::QueueFull { .. } | Self::Closed => None,
        }
    }

    /// A fixed name of the variant, fit for a metric label.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoEligiblePeer => "no_eligible_peer",
            Self::QueueFull { .. } => "queue_full",
            Self::SoftTimeout { .. } => "soft_timeout",
            Self::HardTimeout { .. } => "hard_timeout",
            Self::Transport { .. } => "transport",
            Self::Panicked { .. } => "panicked",
            Self::Closed => "closed",
        }
    }

    pub(crate) fn on_time(peer: P, hard_timeout: Duration, error: LateError<E>) -> Self {
        match error {
            LateError::Transport { source } => Self::Transport { peer, source },
            LateError::Panicked => Self::Panicked { peer },
            LateError::HardTimeout => Self::HardTimeout { peer, after: hard_timeout },
            LateError::Closed => Self::Closed,
        }
    }
}

// By hand: the derive would ask for `R: Debug`, and a response need not be printable for its absence to be.
impl<P: fmt::Debug, R, E: fmt::Debug> fmt::Debug for ExecuteError<P, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEligiblePeer => f.write_str("NoEligiblePeer"),
            Self::QueueFull { max_waiting } => {
                f.debug_struct("QueueFull").field("max_waiting", max_waiting).finish()
            }
            Self::SoftTimeout { peer, after, .. } => f
                .debug_struct("SoftTimeout")
                .field("peer", peer)
                .field("after", after)
                .finish_non_exhaustive(),
            Self::HardTimeout { peer, after } => {
                f.debug_struct("HardTimeout").field("peer", peer).field("after", after).finish()
            }
            Self::Transport { peer, source } => {
                f.debug_struct("Transport").field("peer", peer).field("source", source).finish()
            }
            Self::Panicked { peer } => f.debug_struct("Panicked").field("peer", peer).finish(),
            Self::Closed => f.write_str("Closed"),
        }
    }
}
