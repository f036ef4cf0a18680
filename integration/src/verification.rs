//! Where work is done that would hold up the runtime.

/// Where answers are verified, headers are validated and the database is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// On threads of their own, answers on one per core.
    Threads,
    /// In the task that needs it, so that paused time stands still meanwhile and everything happens in the same order each
    /// time. Blocks the runtime.
    Inline,
}

/// The work panicked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Panicked(tokio::task::JoinError);

impl Verification {
    /// Does work that takes long.
    ///
    /// # Errors
    /// When it panicked on a thread of its own.
    ///
    /// # Cancel safety
    /// Cancelled, the work is done nevertheless once it has begun.
    pub(crate) async fn offload<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        match self {
            Self::Threads => tokio::task::spawn_blocking(work).await.map_err(Panicked),
            Self::Inline => Ok(work()),
        }
    }
}

impl Panicked {
    /// Goes on panicking.
    pub(crate) fn resume(self) -> ! {
        std::panic::resume_unwind(self.0.into_panic())
    }
}
