//! Where work is done that would hold up the runtime.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

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
pub(crate) struct Panicked(String);

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
            Self::Threads => match tokio::task::spawn_blocking(work).await {
                Ok(done) => Ok(done),
                Err(error) => Err(Panicked(match error.try_into_panic() {
                    Ok(panic) => message(panic.as_ref()),
                    Err(cancelled) => cancelled.to_string(),
                })),
            },
            Self::Inline => {
                catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Panicked(message(panic.as_ref())))
            }
        }
    }
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
