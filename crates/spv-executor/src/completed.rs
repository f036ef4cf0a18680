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
    /// How long the request waited before it was sent, for [`Transport::admit`](crate::Transport::admit) too.
    pub queued: Duration,
    /// From sending it to this peer to the answer; the wait before is not in it.
    pub elapsed: Duration,
    /// The answer's bytes and the verdict on it, to be kept as long as the answer.
    pub permit: Permit,
}
