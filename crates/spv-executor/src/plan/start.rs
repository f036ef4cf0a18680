use std::time::{Duration, Instant};

use super::pool::Offer;
use super::queue::{RequestId, Terms, Waiting};
use super::{Plan, Slot, Start};
use crate::estimates::KindEstimate;
use crate::timeouts::Timeouts;
use crate::{Candidate, Cost, PeerSelector};

/// What may start.
impl<P: Clone + Ord + 'static, J> Plan<P, J> {
    /// Starts the longest waiting job that a free peer may take. Those before it whose peers are all busy stay.
    pub(crate) fn start_next(
        &mut self,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
    ) -> Option<Start<P, J>> {
        let (id, peer, cost, newcomer) = self.find_start(selector, now)?;
        let Waiting { terms, job } = self.queue.start(id)?;
        let slot = self.charge(peer, cost, newcomer.as_ref(), selector, now)?;
        self.queue.started(id, terms, slot.peer.clone(), now + slot.timeouts.hedge);
        Some(Start { id, slot, job })
    }

    /// Sends a copy of the request that holds up all others to one more peer, if its time has come, a peer has a slot
    /// and the budget has a hedge.
    pub(crate) fn hedge_next(
        &mut self,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
    ) -> Option<(RequestId, Slot<P>)> {
        if self.in_flight >= self.config.max_in_flight.get() || !self.hedges.affords_one() {
            return None;
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let (id, first) = self.queue.head_in_flight().filter(|(_, first)| is_due(first.hedge_at))?;
        let Offer { mut candidates, newcomer } =
            self.pool.candidates_for_copy(&first.eligible, &first.peer, first.cost, now);
        let group = self.pool.group(&first.peer);
        let elsewhere = |candidate: &Candidate<'_, P>| self.pool.group(candidate.peer) != group;
        if candidates.iter().any(elsewhere) {
            candidates.retain(elsewhere);
        }
        let peer = choose(selector, &candidates)?;
        let cost = first.cost;
        self.queue.hedged(id);
        self.hedges.spend();
        self.charge(peer, cost, newcomer.as_ref(), selector, now).map(|slot| (id, slot))
    }

    /// The copy is not sent yet, for a reason of ours: that is not the peer's time.
    pub(crate) fn await_admission(&mut self, id: RequestId, slot: &mut Slot<P>) {
        slot.awaits_admission = true;
        self.queue.set_hedge_at(id, &slot.peer, None);
        if let Some(slots) = self.pool.get_mut(&slot.peer) {
            slots.await_admission();
        }
    }

    /// The copy is sent now. Returns for how long it was held up.
    pub(crate) fn admitted(&mut self, id: RequestId, slot: &mut Slot<P>, now: Instant) -> Duration {
        slot.awaits_admission = false;
        let held_up = now.saturating_duration_since(slot.sent);
        slot.sent = now;
        self.queue.set_hedge_at(id, &slot.peer, Some(now + slot.timeouts.hedge));
        let newcomer = self.pool.newcomer(slot.cost.kind);
        if let Some(slots) = self.pool.get_mut(&slot.peer) {
            slots.admitted(slots.estimates().work(slot.cost, newcomer.as_ref()), now);
        }
        held_up
    }

    fn find_start(
        &self,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
    ) -> Option<(RequestId, P, Cost, Option<KindEstimate>)> {
        let (id, cost, Offer { candidates, newcomer }) = self.first_startable(now)?;
        choose(selector, &candidates).map(|peer| (id, peer, cost, newcomer))
    }

    /// The first job that can start now, and the peers that it may start with.
    pub(super) fn first_startable(&self, now: Instant) -> Option<(RequestId, Cost, Offer<'_, P>)> {
        if self.in_flight >= self.config.max_in_flight.get() || !self.pool.has_free() {
            return None;
        }
        let mut bytes_blocked = false;
        let to_send = self.to_send();
        let mut nobody_for = None;
        for (id, Waiting { terms, .. }) in self.queue.iter() {
            let has_bytes = self.has_bytes_for(id, terms, bytes_blocked);
            if !has_bytes && bytes_blocked {
                continue;
            }
            // Many that wait are alike.
            let alike = (&terms.eligible, terms.cost);
            if nobody_for == Some(alike) {
                continue;
            }
            let offer = self.pool.candidates(&terms.eligible, terms.cost, to_send, now);
            if offer.candidates.is_empty() {
                nobody_for = Some(alike);
            } else if has_bytes {
                return Some((id, terms.cost, offer));
            } else {
                // Then only those start that need no bytes, lest the small ones starve the large one.
                bytes_blocked = true;
            }
        }
        None
    }

    fn has_bytes_for(&self, id: RequestId, terms: &Terms<P>, bytes_blocked: bool) -> bool {
        let bytes = terms.cost.bytes;
        // What all others wait for must not wait for those others to give back their bytes.
        bytes == 0 || self.queue.is_head(id) || (!bytes_blocked && self.bytes.fits(bytes))
    }

    fn charge(
        &mut self,
        peer: P,
        cost: Cost,
        newcomer: Option<&KindEstimate>,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
    ) -> Option<Slot<P>> {
        let slots = self.pool.get_mut(&peer)?;
        let work = slots.estimates().work(cost, newcomer);
        let due = slots.charge(self.started, work, now).saturating_duration_since(now);
        self.started += 1;
        self.in_flight += 1;
        self.bytes.take(cost.bytes);
        selector.on_sent(&peer, now);
        let own = slots.estimates().kind(cost.kind);
        let guess = slots.estimates().first_of_its_kind(cost);
        let timeouts = Timeouts::new(&self.config, own, newcomer, guess, due, cost, self.widening.factor());
        Some(Slot { peer, cost, sent: now, timeouts, awaits_admission: false })
    }
}

fn choose<P: Clone + Ord + 'static>(
    selector: &mut dyn PeerSelector<P>,
    candidates: &[Candidate<'_, P>],
) -> Option<P> {
    let first = candidates.first()?;
    let chosen = selector.select(candidates).peer;
    let offered = candidates.iter().any(|candidate| candidate.peer == chosen);
    Some(if offered { chosen.clone() } else { first.peer.clone() })
}
