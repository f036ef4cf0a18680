use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use crate::failure::{Classify, FailureKind};

/// One failed try of a piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt<P> {
    /// Who was asked, if anybody.
    pub peer: Option<P>,
    /// How it failed.
    pub kind: FailureKind,
    /// When it failed.
    pub at: Instant,
    /// Digest of the answer, if there was one.
    pub digest: Option<[u8; 32]>,
    /// What the peer has in common with others it may collude with, for example its network prefix.
    pub group: Option<u64>,
    /// Whether the answer could not even be read, so that it says nothing about the data.
    pub malformed: bool,
}

impl<P> Attempt<P> {
    /// A failed try at `at`. Pass the peer, or `None` if nobody was asked.
    pub fn new(peer: impl Into<Option<P>>, failure: &impl Classify, at: Instant) -> Self {
        Self {
            peer: peer.into(),
            kind: failure.failure_kind(),
            at,
            digest: None,
            group: None,
            malformed: false,
        }
    }

    /// Adds the digest of the answer that failed verification.
    #[must_use]
    pub fn with_digest(mut self, digest: [u8; 32]) -> Self {
        self.digest = Some(digest);
        self
    }

    /// Marks the answer as undecodable. Such an answer is no evidence against the data, however many peers send it.
    #[must_use]
    pub fn malformed(mut self) -> Self {
        self.malformed = true;
        self
    }

    /// Adds the peer's group; peers of one group do not count as independent witnesses.
    #[must_use]
    pub fn in_group(mut self, group: u64) -> Self {
        self.group = Some(group);
        self
    }
}

/// The failed attempts of one piece of work. Keep it together with the work.
///
/// It remembers the newest [`LIMIT`](Self::LIMIT) tries in detail and counts all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History<P> {
    tries: VecDeque<Attempt<P>>,
    attempts: u32,
    /// Failures in a row for want of a peer; kept apart, so that a long outage does not erase the tries.
    without_peer: u32,
    alternative: bool,
}

impl<P> History<P> {
    /// Maximum number of attempts that are remembered in detail.
    pub const LIMIT: usize = 64;

    /// Creates a history without failures and without an alternative.
    #[must_use]
    pub const fn new() -> Self {
        Self { tries: VecDeque::new(), attempts: 0, without_peer: 0, alternative: false }
    }

    /// Marks the work as having an alternative, so that [`Action::Alternative`](crate::Action) applies.
    #[must_use]
    pub fn with_alternative(mut self) -> Self {
        self.alternative = true;
        self
    }

    /// Adds a failure.
    pub fn record(&mut self, attempt: Attempt<P>) {
        if attempt.kind == FailureKind::NoPeer {
            self.without_peer = self.without_peer.saturating_add(1);
            return;
        }
        self.without_peer = 0;
        self.attempts = self.attempts.saturating_add(1);
        if self.tries.len() == Self::LIMIT {
            self.tries.pop_front();
        }
        self.tries.push_back(attempt);
    }

    /// Returns the number of attempts. Finding no peer is not an attempt.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns how often in a row, up to now, there was no peer to ask.
    #[must_use]
    pub const fn without_peer(&self) -> u32 {
        self.without_peer
    }

    /// Tells whether the work has an alternative.
    #[must_use]
    pub const fn has_alternative(&self) -> bool {
        self.alternative
    }

    /// Returns the remembered attempts, oldest first.
    pub fn tries(&self) -> impl DoubleEndedIterator<Item = &Attempt<P>> {
        self.tries.iter()
    }

    /// Returns the newest failure: `NoPeer` if there was no peer to ask since the last attempt, `None` without any
    /// failure.
    #[must_use]
    pub fn latest(&self) -> Option<FailureKind> {
        if self.without_peer > 0 {
            Some(FailureKind::NoPeer)
        } else {
            self.tries.back().map(|last| last.kind)
        }
    }
}

impl<P: Ord> History<P> {
    /// Returns the peers whose attempt ended with one of `kinds`.
    #[must_use]
    pub fn peers(&self, kinds: &[FailureKind]) -> BTreeSet<&P> {
        self.tries.iter().filter(|a| kinds.contains(&a.kind)).filter_map(|a| a.peer.as_ref()).collect()
    }

