use std::time::{Duration, Instant};

use crate::priority::Priority;

/// Identifies one push until its item ends, over all its retries. A scheduler never uses a ticket twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

/// Result of pushing an item with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an item that joined another comes back here"]
pub enum Pushed<T> {
    /// The item was queued.
    Queued(Ticket),
    /// The push joined an item with the same key that is queued or running. This ticket ends together with that item.
    Joined {
        /// The ticket of this push.
        ticket: Ticket,
        /// The item that was not needed.
        item: T,
    },
}

impl<T> Pushed<T> {
    /// Returns the ticket in both cases.
    #[must_use]
    pub const fn ticket(&self) -> Ticket {
        match self {
            Self::Queued(ticket) | Self::Joined { ticket, .. } => *ticket,
        }
    }
}

/// An item that may run now.
///
/// It counts as running, and keeps its place in the bounded queue, until its ticket is finished, retried or
/// cancelled. A [`RunningJob`](crate::RunningJob) sees to that by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a job that is neither finished nor retried holds a place in the queue for ever"]
pub struct Job<T> {
    /// Identifies the job in `finish` and `retry`; it is the first ticket of the item.
    pub ticket: Ticket,
    /// The item that the caller pushed.
    pub item: T,
    /// The priority with which the item was queued, without ageing.
    pub priority: Priority,
    /// Number of this attempt, starting with 1.
    pub attempt: u32,
    /// Time that the item was ready before it ran, without the time before its ready time.
    pub waited: Duration,
}

/// Result of [`Scheduler::poll`](crate::Scheduler::poll).
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a job returned by poll is running"]
pub enum Next<T> {
    /// This job may run now.
    Run(Job<T>),
    /// Nothing may run before this instant; poll again then, or after a push.
    WaitUntil(Instant),
    /// Nothing is queued; poll again after a push or a retry.
    Idle,
}

/// The state of a ticket when it was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a queued item comes back here"]
pub enum Cancelled<T> {
    /// It was queued; the item is returned.
    Queued(T),
    /// It was running; its holder has the item and can no longer retry it.
    Running,
    /// Only this ticket ended; the item remains for the other tickets.
    Shared,
}

/// Number of items in a scheduler, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lengths {
    /// Items that may run as soon as the rate limit allows.
    pub ready: usize,
    /// Items that are not ready yet, as of the last poll.
    pub waiting: usize,
    /// Jobs that were returned by the scheduler and not finished or retried yet.
    pub running: usize,
}

impl Lengths {
    /// Returns the total number of items.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.ready + self.waiting + self.running
    }
}
