use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::Completed;

/// A future for the answer to a request whose soft timeout expired.
///
/// Resolves with the answer if that arrives before the hard limit, and with the reason otherwise. Until then the
/// request keeps its slot at the slow peer, whether or not anybody holds this handle. If a copy was sent to another
/// peer, whichever answers first.
///
/// # Cancel safety
///
/// Cancel safe by reference; once dropped, a late response is counted and thrown away.
#[must_use = "a late response is thrown away when this is dropped"]
pub struct LateAnswer<P, R, E> {
    answer: oneshot::Receiver<Result<Completed<P, R>, LateError<E>>>,
}

impl<P, R, E> LateAnswer<P, R, E> {
    pub(crate) const fn new(answer: oneshot::Receiver<Result<Completed<P, R>, LateError<E>>>) -> Self {
        Self { answer }
    }
}

impl<P, R, E> Future for LateAnswer<P, R, E> {
    type Output = Result<Completed<P, R>, LateError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().answer)
            .poll(cx)
            // The sending task goes away without a word only when everything is being stopped.
            .map(|answer| answer.unwrap_or(Err(LateError::Closed)))
    }
}

impl<P, R, E> fmt::Debug for LateAnswer<P, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateAnswer").finish_non_exhaustive()
    }
}

/// Why a late answer did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LateError<E> {
    /// The transport failed.
    #[error("the transport failed after the soft timeout")]
    Transport {
        /// The error of the transport.
        source: E,
    },
    /// The transport panicked.
    #[error("the transport panicked after the soft timeout")]
    Panicked,
    /// The hard timeout expired first; the transport future was dropped and the slot freed.
    #[error("no answer before the hard timeout")]
    HardTimeout,
    /// The executor was closed first.
    #[error("the executor was closed")]
    Closed,
}

impl<E> LateError<E> {
    /// A fixed name of the variant, fit for a metric label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Transport { .. } => "transport",
            Self::Panicked => "panicked",
            Self::HardTimeout => "hard_timeout",
            Self::Closed => "closed",
        }
    }
}
