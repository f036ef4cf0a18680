use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::Recovery;
use crate::{blocked::Blocked, circuit::BreakerState, decision::GiveUpReason, outlook::Outlook};

/// What to ask before a request goes out.
impl<P: Ord + Clone> Recovery<P> {
    /// Returns why this peer must not be asked now, or `None` if it may be asked. This claims no probe: if you send a
    /// request, [`on_sent`](Self::on_sent) has to follow before anything else is asked here.
    #[must_use]
    pub fn why_blocked(&self, peer: &P, now: Instant) -> Option<Blocked> {
        if self.ledger.exhausted(peer) {
            Some(Blocked::Exhausted)
        } else {
            self.breakers.blocked_by(peer, now)
        }
    }

    /// Reports that a request is sent to this peer. If its breaker is half-open and no probe is in flight, this request
    /// becomes the probe; otherwise nothing changes. The probe ends with the next outcome of this peer that is
    /// reported, or with [`on_abandoned`](Self::on_abandoned).
    pub fn on_sent(&mut self, peer: &P, now: Instant) {
        self.breakers.on_sent(peer, now);
    }

    /// Tells whether this peer may be asked now, and reports the request as sent: [`why_blocked`](Self::why_blocked)
    /// and [`on_sent`](Self::on_sent) in one. Call it only if you will send a request.
    #[must_use]
    pub fn allows(&mut self, peer: &P, now: Instant) -> bool {
        let is_free = self.why_blocked(peer, now).is_none();
        if is_free {
            self.on_sent(peer, now);
        }
        is_free
    }

    /// Tells whether anything may be sent now. It is false while the pool's breaker is open. If the breaker is
    /// half-open, this claims its probe, whichever peer it goes to, so call it only if you will send a request, and
    /// before you choose a peer. A probe ends with the next outcome reported here,
    /// [`FailureKind::NoPeer`](crate::FailureKind::NoPeer) included.
    #[must_use]
    pub fn may_send(&mut self, now: Instant) -> bool {
        self.pool.allows(now)
    }

    /// Returns how long nothing may be sent if no outcome is reported meanwhile, or `None` if a request may be sent;
    /// this is a single request if the pool's breaker is not closed. This claims no probe.
    #[must_use]
    pub fn held_for(&self, now: Instant) -> Option<Duration> {
        Some(self.pool.earliest(now).saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Reports a new peer that does not rest. The failures of other peers say nothing about it, so an open breaker of
    /// the pool becomes half-open, and a probe may be sent.
    pub fn on_newcomer(&mut self, now: Instant) {
        self.pool.half_open(now);
    }

    /// Reports that requests were given up without an outcome. If one was the pool's probe, another may be sent.
    pub const fn on_given_up(&mut self) {
        self.pool.release();
    }

    /// Returns the state of the breaker of the whole pool.
    #[must_use]
    pub fn pool_state(&self, now: Instant) -> BreakerState {
        self.pool.state(now)
    }

    /// Returns when it makes sense to send a request, by the breakers and the ledger. `available` are the connected
    /// peers, including blocked ones. This claims no probe.
    pub fn outlook(&self, available: &[P], now: Instant) -> Outlook {
        let askable = available.iter().filter(|peer| !self.ledger.exhausted(peer));
        let Some(earliest) = askable.map(|peer| self.breakers.earliest(peer, now)).min() else {
            return Outlook::NeedsPeer;
        };
        let at = earliest.max(self.pool.earliest(now));
        if at <= now { Outlook::Now } else { Outlook::At(at) }
    }

    /// Returns when work that was given up should be started again: never if the reason [is
    /// final](GiveUpReason::is_final), else not before [`Config::backoff_cap`](crate::Config::backoff_cap) has passed
    /// and somebody may be asked.
    pub fn after_giving_up(&self, reason: GiveUpReason, available: &[P], now: Instant) -> Outlook {
        if reason.is_final() {
            return Outlook::Never;
        }
        match self.outlook(available, now).wait(now) {
            Some(wait) => Outlook::At(now + wait.max(self.config.backoff_cap)),
            None => Outlook::NeedsPeer,
        }
    }

    /// Returns the peers that must not be asked now, in order: their breaker is open, their probe is in flight, or they
    /// have reached the limit of refusals.
    #[must_use]
    pub fn blocked(&self, now: Instant) -> Vec<P> {
        let blocked: BTreeSet<_> = self.breakers.blocked(now).chain(self.ledger.all_exhausted()).collect();
        blocked.into_iter().cloned().collect()
    }

    /// Returns the state of a peer's breaker.
    #[must_use]
    pub fn breaker(&self, peer: &P, now: Instant) -> BreakerState {
        self.breakers.state(peer, now)
    }
}
