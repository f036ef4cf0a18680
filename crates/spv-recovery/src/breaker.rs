use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::{
    blocked::Blocked,
    circuit::{BreakerState, Circuit, OpenTimes},
    error::{ConfigError, ensure},
    failure::FailureKind,
};

/// When a [`Breaker`] opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct BreakerConfig {
    /// Number of failures in a row that opens the breaker. Default 5, range 1 and up.
    pub failures: u32,
    /// Failures within this time after the last counted one count together with it, for example when a disconnect ends
    /// several requests. Default 100 ms, range 0 to 1 day.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub same_event: Duration,
    /// Time for which the breaker stays open at first; it doubles each time a probe fails. Half of it is random.
    /// Default 5 s, range 1 ms and up.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub open_min: Duration,
    /// Maximum time for which the breaker stays open. Default 5 min, range `open_min` to 1 day.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub open_max: Duration,
    /// Time after which a probe without an outcome counts as lost and another may be sent. Default 2 min, range 1 ms to
    /// 1 day.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub probe_timeout: Duration,
}

impl BreakerConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let from_ms = |time: Duration| (Duration::from_millis(1)..=MAX_TIME).contains(&time);
        ensure(self.failures > 0, "breaker.failures", "must be at least 1")?;
        ensure(self.same_event <= MAX_TIME, "breaker.same_event", "must be at most 1 day")?;
        ensure(from_ms(self.open_min), "breaker.open_min", "must be from 1 ms to 1 day")?;
        ensure(from_ms(self.open_max), "breaker.open_max", "must be from 1 ms to 1 day")?;
        ensure(self.open_min <= self.open_max, "breaker.open_max", "must not be below open_min")?;
        ensure(from_ms(self.probe_timeout), "breaker.probe_timeout", "must be from 1 ms to 1 day")
    }

    const fn times(&self) -> OpenTimes {
        OpenTimes { min: self.open_min, max: self.open_max, probe: self.probe_timeout }
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            same_event: Duration::from_millis(100),
            open_min: Duration::from_secs(5),
            open_max: Duration::from_secs(300),
            probe_timeout: Duration::from_secs(120),
        }
    }
}

/// A circuit breaker for one peer: failures in a row open it, one probe at a time closes it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    config: BreakerConfig,
    /// Failures in a row while closed, with no answer between them.
    unanswered: u32,
    /// Wrong answers in a row while closed, with no right one between them.
    wrong: u32,
    last_failure: Option<Instant>,
    /// When the first of the latest requests failed that one cause may have ended, and how many were sent since.
    ended_at: Option<Instant>,
    sent: u32,
    circuit: Circuit,
}

