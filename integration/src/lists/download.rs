mod verdicts;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin_hashes::sha256;
use futures::future::{FutureExt, OptionFuture};
use spv_executor::{Completed, ExecuteError, LateError, Permit};
use spv_recovery::{Answered, Attempt, FailureKind, History};
use spv_scheduler::{Job, Priority, Queue, Rank, Ticket};
use tokio::task::JoinSet;

use super::failure::DownloadFailure;
use super::outcome::{Downloaded, GaveUp, Tally};
use crate::clock::now;
use crate::config::{ConfigError, REPLACEMENTS, Settings};
use crate::fleet::{Executed, Peers, failure_kind};
use crate::net::RequestError;
use crate::plan::{Plan, Work};
use crate::progress::Progress;
use crate::timer::sleep_until;
use crate::verify::{Verdict, Verifier, VerifierError};
use crate::wire::{Answer, RequestKind};

/// Work that has to run alone looks this often whether it can.
const ALONE_RECHECK: Duration = Duration::from_millis(20);

/// Downloads and verifies the lists of a plan: schedules, sends, verifies, recovers.
pub(crate) struct ListDownload<'a> {
    peers: Arc<Peers>,
    verifier: &'a Arc<Verifier>,
    queue: Queue<WorkId>,
    /// Work that is not open yet, by order; what takes the place of failed work included.
    backlog: BTreeMap<(u64, WorkId), Work>,
    window: usize,
    /// Work that is queued, in flight or being verified. Bounded by the window, and always holding the lowest
    /// unapplied list, so that answers that wait for their base cannot keep it from being asked for.
    open: BTreeMap<WorkId, Task>,
    /// Highest order of work that was ever open.
    opened_up_to: u64,
    next_id: u64,
    running: JoinSet<Step>,
    progress: &'a Progress,
    /// Peers not to be asked as long as there are others.
    avoid: BTreeSet<SocketAddr>,
    /// Peers that were ready when they were looked at last.
    acquainted: BTreeSet<SocketAddr>,
    tally: Tally,
    snapshots_from: BTreeMap<u32, SocketAddr>,
    /// Heights of lists to the senders of answers that did not verify, where other requests take the place of theirs.
    doubtful: BTreeMap<u32, Vec<SocketAddr>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct WorkId(u64);

/// Work with what has happened to it.
struct Task {
    work: Arc<Work>,
    history: History<SocketAddr>,
    avoid: BTreeSet<SocketAddr>,
    /// Peers that could not be asked because a request like this is in flight to them that they may never answer.
    no_room: BTreeSet<SocketAddr>,
    alone: bool,
    /// Names of the recovery strategies chosen so far, without repeats in a row.
    strategies: Vec<&'static str>,
    /// Since when no peer is left that may have the block.
    unheld_since: Option<Instant>,
    /// Since when all peers that can be asked have brought what does not verify.
    unverifiable_since: Option<Instant>,
    /// Who sent answers of newer rules than are known, and to what; nothing is held against them unless another copy verifies.
    of_newer_rules: Vec<(SocketAddr, RequestKind)>,
    /// Whether checking an answer to it has panicked.
    has_panicked: bool,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Queued(Ticket),
    InFlight(Ticket),
    Verifying,
}

/// What a spawned future came to.
enum Step {
    Fetched {
        id: WorkId,
        ticket: Ticket,
        result: Box<Executed>,
    },
    Late {
        id: WorkId,
        peer: SocketAddr,
        result: Box<LateResult>,
    },
    Verified {
        id: WorkId,
        answer: Verified,
        verdict: Verdict,
    },
    /// There is no verdict on an answer, and whoever sent it is not to blame.
    Unverified {
        id: WorkId,
        peer: SocketAddr,
        error: VerifierError,
    },
}

/// What is remembered of an answer that is being verified.
struct Verified {
    peer: SocketAddr,
    kind: RequestKind,
    bytes: u64,
    digest: [u8; 32],
    /// Takes it back from the recovery policy when it proves wrong.
    answered: Answered,
    /// Holds the answer's bytes, and takes the verdict to the executor.
    permit: Permit,
}

type LateResult = Result<Completed<SocketAddr, Answer>, LateError<RequestError>>;

impl<'a> ListDownload<'a> {
    pub(crate) fn new(
        peers: Arc<Peers>,
        verifier: &'a Arc<Verifier>,
        plan: Plan,
        settings: &Settings,
        progress: &'a Progress,
    ) -> Result<Self, ConfigError> {
        // Of what an earlier download has sent nobody will tell the outcome.
        peers.on_given_up();
        let works = plan.works.into_iter();
        let backlog: BTreeMap<_, _> =
            (0..).zip(works).map(|(id, work)| ((work.order(), WorkId(id)), work)).collect();
        Ok(Self {
            peers,
            verifier,
            queue: Queue::new(&settings.scheduler)?,
            next_id: backlog.len() as u64,
            backlog,
            window: settings.window,
            open: BTreeMap::new(),
            opened_up_to: 0,
            running: JoinSet::new(),
            progress,
            avoid: BTreeSet::new(),
            acquainted: BTreeSet::new(),
            tally: Tally::default(),
            snapshots_from: BTreeMap::new(),
            doubtful: BTreeMap::new(),
        })
    }

