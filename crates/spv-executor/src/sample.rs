use std::time::Duration;

/// The measurements of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// The kind of its request.
    pub kind: &'static str,
    /// Its size, or the expected one if the transport does not tell, see
    /// [`Transport::size`](crate::Transport::size).
    pub bytes: u64,
    /// From sending the request to the answer.
    pub elapsed: Duration,
    /// The part of it in which the peer was busy with this request and no other: without the round trip, if that
    /// is known, and without the wait for earlier answers.
    pub occupied: Duration,
    /// The size that was expected, 0 if none was. Beyond their usual expectation, requests of a kind are taken to need
    /// more time, however right those expectations are.
    pub(crate) expected: u64,
}

impl Sample {
    /// An answer without a size to which all of its time belongs, for tests of a selector.
    #[must_use]
    pub const fn new(kind: &'static str, elapsed: Duration) -> Self {
        Self { kind, bytes: 0, elapsed, occupied: elapsed, expected: 0 }
    }
}
