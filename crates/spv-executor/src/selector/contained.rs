use std::time::Instant;

use super::{Candidate, PeerSelector};
use crate::Sample;
use crate::contained::contained;

/// A selector whose panics end nothing.
pub(crate) struct Contained<P> {
    selector: Box<dyn PeerSelector<P>>,
}

impl<P: 'static> Contained<P> {
    pub(crate) fn new(selector: impl PeerSelector<P>) -> Self {
        Self { selector: Box::new(selector) }
    }

    fn tell(&mut self, tell: impl FnOnce(&mut dyn PeerSelector<P>)) {
        contained("the peer selector", (), || tell(&mut *self.selector));
    }
}

impl<P: 'static> PeerSelector<P> for Contained<P> {
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, P>]) -> &'c Candidate<'c, P> {
        let mut chosen = &candidates[0];
        self.tell(|selector| chosen = selector.select(candidates));
        chosen
    }

    fn on_sent(&mut self, peer: &P, now: Instant) {
        self.tell(|selector| selector.on_sent(peer, now));
    }

    fn on_completed(&mut self, peer: &P, answer: &Sample, now: Instant) {
        self.tell(|selector| selector.on_completed(peer, answer, now));
    }

    fn on_failed(&mut self, peer: &P, now: Instant) {
        self.tell(|selector| selector.on_failed(peer, now));
    }

    fn on_removed(&mut self, peer: &P) {
        self.tell(|selector| selector.on_removed(peer));
    }
}
