mod others;
mod pool;
mod queue;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub(crate) use queue::{Refused, RequestId, Terms};

use crate::budget::{ByteBudget, HedgeBudget};
use crate::losses::Losses;
use crate::slots::Slots;
use crate::timeouts::{Timeouts, Widening};
use crate::{Candidate, Config, Cost, Depth, PeerLoad, PeerSelector, Sample};
use pool::Pool;
use queue::{Queue, Waiting};

/// Who may start now: the decisions of the executor, without I/O, clock or task.
///
/// `J` is what waits; the plan only keeps it. After every change, [`hedge_next`](Self::hedge_next) and then
/// [`start_next`](Self::start_next) must be called until they return `None`; between changes nothing could start,
/// but for time: when a peer's rest ends and when a hedge falls due, they must be called too.
#[derive(Debug)]
pub(crate) struct Plan<P, J> {
    config: Config,
    in_flight: usize,
    pool: Pool<P>,
    queue: Queue<P, J>,
    bytes: ByteBudget,
    hedges: HedgeBudget,
    widening: Widening<P>,
    losses: Losses,
    started: u64,
    /// Requests that batches hold back.
    held_back: usize,
    /// Requests that the caller said are to come.
    announced: usize,
}

/// A slot given to a copy of a request. Whoever has this owes the plan one [`Plan::release`] of it.
#[derive(Clone, Debug)]
#[must_use = "the slot is charged until it is released"]
pub(crate) struct Slot<P> {
    pub(crate) peer: P,
    pub(crate) cost: Cost,
    pub(crate) sent: Instant,
    pub(crate) timeouts: Timeouts,
}

/// A request that was given its first slot.
#[derive(Debug)]
pub(crate) struct Start<P, J> {
    pub(crate) id: RequestId,
    pub(crate) slot: Slot<P>,
    pub(crate) job: J,
}

