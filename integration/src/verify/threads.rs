use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use dashcore::{BlockHash, ChainParams};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::apply::{Application, Checked, Ended};
use super::check::{AnswerError, Contents, check};
use super::metrics;
use super::stage::Stage;
use super::stages::Stages;

use crate::chain::HeaderChain;
use crate::panicked::contained;
use crate::plan::Work;
use crate::store::{Store, StoreError};
use crate::verification::Verification;
use crate::wire::Answer;

/// Most answers that are stored by one transaction.
const MAX_BATCH: usize = 64;

/// What verification made of an answer.
pub(crate) type Verdict = Result<Applied, AnswerError>;

/// An answer whose lists are proven and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Lists that this answer added; 0 when another copy came first.
    pub(crate) lists: usize,
}

/// Threads that check answers, and one that applies and stores them.
#[derive(Debug)]
pub(crate) struct Verifier {
    worker: Worker,
    places: Arc<Semaphore>,
    stages: Stages,
    chain: CurrentChain,
}

/// The chain whose headers are stored with the lists that are proven; `None` where the store has them all.
#[derive(Debug, Clone, Default)]
struct CurrentChain(Arc<Mutex<Option<Arc<HeaderChain>>>>);

#[derive(Debug)]
enum Worker {
    Threads { jobs: Sender<Job>, handles: Vec<JoinHandle<()>> },
    Inline(Box<Mutex<Inline>>),
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum VerifierError {
    /// The threads ended because the database failed.
    #[error("the proven lists cannot be stored")]
    Stopped,
    /// Checking the answer panicked.
    #[error("an internal error stopped the check of the answer")]
    Panicked,
}

struct Job {
    work: Arc<Work>,
    answer: Answer,
    reply: Reply,
}

/// Travels with an answer. Its permit bounds how many answers are being verified or wait for their base.
#[derive(Debug)]
struct Reply {
    verdict: oneshot::Sender<Result<Verdict, VerifierError>>,
    started: std::time::Instant,
    _place: OwnedSemaphorePermit,
    _counted: metrics::Verifying,
}

impl Verifier {
    /// Starts the threads; they end when this is dropped and their queue is empty. `capacity` bounds the answers held.
    /// A failing database ends them too and is reported through the returned receiver.
    ///
    /// # Errors
    /// When the system starts no threads.
    pub(crate) fn start(
        params: &ChainParams,
        store: Arc<Store>,
        capacity: usize,
        verification: Verification,
    ) -> io::Result<(Self, oneshot::Receiver<StoreError>)> {
        let places = Arc::new(Semaphore::new(capacity));
        let (stages, chain) = (Stages::default(), CurrentChain::default());
        let (failure, failed) = oneshot::channel();
        let mut applier = Applier::new(params, store, stages.clone(), chain.clone());
        if verification == Verification::Inline {
            let worker = Worker::Inline(Box::new(Mutex::new(Inline { applier, failure: Some(failure) })));
            return Ok((Self { worker, places, stages, chain }, failed));
        }
        let (jobs, incoming) = bounded::<Job>(capacity);
        let (checked, in_order) = bounded::<Checked<Reply>>(capacity);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let genesis_hash = params.genesis_hash;
        let check = || {
            let (incoming, checked, stages) = (incoming.clone(), checked.clone(), stages.clone());
            named("verify").spawn(move || check_all(&incoming, &checked, genesis_hash, &stages))
        };
        let mut handles = vec![check()?];
        handles.push(named("apply").spawn(move || {
            if let Err(error) = applier.apply_all(&in_order) {
                // Nobody listens any more when the sync is being dropped.
                failure.send(error).ok();
            }
        })?);
        // It takes longer with fewer.
        handles.extend((1..cores).map_while(|_| check().ok()));
        Ok((Self { worker: Worker::Threads { jobs, handles }, places, stages, chain }, failed))
    }

    /// From now on lists of this chain are stored, with its headers up to them; lists of branches that differ are not.
    pub(crate) fn follow(&self, chain: Arc<HeaderChain>) {
        *self.chain.0.lock() = Some(chain);
    }

    /// What verification did so far; the stages of quorums are counted here too.
    pub(crate) fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Waits until the threads have finished what they were given and ended.
    ///
    /// # Cancel safety
    /// The threads end all the same.
    pub(crate) async fn stop(self) {
        let Worker::Threads { jobs, handles } = self.worker else { return };
        drop(jobs);
        let joined = tokio::task::spawn_blocking(|| {
            for handle in handles {
                if let Err(panic) = handle.join() {
                    std::panic::resume_unwind(panic);
                }
            }
        });
        if let Err(error) = joined.await
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }

    /// Verifies an answer: resolves once its lists are proven and stored, or found wrong. Waits for the base's list as
    /// long as that takes.
    ///
    /// # Errors
    /// When the threads have stopped, and when checking panics, which is nobody's fault that could be known.
    ///
    /// # Cancel safety
    /// The answer is verified to its end all the same, unless its base is not there yet.
    pub(crate) async fn verify(&self, work: Arc<Work>, answer: Answer) -> Result<Verdict, VerifierError> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| VerifierError::Stopped)?;
        let (verdict, result) = oneshot::channel();
        let started = Instant::now().into_std();
        let job = Job {
            work,
            answer,
            reply: Reply { verdict, started, _place: place, _counted: metrics::Verifying::new() },
        };
        match &self.worker {
            // There are as many places as the channel holds, so it is full only when the threads are gone.
            Worker::Threads { jobs, .. } => jobs.try_send(job).map_err(|_| VerifierError::Stopped)?,
            Worker::Inline(inline) => inline.lock().verify(job),
        }
        result.await.unwrap_or(Err(VerifierError::Stopped))
    }
}

