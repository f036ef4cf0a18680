use std::{fmt, ops::Deref, time::Duration};

use crate::{
    error::UnknownTicket,
    job::{Job, Ticket},
    priority::Rank,
};

/// A job of a [`Queue`](crate::Queue) that ends when it is dropped, as with [`finish`](Self::finish).
///
/// So a worker that panics or is cancelled keeps no place. Its work is not done then: whoever wants it done all the same
/// catches the panic and calls [`retry`](Self::retry).
#[must_use = "the job ends when this is dropped"]
pub struct RunningJob<T> {
    job: Option<Job<T>>,
    jobs: Box<dyn EndsJobs<T>>,
}

impl<T> RunningJob<T> {
    pub(crate) fn new(job: Job<T>, jobs: impl EndsJobs<T> + 'static) -> Self {
        Self { job: Some(job), jobs: Box::new(jobs) }
    }

    /// Ends the job, and returns the tickets that end with it. There are none if it was cancelled.
    pub fn finish(mut self) -> Vec<Ticket> {
        self.job.take().map_or_else(Vec::new, |job| self.jobs.finish(job.ticket))
    }

    /// Queues the job again after `delay`, with its attempt count and a new rank. This also works after the queue was
    /// closed.
    ///
    /// # Errors
    /// Hands the item back if the job was cancelled.
    pub fn retry(mut self, rank: impl Into<Rank>, delay: Duration) -> Result<(), UnknownTicket<T>> {
        let Some(Job { ticket, item, .. }) = self.job.take() else { return Ok(()) };
        self.jobs.retry(ticket, item, rank.into(), delay)
    }

    /// Returns the plain job, which ends only by [`Queue::finish`](crate::Queue::finish),
    /// [`Queue::retry`](crate::Queue::retry) or [`Queue::cancel`](crate::Queue::cancel).
    ///
    /// # Panics
    /// Never: only what consumes this takes the job out.
    pub fn into_job(mut self) -> Job<T> {
        self.job.take().expect("taken out only by what consumes this")
    }
}

impl<T> Deref for RunningJob<T> {
    type Target = Job<T>;

    fn deref(&self) -> &Job<T> {
        self.job.as_ref().expect("taken out only by what consumes this")
    }
}

impl<T> Drop for RunningJob<T> {
    fn drop(&mut self) {
        if let Some(job) = &self.job {
            self.jobs.finish_attempt(job.ticket, job.attempt);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for RunningJob<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningJob").field("job", &self.job).finish_non_exhaustive()
    }
}

/// The queue as a job sees it, whatever the type of its keys.
pub(crate) trait EndsJobs<T>: Send + Sync {
    fn finish(&self, ticket: Ticket) -> Vec<Ticket>;
    /// Does nothing if the job was ended, or retried, since.
    fn finish_attempt(&self, ticket: Ticket, attempt: u32);
    fn retry(&self, ticket: Ticket, item: T, rank: Rank, delay: Duration) -> Result<(), UnknownTicket<T>>;
}