    /// Asks these peers only where nobody else is left.
    pub(crate) fn avoiding(self, avoid: BTreeSet<SocketAddr>) -> Self {
        Self { avoid, ..self }
    }

    /// Runs until every list is stored or one cannot be had.
    ///
    /// # Cancel safety
    /// Lists that were stored stay; all else is lost.
    pub(crate) async fn run(mut self) -> Downloaded {
        let outcome = self
            .drive()
            .await
            .map_err(|failure| GaveUp { failure, next_retry: self.peers.after_giving_up() });
        self.running.shutdown().await;
        self.peers.announce(0);
        Downloaded { tally: self.tally, outcome, snapshots_from: self.snapshots_from }
    }

    async fn drive(&mut self) -> Result<(), DownloadFailure> {
        let mut peers_changed = self.peers.changes();
        let mut slots_changed = self.peers.slots();
        loop {
            self.fill_window();
            if self.open.is_empty() {
                return Ok(());
            }
            slots_changed.mark_unchanged();
            let (sendable, held_until) = match self.peers.may_send() {
                Ok(sendable) => (sendable.get(), None),
                Err(wait) => (0, Some(tokio::time::Instant::now() + wait)),
            };
            let free = NonZeroUsize::new(self.peers.capacity().min(sendable));
            self.peers.announce(self.to_send());
            let batch = free.map(|free| self.queue.next_batch(free, self.peers.conditions()));
            peers_changed.mark_unchanged();
            if self.peers.none_expected() {
                return Err(DownloadFailure::NoPeer);
            }
            if self.peers.credit_spent() && self.running.is_empty() {
                return Err(DownloadFailure::CreditSpent);
            }
            tokio::select! {
                biased;
                Some(jobs) = OptionFuture::from(batch), if free.is_some() => {
                    self.dispatch_all(jobs);
                }
                Some(step) = self.running.join_next() => match step {
                    Ok(step) => self.handle(step)?,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                _ = peers_changed.changed() => self.meet_newcomers(),
                () = sleep_until(held_until) => {}
                // Slots may be held by requests of the header phase that nobody waits for any more.
                _ = slots_changed.changed(), if free.is_none() => {}
                () = self.peers.out_of_patience() => {}
            }
        }
    }

    /// Keeps as much work open as the window allows, lowest lists first.
    fn fill_window(&mut self) {
        while let Some((&(order, _), _)) = self.backlog.first_key_value() {
            let replaces = order < self.opened_up_to;
            if self.open.len() >= self.window + if replaces { REPLACEMENTS } else { 0 } {
                return;
            }
            self.opened_up_to = order.max(self.opened_up_to);
            let Some(((_, id), work)) = self.backlog.pop_first() else { return };
            self.open_work(id, work);
        }
    }

    fn open_work(&mut self, id: WorkId, work: Work) {
        let has_alternative = work.alternative().is_some();
        let history = if has_alternative { History::new().with_alternative() } else { History::new() };
        let stage = Stage::Queued(self.enqueue(id, &work, Priority::Normal, Duration::ZERO));
        let work = Arc::new(work);
        let task = Task {
            work,
            history,
            avoid: self.avoid.clone(),
            no_room: BTreeSet::new(),
            alone: false,
            strategies: Vec::new(),
            unheld_since: None,
            unverifiable_since: None,
            of_newer_rules: Vec::new(),
            has_panicked: false,
            stage,
        };
        self.open.insert(id, task);
    }

    /// Work that waits after failures goes at once where a peer has come that was not asked for it.
    fn meet_newcomers(&mut self) {
        let ready = self.peers.ready_for_lists();
        let newcomers: Vec<SocketAddr> =
            ready.into_iter().filter(|peer| self.acquainted.insert(*peer)).collect();
        let is_new_to = |task: &Task| newcomers.iter().any(|peer| !task.history.tried(peer));
        for (&id, task) in &mut self.open {
            if let Stage::Queued(ticket) = task.stage
                && task.history.attempts() > 0
                && is_new_to(task)
            {
                self.queue.cancel(ticket);
                let rank = Priority::High.in_order(task.work.order());
                task.stage = Stage::Queued(enqueue(&self.queue, id, rank, Duration::ZERO));
            }
        }
    }

    fn enqueue(&self, id: WorkId, work: &Work, priority: Priority, delay: Duration) -> Ticket {
        enqueue(&self.queue, id, priority.in_order(work.order()), delay)
    }

    /// Work that is not with the executor.
    fn to_send(&self) -> usize {
        let queued = self.queue.lengths();
        self.backlog.len() + queued.ready + queued.waiting
    }

    fn dispatch_all(&mut self, jobs: Vec<Job<WorkId>>) {
        for (left, job) in (0..jobs.len()).rev().zip(jobs) {
            self.peers.announce(self.to_send() + left);
            self.dispatch(job);
        }
    }

    fn dispatch(&mut self, job: Job<WorkId>) {
        let (id, ticket) = (job.item, job.ticket);
        let Some(task) = self.open.get(&id) else {
            self.queue.finish(ticket);
            return;
        };
        let in_flight = |task: &Task| matches!(task.stage, Stage::InFlight(_));
        let hold = if task.alone && self.open.values().any(in_flight) {
            Some(ALONE_RECHECK)
        } else {
            // Nothing is dispatched again before something may be sent.
            (!self.peers.on_sending()).then_some(Duration::ZERO)
        };
        let Some(task) = self.open.get_mut(&id) else { return };
        if let Some(wait) = hold {
            let rank = Priority::High.in_order(task.work.order());
            // The ticket is running: it was handed out by this very job.
            self.queue.retry(ticket, id, rank, wait).ok();
            return;
        }
        task.stage = Stage::InFlight(ticket);
        let avoid = task.avoid.clone();
        let (peers, work) = (self.peers.clone(), task.work.clone());
        let mut fetching = Box::pin(async move {
            let asked = peers.ask_for_lists(work.request.clone(), work.newest, &avoid, work.order());
            let result = Box::new(asked.await);
            Step::Fetched { id, ticket, result }
        });
        // Takes its slot now, so that the next batch is made for what is left and not for the same slots.
        match fetching.as_mut().now_or_never() {
            Some(step) => self.running.spawn(async { step }),
            None => self.running.spawn(fetching),
        };
    }

    fn handle(&mut self, step: Step) -> Result<(), DownloadFailure> {
        match step {
            Step::Fetched { id, ticket, result } => self.fetched(id, ticket, *result),
            Step::Late { id, peer, result } => {
                self.late(id, peer, *result);
                Ok(())
            }
            Step::Verified { id, answer, verdict } => self.judged(id, answer, verdict),
            Step::Unverified { id, peer, error } => self.unverified(id, peer, &error),
        }
    }

    fn fetched(&mut self, id: WorkId, ticket: Ticket, result: Executed) -> Result<(), DownloadFailure> {
        let error = match result {
            Ok(completed) => {
                self.verify(id, completed);
                return Ok(());
            }
            Err(error) => error,
        };
        let kind = failure_kind(&error).unwrap_or(FailureKind::Internal);
        let attempt = Attempt::new(error.peer().copied(), &kind, now());
        if let ExecuteError::SoftTimeout { peer, late, .. } = error {
            self.running.spawn(async move { Step::Late { id, peer, result: Box::new(late.await) } });
        }
        // A late answer to an earlier request may have taken over meanwhile.
        let current = self.open.get(&id).is_some_and(|task| task.stage == Stage::InFlight(ticket));
        if current { self.failed(id, attempt, None) } else { Ok(()) }
    }

    /// An answer that came after its soft timeout, or the reason why none came.
    fn late(&mut self, id: WorkId, peer: SocketAddr, result: LateResult) {
        match result {
            Ok(completed) => {
                self.tally.late += 1;
                self.verify(id, completed);
            }
            // The slot is free again, but the peer may still be at work on it. A new connection counts from zero on both
            // sides.
            Err(LateError::HardTimeout) => self.peers.disconnect(peer),
            Err(_) => {}
        }
    }

    /// Has an answer verified, unless another copy is done or being verified.
    fn verify(&mut self, id: WorkId, completed: Completed<SocketAddr, Answer>) {
        let Completed { peer, response: answer, permit, .. } = completed;
        let bytes = answer.payload.len() as u64;
        let task = self.open.get_mut(&id).filter(|task| task.stage != Stage::Verifying);
        let Some(task) = task else {
            self.tally.wasted_bytes += bytes;
            return;
        };
        if let Stage::Queued(ticket) | Stage::InFlight(ticket) = task.stage {
            self.queue.cancel(ticket);
        }
        task.stage = Stage::Verifying;
        self.progress.lists_arrived(task.work.wanted.len() as u64);
        let answered = self.peers.on_answer(peer);
        let (work, verifier) = (task.work.clone(), self.verifier.clone());
        let kind = work.request.kind();
        self.running.spawn(async move {
            let digest = sha256::hash(&answer.payload).to_byte_array();
            match verifier.verify(work, answer).await {
                Ok(verdict) => Step::Verified {
                    id,
                    answer: Verified { peer, kind, bytes, digest, answered, permit },
                    verdict,
                },
                Err(error) => Step::Unverified { id, peer, error },
            }
        });
    }
}

fn enqueue(queue: &Queue<WorkId>, id: WorkId, rank: Rank, delay: Duration) -> Ticket {
    let pushed = queue.push(id, rank, delay);
    pushed.unwrap_or_else(|_| unreachable!("the queue is open and has room for more than the window"))
}
