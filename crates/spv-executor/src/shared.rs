use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::flight::{Charge, Flight};
use crate::metrics::Metrics;
use crate::plan::{Plan, Refused, RequestId};
use crate::progress::{Ending, Tally};
use crate::{Config, ExecuteError, ExecuteResult, PeerSelector, Progress, Transport};

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

/// What only changes under the lock.
pub(crate) struct State<T: Transport> {
    pub(crate) plan: Plan<T::Peer, Job<T>>,
    pub(crate) tally: Tally,
    selector: Box<dyn PeerSelector<T::Peer>>,
}

/// A request that waits.
pub(crate) struct Job<T: Transport> {
    pub(crate) request: T::Request,
    pub(crate) reply: oneshot::Sender<ExecuteResult<T>>,
    pub(crate) submitted: Instant,
}

/// Who submits, which decides what a full queue means.
#[derive(Clone, Copy)]
pub(crate) enum Admission {
    /// A single request: refused when the queue is full.
    Bounded,
    /// The next one of a batch's backlog. A batch has few at a time in the queue.
    FromBacklog,
}

/// A submitted request. Dropping it takes the request back if it still waits.
#[must_use = "dropping this cancels the request"]
pub(crate) struct Pending<T: Transport> {
    shared: Arc<Shared<T>>,
    id: RequestId,
    reply: oneshot::Receiver<ExecuteResult<T>>,
    ended: bool,
}

/// A request in the queue or on its way; or, at once, why it is neither.
pub(crate) type Submitted<T> = Result<
    Pending<T>,
    ExecuteError<<T as Transport>::Peer, <T as Transport>::Response, <T as Transport>::Error>,
>;

impl<T: Transport> Shared<T> {
    pub(crate) fn new(transport: T, selector: Box<dyn PeerSelector<T::Peer>>, config: Config) -> Arc<Self> {
        let plan = Plan::new(config.max_in_flight);
        Arc::new(Self {
            transport,
            config,
            metrics: Metrics::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            progress: watch::Sender::new(Progress::default()),
            runtime: Handle::current(),
            state: Mutex::new(State { plan, tally: Tally::default(), selector }),
        })
    }

    /// The only way to change the state: starts what may start because of the change, and publishes the progress.
    pub(crate) fn update<R>(self: &Arc<Self>, change: impl FnOnce(&mut State<T>, Instant) -> R) -> R {
        // Declared before the lock, so that an unwinding selector frees the lock before the flights are dropped.
        let mut flights = Vec::new();
        let mut state = self.state.lock();
        let now = now();
        let result = change(&mut state, now);
        let State { plan, tally, selector } = &mut *state;
        while let Some(start) = plan.start_next(&mut **selector) {
            tally.sent();
            let charge = Charge::new(self, start.peer);
            flights.push(Flight::new(charge, start.job, now));
        }
        let progress = tally.progress(plan.waiting(), plan.in_flight(), now);
        self.metrics.moved(&self.progress.send_replace(progress), &progress);
        drop(state);
        // After the lock: a runtime that is shutting down drops what is spawned on the spot, and a dropped flight
        // gives back its slot.
        for flight in flights {
            self.runtime.spawn(flight.fly());
        }
        result
    }

    pub(crate) fn read<R>(&self, view: impl FnOnce(&State<T>) -> R) -> R {
        view(&self.state.lock())
    }

    pub(crate) fn submit(
        self: &Arc<Self>,
        request: T::Request,
        exclude: BTreeSet<T::Peer>,
        admission: Admission,
    ) -> Submitted<T> {
        let (sender, reply) = oneshot::channel();
        let submitted = self.update(|state, now| {
            let max_waiting = match admission {
                Admission::Bounded => self.config.max_waiting,
                Admission::FromBacklog => {
                    state.tally.let_go(1);
                    usize::MAX
                }
            };
            let job = Job { request, reply: sender, submitted: now };
            let submitted = if self.stop.is_cancelled() {
                Err((ExecuteError::Closed, job))
            } else {
                state.plan.submit(job, exclude, max_waiting).map_err(|(refused, job)| match refused {
                    Refused::NoEligiblePeer => (ExecuteError::NoEligiblePeer, job),
                    Refused::QueueFull => (ExecuteError::QueueFull { max_waiting }, job),
                })
            };
            if let Err((error, _)) = &submitted {
                self.end_unsent(state, Ending::Failed(error.kind()));
            }
            submitted
        });
        // A refused job is dropped here and not above: it is the caller's type, and its drop has no place in the lock.
        let id = submitted.map_err(|(error, _)| error)?;
        Ok(Pending { shared: Arc::clone(self), id, reply, ended: false })
    }

    pub(crate) fn remove_peer(self: &Arc<Self>, peer: &T::Peer) {
        let stranded = self.update(|state, _| {
            let stranded = state.plan.remove_peer(peer);
            let ending = Ending::Failed(ExecuteError::<(), (), ()>::NoEligiblePeer.kind());
            stranded.iter().for_each(|_| self.end_unsent(state, ending));
            stranded
        });
        for job in stranded {
            // A caller that has gone does not want the reason.
            let _ = job.reply.send(Err(ExecuteError::NoEligiblePeer));
        }
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
        self.metrics.ended(ending.label());
    }
}

impl<T: Transport> Pending<T> {
    pub(crate) async fn outcome(mut self) -> ExecuteResult<T> {
        let result = (&mut self.reply).await;
        self.ended = true;
        result.unwrap_or(Err(ExecuteError::Closed))
    }
}

impl<T: Transport> Drop for Pending<T> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let job = self.shared.update(|state, _| {
            let job = state.plan.cancel(self.id);
            if job.is_some() {
                self.shared.end_unsent(state, Ending::Cancelled);
            }
            job
        });
        // Outside the lock, as in `submit`.
        drop(job);
    }
}

/// The clock of the shell; obeys tokio's paused time.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
