use std::{
    fmt,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    batch::Conditions,
    config::Config,
    error::{ConfigError, PushError, UnknownTicket},
    job::{Cancelled, Job, Lengths, Next, Pushed, Ticket},
    metrics::Reporter,
    priority::Rank,
    running_job::{EndsJobs, RunningJob},
    scheduler::Scheduler,
};

/// A [`Scheduler`] shared between tasks: producers push, workers await [`next`](Self::next).
///
/// A cheap handle; clones share one queue. Time is tokio's, so tests may pause it. Metrics go to the recorder that
/// is installed when the queue is made.
pub struct Queue<T, K = ()> {
    shared: Arc<Shared<T, K>>,
}

impl<T> Queue<T> {
    /// Creates an empty, open queue.
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        Self::with_keys(config)
    }
}

impl<T, K: Ord + Clone> Queue<T, K> {
    /// Creates a queue like [`new`](Queue::new), for items of which some have keys.
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn with_keys(config: &Config) -> Result<Self, ConfigError> {
        let scheduler = Scheduler::with_keys(config, now())?;
        let state = State { scheduler, closed: false, reporter: Reporter::new() };
        Ok(Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }) })
    }

    /// Queues an item that may run after `delay`; zero means at once.
    ///
    /// # Errors
    /// Hands the item back if the queue is full or closed.
    pub fn push(&self, item: T, rank: impl Into<Rank>, delay: Duration) -> Result<Ticket, PushError<T>> {
        self.change(|state, now| {
            if state.closed {
                return Err(PushError::Closed { item });
            }
            Ok(state.scheduler.push(item, rank, later(now, delay), now)?)
        })
    }

    /// Like [`push`](Self::push), but joins the item with this key if one is queued or running; see
    /// [`Scheduler::push_keyed`].
    ///
    /// # Errors
    /// Hands the item back if the queue is full or closed.
    pub fn push_keyed(
        &self,
        key: K,
        item: T,
        rank: impl Into<Rank>,
        delay: Duration,
    ) -> Result<Pushed<T>, PushError<T>> {
        self.change(|state, now| {
            if state.closed {
                return Err(PushError::Closed { item });
            }
            let pushed = state.scheduler.push_keyed(key, item, rank, later(now, delay), now)?;
            if matches!(pushed, Pushed::Joined { .. }) {
                state.reporter.joined();
            }
            Ok(pushed)
        })
    }

    /// Returns the next job that may run; waits for an item, its ready time and the rate limit. `None` once the queue
    /// is closed and every job has ended; a running one could still be retried.
    ///
    /// # Cancel safety
    /// Cancel safe: a job leaves the queue only in the step that returns it.
    ///
    /// # Panics
    /// Outside a tokio runtime with time enabled, when it has to wait for an instant.
    pub async fn next(&self) -> Option<Job<T>> {
        self.next_batch(NonZeroUsize::MIN, Conditions::default()).await.pop()
    }

    /// Like [`next`](Self::next), but skips items for which `may_run` returns a later time; see
    /// [`Scheduler::poll_where`]. `may_run` is called under the queue's lock, whenever something changes: it must be
    /// quick and must not call the queue.
    ///
    /// # Cancel safety
    /// Cancel safe: a job leaves the queue only in the step that returns it.
    ///
    /// # Panics
    /// As [`next`](Self::next), and where `may_run` does. The queue loses nothing by that.
    pub async fn next_where(
        &self,
        mut may_run: impl FnMut(&T, Instant) -> Result<(), Instant>,
    ) -> Option<Job<T>> {
        let poll = |scheduler: &mut Scheduler<T, K>, now| match scheduler.poll_where(now, &mut may_run) {
            Next::Run(job) => Ok(vec![job]),
            next => Err(next),
        };
        self.wait(poll).await.pop()
    }

    /// Like [`next`](Self::next), but the job ends when the returned value is dropped. So a worker that panics or is
    /// cancelled frees its place, and does not block those that wait for the end of a closed queue.
    ///
    /// # Cancel safety
    /// Cancel safe: a job leaves the queue only in the step that returns it.
    ///
    /// # Panics
    /// As [`next`](Self::next).
    pub async fn claim(&self) -> Option<RunningJob<T>>
    where
        T: Send + 'static,
        K: Send + 'static,
    {
        self.next().await.map(|job| RunningJob::new(job, self.clone()))
    }

    /// Combines [`claim`](Self::claim) and [`next_where`](Self::next_where).
    ///
    /// # Cancel safety
    /// Cancel safe: a job leaves the queue only in the step that returns it.
    ///
    /// # Panics
    /// As [`next_where`](Self::next_where).
    pub async fn claim_where(
        &self,
        may_run: impl FnMut(&T, Instant) -> Result<(), Instant>,
    ) -> Option<RunningJob<T>>
    where
        T: Send + 'static,
        K: Send + 'static,
    {
        self.next_where(may_run).await.map(|job| RunningJob::new(job, self.clone()))
    }

    /// Like [`next`](Self::next), but also returns the other jobs that may run at that moment, up to the smaller of
    /// `at_most` and the batch size under these conditions. Empty only where `next` returns `None`.
    ///
    /// # Cancel safety
    /// Cancel safe: jobs leave the queue only in the step that returns them.
    ///
    /// # Panics
    /// As [`next`](Self::next).
    pub async fn next_batch(&self, at_most: NonZeroUsize, conditions: Conditions) -> Vec<Job<T>> {
        let poll = |scheduler: &mut Scheduler<T, K>, now| {
            let jobs = scheduler.poll_batch(at_most, conditions, now);
            if !jobs.is_empty() {
                return Ok(jobs);
            }
            match scheduler.poll(now) {
                // An empty batch means that nothing may run now; still, no job must be lost here.
                Next::Run(job) => Ok(vec![job]),
                next => Err(next),
            }
        };
        self.wait(poll).await
    }

    /// Ends a running job, and returns the tickets that end with it. There are none if it is not running.
    pub fn finish(&self, ticket: Ticket) -> Vec<Ticket> {
        self.change(|state, _| state.scheduler.finish(ticket))
    }

    /// Queues a running job again after `delay`, with its attempt count and a new rank. This also works after the queue
    /// was closed.
    ///
    /// # Errors
    /// Hands the item back if the ticket is not running: it was finished or cancelled.
    pub fn retry(
        &self,
        ticket: Ticket,
        item: T,
        rank: impl Into<Rank>,
        delay: Duration,
    ) -> Result<(), UnknownTicket<T>> {
        self.change(|state, now| state.scheduler.retry(ticket, item, rank, later(now, delay), now))
    }

    /// Ends a ticket, and also its item if no other ticket joined it. `None` if the ticket had ended before.
    pub fn cancel(&self, ticket: Ticket) -> Option<Cancelled<T>> {
        self.change(|state, _| state.scheduler.cancel(ticket))
    }

    /// Removes and returns all queued items, in order. Running jobs are not affected.
    #[must_use = "these items will not run"]
    pub fn drain(&self) -> Vec<T> {
        self.change(|state, _| state.scheduler.drain())
    }

    /// Closes the queue, so that it accepts no more pushes. Queued items still run; call `drain` as well to stop at
    /// once.
    pub fn close(&self) {
        self.change(|state, _| state.closed = true);
    }

    /// Returns the number of items, by state.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        self.shared.state.lock().scheduler.lengths()
    }

    /// Waits until there are jobs. Empty once the queue is closed and every job has ended.
    async fn wait(
        &self,
        mut poll: impl FnMut(&mut Scheduler<T, K>, Instant) -> Result<Vec<Job<T>>, Next<T>>,
    ) -> Vec<Job<T>> {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            // Listening starts before looking, so that no change falls in between.
            changed.as_mut().enable();
            match self.poll(&mut poll) {
                Step::Run(jobs) => return jobs,
                Step::End => return Vec::new(),
                Step::Idle => changed.await,
                Step::WaitUntil(at) => {
                    // Polled in order, so that what happens at one instant always happens in the same order.
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = tokio::time::sleep_until(at.into()) => {}
                    }
                }
            }
        }
    }

    fn poll(
        &self,
        poll: &mut impl FnMut(&mut Scheduler<T, K>, Instant) -> Result<Vec<Job<T>>, Next<T>>,
    ) -> Step<T> {
        let now = now();
        let mut state = self.shared.state.lock();
        let step = match poll(&mut state.scheduler, now) {
            Ok(jobs) => Step::Run(jobs),
            Err(Next::Run(job)) => Step::Run(vec![job]),
            Err(Next::WaitUntil(at)) => Step::WaitUntil(at),
            Err(Next::Idle) if state.closed && state.scheduler.lengths().total() == 0 => Step::End,
            Err(Next::Idle) => Step::Idle,
        };
        if let Step::Run(jobs) = &step {
            jobs.iter().for_each(|job| state.reporter.waited(job.waited));
        }
        state.report();
        step
    }

    fn change<R>(&self, change: impl FnOnce(&mut State<T, K>, Instant) -> R) -> R {
        let mut state = self.shared.state.lock();
        let result = change(&mut state, now());
        state.report();
        drop(state);
        self.shared.changed.notify_waiters();
        result
    }
}

