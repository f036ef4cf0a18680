use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use spv_integration::client::LookupError;
use spv_integration::store::StoreError;

/// Why there is no answer, as the service says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Problem {
    /// Name of what happened; [`STATUSES`] lists all.
    pub(crate) error: Cow<'static, str>,
    /// A sentence that says what to do.
    pub(crate) message: String,
    /// Whether the same question may be answered later.
    pub(crate) transient: bool,
}

/// Every problem, and the status with which the service says it.
pub(crate) const STATUSES: [(&str, u16); 27] = [
    (BAD_REQUEST, 400),
    ("malformed_lock", 400),
    ("no_cycle", 400),
    ("above_tip", 404),
    ("below_start", 404),
    ("no_chain_lock", 404),
    ("no_quorum", 404),
    (NOT_FOUND, 404),
    ("not_stored", 404),
    ("retired", 404),
    ("switched_off", 404),
    ("unknown_cycle", 404),
    ("unknown_masternode", 404),
    ("unknown_quorum", 404),
    ("unknown_type", 404),
    (METHOD_NOT_ALLOWED, 405),
    (QUORUM_UNVERIFIED, 409),
    ("too_large", 413),
    ("wrong_host", 421),
    ("internal", 500),
    ("store", 500),
    ("busy", 503),
    ("empty", 503),
    ("too_many_subscribers", 503),
    ("stopping", 503),
    ("overloaded", 503),
    ("too_slow", 504),
];

pub(crate) const BAD_REQUEST: &str = "bad_request";
pub(crate) const METHOD_NOT_ALLOWED: &str = "method_not_allowed";
pub(crate) const NOT_FOUND: &str = "not_found";
pub(crate) const QUORUM_UNVERIFIED: &str = "quorum_unverified";

impl Problem {
    pub(crate) fn new(error: &'static str, message: impl Into<String>) -> Self {
        Self { error: error.into(), message: message.into(), transient: false }
    }

    pub(crate) fn transient(error: &'static str, message: impl Into<String>) -> Self {
        Self { transient: true, ..Self::new(error, message) }
    }

    /// Status of the service's answer.
    pub(crate) fn status(&self) -> u16 {
        STATUSES.iter().find(|(name, _)| *name == self.error).map_or(500, |(_, status)| *status)
    }
}

impl From<LookupError> for Problem {
    fn from(error: LookupError) -> Self {
        Self { error: error.kind().into(), message: error.to_string(), transient: error.is_transient() }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new("store", error.to_string())
    }
}
