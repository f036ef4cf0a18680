use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use fastrand::Rng;

use crate::{
    blocked::Blocked,
    breaker::{Breaker, BreakerConfig},
    circuit::BreakerState,
    failure::FailureKind,
};

/// One breaker for each peer that failed lately, with a ceiling on how much of the pool they take away.
#[derive(Debug)]
pub(crate) struct Breakers<P> {
    config: BreakerConfig,
    max_open_share: f64,
    max_peers: usize,
    /// A peer without entry has a closed breaker without failures.
    by_peer: BTreeMap<P, Breaker>,
}

impl<P: Ord + Clone> Breakers<P> {
    /// The configuration must be valid.
    pub(crate) const fn new(config: BreakerConfig, max_open_share: f64, max_peers: usize) -> Self {
        Self { config, max_open_share, max_peers, by_peer: BTreeMap::new() }
    }

    pub(crate) fn on_success(&mut self, peer: &P) {
        self.by_peer.remove(peer);
    }

    pub(crate) fn on_answer(&mut self, peer: &P) {
        if let Some(breaker) = self.by_peer.get_mut(peer) {
            breaker.on_answer();
        }
    }

    /// Whether a peer has not failed since it last answered well, as far as is remembered.
    pub(crate) fn is_spotless(&self, peer: &P) -> bool {
        !self.by_peer.contains_key(peer)
    }

    /// Counts a failure, unless it would open a breaker and too many of the `pool` peers are cut off already: all
    /// peers failing together says more about us than about them. Tells whether the failure has a cause of its own.
    pub(crate) fn on_failure(
        &mut self,
        peer: &P,
        kind: FailureKind,
        pool: &BTreeSet<&P>,
        now: Instant,
        rng: &mut Rng,
    ) -> bool {
        let at_ceiling = self.at_ceiling(pool);
        let breaker = self.entry(peer);
        let is_own = breaker.has_own_cause(now);
        if at_ceiling && breaker.is_about_to_open(now) {
            breaker.note_failure(now);
        } else {
            breaker.on_failure(kind, now, rng);
        }
        is_own
    }

    /// Cuts a peer off at once, unless that would cut off too many.
    pub(crate) fn trip(&mut self, peer: &P, pool: &BTreeSet<&P>, now: Instant, rng: &mut Rng) {
        let at_ceiling = self.at_ceiling(pool);
        let breaker = self.entry(peer);
        if !(at_ceiling && breaker.is_closed()) {
            breaker.trip(now, rng);
        }
    }

    /// A request to the peer ended and tells nothing about it.
    pub(crate) fn on_inconclusive(&mut self, peer: &P) {
        if let Some(breaker) = self.by_peer.get_mut(peer) {
            breaker.on_inconclusive();
        }
    }

    pub(crate) fn forgive(&mut self, peer: &P) {
        if let Some(breaker) = self.by_peer.get_mut(peer) {
            breaker.forgive();
        }
    }

    pub(crate) fn on_sent(&mut self, peer: &P, now: Instant) {
        if let Some(breaker) = self.by_peer.get_mut(peer) {
            breaker.on_sent(now);
        }
    }

    pub(crate) fn blocked_by(&self, peer: &P, now: Instant) -> Option<Blocked> {
        self.by_peer.get(peer)?.blocked_by(now)
    }

    pub(crate) fn blocked(&self, now: Instant) -> impl Iterator<Item = &P> {
        self.by_peer.iter().filter(move |(_, breaker)| breaker.blocks(now)).map(|(peer, _)| peer)
    }

    pub(crate) fn state(&self, peer: &P, now: Instant) -> BreakerState {
        self.by_peer.get(peer).map_or(BreakerState::Closed, |breaker| breaker.state(now))
    }

    /// From when on the peer may be asked if nothing else is heard of it; `now` if it may.
    pub(crate) fn earliest(&self, peer: &P, now: Instant) -> Instant {
        self.by_peer.get(peer).map_or(now, |breaker| breaker.earliest(now))
    }

    /// One more open breaker would be too many for this pool.
    fn at_ceiling(&self, pool: &BTreeSet<&P>) -> bool {
        let open =
            self.by_peer.iter().filter(|(peer, breaker)| !breaker.is_closed() && pool.contains(peer)).count();
        open as f64 + 1.0 > (pool.len() as f64 * self.max_open_share).max(1.0)
    }

    fn entry(&mut self, peer: &P) -> &mut Breaker {
        if !self.by_peer.contains_key(peer) {
            self.make_room();
        }
        self.by_peer.entry(peer.clone()).or_insert_with(|| Breaker::closed(self.config))
    }

    /// Forgets the peer that has not failed for longest, if there are too many.
    fn make_room(&mut self) {
        if self.by_peer.len() < self.max_peers {
            return;
        }
        let oldest = self.by_peer.iter().min_by_key(|(_, breaker)| breaker.last_failure());
        if let Some(peer) = oldest.map(|(peer, _)| peer.clone()) {
            self.by_peer.remove(&peer);
        }
    }
}

impl<P> Breakers<P> {
    /// How many are not closed.
    pub(crate) fn open(&self) -> usize {
        self.by_peer.values().filter(|breaker| !breaker.is_closed()).count()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn at_most_the_configured_share_of_the_pool_is_cut_off() {
        let peers = [1, 2, 3, 4, 5];
        for (size, expected) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)] {
            let pool: BTreeSet<_> = peers[..size].iter().collect();
            let mut breakers = Breakers::new(BreakerConfig::default(), 0.5, 100);
            let mut now = start();
            for _ in 0..20 {
                now += Duration::from_secs(1);
                for peer in &peers[..size] {
                    breakers.on_failure(peer, FailureKind::Timeout, &pool, now, &mut Rng::with_seed(1));
                }
            }
            assert_eq!(breakers.open(), expected, "of {size}");
        }
    }

    #[test]
    fn memory_is_bounded_and_the_stalest_peer_is_forgotten() {
        let mut breakers = Breakers::new(BreakerConfig::default(), 0.5, 3);
        let now = start();
        for peer in 0..10 {
            let at = now + Duration::from_secs(peer);
            breakers.on_failure(&peer, FailureKind::Timeout, &BTreeSet::new(), at, &mut Rng::with_seed(1));
        }
        assert_eq!(breakers.by_peer.keys().copied().collect::<Vec<_>>(), [7, 8, 9]);
    }
}
