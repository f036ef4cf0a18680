mod entry;
mod in_order;
mod swallowed;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    config::{Config, ConfigError},
    error::RegisterError,
    expectation::Expectation,
    history::{Ended, History},
    registration::{Registration, RequestId},
    verdict::{FenceVerdict, Verdict},
};
use entry::{Entry, Reply};
use in_order::Held;

/// The requests of one connection that wait for an answer or for their fence.
///
/// No clock, socket, task or lock: time is passed in and every call returns its result. The order of
/// calls must be the order of the stream: register in the order in which requests are written, report
/// responses and fences in the order in which they arrive.
///
/// A peer starts *fenced*, unless [`Config::fences`] is off: position in the stream decides, content has to agree. It
/// becomes *unfenced*, for good, when it answers behind a fence, answers or returns fences out of order, or leaves an answered
/// request's fence out, and neither a swallowed request nor a repeated answer explains what came. Then content alone
/// decides and only time proves a refusal.
#[derive(Debug)]
pub struct PendingTable<E> {
    /// In stream order. While the peer is fenced, the first entry is the one being answered, or was swallowed.
    entries: BTreeMap<RequestId, Entry<E>>,
    history: History<E>,
    fenced: bool,
    closed: bool,
    next_id: u64,
    nonces: fastrand::Rng,
    /// A fence of its own, and the last request that was written before it.
    probe: Option<(u64, RequestId)>,
    held: Option<Held>,
    hold_ambiguous: bool,
    max_pending: usize,
    expire_after: Duration,
}

