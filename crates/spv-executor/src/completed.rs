use std::time::Duration;

use crate::Permit;

/// A request that was answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Completed<P, R> {
    /// The peer that answered.
    pub peer: P,
    /// Its answer.
    pub response: R,
    /// Time that the request waited before it was sent, including [`Transport::admit`](crate::Transport::admit) too.
    pub queued: Duration,
    /// Time from sending the request to this peer to the answer, without the wait before.
    pub elapsed: Duration,
    /// Holds the answer's bytes and takes the verdict on it. Keep it as long as the answer.
    pub permit: Permit,
}
