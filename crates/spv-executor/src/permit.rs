use std::fmt;

/// The bytes of an answer, held against [`Config::max_bytes`](crate::Config::max_bytes), and the verdict on it.
///
/// Keep it with the answer and drop it when the answer is used or thrown away: that gives back the bytes and tells
/// the executor that the peer did well. [`reject`](Self::reject) it instead if the answer proved wrong.
#[must_use = "dropping this gives back the bytes and counts the answer as good"]
pub struct Permit {
    settle: Option<Box<dyn Settle>>,
    bytes: u64,
}

impl Permit {
    pub(crate) fn new(settle: impl Settle + 'static, bytes: u64) -> Self {
        Self { settle: Some(Box::new(settle)), bytes }
    }

    /// The bytes held. 0 in results of [`run`](crate::Executor::run), which give theirs back as they come.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The answer proved wrong: counts as a failure of its peer, and nothing is learned from its time.
    pub fn reject(mut self) {
        self.end(Verdict::Rejected);
    }

    /// Gives back the bytes before the verdict.
    pub(crate) fn give_back(&mut self) {
        if let Some(settle) = &self.settle {
            settle.give_back(std::mem::take(&mut self.bytes));
        }
    }

    fn end(&mut self, verdict: Verdict) {
        if let Some(settle) = self.settle.take() {
            settle.settle(self.bytes, verdict);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(Verdict::Accepted);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Rejected,
}

/// Where a permit comes from.
pub(crate) trait Settle: Send + Sync {
    fn give_back(&self, bytes: u64);
    fn settle(&self, bytes: u64, verdict: Verdict);
}