impl<E: Expectation> PendingTable<E> {
    /// Creates an empty table. The seed determines the fence nonces: use another one for each connection, so that no
    /// peer knows a nonce before it is sent.
    ///
    /// # Errors
    ///
    /// When a field of the configuration is out of range.
    pub fn new(config: &Config, seed: u64) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            entries: BTreeMap::new(),
            history: History::new(config.max_history),
            fenced: config.fences,
            closed: false,
            next_id: 0,
            nonces: fastrand::Rng::with_seed(seed),
            probe: None,
            held: None,
            hold_ambiguous: config.hold_ambiguous,
            max_pending: config.max_pending,
            expire_after: config.expire_after,
        })
    }

    /// Registers a request. Call it *before* the request and its fence are written, or a fast answer is not matched.
    ///
    /// # Errors
    ///
    /// When the table is full or closed, or when the peer is unfenced and a request with the same key is
    /// in flight. Nothing may be sent then.
    pub fn register(&mut self, expectation: E, now: Instant) -> Result<Registration, RegisterError> {
        if self.closed {
            return Err(RegisterError::Closed);
        }
        if self.entries.len() >= self.max_pending {
            return Err(RegisterError::Full { limit: self.max_pending });
        }
        if !self.fenced {
            let key = expectation.key();
            let same =
                |(_, entry): &(&RequestId, &Entry<E>)| entry.waited_for && entry.expectation.key() == key;
            if let Some((&in_flight, _)) = self.entries.iter().find(same) {
                return Err(RegisterError::KeyInFlight { in_flight });
            }
        }
        let id = RequestId(self.next_id);
        self.next_id += 1;
        let fence = self.fresh_nonce();
        let entry = Entry {
            expectation,
            fence: Some(fence),
            registered_at: now,
            deadline: Some(now + self.expire_after),
            waited_for: true,
            reply: Reply::None,
            placed: false,
        };
        self.entries.insert(id, entry);
        Ok(Registration { id, fence })
    }

    /// Removes a request that was registered but never written, so that it takes no place in the stream.
    pub fn withdraw(&mut self, id: RequestId) {
        self.entries.remove(&id);
    }

    /// Reports that the caller no longer waits. The request keeps its place in the stream until its fence, so that
    /// later answers are still matched correctly; its own answer will be [`Late`](Verdict::Late).
    pub fn abandon(&mut self, id: RequestId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.waited_for = false;
        }
    }

    /// Decides which request a response with this content answers.
    pub fn on_response(&mut self, content: &E::Content, now: Instant) -> Verdict {
        if self.fenced { self.match_in_order(content, now) } else { self.match_by_content(content) }
    }

    /// Decides what a returned fence means for its request.
    pub fn on_fence(&mut self, nonce: u64, now: Instant) -> FenceVerdict {
        if self.fenced {
            if let Some(verdict) = self.fence_in_order(nonce, now) {
                return verdict;
            }
            let expected = self.entries.values().any(|entry| entry.fence == Some(nonce));
            if !expected && !self.history.expects_fence(nonce) {
                return FenceVerdict::Unknown;
            }
            // A fence overtook another one.
            self.unfence();
        }
        if let Some((&id, entry)) = self.entries.iter_mut().find(|(_, entry)| entry.fence == Some(nonce)) {
            entry.fence = None;
            return FenceVerdict::Inconclusive(id);
        }
        match self.history.take_fence(nonce) {
            Some(Ended { id, registered_at, answered: true, .. }) => {
                FenceVerdict::Answered { id: *id, elapsed: now.saturating_duration_since(*registered_at) }
            }
            Some(ended) => FenceVerdict::Inconclusive(ended.id),
            None => FenceVerdict::Unknown,
        }
    }

    /// Ends requests that have waited too long, and returns those for which a caller was waiting, oldest first. While
    /// the peer is fenced they keep their place in the stream.
    #[must_use = "whoever waits for these requests must be told"]
    pub fn expire(&mut self, now: Instant) -> Vec<RequestId> {
        let mut expired = Vec::new();
        let mut fence_missing = false;
        for (&id, entry) in &mut self.entries {
            if entry.deadline.is_none_or(|deadline| now < deadline) {
                continue;
            }
            entry.deadline = None;
            fence_missing |= entry.placed || entry.reply == Reply::Wrong;
            if std::mem::take(&mut entry.waited_for) {
                expired.push(id);
            }
        }
        if fence_missing || !self.fenced {
            self.unfence();
        }
        expired
    }

    /// Returns when [`expire`](Self::expire) has to be called next.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.deadline).min()
    }

    /// Closes the table: returns the requests for which a caller was waiting, oldest first, and rejects all further
    /// ones.
    #[must_use = "whoever waits for these requests must be told"]
    pub fn close(&mut self) -> Vec<RequestId> {
        self.closed = true;
        self.held = None;
        let entries = std::mem::take(&mut self.entries);
        entries.into_iter().filter(|(_, entry)| entry.waited_for).map(|(id, _)| id).collect()
    }

    /// Returns the number of requests that the peer may still be working on: not answered, refused or expired.
    /// Abandoned ones count, because the peer does not know that no caller waits.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.entries.values().filter(|entry| entry.reply == Reply::None && entry.deadline.is_some()).count()
    }

    /// Tells whether a request that satisfies `such` is outstanding, or has ended and is remembered: its answer may
    /// still arrive, or arrive again.
    #[must_use]
    pub fn remembers(&self, such: impl Fn(&E) -> bool) -> bool {
        let outstanding = self.entries.values().map(|entry| &entry.expectation);
        outstanding.chain(self.history.requests()).any(such)
    }

    /// Tells whether a [held](Verdict::Held) response must still be kept for its fence. It may be dropped once this is
    /// false.
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Tells whether this peer has kept the order of answers and fences so far.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        self.fenced
    }

    fn match_by_content(&mut self, content: &E::Content) -> Verdict {
        let owed = |waited_for: bool| {
            move |(&id, entry): (&RequestId, &Entry<E>)| {
                (entry.waited_for == waited_for && entry.is_owed(content)).then_some(id)
            }
        };
        let waiting: Vec<RequestId> = self.entries.iter().filter_map(owed(true)).collect();
        match waiting[..] {
            [] => {}
            [id] => {
                self.end(id, Reply::Right);
                return Verdict::Matched(id);
            }
            _ => {
                for &id in &waiting {
                    self.end(id, Reply::None);
                }
                return Verdict::Ambiguous(waiting);
            }
        }
        if let Some(id) = self.entries.iter().find_map(owed(false)) {
            self.end(id, Reply::Right);
            return Verdict::Late(id);
        }
        self.match_in_history(content).unwrap_or(Verdict::Unsolicited)
    }

    fn match_in_history(&mut self, content: &E::Content) -> Option<Verdict> {
        if let Some(id) = self.history.answer(content) {
            return Some(Verdict::Late(id));
        }
        self.history.was_answered_by(content).then_some(Verdict::Duplicate)
    }

    fn end(&mut self, id: RequestId, reply: Reply) {
        if let Some(mut entry) = self.entries.remove(&id) {
            entry.reply = reply;
            self.history.push(entry.end(id));
        }
    }

    /// Position means nothing from now on, so entries that only hold a place are done with.
    fn unfence(&mut self) {
        self.fenced = false;
        self.held = None;
        let done = |entry: &Entry<E>| entry.reply != Reply::None || entry.deadline.is_none();
        let ids: Vec<_> = self.entries.iter().filter(|(_, entry)| done(entry)).map(|(&id, _)| id).collect();
        for id in ids {
            if let Some(entry) = self.entries.remove(&id) {
                self.history.push(entry.end(id));
            }
        }
    }

    fn fresh_nonce(&mut self) -> u64 {
        loop {
            // Zero is what an implementation without nonces sends.
            let nonce = self.nonces.u64(1..);
            let in_use = self.entries.values().any(|entry| entry.fence == Some(nonce));
            if !in_use && !self.history.expects_fence(nonce) {
                return nonce;
            }
        }
    }
}

#[cfg(test)]
mod tests;
