use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::metrics::ANSWERED;
use crate::progress::Ending;
use crate::shared::{Job, Shared, State, now};
use crate::{Completed, ExecuteError, ExecuteResult, LateAnswer, LateError, Transport};

/// One request on its way: from the slot it was given until its transport future has ended.
pub(crate) struct Flight<T: Transport> {
    charge: Charge<T>,
    request: T::Request,
    listener: Listener<T>,
    sent: Instant,
    queued: Duration,
}

impl<T: Transport> Flight<T> {
    pub(crate) fn new(charge: Charge<T>, job: Job<T>, now: Instant) -> Self {
        let queued = now.saturating_duration_since(job.submitted);
        Self { charge, request: job.request, listener: Listener::Caller(job.reply), sent: now, queued }
    }

    pub(crate) async fn fly(self) {
        let Self { charge, request, mut listener, sent, queued } = self;
        let stop = charge.shared.stop.clone();
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => Err(LateError::Closed),
            answer = AssertUnwindSafe(call(&charge, request, &mut listener)).catch_unwind() => {
                answer.unwrap_or_else(|_| {
                    tracing::warn!(peer = ?charge.peer, "transport panicked");
                    Err(LateError::Panicked)
                })
            }
        };
        let elapsed = now().saturating_duration_since(sent);
        if answer.is_ok() {
            charge.shared.metrics.answered(elapsed);
        }
        match listener {
            Listener::Caller(reply) => charge.settle_in_time(reply, answer, queued, elapsed),
            Listener::Late(reply) => charge.settle_late(reply, answer),
        }
    }
}

/// Sends and waits, first for the caller, then for the late answer. The transport future has ended when this has.
async fn call<T: Transport>(
    charge: &Charge<T>,
    request: T::Request,
    listener: &mut Listener<T>,
) -> Answer<T> {
    let config = &charge.shared.config;
    let grace = config.hard_timeout.saturating_sub(config.soft_timeout);
    let mut send = pin!(charge.shared.transport.send(&charge.peer, request));
    let answer = match timeout(config.soft_timeout, &mut send).await {
        Ok(answer) => Ok(answer),
        Err(elapsed) if grace.is_zero() => Err(elapsed),
        Err(_) => {
            listener.free_caller(charge);
            timeout(grace, send).await
        }
    };
    answer.map_or(Err(LateError::HardTimeout), |answer| {
        answer.map_err(|source| LateError::Transport { source })
    })
}

type Answer<T> = Result<<T as Transport>::Response, LateError<<T as Transport>::Error>>;

/// Who is told of the answer.
enum Listener<T: Transport> {
    Caller(oneshot::Sender<ExecuteResult<T>>),
    /// The caller was freed at the soft timeout and holds a `LateAnswer`.
    Late(oneshot::Sender<Answer<T>>),
}

impl<T: Transport> Listener<T> {
    fn free_caller(&mut self, charge: &Charge<T>) {
        let (sender, receiver) = oneshot::channel();
        let Self::Caller(reply) = std::mem::replace(self, Self::Late(sender)) else { return };
        let after = charge.shared.config.soft_timeout;
        tracing::debug!(peer = ?charge.peer, ?after, "soft timeout");
        let late = LateAnswer::new(receiver);
        let result = Err(ExecuteError::SoftTimeout { peer: charge.peer.clone(), after, late });
        let ending = charge.ending(&reply, &result);
        charge.shared.update(|state, now| state.tally.ended(ending, now));
        // A caller that has gone does not want the result; here and below.
        let _ = reply.send(result);
    }
}

/// A charged slot. Whatever becomes of the task that holds it, the slot is given back.
pub(crate) struct Charge<T: Transport> {
    shared: Arc<Shared<T>>,
    peer: T::Peer,
    settled: bool,
    /// Counts the task from the moment it was decided on, so that closing cannot overlook one that is not spawned yet.
    _tracked: TaskTrackerToken,
}

impl<T: Transport> Charge<T> {
    pub(crate) fn new(shared: &Arc<Shared<T>>, peer: T::Peer) -> Self {
        Self { shared: Arc::clone(shared), peer, settled: false, _tracked: shared.tasks.token() }
    }

    // Both settle before they reply, so that a caller who goes on at once finds the slot free and the counters moved.

    fn settle_in_time(
        self,
        reply: oneshot::Sender<ExecuteResult<T>>,
        answer: Answer<T>,
        queued: Duration,
        elapsed: Duration,
    ) {
        let peer = self.peer.clone();
        let result = match answer {
            Ok(response) => Ok(Completed { peer, response, queued, elapsed }),
            Err(error) => Err(ExecuteError::on_time(peer, self.shared.config.hard_timeout, error)),
        };
        let ending = self.ending(&reply, &result);
        self.settle(|state, now| state.tally.ended(ending, now));
        let _ = reply.send(result);
    }

    fn settle_late(self, reply: oneshot::Sender<Answer<T>>, answer: Answer<T>) {
        self.shared.metrics.ended_late(answer.as_ref().map_or_else(LateError::kind, |_| ANSWERED));
        let answered = answer.is_ok();
        self.settle(|state, _| {
            if answered {
                state.tally.answered_late();
            }
        });
        let _ = reply.send(answer);
    }

    fn settle(mut self, count: impl FnOnce(&mut State<T>, Instant)) {
        self.settled = true;
        self.shared.update(|state, now| {
            count(state, now);
            state.plan.release(&self.peer);
        });
    }

    fn ending(&self, reply: &oneshot::Sender<ExecuteResult<T>>, result: &ExecuteResult<T>) -> Ending {
        let ending = match result {
            _ if reply.is_closed() => Ending::Cancelled,
            Ok(_) => Ending::Succeeded,
            Err(error) => Ending::Failed(error.kind()),
        };
        self.shared.metrics.ended(ending.label());
        ending
    }
}

impl<T: Transport> Drop for Charge<T> {
    fn drop(&mut self) {
        if !self.settled {
            // The task was dropped before its end, which only a runtime that shuts down does: nothing that waits
            // could be started any more, so it must not be left waiting.
            self.shared.close();
            self.shared.update(|state, _| state.plan.release(&self.peer));
        }
    }
}
