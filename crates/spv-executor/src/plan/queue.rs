use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::Cost;
use crate::eligibility::Eligibility;

/// What waits, in the order it came; and which of all requests, waiting or sent, holds up the others.
#[derive(Debug)]
pub(super) struct Queue<P, J> {
    /// Ids only grow, so the order of the map is the order of arrival.
    waiting: BTreeMap<RequestId, Waiting<P, J>>,
    /// Sent, awaited and in an order.
    in_flight: BTreeMap<RequestId, InFlight<P>>,
    /// All that are awaited and in an order. The first is the head of the line.
    order: BTreeSet<(u64, RequestId)>,
    next_id: u64,
}

/// Names a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestId(u64);

/// What is asked for with a job.
#[derive(Clone, Debug)]
pub(crate) struct Terms<P> {
    pub(crate) eligible: Eligibility<P>,
    pub(crate) cost: Cost,
    /// Its place in the order in which answers are used, if they are used in order.
    pub(crate) order: Option<u64>,
    pub(crate) may_hedge: bool,
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NoEligiblePeer,
    QueueFull,
}

#[derive(Debug)]
pub(super) struct Waiting<P, J> {
    pub(super) terms: Terms<P>,
    pub(super) job: J,
}

/// The first copy of a request.
#[derive(Debug)]
pub(super) struct InFlight<P> {
    pub(super) peer: P,
    pub(super) eligible: Eligibility<P>,
    pub(super) cost: Cost,
    /// `None` while it is not admitted, and so not late either.
    pub(super) hedge_at: Option<Instant>,
    order: u64,
    may_hedge: bool,
}

impl<P, J> Queue<P, J> {
    pub(super) const fn new() -> Self {
        Self { waiting: BTreeMap::new(), in_flight: BTreeMap::new(), order: BTreeSet::new(), next_id: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RequestId, &Waiting<P, J>)> {
        self.waiting.iter().map(|(id, waiting)| (*id, waiting))
    }

    pub(super) fn push(&mut self, terms: Terms<P>, job: J) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.order.extend(terms.order.map(|order| (order, id)));
        self.waiting.insert(id, Waiting { terms, job });
        id
    }

    pub(super) fn cancel(&mut self, id: RequestId) -> Option<J> {
        let Waiting { terms, job } = self.waiting.remove(&id)?;
        terms.order.map(|order| self.order.remove(&(order, id)));
        Some(job)
    }

    pub(super) fn remove_where(&mut self, remove: impl Fn(&Waiting<P, J>) -> bool) -> Vec<J> {
        let removed = self.waiting.iter().filter(|(_, waiting)| remove(waiting)).map(|(id, _)| *id);
        let removed: Vec<_> = removed.collect();
        removed.into_iter().filter_map(|id| self.cancel(id)).collect()
    }

    /// Takes a job out to be sent. It keeps its place in the order.
    pub(super) fn start(&mut self, id: RequestId) -> Option<Waiting<P, J>> {
        self.waiting.remove(&id)
    }

    pub(super) fn started(&mut self, id: RequestId, terms: Terms<P>, peer: P, hedge_at: Instant) {
        let Terms { eligible, cost, order: Some(order), may_hedge } = terms else { return };
        let hedge_at = Some(hedge_at);
        self.in_flight.insert(id, InFlight { peer, eligible, cost, hedge_at, order, may_hedge });
    }

    /// The first copy, which went to this peer, is late at another time than was thought.
    pub(super) fn set_hedge_at(&mut self, id: RequestId, peer: &P, hedge_at: Option<Instant>)
    where
        P: PartialEq,
    {
        if let Some(first) = self.in_flight.get_mut(&id).filter(|first| first.peer == *peer) {
            first.hedge_at = hedge_at;
        }
    }

    /// One copy more is all a request gets.
    pub(super) fn hedged(&mut self, id: RequestId) {
        if let Some(in_flight) = self.in_flight.get_mut(&id) {
            in_flight.may_hedge = false;
        }
    }

    /// Nobody waits for a request that was sent.
    pub(super) fn settle(&mut self, id: RequestId) {
        if let Some(in_flight) = self.in_flight.remove(&id) {
            self.order.remove(&(in_flight.order, id));
        }
    }

    /// The head of the line, if it was sent and may have one more copy.
    pub(super) fn head_in_flight(&self) -> Option<(RequestId, &InFlight<P>)> {
        let (_, id) = *self.order.first()?;
        self.in_flight.get(&id).filter(|in_flight| in_flight.may_hedge).map(|in_flight| (id, in_flight))
    }

    pub(super) fn is_head(&self, id: RequestId) -> bool {
        self.order.first().is_some_and(|(_, head)| *head == id)
    }
}
