mod asking;
mod deciding;

use std::{fmt, time::Instant};

use fastrand::Rng;

use crate::{
    answered::Answered,
    breakers::Breakers,
    budget::Budget,
    config::Config,
    decision::{Action, Decision, GiveUpReason},
    error::ConfigError,
    failure::FailureKind,
    history::History,
    ledger::Ledger,
    pool_breaker::PoolBreaker,
    statistics::Statistics,
    strategies::default_chain,
    strategy::Strategy,
};

/// Decides what to do with failed work. It holds the state that all work shares: budget, breakers, ledger, statistics.
/// The history of one piece of work is kept with the work.
///
/// It records no metrics; a [`Reporter`](crate::Reporter) beside it does.
///
/// Equal calls on equal configurations and seeds give equal decisions.
pub struct Recovery<P> {
    config: Config,
    strategies: Vec<Box<dyn Strategy<P>>>,
    rng: Rng,
    budget: Budget,
    breakers: Breakers<P>,
    ledger: Ledger<P>,
    statistics: Statistics,
    pool: PoolBreaker,
}

impl<P: Ord + Clone> Recovery<P> {
    /// Creates a recovery with the [default chain](default_chain).
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn new(config: Config, seed: u64) -> Result<Self, ConfigError> {
        let strategies = default_chain(&config);
        Self::with_strategies(config, seed, strategies)
    }

