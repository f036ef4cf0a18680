use std::{fmt, time::Duration};

use crate::failure::FailureKind;

/// What to do with a failed piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "work without an action is lost"]
pub enum Action<P> {
    /// Try it again.
    Retry {
        /// Time to wait before; zero means at once.
        after: Duration,
        /// Peers to avoid in this attempt. If there is no other peer then, report [`FailureKind::NoPeer`].
        avoid: Vec<P>,
        /// Whether the work has to run alone: one request at a time until it is done.
        alone: bool,
    },
    /// Use the alternative. This is decided only for a history that [has an
    /// alternative](crate::History::with_alternative).
    Alternative,
    /// Stop, and report the work as not done, with [`Recovery::after_giving_up`](crate::Recovery::after_giving_up)
    /// as the time of the next try.
    GiveUp {
        /// The reason.
        reason: GiveUpReason,
    },
}

/// Why work was given up. The work was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GiveUpReason {
    /// The work was tried [`max_attempts`](crate::Config::max_attempts) times.
    AttemptsExhausted {
        /// Number of attempts.
        attempts: u32,
    },
    /// No retry can cure this failure.
    Permanent {
        /// The failure.
        kind: FailureKind,
    },
    /// Every available peer was asked, independent ones sent the same answer and it failed verification: the fault lies
    /// with the data or with our verification, and the senders are not blamed.
    Unverifiable {
        /// Digest of the answer.
        digest: [u8; 32],
        /// Independent peers that sent it.
        witnesses: u32,
    },
}

impl GiveUpReason {
    /// Tells whether waiting cannot help, because the data or the local side is at fault.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Permanent { .. } | Self::Unverifiable { .. })
    }

    /// Returns the reason as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttemptsExhausted { .. } => "attempts_exhausted",
            Self::Permanent { .. } => "permanent",
            Self::Unverifiable { .. } => "unverifiable",
        }
    }
}

impl fmt::Display for GiveUpReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AttemptsExhausted { attempts } => write!(f, "failed {attempts} times"),
            Self::Permanent { kind } => write!(f, "failed for good: {}", kind.as_str()),
            Self::Unverifiable { witnesses, .. } => {
                write!(f, "{witnesses} independent peers sent the same answer, which cannot be verified")
            }
        }
    }
}

/// An action and the strategy that decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "work without an action is lost"]
pub struct Decision<P> {
    /// What to do.
    pub action: Action<P>,
    /// Name of the strategy that decided, or `give_up` or `last_resort` if none did.
    pub strategy: &'static str,
    /// Number of attempts so far.
    pub attempt: u32,
}
