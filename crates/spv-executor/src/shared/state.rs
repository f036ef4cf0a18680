use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::flight::{Charge, Flight};
use crate::call::{Call, Job};
use crate::plan::{Plan, RequestId};
use crate::progress::Tally;
use crate::selector::Contained;
use crate::{Config, Transport};

/// What only changes under the lock.
pub(crate) struct State<T: Transport> {
    pub(crate) plan: Plan<T::Peer, Job<T>>,
    pub(super) tally: Tally,
    pub(super) selector: Contained<T::Peer>,
    /// Requests with a copy in flight.
    pub(super) calls: BTreeMap<RequestId, Call<T>>,
    /// When a task will look again, although nothing else may have changed.
    recheck_at: Option<Instant>,
}

impl<T: Transport> State<T> {
    pub(super) fn new(config: Config, selector: Contained<T::Peer>) -> Self {
        let plan = Plan::new(config);
        Self { plan, tally: Tally::default(), selector, calls: BTreeMap::new(), recheck_at: None }
    }

    pub(super) fn start(&mut self, shared: &Arc<Shared<T>>, flights: &mut Vec<Flight<T>>, now: Instant) {
        let Self { plan, tally, selector, calls, .. } = self;
        // First: everybody waits for what is hedged, and there is little of it.
        while let Some((id, slot)) = plan.hedge_next(selector, now) {
            // The plan hedges only what has a call and a spare.
            let Some(request) = calls.get_mut(&id).and_then(Call::hedge) else {
                plan.release(&slot);
                continue;
            };
            tally.hedged();
            flights.push(Flight::new(Charge::new(shared, id, slot, true), request, false));
        }
        while let Some(start) = plan.start_next(selector, now) {
            tally.sent();
            let (call, request) = Call::new(start.job, now);
            let charge = Charge::new(shared, start.id, start.slot, false);
            flights.push(Flight::new(charge, request, call.may_hedge()));
            calls.insert(start.id, call);
        }
    }

    /// How long until somebody has to look again, if nobody will by then.
    pub(super) fn recheck(&mut self, now: Instant) -> Option<Duration> {
        let planned = self.recheck_at.filter(|at| *at > now);
        let needed = self.plan.recheck_at(now).map(|at| at + CLOCK_RESOLUTION);
        self.recheck_at = planned.into_iter().chain(needed).min();
        let is_new = self.recheck_at != planned;
        self.recheck_at.filter(|_| is_new).map(|at| at.saturating_duration_since(now))
    }
}

/// Of tokio's timers.
const CLOCK_RESOLUTION: Duration = Duration::from_millis(1);
