use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answered::Answered;
use crate::call::{Call, CopyEnd, Message};
use crate::flight::{Charge, Flight};
use crate::metrics::{ANSWERED, Metrics};
use crate::pending::{Pending, Submitted};
use crate::plan::{Plan, Refused, RequestId, Slot, Terms};
use crate::progress::{Ending, Tally};
use crate::{
    Completed, Config, ExecuteError, ExecuteResult, LateError, PeerSelector, Permit, Progress, Transport,
};

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
    pub(crate) selector: Box<dyn PeerSelector<T::Peer>>,
    /// Requests with a copy in flight.
    calls: BTreeMap<RequestId, Call<T>>,
    /// When a task will look again, although nothing else may have changed.
    recheck_at: Option<Instant>,
}

/// A request that waits.
pub(crate) struct Job<T: Transport> {
    pub(crate) request: T::Request,
    /// For a second copy.
    pub(crate) spare: Option<T::Request>,
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

impl<T: Transport> Shared<T> {
    pub(crate) fn new(transport: T, selector: Box<dyn PeerSelector<T::Peer>>, config: Config) -> Arc<Self> {
        let plan = Plan::new(config.clone());
        let state =
            State { plan, tally: Tally::default(), selector, calls: BTreeMap::new(), recheck_at: None };
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
        // Declared before the lock, so that an unwinding selector frees the lock before the flights are dropped.
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
        exclude: BTreeSet<T::Peer>,
        order: Option<u64>,
        admission: Admission,
    ) -> Submitted<T> {
        let (sender, reply) = oneshot::channel();
        // The transport's code has no place in the lock.
        let cost = self.transport.cost(&request);
        let hedging = order.filter(|_| self.config.hedge_budget > 0);
        let spare = hedging.and_then(|_| self.transport.duplicate(&request));
        let terms = Terms { exclude, cost, order, may_hedge: spare.is_some() };
        let submitted = self.update(|state, now| {
            let max_waiting = match admission {
                Admission::Bounded => self.config.max_waiting,
                Admission::FromBacklog => {
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
        // A refused job is dropped here and not above: it is the caller's type, and its drop has no place in the lock.
        let id = submitted.map_err(|(error, _)| error)?;
        Ok(Pending::new(self, id, reply))
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
        let stranded = self.update(|state, _| {
            let stranded = state.plan.remove_peer(peer);
            state.selector.on_removed(peer);
            let ending = Ending::Failed(ExecuteError::<(), (), ()>::NoEligiblePeer.kind());
            stranded.iter().for_each(|_| self.end_unsent(state, ending));
            stranded
        });
        for job in stranded {
            // A caller that has gone does not want the reason.
            let _ = job.reply.send(Err(ExecuteError::NoEligiblePeer));
        }
    }

    pub(crate) fn soft_timeout(self: &Arc<Self>, id: RequestId, peer: &T::Peer, after: Duration) {
        let message = self.update(|state, now| {
            state.plan.timed_out(peer);
            let message = state.calls.get_mut(&id)?.soft_timeout(peer.clone(), after)?;
            self.count(state, id, &message, now);
            Some(message)
        });
        if let Some(message) = message {
            message.deliver();
        }
    }

    /// Gives back the slot of a copy before anybody is told, so that a caller who goes on at once finds it free and
    /// the counters moved.
    pub(crate) fn copy_ended(
        self: &Arc<Self>,
        id: RequestId,
        slot: &Slot<T::Peer>,
        copy: CopyEnd<T>,
        answer: Result<(T::Response, u64), LateError<T::Error>>,
    ) {
        // The transport's code has no place in the lock.
        let rtt = answer.is_ok().then(|| self.transport.rtt(&slot.peer)).flatten();
        let (rest, ended) = self.update(|state, now| {
            state.plan.release(slot);
            // Before the answer is measured: else all of its time would count as the peer's work.
            rtt.map(|rtt| state.plan.set_rtt(&slot.peer, rtt));
            let rest = match &answer {
                Err(error) if !matches!(error, LateError::Closed) => {
                    state.plan.failed(&slot.peer, &mut *state.selector, now)
                }
                _ => None,
            };
            let queued = state.calls.get(&id).map(Call::queued).unwrap_or_default();
            let result = answer.map(|(response, size)| {
                let sample = state.plan.arrived(slot, size, now);
                self.metrics.answered(sample.elapsed);
                let permit = Permit::new(Answered::new(self, slot.peer.clone(), sample), sample.bytes);
                Completed { peer: slot.peer.clone(), response, queued, elapsed: sample.elapsed, permit }
            });
            let message = state.calls.get_mut(&id).map(|call| call.ended(copy, result));
            if let Some(message) = &message {
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
    pub(crate) fn abandon(self: &Arc<Self>, id: RequestId, slot: &Slot<T::Peer>) {
        let call = self.update(|state, _| {
            state.plan.release(slot);
            state.plan.settle(id);
            state.calls.remove(&id)
        });
        drop(call);
    }

    /// Starts what may start when a peer has rested, or keeps us waiting too long.
    pub(crate) fn wake_after(self: &Arc<Self>, rest: Option<Duration>) {
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
        self.metrics.ended(ending.label());
    }

    fn count(&self, state: &mut State<T>, id: RequestId, message: &Message<T>, now: Instant) {
        if let Some(ending) = message.ending() {
            state.plan.settle(id);
            state.tally.ended(ending, now);
            self.metrics.ended(ending.label());
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

impl<T: Transport> State<T> {
    fn start(&mut self, shared: &Arc<Shared<T>>, flights: &mut Vec<Flight<T>>, now: Instant) {
        let Self { plan, tally, selector, calls, .. } = self;
        // First: everybody waits for what is hedged, and there is little of it.
        while let Some((id, slot)) = plan.hedge_next(&mut **selector, now) {
            // The plan hedges only what has a call and a spare.
            let Some(request) = calls.get_mut(&id).and_then(Call::hedge) else {
                plan.release(&slot);
                continue;
            };
            tally.hedged();
            flights.push(Flight::new(Charge::new(shared, id, slot, true), request, false));
        }
        while let Some(start) = plan.start_next(&mut **selector, now) {
            tally.sent();
            let (call, request) = Call::new(start.job, now);
            let charge = Charge::new(shared, start.id, start.slot, false);
            flights.push(Flight::new(charge, request, call.may_hedge()));
            calls.insert(start.id, call);
        }
    }

    /// How long until somebody has to look again, if nobody will by then.
    fn recheck(&mut self, now: Instant) -> Option<Duration> {
        let planned = self.recheck_at.filter(|at| *at > now);
        let needed = self.plan.recheck_at(now).map(|at| at + CLOCK_RESOLUTION);
        self.recheck_at = planned.into_iter().chain(needed).min();
        let is_new = self.recheck_at != planned;
        self.recheck_at.filter(|_| is_new).map(|at| at.saturating_duration_since(now))
    }
}

/// Of tokio's timers.
const CLOCK_RESOLUTION: Duration = Duration::from_millis(1);

/// The clock of the shell; obeys tokio's paused time.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
