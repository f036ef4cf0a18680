use std::panic::{AssertUnwindSafe, catch_unwind};

/// Asks code of the caller, which must not end the business of other requests: where it panics, this is `otherwise`.
pub(crate) fn contained<R>(what: &'static str, otherwise: R, ask: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| {
        tracing::warn!("{what} panicked");
        otherwise
    })
}
