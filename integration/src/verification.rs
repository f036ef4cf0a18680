//! Where work is done that would hold up the runtime.

use crate::panicked::{Panicked, contained};

/// Where answers are verified, headers are validated and the database is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// On threads of their own, answers on one per core.
    Threads,
    /// In the task that needs it, so that paused time stands still meanwhile and everything happens in the same order each
    /// time. Blocks the runtime.
    Inline,
}

impl Verification {
    /// Does work that takes long.
    ///
    /// # Errors
    /// When it panicked.
    ///
    /// # Cancel safety
    /// Cancelled, the work is done nevertheless once it has begun.
    pub(crate) async fn offload<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        match self {
            Self::Threads => Ok(tokio::task::spawn_blocking(work).await?),
            Self::Inline => contained(work),
        }
    }
}