/// A thread with a name that a debugger and a panic show.
fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

/// The same work without threads.
#[derive(Debug)]
struct Inline {
    applier: Applier,
    failure: Option<oneshot::Sender<StoreError>>,
}

impl Inline {
    fn verify(&mut self, Job { work, answer, reply }: Job) {
        // After a failure this has ended, as the thread has.
        if self.failure.is_none() {
            return;
        }
        let Applier { params, stages, .. } = &self.applier;
        let Some((contents, tag)) = check_one(&work, &answer, reply, params.genesis_hash, stages) else {
            return;
        };
        let applied = self.applier.apply([Checked { work, contents, tag }].into_iter());
        if let Err(error) = applied
            && let Some(failure) = self.failure.take()
        {
            failure.send(error).ok();
        }
    }
}

fn check_all(
    jobs: &Receiver<Job>,
    checked: &Sender<Checked<Reply>>,
    genesis_hash: BlockHash,
    stages: &Stages,
) {
    for Job { work, answer, reply } in jobs {
        let checked_one = contained(|| check_one(&work, &answer, reply, genesis_hash, stages));
        let checked_one = checked_one.unwrap_or_else(|panic| {
            tracing::error!(%panic, "reporting on the check of an answer panicked");
            None
        });
        if let Some((contents, tag)) = checked_one
            && checked.send(Checked { work, contents, tag }).is_err()
        {
            return;
        }
    }
}

/// Checks an answer. Gives its contents with the reply that is still owed, unless it is wrong. A panic costs this answer and
/// no thread.
fn check_one(
    work: &Work,
    answer: &Answer,
    reply: Reply,
    genesis_hash: BlockHash,
    stages: &Stages,
) -> Option<(Contents, Reply)> {
    match contained(|| check(work, answer, genesis_hash, stages)) {
        Ok(Ok(contents)) => return Some((contents, reply)),
        Ok(Err(error)) => reply.send(Err(error)),
        Err(panic) => {
            let (height, bytes) = (work.newest.height, answer.payload.len());
            tracing::error!(height, bytes, %panic, "checking an answer panicked");
            reply.send_panicked();
        }
    }
    None
}

/// Applies checked answers and stores what they prove.
#[derive(Debug)]
struct Applier {
    params: ChainParams,
    store: Arc<Store>,
    application: Application<Reply>,
    stages: Stages,
    chain: CurrentChain,
}

impl Applier {
    fn new(params: &ChainParams, store: Arc<Store>, stages: Stages, chain: CurrentChain) -> Self {
        let application = Application::new(params.genesis_hash);
        Self { params: params.clone(), store, application, stages, chain }
    }

    fn apply_all(&mut self, in_order: &Receiver<Checked<Reply>>) -> Result<(), StoreError> {
        for first in in_order {
            self.apply(std::iter::once(first).chain(in_order.try_iter()).take(MAX_BATCH))?;
        }
        Ok(())
    }

    /// Applies answers and stores what they prove by one transaction, before anybody is told. A panic is an error of the
    /// store, after which this is not to be used again.
    fn apply(&mut self, batch: impl Iterator<Item = Checked<Reply>>) -> Result<(), StoreError> {
        contained(|| self.apply_unguarded(batch)).unwrap_or_else(|panic| Err(self.store.panicked(&panic)))
    }

    fn apply_unguarded(&mut self, batch: impl Iterator<Item = Checked<Reply>>) -> Result<(), StoreError> {
        let Self { params, store, application, stages, chain } = self;
        application.forget(|reply| reply.verdict.is_closed());
        application.keep_stored(|block| store.has_list(block))?;
        let started = Instant::now();
        let mut ended = Vec::new();
        for checked in batch {
            ended.extend(application.offer(checked, |block| store.list(params, block))?);
        }
        let (mut lists, mut snapshots) = (Vec::new(), Vec::new());
        let ended: Vec<_> = ended
            .into_iter()
            .map(|Ended { tag, result }| {
                let applied = result.map(|mut rows| {
                    let applied = Applied { lists: rows.lists.len() };
                    lists.append(&mut rows.lists);
                    snapshots.append(&mut rows.snapshots);
                    applied
                });
                (tag, applied)
            })
            .collect();
        stages.record(Stage::Apply, lists.len(), started);
        if !lists.is_empty() || !snapshots.is_empty() {
            let started = Instant::now();
            let chain = chain.0.lock().clone();
            store.save_answers(&lists, &snapshots, chain.as_deref())?;
            stages.record(Stage::Store, lists.len(), started);
        }
        application.trim();
        for (tag, verdict) in ended {
            tag.send(verdict);
        }
        Ok(())
    }
}

impl Reply {
    fn send(self, verdict: Verdict) {
        let (label, took) =
            (verdict.as_ref().err().map_or("proven", AnswerError::kind), self.started.elapsed());
        // Before a recorder of metrics is called, which may panic. A caller that has gone needs no verdict.
        self.verdict.send(Ok(verdict)).ok();
        metrics::verified(label, took);
    }

    fn send_panicked(self) {
        self.verdict.send(Err(VerifierError::Panicked)).ok();
        metrics::verified("panicked", self.started.elapsed());
    }
}
