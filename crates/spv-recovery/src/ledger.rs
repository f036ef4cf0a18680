use std::collections::BTreeMap;

/// Counts the refusals of each peer on its present connection.
///
/// Servers count requests they have to refuse and shut out who makes too many. Whoever stops at a limit well below
/// the server's is never shut out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger<P> {
    limit: u32,
    max_peers: usize,
    charges: BTreeMap<P, u32>,
}

impl<P: Ord + Clone> Ledger<P> {
    /// An empty ledger. A peer is exhausted at `limit` charges, never where it is 0; then nothing is counted. Beyond
    /// `max_peers`, which is at least 1, the one with the least charge is forgotten.
    pub(crate) const fn new(limit: u32, max_peers: usize) -> Self {
        Self { limit, max_peers, charges: BTreeMap::new() }
    }

    /// Counts one request the peer had to refuse; the charges that remain before it is exhausted.
    pub(crate) fn charge(&mut self, peer: &P) -> u32 {
        if self.limit == 0 {
            return u32::MAX;
        }
        if let Some(charges) = self.charges.get_mut(peer) {
            *charges = charges.saturating_add(1);
            return self.limit.saturating_sub(*charges);
        }
        if self.charges.len() >= self.max_peers {
            let least =
                self.charges.iter().min_by_key(|(_, charges)| **charges).map(|(peer, _)| peer.clone());
            least.map(|peer| self.charges.remove(&peer));
        }
        self.charges.insert(peer.clone(), 1);
        self.limit - 1
    }

    /// Tells whether the peer has reached the limit and must not be asked again on this connection.
    #[must_use]
    pub fn exhausted(&self, peer: &P) -> bool {
        self.charges.get(peer).is_some_and(|charges| *charges >= self.limit)
    }

    /// Returns all peers that have reached the limit, in order. A new connection resets a peer.
    pub fn all_exhausted(&self) -> impl Iterator<Item = &P> {
        self.charges.iter().filter(|(_, charges)| **charges >= self.limit).map(|(peer, _)| peer)
    }

    /// The connection ended; the server keeps count per connection, so a new one starts with a clean page.
    pub(crate) fn reset(&mut self, peer: &P) {
        self.charges.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_exhausted_at_the_limit_until_it_is_connected_anew() {
        let mut ledger = Ledger::new(3, 10);
        assert_eq!([ledger.charge(&'a'), ledger.charge(&'a'), ledger.charge(&'b')], [2, 1, 2]);
        assert!(!ledger.exhausted(&'a'));
        assert_eq!([ledger.charge(&'a'), ledger.charge(&'a')], [0, 0]);
        assert!(ledger.exhausted(&'a') && !ledger.exhausted(&'b') && !ledger.exhausted(&'c'));
        assert_eq!(ledger.all_exhausted().collect::<Vec<_>>(), [&'a']);
        ledger.reset(&'a');
        assert!(!ledger.exhausted(&'a'));
    }

    #[test]
    fn without_a_limit_nobody_is_ever_exhausted() {
        let mut ledger = Ledger::new(0, 3);
        (0..1_000).for_each(|_| _ = ledger.charge(&'a'));
        assert!(!ledger.exhausted(&'a') && ledger.charges.is_empty());
        assert_eq!(ledger.all_exhausted().count(), 0);
    }

    #[test]
    fn memory_is_bounded_and_the_heaviest_charges_are_kept() {
        let mut ledger = Ledger::new(2, 3);
        ledger.charge(&0);
        ledger.charge(&0);
        for peer in 1..100 {
            ledger.charge(&peer);
        }
        assert!(ledger.exhausted(&0));
        assert_eq!(ledger.charges.len(), 3);
    }
}
