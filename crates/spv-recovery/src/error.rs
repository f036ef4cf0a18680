/// A configuration value is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid {field}: {reason}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The field of [`Config`](crate::Config), with a dot for nested ones.
    pub field: &'static str,
    /// What is wrong with its value.
    pub reason: &'static str,
}

/// The common shape of every range check.
pub(crate) const fn ensure(ok: bool, field: &'static str, reason: &'static str) -> Result<(), ConfigError> {
    if ok { Ok(()) } else { Err(ConfigError { field, reason }) }
}
