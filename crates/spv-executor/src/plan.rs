mod outcome;
mod pool;
mod queue;
mod reliable;
mod start;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub(crate) use queue::{Refused, RequestId, Terms};

use crate::budget::{ByteBudget, HedgeBudget};
use crate::eligibility::Eligibility;
use crate::losses::Losses;
use crate::timeouts::{Timeouts, Widening};
use crate::{Config, Cost, Depth, PeerLoad};
use pool::Pool;
use queue::Queue;

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
    /// Counted from its admission, once that has come.
    pub(crate) sent: Instant,
    pub(crate) timeouts: Timeouts,
    /// It is not sent yet, for a reason of ours.
    awaits_admission: bool,
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
        if self.pool.remove(peer) { self.take_stranded() } else { Vec::new() }
    }

    /// Takes back the jobs that may go to no connected peer, by what their predicates say now.
    pub(crate) fn take_stranded(&mut self) -> Vec<J> {
        let pool = &self.pool;
        self.queue.remove_where(|waiting| !pool.has_eligible(&waiting.terms.eligible))
    }

    /// Whether the peer is connected, and so has the new depth.
    pub(crate) fn set_depth(&mut self, peer: &P, depth: Depth) -> bool {
        self.pool.connected_mut(peer).map(|slots| slots.set_depth(depth)).is_some()
    }

    /// Whether the peer is connected, and so has the new round trip.
    pub(crate) fn set_rtt(&mut self, peer: &P, rtt: Duration) -> bool {
        self.pool.connected_mut(peer).map(|slots| slots.set_rtt(rtt)).is_some()
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
        if !self.pool.has_eligible(&terms.eligible) {
            return Err((Refused::NoEligiblePeer, job));
        }
        let id = self.queue.push(terms, job);
        let is_first = || self.first_startable(now).is_some_and(|(first, ..)| first == id);
        if self.queue.len() > max_waiting
            && !is_first()
            && let Some(job) = self.queue.cancel(id)
        {
            return Err((Refused::QueueFull, job));
        }
        Ok(id)
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

    /// How many more jobs that may go to anybody could start now, as far as slots go. Those that wait have come first.
    pub(crate) fn capacity(&self, now: Instant) -> usize {
        self.free_slots(|_| true, now).saturating_sub(self.queue.len())
    }

    /// The same of jobs that may go to these peers alone. Of those that wait, only the ones come first that may go to one
    /// of them.
    pub(crate) fn capacity_where(&self, eligible: impl Fn(&P) -> bool, now: Instant) -> usize {
        let free = self.free_slots(&eligible, now);
        if free == 0 {
            return 0;
        }
        let peers = self.pool.connected().map(|(peer, _)| peer).filter(|peer| eligible(peer));
        let peers: Vec<_> = peers.collect();
        let competes = |eligible: &Eligibility<P>| peers.iter().any(|peer| eligible.allows(peer));
        let waiting = self.queue.iter().filter(|(_, waiting)| competes(&waiting.terms.eligible));
        free.saturating_sub(waiting.count())
    }

    fn free_slots(&self, eligible: impl Fn(&P) -> bool, now: Instant) -> usize {
        let free = self.pool.free_slots(eligible, now);
        free.min(self.config.max_in_flight.get().saturating_sub(self.in_flight))
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
}
