/// A configuration value out of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct ConfigError {
    /// Name of the field.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}
