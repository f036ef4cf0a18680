//! Panics as errors: of code that a caller brought, such as a connector, and of this library.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt;
use tokio::task::JoinError;

/// The message of a panic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Panicked(String);

impl From<Box<dyn Any + Send>> for Panicked {
    fn from(panic: Box<dyn Any + Send>) -> Self {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        Self(
            text.or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned()),
        )
    }
}

impl From<JoinError> for Panicked {
    fn from(error: JoinError) -> Self {
        match error.try_into_panic() {
            Ok(panic) => panic.into(),
            Err(cancelled) => Self(cancelled.to_string()),
        }
    }
}

/// Runs work that may panic. Data that the work left half changed must not be used afterwards.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(Panicked::from)
}

/// Like [`contained`], for a future.
pub(crate) async fn contained_future<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(Panicked::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_its_words() {
        assert_eq!(contained(|| 7), Ok(7));
        assert_eq!(contained_future(async { 7 }).await, Ok(7));
        let number = 7;
        let formatted = contained(|| panic!("number {number}")).map(|()| number);
        assert_eq!(formatted.unwrap_err().to_string(), "number 7");
        let later = contained_future(async {
            tokio::task::yield_now().await;
            panic!("later");
        });
        assert_eq!(later.await.map(|()| number).unwrap_err().to_string(), "later");
        let without_words = contained(|| std::panic::resume_unwind(Box::new(7))).map(|()| number);
        assert_eq!(without_words.unwrap_err().to_string(), "no message");
        let joined = tokio::spawn(async { panic!("in a task") }).await.map(|()| number);
        assert_eq!(Panicked::from(joined.unwrap_err()).to_string(), "in a task");
    }
}