impl<P: Clone + Ord + 'static, J> Plan<P, J> {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            in_flight: 0,
            pool: Pool::new(config.adaptive_depth, config.spares_slow_peers),
            queue: Queue::new(),
            bytes: ByteBudget::new(config.max_bytes),
            hedges: HedgeBudget::new(config.hedge_budget),
            widening: Widening::new(),
            losses: Losses::default(),
            started: 0,
            held_back: 0,
            announced: 0,
            config,
        }
    }

    /// Connects a peer. One that is known is given the new depth and keeps what it still has in flight.
    pub(crate) fn add_peer(&mut self, peer: P, depth: Depth, group: u64) {
        self.pool.add(peer, depth, group);
    }

    /// Takes the peer away from what waits; what it has in flight stays charged. Returns the jobs that have no
    /// eligible peer any more.
    pub(crate) fn remove_peer(&mut self, peer: &P) -> Vec<J> {
        if !self.pool.remove(peer) {
            return Vec::new();
        }
        let pool = &self.pool;
        self.queue.remove_where(|waiting| !pool.has_eligible(&waiting.terms.exclude))
    }

    /// Whether the peer is connected, and so has the new depth.
    pub(crate) fn set_depth(&mut self, peer: &P, depth: Depth) -> bool {
        self.pool.connected_mut(peer).map(|slots| slots.depth = depth).is_some()
    }

    /// Whether the peer is connected, and so has the new round trip.
    pub(crate) fn set_rtt(&mut self, peer: &P, rtt: Duration) -> bool {
        self.pool.connected_mut(peer).map(|slots| slots.estimates.rtt = Some(rtt)).is_some()
    }

    /// Queues a job. It is refused, and handed back, if it can go to no connected peer, or if it cannot start at once
    /// and `max_waiting` jobs wait already.
    pub(crate) fn submit(
        &mut self,
        job: J,
        terms: Terms<P>,
        max_waiting: usize,
        now: Instant,
    ) -> Result<RequestId, (Refused, J)> {
        if !self.pool.has_eligible(&terms.exclude) {
            return Err((Refused::NoEligiblePeer, job));
        }
        if self.queue.len() >= max_waiting && !self.could_start(&terms, now) {
            return Err((Refused::QueueFull, job));
        }
        Ok(self.queue.push(terms, job))
    }

    /// Takes a job back, unless it was started or taken before.
    pub(crate) fn cancel(&mut self, id: RequestId) -> Option<J> {
        self.queue.cancel(id)
    }

    /// Takes back all that wait.
    pub(crate) fn drain(&mut self) -> Vec<J> {
        self.queue.remove_where(|_| true)
    }

    /// Nobody waits for this request any more: it is answered, given up or abandoned, and holds nobody up.
    pub(crate) fn settle(&mut self, id: RequestId) {
        self.queue.settle(id);
    }

    /// Starts the longest waiting job that a free peer may take. Those before it whose peers are all busy stay.
    pub(crate) fn start_next(
        &mut self,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
    ) -> Option<Start<P, J>> {
        let (id, peer, cost) = self.find_start(selector, now)?;
        let Waiting { terms, job } = self.queue.start(id)?;
        let slot = self.charge(peer, cost, selector, now)?;
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
        let (id, first) = self.queue.head_in_flight().filter(|(_, first)| first.hedge_at <= now)?;
        let mut exclude = first.exclude.clone();
        exclude.insert(first.peer.clone());
        // For one request, that is only who is quickest: a copy that comes later than the first is of no use.
        let mut candidates = self.pool.awake(&exclude, first.cost, 1, now);
        let group = self.pool.group(&first.peer);
        let elsewhere = |candidate: &Candidate<'_, P>| self.pool.group(candidate.peer) != group;
        if candidates.iter().any(elsewhere) {
            candidates.retain(elsewhere);
        }
        let peer = choose(selector, &candidates)?;
        let cost = first.cost;
        self.queue.hedged(id);
        self.hedges.spend();
        self.charge(peer, cost, selector, now).map(|slot| (id, slot))
    }

    /// An answer has come: learns from the time it took, and holds its bytes until [`give_back`](Self::give_back).
    pub(crate) fn arrived(&mut self, slot: &Slot<P>, bytes: u64, now: Instant) -> Sample {
        self.losses.answered();
        // A transport that does not tell sizes has to be believed in its expectations.
        let bytes = if bytes == 0 { slot.cost.bytes } else { bytes };
        self.bytes.take(bytes);
        let sample = match self.pool.get_mut(&slot.peer) {
            Some(slots) => {
                let sample = Sample { bytes, ..slots.estimates.measure(slot.cost, slot.sent, now) };
                if slots.connected {
                    slots.answered();
                    slots.learn(&sample, now);
                }
                sample
            }
            None => {
                let elapsed = now.saturating_duration_since(slot.sent);
                Sample { bytes, ..Sample::new(slot.cost.kind, elapsed) }
            }
        };
        if sample.elapsed < slot.timeouts.soft {
            self.widening.answered_in_time();
        }
        sample
    }

    pub(crate) fn give_back(&mut self, bytes: u64) {
        self.bytes.give_back(bytes);
    }

    pub(crate) fn timed_out(&mut self, peer: &P) {
        self.widening.timed_out(peer.clone(), self.pool.connected().count());
    }

    /// An answer was used.
    pub(crate) fn accepted(
        &mut self,
        peer: &P,
        sample: &Sample,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
    ) {
        self.hedges.earn();
        if let Some(slots) = self.pool.connected_mut(peer) {
            slots.succeeded();
            selector.on_completed(peer, sample, now);
        }
    }

    /// An answer was rejected. Returns how long the peer rests.
    pub(crate) fn rejected(
        &mut self,
        peer: &P,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
    ) -> Option<Duration> {
        self.rest(peer, selector, now, |slots, rest| slots.rejected(rest, now))
    }

    /// A request failed. Returns how long the peer rests.
    pub(crate) fn failed(
        &mut self,
        peer: &P,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
    ) -> Option<Duration> {
        let by_chance = self.losses.by_chance();
        self.losses.lost();
        self.rest(peer, selector, now, |slots, rest| slots.failed(rest, by_chance, now))
    }

    fn rest(
        &mut self,
        peer: &P,
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
        after: impl FnOnce(&mut Slots, Duration) -> Duration,
    ) -> Option<Duration> {
        let slots = self.pool.connected_mut(peer)?;
        let rest = after(slots, self.config.rest_after_failure);
        selector.on_failed(peer, now);
        (!rest.is_zero()).then_some(rest)
    }

    /// Gives back one slot and the bytes that were expected.
    pub(crate) fn release(&mut self, slot: &Slot<P>) {
        debug_assert!(self.in_flight > 0, "released more than was started");
        self.in_flight = self.in_flight.saturating_sub(1);
        self.bytes.give_back(slot.cost.bytes);
        self.pool.release(&slot.peer);
    }

    /// How many more jobs that exclude nobody could start now, as far as slots go. Those that wait have come first.
    pub(crate) fn capacity(&self, now: Instant) -> usize {
        let free =
            self.pool.free_slots(now).min(self.config.max_in_flight.get().saturating_sub(self.in_flight));
        free.saturating_sub(self.queue.len())
    }

    /// A batch will submit so many more.
    pub(crate) const fn hold_back(&mut self, requests: usize) {
        self.held_back += requests;
    }

    pub(crate) const fn let_go(&mut self, requests: usize) {
        self.held_back = self.held_back.saturating_sub(requests);
    }

    /// The caller will submit so many more.
    pub(crate) const fn announce(&mut self, requests: usize) {
        self.announced = requests;
    }

    pub(crate) const fn announced(&self) -> usize {
        self.announced
    }

    /// Requests that were not sent yet, wherever they wait.
    pub(crate) fn to_send(&self) -> usize {
        self.queue.len().saturating_add(self.held_back).saturating_add(self.announced)
    }

    /// When to look again although nothing has changed but the time. `None` where nobody waits for a peer that was left
    /// alone.
    pub(crate) fn recheck_at(&self, now: Instant) -> Option<Instant> {
        if self.to_send() == 0 { None } else { self.pool.recheck_at(now) }
    }

    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn held_bytes(&self) -> u64 {
        self.bytes.used()
    }

    pub(crate) fn loads(&self) -> Vec<PeerLoad<P>> {
        self.pool.loads()
    }

    fn find_start(&self, selector: &mut dyn PeerSelector<P>, now: Instant) -> Option<(RequestId, P, Cost)> {
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
            let alike = (&terms.exclude, terms.cost);
            if nobody_for == Some(alike) {
                continue;
            }
            let candidates = self.pool.open_to(&terms.exclude, terms.cost, to_send, now);
            if candidates.is_empty() {
                nobody_for = Some(alike);
            }
            if has_bytes && let Some(peer) = choose(selector, &candidates) {
                return Some((id, peer, terms.cost));
            }
            // Then only those start that need no bytes, lest the small ones starve the large one.
            bytes_blocked |= !has_bytes && !candidates.is_empty();
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
        selector: &mut dyn PeerSelector<P>,
        now: Instant,
    ) -> Option<Slot<P>> {
        let newcomer = self.pool.newcomer(cost.kind);
        let slots = self.pool.get_mut(&peer)?;
        let own = slots.estimates.kind(cost.kind);
        let work = slots.estimates.work(cost, newcomer);
        let due = slots.charge(self.started, work, now).saturating_duration_since(now);
        self.started += 1;
        self.in_flight += 1;
        self.bytes.take(cost.bytes);
        selector.on_sent(&peer, now);
        let guess = slots.estimates.first_of_its_kind(cost);
        let timeouts = Timeouts::new(&self.config, own, newcomer, guess, due, cost, self.widening.factor());
        Some(Slot { peer, cost, sent: now, timeouts })
    }

    fn could_start(&self, terms: &Terms<P>, now: Instant) -> bool {
        let to_send = self.to_send() + 1;
        let open = |terms: &Terms<P>| !self.pool.open_to(&terms.exclude, terms.cost, to_send, now).is_empty();
        // Between changes, whatever waits although a peer is free for it waits for bytes.
        let bytes_blocked = || self.queue.iter().any(|(_, other)| open(&other.terms));
        let bytes = terms.cost.bytes;
        self.in_flight < self.config.max_in_flight.get()
            && open(terms)
            && (bytes == 0 || self.queue.would_be_head(terms) || (self.bytes.fits(bytes) && !bytes_blocked()))
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
