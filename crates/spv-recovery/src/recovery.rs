use std::{collections::BTreeSet, fmt, time::Instant};

use fastrand::Rng;

use crate::{
    Action, BreakerState, Config, ConfigError, Context, Decision, FailureKind, GiveUpReason, History, Ledger,
    Statistics, Strategy,
    breakers::Breakers,
    budget::Budget,
    metrics::{self, OpenBreakers},
    strategies::default_chain,
};

/// Decides what becomes of failed work. Holds what is common to all work: budget, breakers, ledger, statistics; the
/// history of one piece of work lives with the work.
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
    open_breakers: OpenBreakers,
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
            open_breakers: OpenBreakers::new(),
            config,
        })
    }

    /// Decides about work that failed. The failure must be recorded in `history` already; it is counted against
    /// its peer here. `available` are the connected peers that could do this work, blocked ones included.
    ///
    /// There is always a decision. Work is given up only after [`Config::max_attempts`] tries, on a failure that no
    /// retry can cure, or as unverifiable; a retry is delayed, but never dropped, when the budget is used up.
    pub fn on_failure(&mut self, history: &History<P>, available: &[P], now: Instant) -> Decision<P> {
        let kind = history.latest().unwrap_or(FailureKind::NoPeer);
        self.statistics.record_failure(kind, now);
        let unverifiable = self.unverifiable(history, kind);
        if unverifiable.is_none() {
            self.charge_peer(history, kind, available, now);
        } else {
            self.forgive_witnesses(history);
        }
        let (action, strategy) = match unverifiable {
            Some(reason) => (Action::GiveUp { reason }, GIVE_UP),
            None => self.ask_strategies(history, kind, available, now),
        };
        let decision = Decision { action, strategy, attempt: history.attempts() };
        metrics::count(&decision);
        self.open_breakers.report(self.breakers.open());
        decision
    }

    /// A peer answered and the answer was verified, late or not.
    pub fn on_success(&mut self, peer: &P, now: Instant) {
        self.statistics.record_success(now);
        self.budget.on_success();
        self.breakers.on_success(peer);
        self.open_breakers.report(self.breakers.open());
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
        let after = after.max(self.budget.reserve(now));
        (Action::Retry { after, avoid, alone }, strategy)
    }

    fn unverifiable(&self, history: &History<P>, kind: FailureKind) -> Option<GiveUpReason> {
        let digest = history.tries().next_back()?.digest.filter(|_| kind == FailureKind::Invalid)?;
        let witnesses = u32::try_from(history.witnesses(&digest).len()).unwrap_or(u32::MAX);
        (witnesses >= self.config.witnesses).then_some(GiveUpReason::Unverifiable { digest, witnesses })
    }

    fn charge_peer(&mut self, history: &History<P>, kind: FailureKind, available: &[P], now: Instant) {
        let last = history.tries().next_back().and_then(|attempt| attempt.peer.as_ref());
        let Some(peer) = last else { return };
        if kind == FailureKind::Refused {
            self.ledger.charge(peer);
        }
        if kind.blames_peer() {
            self.breakers.on_failure(peer, &available.iter().collect(), now, &mut self.rng);
        }
    }

    /// The earlier senders of the answer were blamed before it was known to be nobody's fault.
    fn forgive_witnesses(&mut self, history: &History<P>) {
        let mut tries = history.tries().rev();
        let digest = tries.next().and_then(|latest| latest.digest);
        let earlier = tries.filter(|attempt| attempt.digest == digest);
        for peer in earlier.filter_map(|attempt| attempt.peer.as_ref()) {
            self.breakers.forgive(peer);
        }
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