    /// Tells whether a remembered attempt went to this peer.
    #[must_use]
    pub fn tried(&self, peer: &P) -> bool {
        self.tries.iter().any(|attempt| attempt.peer.as_ref() == Some(peer))
    }

    /// The distinct, independent peers that sent this answer, which could be read and failed verification.
    pub(crate) fn witnesses(&self, digest: &[u8; 32]) -> BTreeSet<Witness<'_, P>> {
        self.tries
            .iter()
            .filter(|a| a.kind == FailureKind::Invalid && !a.malformed && a.digest.as_ref() == Some(digest))
            .filter_map(|a| Some(a.group.map_or(Witness::Peer(a.peer.as_ref()?), Witness::Group)))
            .collect()
    }

    /// The answer that most independent peers sent, of those that failed verification, and their number.
    pub(crate) fn most_witnessed(&self) -> Option<([u8; 32], usize)> {
        let digests: BTreeSet<[u8; 32]> = self.tries.iter().filter_map(|attempt| attempt.digest).collect();
        let counted = digests.into_iter().map(|digest| (digest, self.witnesses(&digest).len()));
        counted.max_by_key(|(_, witnesses)| *witnesses)
    }

    /// The distinct peers whose answers failed verification: those that sent this one, and those that sent another.
    pub(crate) fn senders(&self, digest: &[u8; 32]) -> (BTreeSet<&P>, BTreeSet<&P>) {
        let (mut same, mut other) = (BTreeSet::new(), BTreeSet::new());
        for attempt in self.tries.iter().filter(|a| a.kind == FailureKind::Invalid) {
            if let (Some(peer), Some(sent)) = (&attempt.peer, &attempt.digest) {
                if sent == digest {
                    same.insert(peer)
                } else {
                    other.insert(peer)
                };
            }
        }
        (same, other)
    }
}

impl<P> Default for History<P> {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Witness<'a, P> {
    Group(u64),
    Peer(&'a P),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureKind::{Invalid, NoPeer, Refused, Timeout};

    #[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn an_outage_neither_counts_as_tries_nor_erases_them() {
        let now = start();
        let mut history = History::new();
        history.record(Attempt::new(7, &Refused, now));
        for _ in 0..1000 {
            history.record(Attempt::new(None, &NoPeer, now));
        }
        assert_eq!((history.attempts(), history.without_peer(), history.latest()), (1, 1000, Some(NoPeer)));
        assert!(history.tried(&7));
        history.record(Attempt::new(8, &Timeout, now));
        assert_eq!((history.attempts(), history.without_peer(), history.latest()), (2, 0, Some(Timeout)));
    }

    #[test]
    fn memory_is_bounded_but_the_count_is_not_lost() {
        let mut history = History::new();
        for peer in 0..200 {
            history.record(Attempt::new(peer, &Timeout, start()));
        }
        assert_eq!((history.tries().count(), history.attempts()), (History::<i32>::LIMIT, 200));
        assert!(history.tried(&199) && !history.tried(&0));
    }

    #[test]
    fn peers_of_one_group_are_one_witness() {
        let now = start();
        let mut history = History::new();
        let answer = |peer: u8| Attempt::new(peer, &Invalid, now).with_digest([9; 32]);
        history.record(answer(1).in_group(4));
        history.record(answer(2).in_group(4));
        assert_eq!(history.witnesses(&[9; 32]).len(), 1);
        history.record(answer(3).in_group(5));
        history.record(answer(3).in_group(5));
        assert_eq!(history.witnesses(&[9; 32]).len(), 2);
        assert_eq!(history.witnesses(&[8; 32]).len(), 0);
        assert_eq!(history.most_witnessed(), Some(([9; 32], 2)));
        (6..9).for_each(|peer| {
            history.record(Attempt::new(peer, &Invalid, now).with_digest([1; 32]).malformed());
        });
        assert_eq!(history.most_witnessed(), Some(([9; 32], 2)), "what cannot be read is no evidence");
    }
}