    /// Creates a recovery that asks these strategies, in this order.
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn with_strategies(
        config: Config,
        seed: u64,
        strategies: Vec<Box<dyn Strategy<P>>>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            strategies,
            rng: Rng::with_seed(seed),
            budget: Budget::new(&config.budget),
            breakers: Breakers::new(config.breaker, config.max_open_share, config.max_peers),
            ledger: Ledger::new(config.ledger_limit, config.max_peers),
            statistics: Statistics::new(config.statistics_window),
            pool: PoolBreaker::closed(config.pool),
            config,
        })
    }

    /// Decides what to do with work that failed. The failure must be recorded in `history` already; it is counted
    /// against its peer here. Call it once for each recorded failure. `available` are the connected peers that could do
    /// this work, blocked ones included.
    ///
    /// There is always a decision. Work is given up only after [`Config::max_attempts`] tries, on a failure that no
    /// retry can cure, or as unverifiable; a retry is delayed, but never dropped, when the budget is used up or the
    /// pool's breaker is open.
    pub fn on_failure(&mut self, history: &History<P>, available: &[P], now: Instant) -> Decision<P> {
        let kind = history.latest().unwrap_or(FailureKind::NoPeer);
        let unverifiable = self.unverifiable(history, kind, available);
        let (action, strategy) = if let Some(reason) = unverifiable {
            if let GiveUpReason::Unverifiable { digest, .. } = &reason {
                self.acquit(history, digest);
            }
            self.statistics.record_failure(kind, now);
            (Action::GiveUp { reason }, deciding::GIVE_UP)
        } else {
            self.charge(history, kind, available, now);
            self.ask_strategies(history, kind, available, now)
        };
        Decision { action, strategy, attempt: history.attempts() }
    }

    /// Decides what to do with work whose answer proved wrong after [`on_answer`](Self::on_answer) had counted it. The
    /// answer must be recorded in `history` as [`FailureKind::Invalid`] already. Its success is taken back, as far as
    /// it still counts, and then it is a failure like any other, see [`on_failure`](Self::on_failure).
    pub fn on_wrong_answer(
        &mut self,
        answered: Answered,
        history: &History<P>,
        available: &[P],
        now: Instant,
    ) -> Decision<P> {
        // Any other failure is our own side's: that the peer answered stays true.
        if history.latest() == Some(FailureKind::Invalid) {
            let Answered { at, earned, phase } = answered;
            self.statistics.take_back_success(at, now);
            self.budget.take_back(earned);
            if let Some(phase) = phase {
                self.pool.take_back(phase, at, now);
            }
        }
        self.on_failure(history, available, now)
    }

    /// Reports an answer of a peer that was verified and brought something new, late or not. Its breaker closes. Do not
    /// report answers that cost the peer nothing, such as headers that are known already: a peer that repeats them
    /// would never be blocked. [`on_abandoned`](Self::on_abandoned) is for those.
    pub fn on_success(&mut self, peer: &P, now: Instant) {
        let _verified = self.on_answer(peer, now);
        self.breakers.on_success(peer);
    }

    /// Reports an answer that is not verified yet, perhaps because it builds on others that are missing. It counts at
    /// once as a sign that the network works and the peer answers, because losses are counted at once too. An open
    /// breaker stays as it is. What becomes of the answer is reported by [`on_verified`](Self::on_verified), or by
    /// [`on_wrong_answer`](Self::on_wrong_answer) with what this returns.
    #[must_use = "without it the answer stays a success if it proves wrong"]
    pub fn on_answer(&mut self, peer: &P, now: Instant) -> Answered {
        self.statistics.record_success(now);
        self.breakers.on_answer(peer);
        Answered { at: now, earned: self.budget.on_success(now), phase: self.pool.count_success(now) }
    }

    /// Reports that an answer which was reported by [`on_answer`](Self::on_answer) was verified. The peer's breaker
    /// closes. If the work has failed before, its earlier answers are compared with the digest of the true one. Returns
    /// the peers that had sent other bytes which failed verification, in order; their breakers are open now, as far as
    /// the ceiling allows. A peer that had sent the same bytes, which failed for another reason then, is cleared.
    ///
    /// Where honest answers may differ in their bytes this is evidence, not proof: disconnect rather than ban.
    #[must_use = "these peers sent wrong answers"]
    pub fn on_verified(
        &mut self,
        history: &History<P>,
        peer: &P,
        digest: &[u8; 32],
        available: &[P],
        now: Instant,
    ) -> Vec<P> {
        self.breakers.on_success(peer);
        let (same, mut liars) = history.senders(digest);
        for innocent in &same {
            self.breakers.forgive(innocent);
        }
        // Whoever also sent the true copy does not make its answers up.
        liars.retain(|liar| *liar != peer && !same.contains(liar));
        let pool = available.iter().collect();
        for liar in &liars {
            self.breakers.trip(liar, &pool, now, &mut self.rng);
        }
        liars.into_iter().cloned().collect()
    }

    /// Reports a refusal by a peer. Report it even if no caller waits for the answer any more, because the server
    /// counts it too: it may be for the second copy of a request, or for work that another peer has done. Report each
    /// refusal once, where it is detected. It is charged to the [`Ledger`]; that work failed by it is reported by
    /// [`on_failure`](Self::on_failure) besides, which charges nothing.
    pub fn on_refusal(&mut self, peer: &P) {
        self.breakers.on_inconclusive(peer);
        self.ledger.charge(peer);
    }

    /// Reports that a request to this peer ended without another outcome: it was never sent, it was cancelled, or its
    /// answer was useless. If it was a probe, another may be sent.
    pub fn on_abandoned(&mut self, peer: &P) {
        self.breakers.on_inconclusive(peer);
        self.pool.release();
    }

    /// Reports that the peer has a new connection. Its refusals are counted from zero. Its breaker stays as it is,
    /// because a peer that comes and goes is not a better one.
    pub fn on_reconnect(&mut self, peer: &P) {
        self.ledger.reset(peer);
    }

    /// Returns the count of refusals per peer.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger<P> {
        &self.ledger
    }

    /// Returns the recent outcomes.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }
}

impl<P> Recovery<P> {
    /// Returns how many peers have a breaker that is open or half-open.
    pub fn open_breakers(&self) -> usize {
        self.breakers.open()
    }

    /// Returns whether the breaker of the pool is open or half-open.
    pub const fn pool_is_open(&self) -> bool {
        !self.pool.is_closed()
    }
}

impl<P> fmt::Debug for Recovery<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategies: Vec<_> = self.strategies.iter().map(|strategy| strategy.name()).collect();
        f.debug_struct("Recovery").field("strategies", &strategies).finish_non_exhaustive()
    }
}
