use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use spv_recovery::{
    Answered, Blocked, BreakerState, Config, ConfigError, Decision, GiveUpReason, History, Recovery, Reporter,
};

/// The recovery policy with its metrics.
#[derive(Debug)]
pub(crate) struct Recovering {
    recovery: Recovery<SocketAddr>,
    reporter: Reporter,
    pool_was_open: bool,
    pool_openings: u64,
}

impl Recovering {
    pub(crate) fn new(config: Config, seed: u64) -> Result<Self, ConfigError> {
        Ok(Self {
            recovery: Recovery::new(config, seed)?,
            reporter: Reporter::new(),
            pool_was_open: false,
            pool_openings: 0,
        })
    }

    /// What becomes of work whose latest failure is in its history.
    pub(crate) fn on_failure(
        &mut self,
        history: &History<SocketAddr>,
        available: &[SocketAddr],
        now: Instant,
    ) -> Decision<SocketAddr> {
        let decision = self.recovery.on_failure(history, available, now);
        self.reporter.decided(&decision);
        self.observe(now);
        decision
    }

    /// The same of work whose answer was counted by [`on_answer`](Self::on_answer) and proved wrong.
    pub(crate) fn on_wrong_answer(
        &mut self,
        answered: Answered,
        history: &History<SocketAddr>,
        available: &[SocketAddr],
        now: Instant,
    ) -> Decision<SocketAddr> {
        let decision = self.recovery.on_wrong_answer(answered, history, available, now);
        self.reporter.decided(&decision);
        self.observe(now);
        decision
    }

    /// An answer came that is still to be verified.
    pub(crate) fn on_answer(&mut self, peer: &SocketAddr, now: Instant) -> Answered {
        let answered = self.recovery.on_answer(peer, now);
        self.observe(now);
        answered
    }

    pub(crate) fn on_success(&mut self, peer: &SocketAddr, now: Instant) {
        self.recovery.on_success(peer, now);
        self.observe(now);
    }

    /// An answer that had come was proven; returns the peers whose answers it shows to have been wrong.
    pub(crate) fn on_verified(
        &mut self,
        history: &History<SocketAddr>,
        peer: &SocketAddr,
        digest: &[u8; 32],
        available: &[SocketAddr],
        now: Instant,
    ) -> Vec<SocketAddr> {
        let liars = self.recovery.on_verified(history, peer, digest, available, now);
        self.observe(now);
        liars
    }

    pub(crate) fn on_reconnect(&mut self, peer: &SocketAddr) {
        self.recovery.on_reconnect(peer);
    }

    /// How many requests may be sent now; if none, how long to wait unless something else is heard meanwhile.
    pub(crate) fn may_send(&self, now: Instant) -> Result<NonZeroUsize, Duration> {
        match self.recovery.held_for(now) {
            Some(wait) => Err(wait),
            None if self.recovery.pool_state(now) == BreakerState::Closed => Ok(NonZeroUsize::MAX),
            None => Ok(NonZeroUsize::MIN),
        }
    }

    /// A request for lists is sent; whether it may be.
    pub(crate) fn on_sending(&mut self, now: Instant) -> bool {
        self.recovery.may_send(now)
    }

    /// No outcome will be reported for requests that were under way.
    pub(crate) fn on_given_up(&mut self) {
        self.recovery.on_given_up();
    }

    /// A peer can be asked from now on.
    pub(crate) fn on_proven(&mut self, peer: &SocketAddr, now: Instant) {
        if self.recovery.why_blocked(peer, now).is_none() {
            self.recovery.on_newcomer(now);
        }
    }

    /// How often the breaker of the whole pool has opened.
    pub(crate) fn pool_openings(&self) -> u64 {
        self.pool_openings
    }

    fn observe(&mut self, now: Instant) {
        self.reporter.observe(&self.recovery);
        let open = self.recovery.pool_state(now) != BreakerState::Closed;
        self.pool_openings += u64::from(open && !self.pool_was_open);
        self.pool_was_open = open;
    }

    /// Why a peer is not to be asked now.
    pub(crate) fn why_blocked(&self, peer: &SocketAddr, now: Instant) -> Option<Blocked> {
        self.recovery.why_blocked(peer, now)
    }

    /// A request goes to this peer.
    pub(crate) fn on_sent(&mut self, peer: &SocketAddr, now: Instant) {
        self.recovery.on_sent(peer, now);
    }

    /// A request to this peer ended that no other outcome is reported for.
    pub(crate) fn on_abandoned(&mut self, peer: &SocketAddr) {
        self.recovery.on_abandoned(peer);
    }

    /// This peer refused a request.
    pub(crate) fn on_refusal(&mut self, peer: &SocketAddr) {
        self.recovery.on_refusal(peer);
    }

    /// How long after giving up another try makes sense; `None` when only another peer can help.
    pub(crate) fn after_giving_up(&self, available: &[SocketAddr], now: Instant) -> Option<Duration> {
        let reason = GiveUpReason::AttemptsExhausted { attempts: 0 };
        self.recovery.after_giving_up(reason, available, now).wait(now)
    }
}
