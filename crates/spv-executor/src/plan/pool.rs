use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::others::Others;
use crate::estimates::KindEstimate;
use crate::slots::Slots;
use crate::{Candidate, Cost, Depth, PeerLoad};

/// The peers, and who of them could take a request.
#[derive(Debug)]
pub(super) struct Pool<P> {
    peers: BTreeMap<P, Slots>,
    /// Whether a depth below the cap counts when it is all that is worthwhile.
    pub(super) adaptive: bool,
    /// Whether a free peer is left alone that the others do not need.
    spares_slow: bool,
}

impl<P: Clone + Ord> Pool<P> {
    pub(super) const fn new(adaptive: bool, spares_slow: bool) -> Self {
        Self { peers: BTreeMap::new(), adaptive, spares_slow }
    }

    pub(super) fn add(&mut self, peer: P, depth: Depth, group: u64) {
        let slots = self.peers.entry(peer).or_insert_with(|| Slots::new(depth, group));
        slots.depth = depth;
        slots.group = group;
        slots.connected = true;
    }

    /// Returns whether the peer was known. What it has in flight stays charged.
    pub(super) fn remove(&mut self, peer: &P) -> bool {
        let Some(slots) = self.peers.get_mut(peer) else { return false };
        slots.connected = false;
        if slots.is_idle() {
            self.peers.remove(peer);
        }
        true
    }

    /// Gives back a slot, and forgets a peer that only waited for that.
    pub(super) fn release(&mut self, peer: &P) {
        let Some(slots) = self.peers.get_mut(peer) else { return };
        slots.release();
        if slots.is_idle() && !slots.connected {
            self.peers.remove(peer);
        }
    }

    /// The slots of a peer that is connected or has something in flight.
    pub(super) fn get_mut(&mut self, peer: &P) -> Option<&mut Slots> {
        self.peers.get_mut(peer)
    }

    pub(super) fn connected_mut(&mut self, peer: &P) -> Option<&mut Slots> {
        self.peers.get_mut(peer).filter(|slots| slots.connected)
    }

    pub(super) fn connected(&self) -> impl Iterator<Item = (&P, &Slots)> + Clone {
        self.peers.iter().filter(|(_, slots)| slots.connected)
    }

    pub(super) fn group(&self, peer: &P) -> Option<u64> {
        self.peers.get(peer).map(|slots| slots.group)
    }

    pub(super) fn has_eligible(&self, exclude: &BTreeSet<P>) -> bool {
        self.connected().any(|(peer, _)| !exclude.contains(peer))
    }

    pub(super) fn has_free(&self) -> bool {
        self.peers.values().any(|slots| slots.free(self.adaptive) > 0)
    }

    /// The peers a request may start with now, if so many are still to be sent. A peer at rest is left alone as long as
    /// another, even a busy one, will do; and so is one that is not worthwhile.
    pub(super) fn open_to(
        &self,
        exclude: &BTreeSet<P>,
        cost: Cost,
        to_send: usize,
        now: Instant,
    ) -> Vec<Candidate<'_, P>> {
        let mut eligible = self.connected().filter(|(peer, _)| !exclude.contains(peer));
        if eligible.all(|(_, slots)| slots.rests(now)) {
            let newcomer = self.newcomer(cost.kind);
            let all = self.free_for(exclude);
            return all
                .map(|(peer, slots)| slots.candidate(peer, cost, newcomer, self.adaptive, now))
                .collect();
        }
        self.awake(exclude, cost, to_send, now)
    }

    /// The same without those at rest, even if all are.
    pub(super) fn awake(
        &self,
        exclude: &BTreeSet<P>,
        cost: Cost,
        to_send: usize,
        now: Instant,
    ) -> Vec<Candidate<'_, P>> {
        let mut awake = self.free_for(exclude).filter(|(_, slots)| !slots.rests(now)).peekable();
        if awake.peek().is_none() {
            return Vec::new();
        }
        let newcomer = self.newcomer(cost.kind);
        let others = self.spares_slow.then(|| Others::new(self, exclude, cost, newcomer, now));
        awake
            .filter(|(peer, slots)| {
                others.as_ref().is_none_or(|others| others.leave_something_for(peer, slots, to_send))
            })
            .map(|(peer, slots)| slots.candidate(peer, cost, newcomer, self.adaptive, now))
            .collect()
    }

    /// The peers with a free slot.
    fn free_for(&self, exclude: &BTreeSet<P>) -> impl Iterator<Item = (&P, &Slots)> {
        let free = self.peers.iter().filter(|(_, slots)| slots.free(self.adaptive) > 0);
        free.filter(|(peer, _)| !exclude.contains(peer))
    }

    /// What to expect of a peer not measured yet.
    pub(super) fn newcomer(&self, kind: &'static str) -> Option<KindEstimate> {
        KindEstimate::of_newcomer(self.connected().filter_map(|(_, slots)| slots.estimates.kind(kind)))
    }

    /// When time alone may make another peer worthwhile, because somebody keeps us waiting too long. `None` where no free
    /// peer is left alone.
    pub(super) fn recheck_at(&self, now: Instant) -> Option<Instant> {
        if !self.spares_slow || self.free_slots(now) == 0 {
            return None;
        }
        let overdue = self.connected().filter_map(|(_, slots)| slots.overdue_from());
        overdue.filter(|from| *from >= now).min()
    }

    /// Free slots. Those of peers at rest count when there are no others.
    pub(super) fn free_slots(&self, now: Instant) -> usize {
        let all_rest = self.connected().all(|(_, slots)| slots.rests(now));
        let counted = self.connected().filter(|(_, slots)| all_rest || !slots.rests(now));
        counted.map(|(_, slots)| slots.free(self.adaptive)).sum()
    }

    pub(super) fn loads(&self) -> Vec<PeerLoad<P>> {
        self.connected().map(|(peer, slots)| slots.load(peer, self.adaptive)).collect()
    }

    /// Peers known, those included that only wait for their last request to end.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }
}
