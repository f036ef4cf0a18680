use std::time::Instant;

use super::{PendingTable, entry::Reply};
use crate::{
    expectation::Expectation,
    history::Ended,
    registration::RequestId,
    verdict::{FenceVerdict, Verdict},
};

/// A response that fits several outstanding requests and is held by the caller.
#[derive(Debug)]
pub(super) struct Held {
    /// The requests that it fits, oldest first.
    pub(super) fits: Vec<RequestId>,
    /// Whether it can be no repetition, so that the stream has come to one of them.
    pub(super) placed: bool,
}

/// What a fenced peer sends.
///
/// An orderly peer may refuse requests, swallow them together with their pings, and repeat what it has answered. So a
/// message shows where in the stream the peer is only if none of these explains it; such a reply is *placed*. Whatever
/// contradicts a placed reply unfences the peer.
impl<E: Expectation> PendingTable<E> {
    pub(super) fn match_in_order(&mut self, content: &E::Content, now: Instant) -> Verdict {
        let fence_limit = now + self.expire_after;
        let reached = self.reached();
        if let Some(id) = reached
            && let Some(entry) = self.entries.get_mut(&id)
            && entry.expectation.accepts(content)
        {
            return entry.reply_rightly(id, true, fence_limit);
        }
        let accepting = self.entries.values().filter(|entry| entry.expectation.accepts(content)).count();
        let owed = self.entries.iter().filter(|(_, entry)| entry.is_owed(content));
        let owed: Vec<RequestId> = owed.map(|(&id, _)| id).collect();
        let repeats = self.history.was_answered_by(content);
        let placed = accepting == 1 && !repeats && !E::may_come_unasked(content);
        // While nothing shows that the stream has gone on, the oldest request is the likeliest.
        let front = self.entries.first_key_value().filter(|_| reached.is_none());
        if let Some((&id, front)) = front
            && front.expectation.accepts(content)
        {
            let hold = self.hold_ambiguous && front.reply == Reply::None && owed.len() > 1;
            return if hold {
                self.hold(owed, repeats)
            } else {
                self.reply(id, content, placed, fence_limit)
            };
        }
        if E::may_come_unasked(content) {
            return Verdict::Unsolicited;
        }
        match owed[..] {
            [] => {}
            // The peer may have swallowed all before it. The fence behind this answer will tell.
            [id] if reached.is_none() => return self.reply(id, content, placed, fence_limit),
            _ if reached.is_none() => return self.hold(owed, repeats),
            _ if repeats || accepting > owed.len() => {}
            _ => {
                self.unfence();
                return self.match_by_content(content);
            }
        }
        if repeats || accepting > 0 {
            return Verdict::Duplicate;
        }
        if let Some(id) = self.history.answer(content) {
            self.unfence();
            return Verdict::Late(id);
        }
        match self.entries.first_entry() {
            Some(mut front) if reached.is_none() && front.get().reply == Reply::None => {
                let entry = front.get_mut();
                entry.reply = Reply::Wrong;
                entry.waited_for = false;
                entry.deadline = Some(fence_limit);
                Verdict::Mismatched(*front.key())
            }
            _ => Verdict::Unsolicited,
        }
    }

    /// What a fence says that came where an orderly peer sends it; `None` otherwise.
    pub(super) fn fence_in_order(&mut self, nonce: u64, now: Instant) -> Option<FenceVerdict> {
        let (&id, _) = self.entries.first_key_value().filter(|(_, front)| front.fence == Some(nonce))?;
        if self.reached().is_some_and(|reached| reached != id) {
            return None;
        }
        let is_held = self.held.as_ref().is_some_and(|held| held.fits.contains(&id));
        if !is_held && self.held.as_ref().is_some_and(|held| held.placed) {
            return None;
        }
        let mut entry = self.entries.remove(&id)?;
        let elapsed = now.saturating_duration_since(entry.registered_at);
        let replied = entry.reply;
        if is_held {
            self.held = None;
            entry.reply = Reply::Right;
        }
        self.history.push(Ended { fence: None, ..entry.end(id) });
        Some(match replied {
            Reply::None if is_held => FenceVerdict::Matched { id, elapsed },
            Reply::None => FenceVerdict::Refused(id),
            Reply::Right | Reply::Wrong => FenceVerdict::Answered { id, elapsed },
        })
    }

    /// The request that the stream has certainly come to: its answer came, and its fence has not.
    fn reached(&self) -> Option<RequestId> {
        self.entries.iter().rev().find(|(_, entry)| entry.placed).map(|(&id, _)| id)
    }

    fn reply(&mut self, id: RequestId, content: &E::Content, placed: bool, fence_limit: Instant) -> Verdict {
        // What is held was a repetition, unless it shows that this answer is out of order.
        if self.held.take().is_some_and(|held| held.placed && !held.fits.contains(&id))
            && !E::may_come_unasked(content)
        {
            self.unfence();
            return self.match_by_content(content);
        }
        match self.entries.get_mut(&id) {
            Some(entry) => entry.reply_rightly(id, placed, fence_limit),
            None => Verdict::Unsolicited,
        }
    }

    /// Has the caller hold a response that these requests are owed.
    fn hold(&mut self, fits: Vec<RequestId>, repeats: bool) -> Verdict {
        if self.held.is_some() {
            return Verdict::Duplicate;
        }
        self.held = Some(Held { fits, placed: !repeats });
        Verdict::Held
    }
}
