use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::pool::Pool;
use crate::Cost;
use crate::estimates::KindEstimate;
use crate::lane::Lane;
use crate::selector::penalty;
use crate::slots::Slots;

/// What the peers that can be counted on will do without any other's help: those that neither failed last, nor rest, nor
/// keep us waiting for more than twice the usual time.
pub(super) struct Others<'a, P> {
    adaptive: bool,
    cost: Cost,
    newcomer: Option<KindEstimate>,
    now: Instant,
    counted_on: Vec<(&'a P, &'a Slots, Lane)>,
}

impl<'a, P: Clone + Ord> Others<'a, P> {
    /// Those that may be asked for this.
    pub(super) fn new(
        pool: &'a Pool<P>,
        exclude: &BTreeSet<P>,
        cost: Cost,
        newcomer: Option<KindEstimate>,
        now: Instant,
    ) -> Self {
        let adaptive = pool.adaptive;
        let counted_on = pool
            .connected()
            .filter(|(peer, slots)| {
                slots.failures() == 0
                    && !slots.rests(now)
                    && !is_overdue(slots, now)
                    && !exclude.contains(*peer)
            })
            .filter_map(|(peer, slots)| Some((peer, slots, slots.lane(cost, newcomer, adaptive, now)?)))
            .collect();
        Self { adaptive, cost, newcomer, now, counted_on }
    }

    /// Whether it is worthwhile to ask a free peer for one of so many requests: not if the others will have answered all
    /// of them before it could answer its first.
    pub(super) fn leave_something_for(&self, peer: &P, slots: &Slots, to_send: usize) -> bool {
        if self.newcomer.is_none() && self.a_nearer_one_will_tell(slots) {
            return false;
        }
        let Some(lane) = slots.lane(self.cost, self.newcomer, self.adaptive, self.now) else { return true };
        let expected = lane.first.mul_f64(penalty(slots.failures()) * MARGIN);
        let others = self.counted_on.iter().filter(|(other, ..)| *other != peer);
        let answered = others.map(|(.., lane)| lane.answered_before(expected));
        answered.fold(0_u128, u128::saturating_add) < to_send as u128
    }

    /// Nothing is known yet of the time that the request takes. If a much nearer peer is at work on one, or can be, then
    /// waiting for its answer costs little beside the way to this one.
    fn a_nearer_one_will_tell(&self, slots: &Slots) -> bool {
        let Some(rtt) = slots.estimates.rtt else { return false };
        let way = |other: &Slots| other.estimates.rtt.unwrap_or(Duration::MAX);
        let much_nearer = |way: Duration| way < rtt && way.saturating_mul(MUCH_NEARER) <= rtt;
        self.counted_on.iter().any(|(_, other, _)| much_nearer(way(other)))
    }
}

fn is_overdue(slots: &Slots, now: Instant) -> bool {
    slots.overdue_from().is_some_and(|from| from < now)
}

/// So much nearer that the wait for its answer, and then for the farther peer's, is at most half as long again as the latter
/// alone.
const MUCH_NEARER: u32 = 4;
/// Estimates are no better than this, and a slot that is kept free by mistake is lost.
const MARGIN: f64 = 0.95;
