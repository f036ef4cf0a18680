use std::process::ExitCode;

use spv_integration::ConfigError;
use spv_integration::session::{EndState, Summary, SyncError};
use spv_integration::store::StoreError;
use spv_simnet::{FaultsError, NetworkError, SpecError};

use crate::answers::{Problem, problem};

/// How the process ends; documented in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    NoUsablePeer = 3,
    NotVerified = 4,
    Interrupted = 130,
}

impl Exit {
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if let Some(error) = error.downcast_ref::<SyncError>() {
            return match error {
                SyncError::Config(_) | SyncError::NoPeers(_) | SyncError::FromAboveTip { .. } => Self::Usage,
                SyncError::Lookup { .. } => Self::NoUsablePeer,
                SyncError::Headers(_) => Self::NotVerified,
                SyncError::Interrupted => Self::Interrupted,
                _ => Self::Failed,
            };
        }
        if error.is::<Interrupted>() {
            return Self::Interrupted;
        }
        if let Some(Problem { error, .. }) = error.downcast_ref() {
            return Self::of_problem(error);
        }
        if error.is::<ConfigError>()
            || error.is::<SpecError>()
            || error.is::<FaultsError>()
            || error.is::<Usage>()
            || matches!(error.downcast_ref(), Some(error) if is_usage(error))
        {
            return Self::Usage;
        }
        if matches!(error.downcast_ref(), Some(StoreError::OtherNetwork { .. })) {
            return Self::Usage;
        }
        error.downcast_ref::<NotVerified>().map_or(Self::Failed, |_| Self::NotVerified)
    }

    /// The exit code for what kept a question from being answered, by its name.
    pub(crate) fn of_problem(error: &str) -> Self {
        match error {
            problem::QUORUM_UNVERIFIED => Self::NotVerified,
            problem::BAD_REQUEST | "unknown_type" => Self::Usage,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&Summary> for Exit {
    fn from(summary: &Summary) -> Self {
        Self::from(&summary.state)
    }
}

impl From<&EndState> for Exit {
    fn from(state: &EndState) -> Self {
        match state {
            EndState::Synced => Self::Ok,
            EndState::Degraded { .. } => Self::Failed,
            EndState::Unverifiable { .. } => Self::NotVerified,
            EndState::NoCapablePeer => Self::NoUsablePeer,
        }
    }
}

/// A network that cannot be had because of how it was asked for, not because of the system.
fn is_usage(error: &NetworkError) -> bool {
    !matches!(error, NetworkError::Listen { .. })
}

/// A flag's value that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Somebody stopped what leaves nothing behind.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; no result is kept")]
pub(crate) struct Interrupted;

/// Data that is well-formed but does not prove what it claims.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotVerified(pub(crate) String);
