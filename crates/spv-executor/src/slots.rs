use crate::{Candidate, Depth};

/// What one connected peer has to do, see [`Executor::peers`](crate::Executor::peers).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerLoad<P> {
    /// The peer.
    pub peer: P,
    /// Its cap.
    pub depth: Depth,
    /// Requests it has now, those past their soft timeout included. Above `depth` only after `depth` was lowered.
    pub in_flight: usize,
    /// The most it ever had at the same time.
    pub max_in_flight: usize,
    /// Requests started with it so far.
    pub requests: u64,
}

/// The slots of one peer.
#[derive(Debug)]
pub(crate) struct Slots {
    pub(crate) depth: Depth,
    /// False once removed: the entry then only waits for its last request to end.
    pub(crate) connected: bool,
    in_flight: usize,
    max_in_flight: usize,
    requests: u64,
    last_assigned: Option<u64>,
}

impl Slots {
    pub(crate) const fn new(depth: Depth) -> Self {
        Self { depth, connected: true, in_flight: 0, max_in_flight: 0, requests: 0, last_assigned: None }
    }

    /// How many more requests the peer may take now.
    pub(crate) const fn free(&self) -> usize {
        if self.connected { self.depth.get().saturating_sub(self.in_flight) } else { 0 }
    }

    pub(crate) const fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    pub(crate) fn charge(&mut self, sequence: u64) {
        self.in_flight += 1;
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
        self.requests += 1;
        self.last_assigned = Some(sequence);
    }

    pub(crate) fn release(&mut self) {
        debug_assert!(self.in_flight > 0, "released a slot that was not charged");
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(crate) const fn candidate<'a, P>(&self, peer: &'a P) -> Candidate<'a, P> {
        Candidate {
            in_flight: self.in_flight,
            last_assigned: self.last_assigned,
            ..Candidate::new(peer, self.depth)
        }
    }

    pub(crate) fn load<P: Clone>(&self, peer: &P) -> PeerLoad<P> {
        PeerLoad {
            peer: peer.clone(),
            depth: self.depth,
            in_flight: self.in_flight,
            max_in_flight: self.max_in_flight,
            requests: self.requests,
        }
    }
}
