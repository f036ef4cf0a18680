use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    Cancelled, Config, ConfigError, Job, Lengths, Next, PushError, Rank, Scheduler, Ticket, UnknownTicket,
    metrics::Reporter,
};

/// A [`Scheduler`] shared between tasks: producers push, workers await [`next`](Self::next).
///
/// A cheap handle; clones share one queue. Time is tokio's, so tests may pause it. Metrics go to the recorder that
/// is installed when the queue is made.
pub struct Queue<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Queue<T> {
    /// An empty, open queue.
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let scheduler = Scheduler::new(config, now())?;
        let state = State { scheduler, closed: false, reporter: Reporter::new() };
        Ok(Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }) })
    }

    /// Queues an item that may run after `delay`, zero for at once.
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

    /// The next job that may run; waits for an item, its ready time and the rate limit. `None` once the queue is
    /// closed and every job has ended; a running one could still be retried.
    ///
    /// # Cancel safety
    /// Cancel safe: a job leaves the queue only in the step that returns it.
    ///
    /// # Panics
    /// Outside a tokio runtime with time enabled, when it has to wait for an instant.
    pub async fn next(&self) -> Option<Job<T>> {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            // Listening starts before looking, so that no change falls in between.
            changed.as_mut().enable();
            match self.poll() {
                Step::Run(job) => return Some(job),
                Step::End => return None,
                Step::Idle => changed.await,
                Step::WaitUntil(at) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(at.into()) => {}
                    }
                }
            }
        }
    }

    /// Ends a running job. False if the ticket is not running.
    pub fn finish(&self, ticket: Ticket) -> bool {
        self.change(|state, _| state.scheduler.finish(ticket))
    }

    /// Queues a running job again after `delay`, with its attempt count and a new rank. Also once closed.
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

    /// Ends an item wherever it is. `None` if it ended before.
    pub fn cancel(&self, ticket: Ticket) -> Option<Cancelled<T>> {
        self.change(|state, _| state.scheduler.cancel(ticket))
    }

    /// Takes out everything that is queued, in order. Running jobs stay with their holders.
    #[must_use = "these items will not run"]
    pub fn drain(&self) -> Vec<T> {
        self.change(|state, _| state.scheduler.drain())
    }

    /// Accepts no more pushes. What is queued still runs; drain as well to stop at once.
    pub fn close(&self) {
        self.change(|state, _| state.closed = true);
    }

    /// How many items are held, by state.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        self.shared.state.lock().scheduler.lengths()
    }

    fn poll(&self) -> Step<T> {
        let mut state = self.shared.state.lock();
        let next = state.scheduler.poll(now());
        state.report();
        match next {
            Next::Run(job) => {
                state.reporter.waited(job.waited);
                Step::Run(job)
            }
            Next::WaitUntil(at) => Step::WaitUntil(at),
            Next::Idle if state.closed && state.scheduler.lengths().total() == 0 => Step::End,
            Next::Idle => Step::Idle,
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut State<T>, Instant) -> R) -> R {
        let mut state = self.shared.state.lock();
        let result = change(&mut state, now());
        state.report();
        drop(state);
        self.shared.changed.notify_waiters();
        result
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("lengths", &self.lengths()).finish_non_exhaustive()
    }
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Notify,
}

struct State<T> {
    scheduler: Scheduler<T>,
    closed: bool,
    reporter: Reporter,
}

impl<T> State<T> {
    fn report(&mut self) {
        self.reporter.report(self.scheduler.lengths(), self.scheduler.throttled());
    }
}

enum Step<T> {
    Run(Job<T>),
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
