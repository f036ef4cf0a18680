use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Weak,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use crate::{answer::Answer, error::CorrelationError, registration::RequestId};

/// A future for one answer, which resolves exactly once, when its request ends.
///
/// Dropping it abandons the request. The peer still handles it, so the request keeps its place in the
/// stream and [`Correlator::in_flight`](crate::Correlator::in_flight) keeps counting it.
///
/// # Cancel safety
///
/// Await `&mut ticket` to stop waiting for a while, as in a `select!` or under a timeout: nothing is lost
/// and a later await gets the answer. An answer that arrived but was not taken is dropped with the ticket.
///
/// # Panics
///
/// Polling it again after it resolved panics.
#[must_use = "dropping the ticket abandons the request"]
pub struct Ticket<R> {
    id: RequestId,
    receiver: oneshot::Receiver<Outcome<R>>,
    /// Weak, so that tickets alone do not keep a connection's state alive and wait for it for ever.
    waiters: Weak<dyn Waiters>,
    ended: bool,
}

impl<R> Ticket<R> {
    pub(crate) fn new(
        id: RequestId,
        receiver: oneshot::Receiver<Outcome<R>>,
        waiters: Weak<dyn Waiters>,
    ) -> Self {
        Self { id, receiver, waiters, ended: false }
    }

    /// Returns the id of the request, as in verdicts.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Removes a request that was registered but never written, so that it takes no place in the stream. Do not use it
    /// once any byte of the request was written.
    pub fn withdraw(mut self) {
        self.ended = true;
        if let Some(waiters) = self.waiters.upgrade() {
            waiters.withdraw(self.id);
        }
    }
}

impl<R> Future for Ticket<R> {
    type Output = Outcome<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = std::task::ready!(Pin::new(&mut self.receiver).poll(cx));
        self.ended = true;
        // The sender is dropped unused only when the last handle of the connection is.
        Poll::Ready(outcome.unwrap_or(Err(CorrelationError::Disconnected)))
    }
}

impl<R> Drop for Ticket<R> {
    fn drop(&mut self) {
        if !self.ended
            && let Some(waiters) = self.waiters.upgrade()
        {
            waiters.abandon(self.id);
        }
    }
}

impl<R> fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.id).finish_non_exhaustive()
    }
}

pub(crate) type Outcome<R> = Result<Answer<R>, CorrelationError>;

/// The connection as a ticket sees it, whatever the type of its requests.
pub(crate) trait Waiters: Send + Sync {
    fn abandon(&self, id: RequestId);
    fn withdraw(&self, id: RequestId);
}
