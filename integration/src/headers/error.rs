use crate::chain::HeaderError;

/// Why the header chain could not be brought to the tip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderDownloadError {
    /// No peer gave a usable answer.
    #[error("no peer serves valid headers after height {height}")]
    NoUsableAnswer {
        /// Height that was reached.
        height: u32,
    },
    /// Stretches between checkpoints do not fit together.
    #[error("headers contradict a checkpoint: {0}")]
    Checkpoint(#[from] HeaderError),
}
