mod flight;
mod pending;
mod state;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use pending::{Pending, Submitted};

use crate::call::{Call, CopyEnd, Job, Message};
use crate::contained::contained;
use crate::eligibility::Eligibility;
use crate::metrics::Metrics;
use crate::outcome::ANSWERED;
use crate::plan::{Refused, RequestId, Slot, Terms};
use crate::progress::Ending;
use crate::selector::Contained;
use crate::{Completed, Config, Cost, ExecuteError, LateError, PeerSelector, Permit, Progress, Transport};
use flight::{Answer, Arrived, Lost};
use state::State;
use verdict::AwaitsVerdict;

/// What the handles of an executor and its tasks share.
pub(crate) struct Shared<T: Transport> {
    pub(crate) transport: T,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    /// Ends every task; once cancelled, nothing is taken any more.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) progress: watch::Sender<Progress>,
    runtime: Handle,
    state: Mutex<State<T>>,
}

/// Who submits, which decides what a full queue means.
#[derive(Clone, Copy)]
pub(crate) enum Submitter {
    /// Of a single request: refused when the queue is full.
    Caller,
    /// Of the next one of its backlog. A batch has few at a time in the queue.
    Batch,
}

impl<T: Transport> Shared<T> {
    pub(crate) fn new(transport: T, selector: impl PeerSelector<T::Peer>, config: Config) -> Arc<Self> {
        let state = State::new(config.clone(), Contained::new(selector));
        Arc::new(Self {
            transport,
            config,
            metrics: Metrics::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            progress: watch::Sender::new(Progress::default()),
            runtime: Handle::current(),
            state: Mutex::new(state),
        })
    }

    /// The only way to change the state: starts what may start because of the change, and publishes the progress.
    pub(crate) fn update<R>(self: &Arc<Self>, change: impl FnOnce(&mut State<T>, Instant) -> R) -> R {
        // Declared before the lock, so that whatever unwinds frees the lock before the flights are dropped.
        let mut flights = Vec::new();
        let mut state = self.state.lock();
        let now = now();
        let result = change(&mut state, now);
        state.start(self, &mut flights, now);
        let recheck = state.recheck(now);
        let State { plan, tally, .. } = &mut *state;
        let progress = tally.progress(plan, now);
        self.metrics.moved(&self.progress.send_replace(progress), &progress);
        drop(state);
        // After the lock: a runtime that is shutting down drops what is spawned on the spot, and a dropped flight
        // gives back its slot.
        for flight in flights {
            self.runtime.spawn(flight.fly());
        }
        self.wake_after(recheck);
        result
    }

    pub(crate) fn read<R>(&self, view: impl FnOnce(&State<T>) -> R) -> R {
        view(&self.state.lock())
    }

    pub(crate) fn submit(
        self: &Arc<Self>,
        request: T::Request,
        eligible: Eligibility<T::Peer>,
        order: Option<u64>,
        submitter: Submitter,
    ) -> Submitted<T> {
        let (sender, reply) = oneshot::channel();
        // The transport's code has no place in the lock.
        let cost = contained("the transport", Cost::default(), || self.transport.cost(&request));
        let hedging = order.filter(|_| self.config.hedge_budget > 0);
        let copy = || contained("the transport", None, || self.transport.duplicate(&request));
        let spare = hedging.and_then(|_| copy());
        let terms = Terms { eligible: eligible.clone(), cost, order, may_hedge: spare.is_some() };
        let submitted = self.update(|state, now| {
            let max_waiting = match submitter {
                Submitter::Caller => self.config.max_waiting,
                Submitter::Batch => {
                    state.plan.let_go(1);
                    usize::MAX
                }
            };
            let job = Job { request, spare, reply: sender, submitted: now };
            let submitted = if self.stop.is_cancelled() {
                Err((ExecuteError::Closed, job))
            } else {
                state.plan.submit(job, terms, max_waiting, now).map_err(|(refused, job)| match refused {
                    Refused::NoEligiblePeer => (ExecuteError::NoEligiblePeer, job),
                    Refused::QueueFull => (ExecuteError::QueueFull { max_waiting }, job),
                })
            };
            if let Err((error, _)) = &submitted {
                self.end_unsent(state, Ending::Failed(error.kind()));
            }
            submitted
        });
        // A refused job is dropped here and not above, and `eligible` too: they are the caller's types, and their drop has
        // no place in the lock.
        let id = submitted.map_err(|(error, _)| error)?;
        Ok(Pending::new(self, id, reply, eligible))
    }

    /// The caller of a request has gone.
    pub(crate) fn cancel(self: &Arc<Self>, id: RequestId) {
        let job = self.update(|state, _| {
            let job = state.plan.cancel(id);
            match job {
                Some(_) => self.end_unsent(state, Ending::Cancelled),
                None => state.plan.settle(id),
            }
            job
        });
        // Outside the lock, as in `submit`.
        drop(job);
    }

    pub(crate) fn remove_peer(self: &Arc<Self>, peer: &T::Peer) {
        self.strand(|state| {
            let stranded = state.plan.remove_peer(peer);
            state.selector.on_removed(peer);
            stranded
        });
    }

    /// Asks the predicates of all that waits anew.
    pub(crate) fn recheck(self: &Arc<Self>) {
        self.strand(|state| state.plan.take_stranded());
    }

