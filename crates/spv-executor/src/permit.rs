use std::fmt;

/// The bytes of an answer, held against [`Config::max_bytes`](crate::Config::max_bytes), and the verdict on it.
///
/// Keep it with the answer until that is used or thrown away; its end gives back the bytes. Whether the peer did well is
/// for whoever checks the answer to say: [`accept`](Self::accept) it, or [`reject`](Self::reject) it. Dropping it says
/// neither.
#[must_use = "dropping this gives back the bytes and says nothing of the answer: accept or reject it"]
pub struct Permit {
    answer: Option<Box<dyn JudgedAnswer>>,
    bytes: u64,
}

impl Permit {
    pub(crate) fn new(answer: impl JudgedAnswer + 'static, bytes: u64) -> Self {
        Self { answer: Some(Box::new(answer)), bytes }
    }

    /// Number of bytes held. It is 0 in results of [`run`](crate::Executor::run), which release their bytes as they
    /// arrive.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reports that the answer is right. It counts as a success of its peer, and ends a row of failures.
    pub fn accept(mut self) {
        self.end(Verdict::Accepted);
    }

    /// Reports that the answer is wrong. It counts as a failure of its peer, and its time is not used for estimates.
    pub fn reject(mut self) {
        self.end(Verdict::Rejected);
    }

    /// Gives back the bytes before the verdict.
    pub(crate) fn give_back(&mut self) {
        if let Some(answer) = &self.answer {
            answer.give_back(std::mem::take(&mut self.bytes));
        }
    }

    /// This is the answer by which its request ends: the first one, and in time.
    pub(crate) fn ends_request(&mut self) {
        if let Some(answer) = &mut self.answer {
            answer.ends_request();
        }
    }

    fn end(&mut self, verdict: Verdict) {
        if let Some(answer) = self.answer.take() {
            answer.end(self.bytes, verdict);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(Verdict::None);
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
    /// Nobody looked at the answer, or nobody could tell.
    None,
}

/// The answer that a permit is about, for whoever gave the permit.
pub(crate) trait JudgedAnswer: Send + Sync {
    fn ends_request(&mut self);
    fn give_back(&self, bytes: u64);
    fn end(&self, bytes: u64, verdict: Verdict);
}
