use std::fmt;

/// Identifies one request on one connection. Ids grow in the order of registration and are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A registered request, for which the table expects an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the request and its fence must now be written to the stream"]
pub struct Registration {
    /// Identifies the request in every later verdict.
    pub id: RequestId,
    /// Nonce of the ping to write directly behind the request. Never zero. Without [`Config::fences`](crate::Config::fences)
    /// there is no need to write it.
    pub fence: u64,
}
