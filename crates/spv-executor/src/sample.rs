use std::time::Duration;

/// The measurements of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// Kind of the request.
    pub kind: &'static str,
    /// Size of the answer in bytes, or the expected size if the transport does not report it, see
    /// [`Transport::size`](crate::Transport::size).
    pub bytes: u64,
    /// Time from sending the request to the answer.
    pub elapsed: Duration,
    /// The part of `elapsed` in which the peer was busy with this request only: without the round trip, if that is
    /// known, and without the wait for earlier answers.
    pub occupied: Duration,
    /// The size that was expected, 0 if none was. Beyond their usual expectation, requests of a kind are taken to need
    /// more time, however right those expectations are.
    pub(crate) expected: u64,
}

impl Sample {
    /// Creates a sample without a size in which the peer was busy all the time, for tests of a selector.
    #[must_use]
    pub const fn new(kind: &'static str, elapsed: Duration) -> Self {
        Self { kind, bytes: 0, elapsed, occupied: elapsed, expected: 0 }
    }
}
