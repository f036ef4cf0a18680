use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::Recovery;
use crate::{
    circuit::BreakerState,
    decision::{Action, GiveUpReason},
    failure::FailureKind,
    history::History,
    strategy::Context,
};

/// How a decision about failed work comes about.
impl<P: Ord + Clone> Recovery<P> {
    pub(super) fn ask_strategies(
        &mut self,
        history: &History<P>,
        kind: FailureKind,
        available: &[P],
        now: Instant,
    ) -> (Action<P>, &'static str) {
        let blocked = self.blocked(now);
        let context = Context {
            history,
            kind,
            available,
            blocked: &blocked,
            max_attempts: self.config.max_attempts,
            failure_rate: self.statistics.failure_rate(now),
            loss_rate: self.statistics.loss_rate(now),
            now,
        };
        let rng = &mut self.rng;
        let decided = self.strategies.iter().find_map(|strategy| {
            // Whoever waits for the decision goes on with those that follow.
            let decided =
                catch_unwind(AssertUnwindSafe(|| strategy.decide(&context, rng).zip(Some(strategy.name()))));
            decided.ok().flatten()
        });
        let (action, strategy) = decided.unwrap_or_else(|| {
            let after = self.config.backoff_cap;
            (Action::Retry { after, avoid: context.unsuitable(), alone: false }, LAST_RESORT)
        });
        let Action::Retry { after, avoid, alone } = action else {
            return (action, strategy);
        };
        if !kind.is_transient() {
            return (Action::GiveUp { reason: GiveUpReason::Permanent { kind } }, GIVE_UP);
        }
        // Finding no peer is not a try, so waiting for one uses up nothing.
        if context.is_exhausted() && kind != FailureKind::NoPeer {
            let reason = GiveUpReason::AttemptsExhausted { attempts: history.attempts() };
            return (Action::GiveUp { reason }, GIVE_UP);
        }
        let pool_opens = match self.pool.state(now) {
            BreakerState::Open { until } => until.saturating_duration_since(now),
            BreakerState::Closed | BreakerState::HalfOpen => Duration::ZERO,
        };
        // Where nobody was asked nothing is asked again.
        let paid_for = if kind == FailureKind::NoPeer { Duration::ZERO } else { self.budget.reserve(now) };
        let after = after.max(paid_for).max(pool_opens);
        (Action::Retry { after, avoid, alone }, strategy)
    }

    /// The answer on which independent peers agree, once every available peer was asked: as long as one was not, its copy
    /// may verify, and those who agree may collude.
    pub(super) fn unverifiable(
        &self,
        history: &History<P>,
        kind: FailureKind,
        available: &[P],
    ) -> Option<GiveUpReason> {
        if kind != FailureKind::Invalid || !available.iter().all(|peer| history.tried(peer)) {
            return None;
        }
        let (digest, witnesses) = history.most_witnessed()?;
        let witnesses = u32::try_from(witnesses).unwrap_or(u32::MAX);
        (witnesses >= self.config.witnesses).then_some(GiveUpReason::Unverifiable { digest, witnesses })
    }

    /// Puts a failure on the record of everything that keeps one.
    pub(super) fn charge(&mut self, history: &History<P>, kind: FailureKind, available: &[P], now: Instant) {
        let latest = history.tries().next_back().filter(|_| kind != FailureKind::NoPeer);
        let mut has_own_cause = true;
        if let Some(peer) = latest.and_then(|attempt| attempt.peer.as_ref()) {
            if kind.blames_peer() {
                let pool = available.iter().collect();
                has_own_cause = self.breakers.on_failure(peer, kind, &pool, now, &mut self.rng);
            } else {
                self.breakers.on_inconclusive(peer);
            }
        }
        // All requests that one disconnect ended are one failure of the network.
        if has_own_cause || kind != FailureKind::Disconnected {
            self.statistics.record_failure(kind, now);
            self.pool.on_failure(kind, now, &mut self.rng);
            // An outage has to be everybody's. Whoever has not failed is worth a probe.
            if available.iter().any(|peer| self.breakers.is_spotless(peer)) {
                self.pool.half_open(now);
            }
        }
    }

    /// The earlier senders of the answer with this digest were blamed before it was known to be nobody's fault.
    pub(super) fn acquit(&mut self, history: &History<P>, digest: &[u8; 32]) {
        let mut tries = history.tries().rev();
        if let Some(peer) = tries.next().and_then(|latest| latest.peer.as_ref()) {
            self.breakers.on_inconclusive(peer);
        }
        let earlier = tries.filter(|attempt| attempt.digest.as_ref() == Some(digest));
        for peer in earlier.filter_map(|attempt| attempt.peer.as_ref()) {
            self.breakers.forgive(peer);
        }
        self.pool.release();
    }
}

/// Stands for a strategy's name where none was asked.
pub(super) const GIVE_UP: &str = "give_up";
const LAST_RESORT: &str = "last_resort";
