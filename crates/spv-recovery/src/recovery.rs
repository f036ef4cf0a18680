use std::{
    collections::BTreeSet,
    fmt,
    time::{Duration, Instant},
};

use fastrand::Rng;

use crate::{
    Action, BreakerState, Config, ConfigError, Context, Decision, FailureKind, GiveUpReason, History, Ledger,
    Outlook, PoolBreaker, Statistics, Strategy, breakers::Breakers, budget::Budget,
    strategies::default_chain,
};

/// Decides what becomes of failed work. Holds what is common to all work: budget, breakers, ledger, statistics; the
/// history of one piece of work lives with the work.
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
    /// A recovery with the [default chain](default_chain).
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn new(config: Config, seed: u64) -> Result<Self, ConfigError> {
        let strategies = default_chain(&config);
        Self::with_strategies(config, seed, strategies)
    }

    /// A recovery that asks these strategies, in this order.
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
            ledger: Ledger::new(config.ledger_limit, config.max_peers)?,
            statistics: Statistics::new(config.statistics_window),
            pool: PoolBreaker::new(config.pool)?,
            config,
        })
    }

    /// Decides about work that failed. The failure must be recorded in `history` already; it is counted against
    /// its peer here. `available` are the connected peers that could do this work, blocked ones included.
    ///
    /// There is always a decision. Work is given up only after [`Config::max_attempts`] tries, on a failure that no
    /// retry can cure, or as unverifiable; a retry is delayed, but never dropped, when the budget is used up or the
    /// pool's breaker is open.
    pub fn on_failure(&mut self, history: &History<P>, available: &[P], now: Instant) -> Decision<P> {
        let kind = history.latest().unwrap_or(FailureKind::NoPeer);
        let (action, strategy) = if let Some(reason) = self.unverifiable(history, kind) {
            self.acquit(history);
            self.statistics.record_failure(kind, now);
            (Action::GiveUp { reason }, GIVE_UP)
        } else {
            self.charge(history, kind, available, now);
            self.ask_strategies(history, kind, available, now)
        };
        Decision { action, strategy, attempt: history.attempts() }
    }

    /// A peer answered and the answer was verified, late or not.
    pub fn on_success(&mut self, peer: &P, now: Instant) {
        self.on_answer(peer, now);
        self.breakers.on_success(peer);
    }

    /// An answer came that is not verified yet, perhaps because it builds on others that are missing. The network works
    /// and the peer answers: that counts now, because losses are counted when they happen, and beside them answers that
    /// wait would look like none. An open breaker stays as it is. What becomes of the answer is reported by
    /// [`on_verified`](Self::on_verified) or [`on_failure`](Self::on_failure).
    pub fn on_answer(&mut self, peer: &P, now: Instant) {
        self.statistics.record_success(now);
        self.budget.on_success();
        self.breakers.on_answer(peer);
        self.pool.on_success(now);
    }

    /// An answer that was reported by [`on_answer`](Self::on_answer) is verified: the peer's breaker closes. For work with
    /// failures behind it, now that a true copy is known by its digest, the earlier ones are judged by it. Returns the peers that had sent other bytes which failed
    /// verification, in order; their breakers are open now, as far as the ceiling allows. A peer that had sent the
    /// same bytes, which failed for another reason then, is cleared.
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

    /// The peer has a new connection: its refusals are counted from zero. Its breaker stays as it is, because a
    /// peer that comes and goes is not a better one.
    pub fn on_reconnect(&mut self, peer: &P) {
        self.ledger.reset(peer);
    }

    /// May this peer be asked now? When its breaker is half open this claims the one probe: ask only if you will
    /// send.
    #[must_use]
    pub fn allows(&mut self, peer: &P, now: Instant) -> bool {
        !self.ledger.exhausted(peer) && self.breakers.allows(peer, now)
    }

    /// May anything be sent now? False while the pool's breaker is open. When it is half open this claims the one
    /// probe, whichever peer it goes to: ask only if you will send, and before [`allows`](Self::allows). A probe ends
    /// with the next outcome reported here, [`FailureKind::NoPeer`] included.
    #[must_use]
    pub fn may_send(&mut self, now: Instant) -> bool {
        self.pool.allows(now)
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
    /// not before [`Config::backoff_cap`] has passed and somebody may be asked.
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

    /// What we have cost the peers' patience.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger<P> {
        &self.ledger
    }

    /// For charges that are not failures of work, such as a message the peer did not ask for.
    pub const fn ledger_mut(&mut self) -> &mut Ledger<P> {
        &mut self.ledger
    }

    /// Outcomes of the last while.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    fn ask_strategies(
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
        let decided = self
            .strategies
            .iter()
            .find_map(|strategy| Some((strategy.decide(&context, rng)?, strategy.name())));
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

    fn unverifiable(&self, history: &History<P>, kind: FailureKind) -> Option<GiveUpReason> {
        let digest = history.tries().next_back()?.digest.filter(|_| kind == FailureKind::Invalid)?;
        let witnesses = u32::try_from(history.witnesses(&digest).len()).unwrap_or(u32::MAX);
        (witnesses >= self.config.witnesses).then_some(GiveUpReason::Unverifiable { digest, witnesses })
    }

    /// Puts a failure on the record of everything that keeps one.
    fn charge(&mut self, history: &History<P>, kind: FailureKind, available: &[P], now: Instant) {
        let latest = history.tries().next_back().filter(|_| kind != FailureKind::NoPeer);
        let mut is_new_event = true;
        if let Some(peer) = latest.and_then(|attempt| attempt.peer.as_ref()) {
            if kind.blames_peer() {
                let pool = available.iter().collect();
                is_new_event = self.breakers.on_failure(peer, kind, &pool, now, &mut self.rng);
            } else {
                self.breakers.on_inconclusive(peer);
            }
            if kind == FailureKind::Refused {
                self.ledger.charge(peer);
            }
        }
        // All requests that one disconnect ended are one failure of the network.
        if is_new_event || kind != FailureKind::Disconnected {
            self.statistics.record_failure(kind, now);
            self.pool.on_failure(kind, now, &mut self.rng);
        }
    }

    /// The earlier senders of the answer were blamed before it was known to be nobody's fault.
    fn acquit(&mut self, history: &History<P>) {
        let mut tries = history.tries().rev();
        let latest = tries.next();
        let digest = latest.and_then(|latest| latest.digest);
        let earlier = tries.filter(|attempt| attempt.digest == digest);
        for peer in earlier.filter_map(|attempt| attempt.peer.as_ref()) {
            self.breakers.forgive(peer);
        }
        if let Some(peer) = latest.and_then(|latest| latest.peer.as_ref()) {
            self.breakers.on_inconclusive(peer);
        }
        self.pool.release();
    }
}

impl<P> Recovery<P> {
    /// Peers whose breaker is not closed.
    pub(crate) fn open_breakers(&self) -> usize {
        self.breakers.open()
    }

    pub(crate) const fn pool_is_open(&self) -> bool {
        !self.pool.is_closed()
    }
}

impl<P> fmt::Debug for Recovery<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategies: Vec<_> = self.strategies.iter().map(|strategy| strategy.name()).collect();
        f.debug_struct("Recovery").field("strategies", &strategies).finish_non_exhaustive()
    }
}

const GIVE_UP: &str = "give_up";
const LAST_RESORT: &str = "last_resort";
