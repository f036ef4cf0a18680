use std::time::Duration;

use dashcore::BlockHash;
use tokio::time::Instant;

/// How far hearing a peer has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hearsay {
    pub(super) said: Said,
    /// A question is under way.
    pub(super) is_asked: bool,
    /// Answers that are not judged yet.
    pub(super) unjudged: u32,
    /// The question is one of those that everybody is asked now and then: that nothing is new is no fault then.
    pub(super) is_polled: bool,
    /// It has announced something unknown since it was asked last.
    pub(super) has_announced: bool,
    /// When the last question was sent, and the tip of the chain that it was about.
    pub(super) asked_at: Instant,
    pub(super) asked_about: BlockHash,
    /// What the last full answer brought, and in which time.
    pub(super) full_answer: Option<FullAnswer>,
    /// Since when the sync waits for its answer, and usually for how long.
    pub(super) waits_since: Instant,
    pub(super) patience: Duration,
    /// A question that failed is not repeated before.
    pub(super) retry_at: Instant,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct FullAnswer {
    pub(super) headers: u32,
    pub(super) took: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It was not asked, because others serve the long stretch that lies ahead.
    Unasked,
    /// No valid answer yet.
    Nothing,
    /// As many headers as fit into one answer; it may have more.
    Part,
    /// All that it has, as it says.
    All,
}

impl Hearsay {
    /// Whether it is waited for, or for what is made of its answer.
    pub(super) const fn is_busy(&self) -> bool {
        self.is_asked || self.unjudged > 0
    }
}