impl Breaker {
    /// Creates a closed breaker.
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn new(config: BreakerConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::closed(config))
    }

    /// A closed breaker of a configuration that is known to be valid.
    pub(crate) const fn closed(config: BreakerConfig) -> Self {
        let circuit = Circuit::closed(config.times());
        Self { config, unanswered: 0, wrong: 0, last_failure: None, ended_at: None, sent: 0, circuit }
    }

    /// Returns the state of the breaker at `now`.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        self.circuit.state(now)
    }

    /// Tells whether the peer may be asked now. If the breaker is half-open, this claims its probe, so call it only if
    /// you will send a request.
    #[must_use]
    pub fn allows(&mut self, now: Instant) -> bool {
        self.circuit.allows(now)
    }

    /// Tells whether [`allows`](Self::allows) would return false, without claiming a probe.
    #[must_use]
    pub fn blocks(&self, now: Instant) -> bool {
        self.circuit.blocks(now)
    }

    /// Reports that a request is sent to the peer. If the breaker is half-open and no probe is in flight, this request
    /// is the probe, and others are blocked.
    pub fn on_sent(&mut self, now: Instant) {
        self.sent = self.sent.saturating_add(1);
        self.circuit.on_sent(now);
    }

    /// Reports a good answer of the peer, no matter when it was asked. The breaker closes.
    pub const fn on_success(&mut self) {
        *self = Self::closed(self.config);
    }

    /// Reports an answer that is not verified yet. It ends the row of unanswered requests, but not that of wrong
    /// answers. If this was the probe, another may be sent.
    pub const fn on_answer(&mut self) {
        self.unanswered = 0;
        self.circuit.release();
    }

    /// Reports that a request ended without information about the peer, for example refused or not sent. If it was the
    /// probe, another may be sent.
    pub const fn on_inconclusive(&mut self) {
        self.circuit.release();
    }

    /// Reports a failure of the peer. While the breaker is open this changes nothing, because the request was sent
    /// before.
    pub fn on_failure(&mut self, kind: FailureKind, now: Instant, rng: &mut Rng) {
        let is_new_event = self.note_failure(now);
        match self.state(now) {
            BreakerState::Open { .. } => {}
            BreakerState::HalfOpen => self.circuit.open(now, rng),
            BreakerState::Closed if is_new_event => {
                let row = if kind == FailureKind::Invalid { &mut self.wrong } else { &mut self.unanswered };
                *row = row.saturating_add(1);
                if self.in_a_row() >= self.config.failures {
                    self.circuit.open(now, rng);
                }
            }
            BreakerState::Closed => {}
        }
    }

    /// Opens it at once, whatever the count; an open one stays as it is.
    pub(crate) fn trip(&mut self, now: Instant, rng: &mut Rng) {
        self.last_failure = Some(now);
        if !matches!(self.state(now), BreakerState::Open { .. }) {
            self.circuit.open(now, rng);
        }
    }

    /// Remembers when the peer failed and tells whether that is an event of its own.
    pub(crate) fn note_failure(&mut self, now: Instant) -> bool {
        let is_new_event = self.is_new_event(now);
        if is_new_event {
            self.last_failure = Some(now);
        }
        is_new_event
    }

    /// Whether a failure has a cause of its own, as far as the time tells: it does not come at once after another, or a
    /// request was sent since then and may be the one. To be asked once for each failure.
    pub(crate) fn has_own_cause(&mut self, now: Instant) -> bool {
        if self.ended_at.is_none_or(|at| now.saturating_duration_since(at) > AT_ONCE) {
            (self.ended_at, self.sent) = (Some(now), 0);
            return true;
        }
        let any = self.sent > 0;
        self.sent = self.sent.saturating_sub(1);
        any
    }

    pub(crate) fn is_new_event(&self, now: Instant) -> bool {
        self.last_failure.is_none_or(|last| now.saturating_duration_since(last) > self.config.same_event)
    }

    /// The next failure at `now` would open a closed breaker.
    pub(crate) fn is_about_to_open(&self, now: Instant) -> bool {
        self.is_closed()
            && self.is_new_event(now)
            && self.in_a_row().saturating_add(1) >= self.config.failures
    }

    const fn in_a_row(&self) -> u32 {
        self.unanswered.saturating_add(self.wrong)
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.circuit.is_closed()
    }

    pub(crate) fn blocked_by(&self, now: Instant) -> Option<Blocked> {
        self.circuit.blocked_by(now)
    }

    pub(crate) fn earliest(&self, now: Instant) -> Instant {
        self.circuit.earliest(now)
    }

    pub(crate) const fn last_failure(&self) -> Option<Instant> {
        self.last_failure
    }

    /// Takes back one wrong answer that turned out not to be the peer's fault.
    pub(crate) const fn forgive(&mut self) {
        self.wrong = self.wrong.saturating_sub(1);
    }
}

