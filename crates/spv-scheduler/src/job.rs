use std::time::{Duration, Instant};

use crate::Priority;

/// Names one pushed item for its whole life, over all its retries. Never reused by the same scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

/// An item whose turn has come.
///
/// It counts as running, and keeps its place in the bounded queue, until its ticket is finished, retried or
/// cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a job that is neither finished nor retried holds a place in the queue for ever"]
pub struct Job<T> {
    /// Names the item in `finish`, `retry` and `cancel`.
    pub ticket: Ticket,
    /// What the caller pushed.
    pub item: T,
    /// The priority it was queued with, not raised by ageing.
    pub priority: Priority,
    /// 1 on the first run, one more on each retry.
    pub attempt: u32,
    /// How long it was ready before it ran; excludes the time it was not yet ready.
    pub waited: Duration,
}

/// What [`Scheduler::poll`](crate::Scheduler::poll) found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a job returned by poll is running"]
pub enum Next<T> {
    /// Run this now.
    Run(Job<T>),
    /// Nothing may run before this instant; poll again then, or after a push.
    WaitUntil(Instant),
    /// Nothing is queued; poll again after a push or a retry.
    Idle,
}

/// What a cancelled ticket was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a queued item comes back here"]
pub enum Cancelled<T> {
    /// It was queued; here is the item.
    Queued(T),
    /// It was running; its holder has the item and can no longer retry it.
    Running,
}

/// How many items a scheduler holds, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lengths {
    /// May run as soon as the rate limit allows.
    pub ready: usize,
    /// Not ready yet, as of the last poll.
    pub waiting: usize,
    /// Handed out, neither finished nor retried.
    pub running: usize,
}

impl Lengths {
    /// All items held.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.ready + self.waiting + self.running
    }
}
