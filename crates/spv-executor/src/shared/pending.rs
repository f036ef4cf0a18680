use std::sync::Arc;

use tokio::sync::oneshot;

use super::Shared;
use crate::eligibility::Eligibility;
use crate::plan::RequestId;
use crate::{ExecuteError, ExecuteResult, Transport};

/// A submitted request. Dropping it takes the request back if it still waits.
#[must_use = "dropping this cancels the request"]
pub(crate) struct Pending<T: Transport> {
    shared: Arc<Shared<T>>,
    id: RequestId,
    reply: oneshot::Receiver<ExecuteResult<T>>,
    ended: bool,
    /// The last handle on the request's predicate: its drop is the caller's code, and has no place in the lock.
    _eligible: Eligibility<T::Peer>,
}

/// A request in the queue or on its way; or, at once, why it is neither.
pub(crate) type Submitted<T> = Result<
    Pending<T>,
    ExecuteError<<T as Transport>::Peer, <T as Transport>::Response, <T as Transport>::Error>,
>;

impl<T: Transport> Pending<T> {
    pub(super) fn new(
        shared: &Arc<Shared<T>>,
        id: RequestId,
        reply: oneshot::Receiver<ExecuteResult<T>>,
        eligible: Eligibility<T::Peer>,
    ) -> Self {
        Self { shared: Arc::clone(shared), id, reply, ended: false, _eligible: eligible }
    }

    pub(crate) async fn outcome(mut self) -> ExecuteResult<T> {
        let result = (&mut self.reply).await;
        self.ended = true;
        result.unwrap_or(Err(ExecuteError::Closed))
    }
}

impl<T: Transport> Drop for Pending<T> {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.cancel(self.id);
        }
    }
}