    /// Ends the jobs that `change` leaves without an eligible peer.
    fn strand(self: &Arc<Self>, change: impl FnOnce(&mut State<T>) -> Vec<Job<T>>) {
        let stranded = self.update(|state, _| {
            let stranded = change(state);
            let ending = Ending::Failed(ExecuteError::<(), (), ()>::NoEligiblePeer.kind());
            stranded.iter().for_each(|_| self.end_unsent(state, ending));
            stranded
        });
        for job in stranded {
            // A caller that has gone does not want the reason.
            let _ = job.reply.send(Err(ExecuteError::NoEligiblePeer));
        }
    }

    fn await_admission(self: &Arc<Self>, id: RequestId, slot: &mut Slot<T::Peer>) {
        self.update(|state, _| state.plan.await_admission(id, slot));
    }

    fn admitted(self: &Arc<Self>, id: RequestId, slot: &mut Slot<T::Peer>, is_hedge: bool) {
        self.update(|state, now| {
            let held_up = state.plan.admitted(id, slot, now);
            if let Some(call) = state.calls.get_mut(&id).filter(|_| !is_hedge) {
                call.admitted_after(held_up);
            }
        });
    }

    fn soft_timeout(self: &Arc<Self>, id: RequestId, peer: &T::Peer, after: Duration) {
        let message = self.update(|state, now| {
            state.plan.timed_out(peer);
            let mut message = state.calls.get_mut(&id)?.soft_timeout(peer.clone(), after)?;
            self.count(state, id, &mut message, now);
            Some(message)
        });
        if let Some(message) = message {
            message.deliver();
        }
    }

    /// Gives back the slot of a copy before anybody is told, so that a caller who goes on at once finds it free and
    /// the counters moved.
    fn copy_ended(
        self: &Arc<Self>,
        id: RequestId,
        slot: &Slot<T::Peer>,
        copy: CopyEnd<T>,
        answer: Answer<T>,
    ) {
        let (rest, ended) = self.update(|state, now| {
            state.plan.release(slot);
            let queued = state.calls.get(&id).map(Call::queued).unwrap_or_default();
            let (rest, result) = match answer {
                Ok(Arrived { response, bytes, rtt }) => {
                    // Before the answer is measured: else all of its time would count as the peer's work.
                    rtt.map(|rtt| state.plan.set_rtt(&slot.peer, rtt));
                    let sample = state.plan.arrived(slot, bytes, now);
                    self.metrics.answered(sample.elapsed);
                    let (peer, elapsed) = (slot.peer.clone(), sample.elapsed);
                    let permit = Permit::new(AwaitsVerdict::new(self, peer.clone(), sample), sample.bytes);
                    (None, Ok(Completed { peer, response, queued, elapsed, permit }))
                }
                Err(Lost { error, blames_peer: true }) => {
                    (state.plan.failed(&slot.peer, &mut state.selector, now), Err(error))
                }
                Err(Lost { error, blames_peer: false }) => (None, Err(error)),
            };
            let mut message = state.calls.get_mut(&id).map(|call| call.ended(copy, result));
            if let Some(message) = &mut message {
                self.count(state, id, message, now);
            }
            let over = state.calls.get(&id).is_some_and(Call::is_over);
            (rest, (message, over.then(|| state.calls.remove(&id))))
        });
        self.wake_after(rest);
        // With what is left of the call, a request nobody needs any more.
        if let (Some(message), _rest_of_call) = ended {
            message.deliver();
        }
    }

    /// A copy's task was dropped.
    fn abandon(self: &Arc<Self>, id: RequestId, slot: &Slot<T::Peer>) {
        let call = self.update(|state, _| {
            state.plan.release(slot);
            state.plan.settle(id);
            state.calls.remove(&id)
        });
        drop(call);
    }

    /// Starts what may start when a peer has rested, or keeps us waiting too long.
    fn wake_after(self: &Arc<Self>, rest: Option<Duration>) {
        let Some(rest) = rest else { return };
        let shared = Arc::clone(self);
        let wake = async move {
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => {}
                () = tokio::time::sleep(rest) => shared.update(|_, _| ()),
            }
        };
        self.tasks.spawn_on(wake, &self.runtime);
    }

    /// Ends everything. Callers see `Closed`, because the senders of their replies are dropped.
    pub(crate) fn close(self: &Arc<Self>) {
        // Before the queue is emptied: whoever submits after that must see it.
        self.stop.cancel();
        let drained = self.update(|state, _| {
            let drained = state.plan.drain();
            let ending = Ending::Failed(ExecuteError::<(), (), ()>::Closed.kind());
            drained.iter().for_each(|_| self.end_unsent(state, ending));
            drained
        });
        self.tasks.close();
        drop(drained);
    }

    fn end_unsent(&self, state: &mut State<T>, ending: Ending) {
        state.tally.ended_unsent(ending);
        self.count_ending(ending);
    }

    /// What an answer is worth is counted with the verdict on it.
    fn count_ending(&self, ending: Ending) {
        if let Some(label) = ending.label() {
            self.metrics.ended(label);
        }
    }

    fn count(&self, state: &mut State<T>, id: RequestId, message: &mut Message<T>, now: Instant) {
        if let Some(ending) = message.ending() {
            state.plan.settle(id);
            state.tally.ended(ending, now);
            self.count_ending(ending);
        }
        match message {
            Message::Caller { hedge, .. } => hedge.iter().for_each(|hedge| self.metrics.hedge_ended(hedge)),
            Message::Late { result, .. } => {
                self.metrics.ended_late(result.as_ref().map_or_else(LateError::kind, |_| ANSWERED));
                if result.is_ok() {
                    state.tally.answered_late();
                }
            }
            Message::Nobody { .. } => {}
        }
    }
}

/// The clock of the shell; obeys tokio's paused time.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
