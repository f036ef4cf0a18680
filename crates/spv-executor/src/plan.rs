#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use crate::slots::Slots;
use crate::{Depth, PeerLoad, PeerSelector};

/// Who may start now: the decisions of the executor, without I/O, clock or task.
///
/// `J` is what waits; the plan only keeps it. After every change, [`start_next`](Self::start_next) must be called
/// until it returns `None`; between changes nothing that waits could start.
#[derive(Debug)]
pub(crate) struct Plan<P, J> {
    max_in_flight: NonZeroUsize,
    in_flight: usize,
    peers: BTreeMap<P, Slots>,
    /// Ids only grow, so the order of the map is the order of arrival.
    waiting: BTreeMap<RequestId, Waiting<P, J>>,
    next_id: u64,
    started: u64,
}

/// Names a waiting request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestId(u64);

/// A request that was given a slot. Whoever takes this owes the plan one [`Plan::release`] of `peer`.
#[derive(Debug)]
#[must_use = "the slot is charged until it is released"]
pub(crate) struct Start<P, J> {
    pub(crate) peer: P,
    pub(crate) job: J,
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NoEligiblePeer,
    QueueFull,
}

impl<P: Clone + Ord + 'static, J> Plan<P, J> {
    pub(crate) const fn new(max_in_flight: NonZeroUsize) -> Self {
        Self {
            max_in_flight,
            in_flight: 0,
            peers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_id: 0,
            started: 0,
        }
    }

    /// Connects a peer. One that is known is given the new depth and keeps what it still has in flight.
    pub(crate) fn add_peer(&mut self, peer: P, depth: Depth) {
        let slots = self.peers.entry(peer).or_insert_with(|| Slots::new(depth));
        slots.depth = depth;
        slots.connected = true;
    }

    /// Takes the peer away from what waits; what it has in flight stays charged. Returns the jobs that have no
    /// eligible peer any more.
    pub(crate) fn remove_peer(&mut self, peer: &P) -> Vec<J> {
        let Some(slots) = self.peers.get_mut(peer) else { return Vec::new() };
        slots.connected = false;
        if slots.is_idle() {
            self.peers.remove(peer);
        }
        let stranded =
            self.waiting.iter().filter(|(_, waiting)| !has_eligible_peer(&self.peers, &waiting.exclude));
        let stranded: Vec<_> = stranded.map(|(id, _)| *id).collect();
        stranded.into_iter().filter_map(|id| self.cancel(id)).collect()
    }

    /// Whether the peer is connected, and so has the new depth.
    pub(crate) fn set_depth(&mut self, peer: &P, depth: Depth) -> bool {
        let slots = self.peers.get_mut(peer).filter(|slots| slots.connected);
        slots.map(|slots| slots.depth = depth).is_some()
    }

    /// Queues a job. It is refused, and handed back, if it can go to no connected peer, or if it cannot start at once
    /// and `max_waiting` jobs wait already.
    pub(crate) fn submit(
        &mut self,
        job: J,
        exclude: BTreeSet<P>,
        max_waiting: usize,
    ) -> Result<RequestId, (Refused, J)> {
        if !has_eligible_peer(&self.peers, &exclude) {
            return Err((Refused::NoEligiblePeer, job));
        }
        if self.waiting.len() >= max_waiting && !self.could_start(&exclude) {
            return Err((Refused::QueueFull, job));
        }
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.waiting.insert(id, Waiting { exclude, job });
        Ok(id)
    }

    /// Takes a job back, unless it was started or taken before.
    pub(crate) fn cancel(&mut self, id: RequestId) -> Option<J> {
        self.waiting.remove(&id).map(|waiting| waiting.job)
    }

    /// Takes back all that wait.
    pub(crate) fn drain(&mut self) -> Vec<J> {
        std::mem::take(&mut self.waiting).into_values().map(|waiting| waiting.job).collect()
    }

    /// Starts the longest waiting job that a free peer may take. Those before it whose peers are all busy stay.
    pub(crate) fn start_next(&mut self, selector: &mut dyn PeerSelector<P>) -> Option<Start<P, J>> {
        if self.in_flight >= self.max_in_flight.get() || self.waiting.is_empty() {
            return None;
        }
        let free: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, slots)| slots.free() > 0)
            .map(|(peer, slots)| slots.candidate(peer))
            .collect();
        let (id, candidates) = self.waiting.iter().find_map(|(id, waiting)| {
            let allowed = free.iter().filter(|candidate| !waiting.exclude.contains(candidate.peer));
            let candidates: Vec<_> = allowed.copied().collect();
            (!candidates.is_empty()).then_some((*id, candidates))
        })?;
        let chosen = selector.select(&candidates).peer;
        let offered = candidates.iter().any(|candidate| candidate.peer == chosen);
        let peer = if offered { chosen.clone() } else { candidates[0].peer.clone() };
        self.peers.get_mut(&peer)?.charge(self.started);
        self.started += 1;
        self.in_flight += 1;
        self.waiting.remove(&id).map(|waiting| Start { peer, job: waiting.job })
    }

    /// Gives back the slot of one [`Start`].
    pub(crate) fn release(&mut self, peer: &P) {
        debug_assert!(self.in_flight > 0, "released more than was started");
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(slots) = self.peers.get_mut(peer) {
            slots.release();
            if slots.is_idle() && !slots.connected {
                self.peers.remove(peer);
            }
        }
    }

    /// How many more jobs that exclude nobody could start now.
    pub(crate) fn capacity(&self) -> usize {
        let free = self.peers.values().map(Slots::free).sum::<usize>();
        free.min(self.max_in_flight.get().saturating_sub(self.in_flight))
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn loads(&self) -> Vec<PeerLoad<P>> {
        let connected = self.peers.iter().filter(|(_, slots)| slots.connected);
        connected.map(|(peer, slots)| slots.load(peer)).collect()
    }

    fn could_start(&self, exclude: &BTreeSet<P>) -> bool {
        self.in_flight < self.max_in_flight.get()
            && self.peers.iter().any(|(peer, slots)| slots.free() > 0 && !exclude.contains(peer))
    }
}

#[derive(Debug)]
struct Waiting<P, J> {
    exclude: BTreeSet<P>,
    job: J,
}

fn has_eligible_peer<P: Ord>(peers: &BTreeMap<P, Slots>, exclude: &BTreeSet<P>) -> bool {
    peers.iter().any(|(peer, slots)| slots.connected && !exclude.contains(peer))
}
