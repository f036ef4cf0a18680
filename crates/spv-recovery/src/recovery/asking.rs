use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::Recovery;
use crate::{blocked::Blocked, circuit::BreakerState, decision::GiveUpReason, outlook::Outlook};

/// What to ask before a request goes out.
impl<P: Ord + Clone> Recovery<P> {
    /// Why this peer must not be asked now; `None` if it may be. Claims nothing: if you send,
    /// [`on_sent`](Self::on_sent) has to follow before anything else is asked here.
    #[must_use]
    pub fn why_blocked(&self, peer: &P, now: Instant) -> Option<Blocked> {
        if self.ledger.exhausted(peer) {
            Some(Blocked::Exhausted)
        } else {
            self.breakers.blocked_by(peer, now)
        }
    }

    /// A request goes to this peer. When its breaker is half open this claims the one probe, unless one is under way; else
    /// it changes nothing. The probe ends with the next outcome of this peer that is reported, or with
    /// [`on_abandoned`](Self::on_abandoned).
    pub fn on_sent(&mut self, peer: &P, now: Instant) {
        self.breakers.on_sent(peer, now);
    }

    /// [`why_blocked`](Self::why_blocked) and [`on_sent`](Self::on_sent) in one: may this peer be asked now? Ask only if
    /// you will send.
    #[must_use]
    pub fn allows(&mut self, peer: &P, now: Instant) -> bool {
        let is_free = self.why_blocked(peer, now).is_none();
        if is_free {
            self.on_sent(peer, now);
        }
        is_free
    }

    /// May anything be sent now? False while the pool's breaker is open. When it is half open this claims the one
    /// probe, whichever peer it goes to: ask only if you will send, and before a peer is chosen. A probe ends
    /// with the next outcome reported here, [`FailureKind::NoPeer`](crate::FailureKind::NoPeer) included.
    #[must_use]
    pub fn may_send(&mut self, now: Instant) -> bool {
        self.pool.allows(now)
    }

    /// How long nothing may be sent, if no outcome is reported meanwhile; `None` if something may be: one request where the
    /// pool's breaker is not closed. Claims nothing.
    #[must_use]
    pub fn held_for(&self, now: Instant) -> Option<Duration> {
        Some(self.pool.earliest(now).saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// A peer has come that does not rest: how others fail says nothing about it. An open breaker of the pool is half open
    /// from now on, so that a probe may go out.
    pub fn on_newcomer(&mut self, now: Instant) {
        self.pool.half_open(now);
    }

    /// Requests were given up, and no outcome will be reported for them: if one was the pool's probe, another may go out.
    pub const fn on_given_up(&mut self) {
        self.pool.release();
    }

    /// Where the breaker of the whole pool stands.
    #[must_use]
    pub fn pool_state(&self, now: Instant) -> BreakerState {
        self.pool.state(now)
    }

    /// When it makes sense to send something, as far as breakers and ledger know. `available` are the connected peers,
    /// blocked ones included. Claims nothing.
    pub fn outlook(&self, available: &[P], now: Instant) -> Outlook {
        let askable = available.iter().filter(|peer| !self.ledger.exhausted(peer));
        let Some(earliest) = askable.map(|peer| self.breakers.earliest(peer, now)).min() else {
            return Outlook::NeedsPeer;
        };
        let at = earliest.max(self.pool.earliest(now));
        if at <= now { Outlook::Now } else { Outlook::At(at) }
    }

    /// When work that was given up deserves a new start: never if the reason [is final](GiveUpReason::is_final), else
    /// not before [`Config::backoff_cap`](crate::Config::backoff_cap) has passed and somebody may be asked.
    pub fn after_giving_up(&self, reason: GiveUpReason, available: &[P], now: Instant) -> Outlook {
        if reason.is_final() {
            return Outlook::Never;
        }
        match self.outlook(available, now).wait(now) {
            Some(wait) => Outlook::At(now + wait.max(self.config.backoff_cap)),
            None => Outlook::NeedsPeer,
        }
    }

    /// The peers not to ask now, in order: breaker open, a probe under way, or exhausted in the ledger.
    #[must_use]
    pub fn blocked(&self, now: Instant) -> Vec<P> {
        let blocked: BTreeSet<_> = self.breakers.blocked(now).chain(self.ledger.all_exhausted()).collect();
        blocked.into_iter().cloned().collect()
    }

    /// Where a peer's breaker stands.
    #[must_use]
    pub fn breaker(&self, peer: &P, now: Instant) -> BreakerState {
        self.breakers.state(peer, now)
    }
}
