use std::fmt;

use crate::job::Ticket;

/// A configuration value is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid {field}: {reason}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The field of [`Config`](crate::Config).
    pub field: &'static str,
    /// What is wrong with its value.
    pub reason: &'static str,
}

/// The common shape of every range check.
pub(crate) const fn ensure(ok: bool, field: &'static str, reason: &'static str) -> Result<(), ConfigError> {
    if ok { Ok(()) } else { Err(ConfigError { field, reason }) }
}

/// The queue is full. The error returns the item.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full ({capacity} items)")]
pub struct QueueFull<T> {
    /// The item that was not accepted.
    pub item: T,
    /// The configured limit.
    pub capacity: usize,
}

/// Why [`Queue::push`](crate::Queue::push) did not accept an item. The error returns the item.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError<T> {
    /// The queue is full.
    #[error(transparent)]
    Full(#[from] QueueFull<T>),
    /// The queue was closed.
    #[error("the queue is closed")]
    Closed {
        /// The item that was not accepted.
        item: T,
    },
}

impl<T> PushError<T> {
    /// The item that was not accepted.
    #[must_use]
    pub fn into_item(self) -> T {
        match self {
            Self::Full(QueueFull { item, .. }) | Self::Closed { item } => item,
        }
    }
}

/// The ticket belongs to no running job, because it was finished or cancelled before. The error returns the item.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{ticket:?} is not running")]
pub struct UnknownTicket<T> {
    /// The ticket that was given.
    pub ticket: Ticket,
    /// The item that was not queued.
    pub item: T,
}

// Debug is written by hand so that the errors are errors for every item type, also those without Debug.

impl<T> fmt::Debug for QueueFull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueFull").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(full) => f.debug_tuple("Full").field(full).finish(),
            Self::Closed { .. } => f.debug_struct("Closed").finish_non_exhaustive(),
        }
    }
}

impl<T> fmt::Debug for UnknownTicket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownTicket").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
