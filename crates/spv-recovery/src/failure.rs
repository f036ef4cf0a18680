/// The kind of a failure, by which recovery decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// No answer in time.
    Timeout,
    /// The peer declined, or let it be known that no answer will come.
    Refused,
    /// The connection ended before the answer.
    Disconnected,
    /// The answer failed verification.
    Invalid,
    /// The peer answered that it failed itself, as by an HTTP status of the five hundreds. It is reachable and honest, but
    /// does not work; another may, or the same one later.
    ServerError,
    /// There was no peer to ask. Nothing was attempted.
    NoPeer,
    /// Our own side does not accept the work: malformed, or shutting down.
    Rejected,
    /// Our own side broke while doing the work.
    Internal,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Timeout,
        Self::Refused,
        Self::Disconnected,
        Self::Invalid,
        Self::ServerError,
        Self::NoPeer,
        Self::Rejected,
        Self::Internal,
    ];

    /// Another try, perhaps elsewhere or later, may succeed.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        !matches!(self, Self::Rejected | Self::Internal)
    }

    /// The peer did badly. A refusal is no proof of that: the peer may hold other data than we ask for.
    #[must_use]
    pub const fn blames_peer(self) -> bool {
        matches!(self, Self::Timeout | Self::Disconnected | Self::Invalid | Self::ServerError)
    }

    /// The kind as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Disconnected => "disconnected",
            Self::Invalid => "invalid",
            Self::ServerError => "server_error",
            Self::NoPeer => "no_peer",
            Self::Rejected => "rejected",
            Self::Internal => "internal",
        }
    }
}

/// Implemented by the caller's error type.
pub trait Classify {
    /// What this error means to recovery.
    fn failure_kind(&self) -> FailureKind;
}

impl Classify for FailureKind {
    fn failure_kind(&self) -> FailureKind {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::FailureKind::{self, *};

    #[test]
    fn a_refusal_is_transient_and_nobodys_fault() {
        let transient: Vec<_> = FailureKind::ALL.into_iter().filter(|kind| kind.is_transient()).collect();
        let blamed: Vec<_> = FailureKind::ALL.into_iter().filter(|kind| kind.blames_peer()).collect();
        assert_eq!(transient, [Timeout, Refused, Disconnected, Invalid, ServerError, NoPeer]);
        assert_eq!(blamed, [Timeout, Disconnected, Invalid, ServerError]);
    }
}
