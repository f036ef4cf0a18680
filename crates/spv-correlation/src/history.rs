use std::{collections::VecDeque, time::Instant};

use crate::{expectation::Expectation, registration::RequestId};

/// The most recently ended requests, oldest first, so that what arrives after the end is recognised.
#[derive(Debug)]
pub(crate) struct History<E> {
    ended: VecDeque<Ended<E>>,
    limit: usize,
}

#[derive(Debug)]
pub(crate) struct Ended<E> {
    pub(crate) id: RequestId,
    pub(crate) expectation: E,
    pub(crate) registered_at: Instant,
    /// Nonce that has not come back yet. Requests end before their fence where the peer is
    /// unfenced or a later fence came first.
    pub(crate) fence: Option<u64>,
    pub(crate) answered: bool,
}

impl<E: Expectation> History<E> {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { ended: VecDeque::new(), limit }
    }

    pub(crate) fn push(&mut self, ended: Ended<E>) {
        if self.ended.len() >= self.limit {
            self.ended.pop_front();
        }
        self.ended.push_back(ended);
    }

    /// Strikes off the oldest request still owed an answer that this content fits.
    pub(crate) fn answer(&mut self, content: &E::Content) -> Option<RequestId> {
        let owed = |ended: &&mut Ended<E>| !ended.answered && ended.expectation.accepts(content);
        let ended = self.ended.iter_mut().find(owed)?;
        ended.answered = true;
        Some(ended.id)
    }

    pub(crate) fn was_answered_by(&self, content: &E::Content) -> bool {
        self.ended.iter().any(|ended| ended.answered && ended.expectation.accepts(content))
    }

    /// Finds the request of a fence and strikes the fence off, so that it counts once.
    pub(crate) fn take_fence(&mut self, nonce: u64) -> Option<&Ended<E>> {
        let ended = self.ended.iter_mut().find(|ended| ended.fence == Some(nonce))?;
        ended.fence = None;
        Some(ended)
    }

    pub(crate) fn expects_fence(&self, nonce: u64) -> bool {
        self.ended.iter().any(|ended| ended.fence == Some(nonce))
    }

    pub(crate) fn requests(&self) -> impl Iterator<Item = &E> {
        self.ended.iter().map(|ended| &ended.expectation)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.ended.len()
    }
}
