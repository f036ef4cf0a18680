use std::time::Instant;

use crate::{expectation::Expectation, history::Ended, registration::RequestId, verdict::Verdict};

/// One request with what has come for it so far.
#[derive(Debug)]
pub(super) struct Entry<E> {
    pub(super) expectation: E,
    /// `None` once it came back, which only an unfenced peer's entry survives.
    pub(super) fence: Option<u64>,
    pub(super) registered_at: Instant,
    /// For the answer, then for the fence behind it. `None` once expired.
    pub(super) deadline: Option<Instant>,
    pub(super) waited_for: bool,
    pub(super) reply: Reply,
    /// Whether the reply shows that the stream has come to this request: it can be no repetition, and no answer to
    /// another request.
    pub(super) placed: bool,
}

/// What came in a request's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    None,
    Wrong,
    Right,
}

impl<E: Expectation> Entry<E> {
    pub(super) fn is_owed(&self, content: &E::Content) -> bool {
        self.reply == Reply::None && self.expectation.accepts(content)
    }

    /// An answer whose content agrees, where this entry may be what is being answered.
    pub(super) fn reply_rightly(&mut self, id: RequestId, placed: bool, fence_limit: Instant) -> Verdict {
        self.placed |= placed;
        if self.reply == Reply::Right {
            return Verdict::Duplicate;
        }
        self.reply = Reply::Right;
        self.deadline = Some(fence_limit);
        if std::mem::take(&mut self.waited_for) { Verdict::Matched(id) } else { Verdict::Late(id) }
    }

    pub(super) fn end(self, id: RequestId) -> Ended<E> {
        Ended {
            id,
            expectation: self.expectation,
            registered_at: self.registered_at,
            fence: self.fence,
            answered: self.reply == Reply::Right,
        }
    }
}
