use std::time::{Duration, Instant};

use crate::forecast::Forecast;
use crate::selector::penalty;
use crate::slots::Slots;

/// The peers that can be counted on, and what they will do together: those that neither failed last, nor rest, nor keep us
/// waiting for more than twice the usual time.
pub(super) struct ReliablePeers {
    forecasts: Vec<Forecast>,
    /// The shortest way to one of them.
    nearest: Duration,
    to_send: u64,
    /// A time in which they will have answered all that is to be sent, the shortest that was looked at; and the longest
    /// in which they will not. They spare looking at all of them again for each peer.
    enough: Duration,
    too_short: Option<Duration>,
}

impl ReliablePeers {
    /// Those among the peers that may be asked, with what is forecast of each.
    pub(super) fn new<'a>(
        eligible: impl Iterator<Item = (&'a Slots, Option<Forecast>)>,
        to_send: usize,
        now: Instant,
    ) -> Self {
        let mut reliable = Self {
            forecasts: Vec::with_capacity(eligible.size_hint().0),
            nearest: Duration::MAX,
            to_send: to_send as u64,
            enough: Duration::MAX,
            too_short: None,
        };
        for (slots, forecast) in eligible {
            let Some(forecast) = forecast else { continue };
            if slots.failures() == 0 && !slots.rests(now) && !is_overdue(slots, now) {
                reliable.forecasts.push(forecast);
                reliable.nearest = reliable.nearest.min(slots.estimates().rtt.unwrap_or(Duration::MAX));
            }
        }
        reliable
    }

    /// Whether a free peer is not worth asking for one of so many requests, because the reliable others will have answered
    /// all of them before it could answer its first. `is_measured` tells whether anybody has answered one of the kind.
    ///
    /// The peer itself need not be left out of the sum: before its first answer it has answered none.
    pub(super) fn make_superfluous(
        &mut self,
        slots: &Slots,
        forecast: Option<Forecast>,
        is_measured: bool,
    ) -> bool {
        let Some(forecast) = forecast else { return false };
        if !is_measured && self.include_much_nearer(slots) {
            return true;
        }
        let expected = forecast.first_answer().mul_f64(penalty(slots.failures()) * MARGIN);
        if expected >= self.enough || self.too_short.is_some_and(|time| expected <= time) {
            return expected >= self.enough;
        }
        let enough = self.answer_all_before(expected);
        if enough {
            self.enough = expected;
        } else {
            self.too_short = Some(expected);
        }
        enough
    }

    fn answer_all_before(&self, time: Duration) -> bool {
        let mut missing = self.to_send;
        self.forecasts.iter().any(|forecast| {
            missing = missing.saturating_sub(forecast.answered_before(time));
            missing == 0
        })
    }

    /// Whether one of them is much nearer than this peer. As long as nothing is known of the time that the request takes,
    /// waiting for the nearer one's answer costs little beside the way to this one.
    fn include_much_nearer(&self, slots: &Slots) -> bool {
        let Some(rtt) = slots.estimates().rtt else { return false };
        self.nearest < rtt && self.nearest.saturating_mul(MUCH_NEARER) <= rtt
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
