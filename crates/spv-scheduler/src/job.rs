use std::time::{Duration, Instant};

use crate::priority::Priority;

/// Names one push for as long as its item lives, over all its retries. Never reused by the same scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

/// What became of an item pushed with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an item that joined another comes back here"]
pub enum Pushed<T> {
    /// It is queued.
    Queued(Ticket),
    /// An item with the same key was queued or running. That one will end this ticket too.
    Joined {
        /// A ticket of its own.
        ticket: Ticket,
        /// The item that was not needed.
        item: T,
    },
}

impl<T> Pushed<T> {
    /// The ticket, either way.
    #[must_use]
    pub const fn ticket(&self) -> Ticket {
        match self {
            Self::Queued(ticket) | Self::Joined { ticket, .. } => *ticket,
        }
    }
}

/// An item whose turn has come.
///
/// It counts as running, and keeps its place in the bounded queue, until its ticket is finished, retried or
/// cancelled. A [`RunningJob`](crate::RunningJob) sees to that by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a job that is neither finished nor retried holds a place in the queue for ever"]
pub struct Job<T> {
    /// Names the item in `finish` and `retry`: the first of its tickets.
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
    /// Only this ticket ended; the item goes on for the others that joined.
    Shared,
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
