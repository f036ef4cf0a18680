use std::time::Duration;

use super::shortfall::Shortfall;
use crate::lists::{DownloadFailure, GaveUp};

/// Peers that are behind are asked again after this long: two blocks.
const RETRY_LATER: Duration = Duration::from_secs(300);

/// How a sync ended. A sync that gave up never ends as `Synced`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndState {
    /// Everything in the range is proven and stored.
    Synced,
    /// Something could not be downloaded or proven; another sync may succeed.
    Degraded {
        /// What.
        reason: Shortfall,
        /// Time to wait before the next attempt; `None` if only another peer can help.
        next_retry: Option<Duration>,
    },
    /// Every peer was asked, and independent peers sent the same data, which fails verification.
    Unverifiable {
        /// Which.
        evidence: Shortfall,
    },
    /// No peer could be asked.
    NoCapablePeer,
}

impl EndState {
    /// Returns the name, as in the summary's JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::Degraded { .. } => "Degraded",
            Self::Unverifiable { .. } => "Unverifiable",
            Self::NoCapablePeer => "NoCapablePeer",
        }
    }

    /// Returns the same for a person.
    pub const fn in_words(&self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::Degraded { .. } => "Incomplete",
            Self::Unverifiable { .. } => "Not verified",
            Self::NoCapablePeer => "No usable peer",
        }
    }

    /// Returns the seconds after which another attempt makes sense, if waiting can help.
    pub fn next_retry_seconds(&self) -> Option<f64> {
        match self {
            Self::Degraded { next_retry, .. } => next_retry.map(|wait| wait.as_secs_f64()),
            _ => None,
        }
    }

    /// Returns the reason as text for a person.
    pub fn explanation(&self) -> Option<String> {
        match self {
            Self::Synced => None,
            Self::Degraded { reason: failure, .. } | Self::Unverifiable { evidence: failure } => {
                Some(failure.to_string())
            }
            Self::NoCapablePeer => {
                Some("no usable peer; check addresses and network, or give others with --peer".to_owned())
            }
        }
    }
}

impl EndState {
    /// Ends as degraded, unless it is not synced for another reason already.
    pub(super) fn lacks(&mut self, reason: Shortfall) {
        if *self == Self::Synced {
            *self = Self::Degraded { reason, next_retry: Some(RETRY_LATER) };
        }
    }

    /// Height of the list that could not be had, where that is why it did not end as synced.
    pub(super) fn failed_at(&self) -> Option<u32> {
        match self {
            Self::Degraded { reason, .. } | Self::Unverifiable { evidence: reason } => reason.failed_at(),
            Self::Synced | Self::NoCapablePeer => None,
        }
    }
}

impl From<Result<(), GaveUp>> for EndState {
    fn from(outcome: Result<(), GaveUp>) -> Self {
        match outcome {
            Ok(()) => Self::Synced,
            Err(GaveUp { failure: DownloadFailure::NoPeer, .. }) => Self::NoCapablePeer,
            Err(GaveUp {
                failure:
                    evidence @ (DownloadFailure::Unverifiable { .. } | DownloadFailure::NewerRules { .. }),
                ..
            }) => Self::Unverifiable { evidence: evidence.into() },
            Err(GaveUp { failure, next_retry }) => Self::Degraded { reason: failure.into(), next_retry },
        }
    }
}
