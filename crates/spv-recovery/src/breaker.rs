use std::time::{Duration, Instant};

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use crate::{Backoff, ConfigError, error::ensure};

/// When a [`Breaker`] opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// Failures in a row that open the breaker. Default 5, range 1 and up.
    pub failures: u32,
    /// Failures this soon after the last one counted belong to it, as when a disconnect ends several requests.
    /// Default 100 ms, range 0 and up.
    #[serde(with = "humantime_serde")]
    pub same_event: Duration,
    /// How long it stays open the first time; doubles each time a probe fails. Half of it is random. Default 5 s,
    /// range 1 ms and up.
    #[serde(with = "humantime_serde")]
    pub open_min: Duration,
    /// The longest time it stays open. Default 5 min, range `open_min` to 1 day.
    #[serde(with = "humantime_serde")]
    pub open_max: Duration,
    /// After this a probe without outcome is forgotten and another may go out. Default 2 min, range 1 ms to 1 day.
    #[serde(with = "humantime_serde")]
    pub probe_timeout: Duration,
}

impl BreakerConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let from_ms = |time: Duration| (Duration::from_millis(1)..=MAX_TIME).contains(&time);
        ensure(self.failures > 0, "breaker.failures", "must be at least 1")?;
        ensure(from_ms(self.open_min), "breaker.open_min", "must be from 1 ms to 1 day")?;
        ensure(from_ms(self.open_max), "breaker.open_max", "must be from 1 ms to 1 day")?;
        ensure(self.open_min <= self.open_max, "breaker.open_max", "must not be below open_min")?;
        ensure(from_ms(self.probe_timeout), "breaker.probe_timeout", "must be from 1 ms to 1 day")
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

/// Whether a peer may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Yes.
    Closed,
    /// No, not before `until`.
    Open {
        /// When a probe may go out.
        until: Instant,
    },
    /// One probe may go out, or is under way; its outcome decides.
    HalfOpen,
}

/// A circuit breaker for one peer: failures in a row open it, one probe at a time closes it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    config: BreakerConfig,
    failures: u32,
    last_failure: Option<Instant>,
    /// Times opened since it was last closed.
    openings: u32,
    until: Option<Instant>,
    /// When the probe under way is given up for lost.
    probe: Option<Instant>,
}

impl Breaker {
    /// A closed breaker.
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn new(config: BreakerConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::closed(config))
    }

    /// A closed breaker of a configuration that is known to be valid.
    pub(crate) const fn closed(config: BreakerConfig) -> Self {
        Self { config, failures: 0, last_failure: None, openings: 0, until: None, probe: None }
    }

    /// Where it stands at `now`.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.until {
            None => BreakerState::Closed,
            Some(until) if now < until => BreakerState::Open { until },
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// May the peer be asked now? When half open this claims the one probe: ask only if you will send.
    #[must_use]
    pub fn allows(&mut self, now: Instant) -> bool {
        if self.blocks(now) {
            return false;
        }
        if self.state(now) == BreakerState::HalfOpen {
            self.probe = Some(now + self.config.probe_timeout);
        }
        true
    }

    /// Like a refused [`allows`](Self::allows), but claims nothing.
    #[must_use]
    pub fn blocks(&self, now: Instant) -> bool {
        match self.state(now) {
            BreakerState::Closed => false,
            BreakerState::Open { .. } => true,
            BreakerState::HalfOpen => self.probe.is_some_and(|lost| now < lost),
        }
    }

    /// The peer answered well, no matter when it was asked: the breaker closes.
    pub const fn on_success(&mut self) {
        *self = Self::closed(self.config);
    }

    /// The peer failed. While open this changes nothing: the request was sent before.
    pub fn on_failure(&mut self, now: Instant, rng: &mut Rng) {
        match self.state(now) {
            BreakerState::Open { .. } => {}
            BreakerState::HalfOpen => self.open(now, rng),
            BreakerState::Closed => {
                if !self.is_new_event(now) {
                    return;
                }
                self.failures = self.failures.saturating_add(1);
                self.last_failure = Some(now);
                if self.failures >= self.config.failures {
                    self.open(now, rng);
                }
            }
        }
    }

    /// The next failure at `now` would open a closed breaker.
    pub(crate) fn is_about_to_open(&self, now: Instant) -> bool {
        self.until.is_none()
            && self.is_new_event(now)
            && self.failures.saturating_add(1) >= self.config.failures
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.until.is_none()
    }

    pub(crate) const fn last_failure(&self) -> Option<Instant> {
        self.last_failure
    }

    /// Takes back one failure that turned out not to be the peer's fault.
    pub(crate) const fn forgive(&mut self) {
        self.failures = self.failures.saturating_sub(1);
    }

    fn is_new_event(&self, now: Instant) -> bool {
        self.last_failure.is_none_or(|last| now.saturating_duration_since(last) > self.config.same_event)
    }

    fn open(&mut self, now: Instant, rng: &mut Rng) {
        let longest = Backoff::new(self.config.open_min, self.config.open_max).ceiling(self.openings);
        self.openings = self.openings.saturating_add(1);
        // Half is fixed: an open time near zero would be no breaker.
        let open = longest / 2 + Backoff::new(longest / 2, longest / 2).delay(0, rng);
        self.until = Some(now + open);
        self.last_failure = Some(now);
        self.probe = None;
    }
}

/// Bounds what is added to an instant.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use proptest::prelude::*;

    use super::*;

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
        breaker.on_failure(now, &mut rng);
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
                breaker.on_failure(now, &mut rng)
            }
            assert_eq!(breaker.state(now), BreakerState::Closed);
        }
        breaker.on_failure(now + SECOND, &mut rng);
        assert!(matches!(breaker.state(now + SECOND), BreakerState::Open { .. }));
        assert!(!breaker.allows(now + SECOND));
    }

    #[test]
    fn failures_of_one_disconnect_count_once() {
        let (mut breaker, mut rng) = breaker(2);
        let now = start();
        for _ in 0..3 {
            breaker.on_failure(now, &mut rng);
        }
        assert_eq!(breaker.state(now), BreakerState::Closed);
        breaker.on_failure(now + SECOND, &mut rng);
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
            breaker.on_failure(now, &mut rng);
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
        breaker.on_failure(until - SECOND, &mut rng);
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
                    0 => breaker.on_failure(now, &mut rng),
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
