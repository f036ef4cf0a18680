use std::time::Duration;

use crate::{ExecuteError, Transport};

/// A request that was answered in time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completed<P, R> {
    /// The peer that answered.
    pub peer: P,
    /// Its answer.
    pub response: R,
    /// How long the request waited before it was sent.
    pub queued: Duration,
    /// From sending to the answer; the wait before is not in it.
    pub elapsed: Duration,
}

/// How a request ended, for the types of transport `T`.
pub type ExecuteResult<T> = Result<
    Completed<<T as Transport>::Peer, <T as Transport>::Response>,
    ExecuteError<<T as Transport>::Peer, <T as Transport>::Response, <T as Transport>::Error>,
>;
