use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

use super::reliable::ReliablePeers;
use crate::eligibility::Eligibility;
use crate::estimates::KindEstimate;
use crate::slots::Slots;
use crate::{Candidate, Cost, Depth, PeerLoad};

/// The peers, and who of them could take a request.
#[derive(Debug)]
pub(super) struct Pool<P> {
    peers: BTreeMap<P, Slots>,
    /// Whether a depth below the cap counts when it is all that is worthwhile.
    pub(super) adaptive: bool,
    /// Whether a free peer is left alone that the reliable ones do not need.
    spares_slow: bool,
    /// What to expect of a peer not measured yet, by kind, since anything was learned: it is asked for at every change, and
    /// is made of all peers.
    newcomers: RefCell<Vec<(&'static str, Option<KindEstimate>)>>,
}

/// The peers that may take a request, and what to expect of one that was not measured yet.
pub(super) struct Offer<'a, P> {
    pub(super) candidates: Vec<Candidate<'a, P>>,
    /// May be missing where nobody is offered.
    pub(super) newcomer: Option<KindEstimate>,
}

impl<P: Clone + Ord> Pool<P> {
    pub(super) const fn new(adaptive: bool, spares_slow: bool) -> Self {
        Self { peers: BTreeMap::new(), adaptive, spares_slow, newcomers: RefCell::new(Vec::new()) }
    }

    pub(super) fn add(&mut self, peer: P, depth: Depth, group: u64) {
        self.newcomers.get_mut().clear();
        let slots = self.peers.entry(peer).or_insert_with(|| Slots::new(depth, group));
        slots.set_depth(depth);
        slots.group = group;
        slots.connected = true;
    }

    /// Returns whether the peer was known. What it has in flight stays charged.
    pub(super) fn remove(&mut self, peer: &P) -> bool {
        let Some(slots) = self.peers.get_mut(peer) else { return false };
        slots.connected = false;
        self.newcomers.get_mut().clear();
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

    /// The same, for what changes the estimates.
    pub(super) fn learning_mut(&mut self, peer: &P) -> Option<&mut Slots> {
        self.newcomers.get_mut().clear();
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

    pub(super) fn has_eligible(&self, eligible: &Eligibility<P>) -> bool {
        self.connected().any(|(peer, _)| eligible.allows(peer))
    }

    pub(super) fn has_free(&self) -> bool {
        self.peers.values().any(|slots| slots.free(self.adaptive) > 0)
    }

    /// The peers a request may start with now, if so many are still to be sent. A peer at rest is left alone as long as
    /// another, even a busy one, will do; and so is one that is not worthwhile.
    pub(super) fn candidates(
        &self,
        eligible: &Eligibility<P>,
        cost: Cost,
        to_send: usize,
        now: Instant,
    ) -> Offer<'_, P> {
        let mut all = Vec::with_capacity(self.peers.len());
        all.extend(self.connected().filter(|(peer, _)| eligible.allows(peer)));
        let eligible = all;
        if eligible.iter().all(|(_, slots)| slots.rests(now)) {
            let newcomer = self.newcomer(cost.kind);
            let free = eligible.into_iter().filter(|(_, slots)| slots.free(self.adaptive) > 0);
            let candidate = |(peer, slots): (_, &Slots)| {
                slots.candidate(peer, cost, newcomer.as_ref(), self.adaptive, now)
            };
            return Offer { candidates: free.map(candidate).collect(), newcomer };
        }
        self.awake_candidates(&eligible, cost, to_send, now)
    }

    /// The peers that one more copy of a request may go to now; never the peer of the first one, nor one at rest.
    pub(super) fn candidates_for_copy(
        &self,
        eligible: &Eligibility<P>,
        first: &P,
        cost: Cost,
        now: Instant,
    ) -> Offer<'_, P> {
        let others = self.connected().filter(|(peer, _)| *peer != first && eligible.allows(peer));
        // For one request, that is only who is quickest: a copy that comes later than the first is of no use.
        self.awake_candidates(&others.collect::<Vec<_>>(), cost, 1, now)
    }

    /// Of these peers those that are free, do not rest and are worthwhile.
    fn awake_candidates<'a>(
        &'a self,
        eligible: &[(&'a P, &'a Slots)],
        cost: Cost,
        to_send: usize,
        now: Instant,
    ) -> Offer<'a, P> {
        let is_free = |slots: &Slots| slots.free(self.adaptive) > 0 && !slots.rests(now);
        let free = eligible.iter().filter(|(_, slots)| is_free(slots)).count();
        if free == 0 {
            return Offer { candidates: Vec::new(), newcomer: None };
        }
        let newcomer = self.newcomer(cost.kind);
        let known = newcomer.as_ref();
        let forecast = |slots: &Slots| {
            if self.spares_slow { slots.forecast(cost, known, self.adaptive, now) } else { None }
        };
        let weighed: Vec<_> = eligible.iter().map(|&(peer, slots)| (peer, slots, forecast(slots))).collect();
        let all = weighed.iter().map(|(_, slots, forecast)| (*slots, *forecast));
        let mut reliable = ReliablePeers::new(all, to_send, now);
        let mut candidates = Vec::with_capacity(free);
        for (peer, slots, forecast) in weighed.iter().filter(|(_, slots, _)| is_free(slots)) {
            if !reliable.make_superfluous(slots, *forecast, known.is_some()) {
                candidates.push(slots.candidate(*peer, cost, known, self.adaptive, now));
            }
        }
        Offer { candidates, newcomer }
    }

    /// What to expect of a peer not measured yet.
    pub(super) fn newcomer(&self, kind: &'static str) -> Option<KindEstimate> {
        let mut newcomers = self.newcomers.borrow_mut();
        if let Some((_, newcomer)) = newcomers.iter().find(|(name, _)| *name == kind) {
            return *newcomer;
        }
        let measured = self.connected().filter_map(|(_, slots)| slots.estimates().kind(kind));
        let newcomer = KindEstimate::of_newcomer(measured);
        newcomers.push((kind, newcomer));
        newcomer
    }

    /// When time alone may make another peer worthwhile, because somebody keeps us waiting too long. `None` where no free
    /// peer is left alone.
    pub(super) fn recheck_at(&self, now: Instant) -> Option<Instant> {
        if !self.spares_slow || self.free_slots(|_| true, now) == 0 {
            return None;
        }
        let overdue = self.connected().filter_map(|(_, slots)| slots.overdue_from());
        overdue.filter(|from| *from >= now).min()
    }

    /// Free slots of these peers. Those at rest count when there are no others.
    pub(super) fn free_slots(&self, eligible: impl Fn(&P) -> bool, now: Instant) -> usize {
        let (mut awake, mut resting, mut all_rest) = (0, 0, true);
        for (_, slots) in self.connected().filter(|(peer, _)| eligible(peer)) {
            let rests = slots.rests(now);
            *if rests { &mut resting } else { &mut awake } += slots.free(self.adaptive);
            all_rest &= rests;
        }
        if all_rest { resting } else { awake }
    }

    pub(super) fn loads(&self) -> Vec<PeerLoad<P>> {
        self.connected().map(|(peer, slots)| slots.load(peer, self.adaptive)).collect()
    }

    #[cfg(test)]
    pub(super) fn get(&self, peer: &P) -> Option<&Slots> {
        self.peers.get(peer)
    }

    /// Peers known, those included that only wait for their last request to end.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }
}
