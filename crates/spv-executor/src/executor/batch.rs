use futures::stream::{self, Stream, StreamExt};

use super::Executor;
use crate::eligibility::Eligibility;
use crate::shared::{Submitted, Submitter};
use crate::{ExecuteResult, Transport};

/// Runs all requests, each with its index, and yields them as they finish.
pub(super) fn stream<T: Transport>(
    executor: Executor<T>,
    requests: Vec<T::Request>,
) -> impl Stream<Item = (usize, ExecuteResult<T>)> + Send + use<T> {
    // More can never run at the same time, so more in the queue would gain nothing.
    let window = executor.shared.config.max_in_flight.get();
    let mut backlog = Backlog::new(executor, requests.len());
    stream::iter(requests.into_iter().enumerate())
        .map(move |(index, request)| {
            let pending = backlog.submit(request);
            async move {
                let result = match pending {
                    Ok(pending) => pending.outcome().await,
                    Err(error) => Err(error),
                };
                (index, result)
            }
        })
        .buffer_unordered(window)
}

/// Counts what a batch holds back as waiting, and takes back the count of what it never submitted.
struct Backlog<T: Transport> {
    /// A handle, not only what is shared: a batch keeps its executor alive.
    executor: Executor<T>,
    held_back: usize,
}

impl<T: Transport> Backlog<T> {
    fn new(executor: Executor<T>, held_back: usize) -> Self {
        executor.shared.update(|state, _| state.plan.hold_back(held_back));
        Self { executor, held_back }
    }

    fn submit(&mut self, request: T::Request) -> Submitted<T> {
        let submitted = self.executor.shared.submit(request, Eligibility::Anybody, None, Submitter::Batch);
        // Last: a transport that panics over the request leaves it held back.
        self.held_back -= 1;
        submitted
    }
}

impl<T: Transport> Drop for Backlog<T> {
    fn drop(&mut self) {
        self.executor.shared.update(|state, _| state.plan.let_go(self.held_back));
    }
}