/// Bounds what is added to an instant.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Requests that one disconnect ended are reported as soon as their tasks have run.
const AT_ONCE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use proptest::prelude::*;

    use super::*;
    use crate::FailureKind::{Invalid, Timeout};

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
    fn start() -> Instant {
        Instant::now()
    }

    fn breaker(failures: u32) -> (Breaker, Rng) {
        let config = BreakerConfig { failures, ..BreakerConfig::default() };
        (Breaker::new(config).unwrap(), Rng::with_seed(1))
    }

    fn opened(now: Instant) -> (Breaker, Rng, Instant) {
        let (mut breaker, mut rng) = breaker(1);
        breaker.on_failure(Timeout, now, &mut rng);
        let BreakerState::Open { until } = breaker.state(now) else { panic!("open") };
        (breaker, rng, until)
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_starts_the_count_again() {
        let (mut breaker, mut rng) = breaker(3);
        let mut now = start();
        for outcome in [false, false, true, false, false] {
            now += SECOND;
            if outcome {
                breaker.on_success()
            } else {
                breaker.on_failure(Timeout, now, &mut rng)
            }
            assert_eq!(breaker.state(now), BreakerState::Closed);
        }
        breaker.on_failure(Timeout, now + SECOND, &mut rng);
        assert!(matches!(breaker.state(now + SECOND), BreakerState::Open { .. }));
        assert!(!breaker.allows(now + SECOND));
    }

    #[test]
    fn an_answer_ends_a_row_of_losses_before_it_is_verified_but_not_one_of_wrong_answers() {
        for (kind, closed) in [(Timeout, true), (Invalid, false)] {
            let (mut breaker, mut rng) = breaker(3);
            let mut now = start();
            for _ in 0..3 {
                now += SECOND;
                breaker.on_answer();
                breaker.on_failure(kind, now, &mut rng);
            }
            assert_eq!(breaker.state(now) == BreakerState::Closed, closed, "{kind:?}");
        }
        let (mut breaker, mut rng, until) = opened(start());
        assert!(breaker.allows(until));
        breaker.on_answer();
        assert_eq!(breaker.state(until), BreakerState::HalfOpen, "not verified yet");
        assert!(breaker.allows(until), "and the probe has ended");
        breaker.on_failure(Invalid, until, &mut rng);
        assert!(!breaker.allows(until));
    }

    #[test]
    fn failures_of_one_disconnect_count_once() {
        let (mut breaker, mut rng) = breaker(2);
        let now = start();
        for _ in 0..3 {
            breaker.on_failure(Timeout, now, &mut rng);
        }
        assert_eq!(breaker.state(now), BreakerState::Closed);
        breaker.on_failure(Timeout, now + SECOND, &mut rng);
        assert!(!breaker.allows(now + SECOND));
    }

    #[test]
    fn half_open_lets_exactly_one_probe_through() {
        let (mut breaker, _, until) = opened(start());
        assert!(!breaker.allows(until - Duration::from_nanos(1)));
        assert!(breaker.allows(until));
        assert!(!breaker.allows(until) && breaker.blocks(until));
        breaker.on_success();
        assert_eq!(breaker.state(until), BreakerState::Closed);
    }

    #[test]
    fn a_failed_probe_opens_it_for_longer() {
        let (mut breaker, mut rng, mut now) = opened(start());
        for round in 1_u32..12 {
            assert!(breaker.allows(now));
            breaker.on_failure(Timeout, now, &mut rng);
            let BreakerState::Open { until } = breaker.state(now) else { panic!("open") };
            let longest = (5 * SECOND * 2_u32.pow(round)).min(300 * SECOND);
            assert!((longest / 2..=longest).contains(&(until - now)));
            now = until;
        }
    }

    #[test]
    fn a_probe_that_never_reports_does_not_wedge_it() {
        let (mut breaker, _, until) = opened(start());
        assert!(breaker.allows(until));
        assert!(!breaker.allows(until + 119 * SECOND));
        assert!(breaker.allows(until + 120 * SECOND));
    }

    #[test]
    fn failures_of_requests_sent_before_it_opened_do_not_prolong_it() {
        let (mut breaker, mut rng, until) = opened(start());
        breaker.on_failure(Timeout, until - SECOND, &mut rng);
        assert!(breaker.allows(until));
    }

    proptest! {
        #[test]
        fn whatever_happened_a_probe_goes_out_in_bounded_time_and_its_success_closes(
            steps in proptest::collection::vec((0_u64..40_000, 0_u8..3), 1..100), seed in any::<u64>(),
        ) {
            let mut now = start();
            let (mut breaker, mut rng) = (breaker(2).0, Rng::with_seed(seed));
            for (ms, op) in steps {
                now += Duration::from_millis(ms);
                match op {
                    0 => breaker.on_failure(Timeout, now, &mut rng),
                    1 => _ = breaker.allows(now),
                    _ => breaker.on_success(),
                }
            }
            now += 300 * SECOND;
            prop_assert!(breaker.allows(now));
            breaker.on_success();
            prop_assert_eq!(breaker.state(now), BreakerState::Closed);
        }
    }
}