impl<T: Send, K: Ord + Clone + Send> EndsJobs<T> for Queue<T, K> {
    fn finish(&self, ticket: Ticket) -> Vec<Ticket> {
        Self::finish(self, ticket)
    }

    fn finish_attempt(&self, ticket: Ticket, attempt: u32) {
        self.change(|state, _| state.scheduler.finish_attempt(ticket, attempt));
    }

    fn retry(&self, ticket: Ticket, item: T, rank: Rank, delay: Duration) -> Result<(), UnknownTicket<T>> {
        Self::retry(self, ticket, item, rank, delay)
    }
}

impl<T, K> Clone for Queue<T, K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T, K: Ord + Clone> fmt::Debug for Queue<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("lengths", &self.lengths()).finish_non_exhaustive()
    }
}

struct Shared<T, K> {
    state: Mutex<State<T, K>>,
    changed: Notify,
}

struct State<T, K> {
    scheduler: Scheduler<T, K>,
    closed: bool,
    reporter: Reporter,
}

impl<T, K: Ord + Clone> State<T, K> {
    fn report(&mut self) {
        self.reporter.report(self.scheduler.lengths(), self.scheduler.throttled());
    }
}

enum Step<T> {
    Run(Vec<Job<T>>),
    WaitUntil(Instant),
    Idle,
    End,
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A delay beyond what the clock can express is as good as a year.
fn later(now: Instant, delay: Duration) -> Instant {
    now + delay.min(LONGEST_DELAY)
}

const LONGEST_DELAY: Duration = Duration::from_secs(365 * 24 * 60 * 60);
