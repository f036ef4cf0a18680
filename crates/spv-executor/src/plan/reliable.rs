use std::time::{Duration, Instant};

use crate::Cost;
use crate::estimates::KindEstimate;
use crate::forecast::Forecast;
use crate::selector::penalty;
use crate::slots::Slots;

/// The peers that can be counted on, and what each of them will do: those that neither failed last, nor rest, nor keep us
/// waiting for more than twice the usual time.
pub(super) struct ReliablePeers<'a, P> {
    adaptive: bool,
    cost: Cost,
    newcomer: Option<KindEstimate>,
    now: Instant,
    peers: Vec<(&'a P, &'a Slots, Forecast)>,
}

impl<'a, P: Clone + Ord> ReliablePeers<'a, P> {
    /// Those among the peers that may be asked for this.
    pub(super) fn new(
        eligible: &[(&'a P, &'a Slots)],
        adaptive: bool,
        cost: Cost,
        newcomer: Option<KindEstimate>,
        now: Instant,
    ) -> Self {
        let is_reliable =
            |slots: &Slots| slots.failures() == 0 && !slots.rests(now) && !is_overdue(slots, now);
        let peers = eligible
            .iter()
            .filter(|(_, slots)| is_reliable(slots))
            .filter_map(|&(peer, slots)| Some((peer, slots, slots.forecast(cost, newcomer, adaptive, now)?)))
            .collect();
        Self { adaptive, cost, newcomer, now, peers }
    }

    /// Whether a free peer is not worth asking for one of so many requests, because the reliable others will have answered
    /// all of them before it could answer its first.
    pub(super) fn make_superfluous(&self, peer: &P, slots: &Slots, to_send: usize) -> bool {
        if self.newcomer.is_none() && self.include_much_nearer(slots) {
            return true;
        }
        let Some(forecast) = slots.forecast(self.cost, self.newcomer, self.adaptive, self.now) else {
            return false;
        };
        let expected = forecast.first_answer.mul_f64(penalty(slots.failures()) * MARGIN);
        let others = self.peers.iter().filter(|(other, ..)| *other != peer);
        let answered = others.map(|(.., forecast)| forecast.answered_before(expected));
        answered.fold(0_u128, u128::saturating_add) >= to_send as u128
    }

    /// Whether one of them is much nearer than this peer. As long as nothing is known of the time that the request takes,
    /// waiting for the nearer one's answer costs little beside the way to this one.
    fn include_much_nearer(&self, slots: &Slots) -> bool {
        let Some(rtt) = slots.estimates.rtt else { return false };
        let way = |other: &Slots| other.estimates.rtt.unwrap_or(Duration::MAX);
        let much_nearer = |way: Duration| way < rtt && way.saturating_mul(MUCH_NEARER) <= rtt;
        self.peers.iter().any(|(_, other, _)| much_nearer(way(other)))
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
