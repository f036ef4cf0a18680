use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::{
    circuit::{BreakerState, Circuit, OpenTimes},
    error::{ConfigError, ensure},
    failure::FailureKind,
    statistics::Statistics,
};

/// When a [`PoolBreaker`] opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct PoolBreakerConfig {
    /// Share of failed answers within `window` that opens the breaker; at least 20 outcomes are needed. The breaker
    /// also opens after a run of failures that is so long that only one run in a thousand would reach it at this share
    /// (66 failures at the default), so that earlier answers of a busy pool do not hide a sudden outage. Default 0.9,
    /// range above 0 to 1. Lowered: a middling network is left alone, though working through it would finish.
    pub failure_rate: f64,
    /// Length of the period over which the failure rate is computed. Default 30 s, range 1 s to 1 day.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub window: Duration,
    /// Number of probes in a row that have to succeed before the breaker closes. Default 3, range 1 and up.
    pub successes: u32,
    /// Time for which the breaker stays open at first; it doubles each time a probe fails. Half of it is random.
    /// Default 2 s, range 1 ms to `open_max`.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub open_min: Duration,
    /// Maximum time for which the breaker stays open. A recovered network is noticed at the latest after about this
    /// time. Default 30 s, range `open_min` to 1 day.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub open_max: Duration,
    /// Time after which a probe without an outcome counts as lost and another may be sent. Default 1 min, range 1 ms to
    /// 1 day.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub probe_timeout: Duration,
}

impl PoolBreakerConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let (ms, second, day) =
            (Duration::from_millis(1), Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));
        let rate_is_one = self.failure_rate > 0.0 && self.failure_rate <= 1.0;
        ensure(rate_is_one, "pool.failure_rate", "must be above 0 and at most 1")?;
        ensure((second..=day).contains(&self.window), "pool.window", "must be from 1 s to 1 day")?;
        ensure(self.successes > 0, "pool.successes", "must be at least 1")?;
        ensure(self.open_min >= ms, "pool.open_min", "must be at least 1 ms")?;
        ensure(
            (self.open_min..=day).contains(&self.open_max),
            "pool.open_max",
            "must be from open_min to 1 day",
        )?;
        ensure((ms..=day).contains(&self.probe_timeout), "pool.probe_timeout", "must be from 1 ms to 1 day")
    }

    /// Failures in a row, within the window, that show an outage. None are enough where all have to fail.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is above 0, and beyond the range as good as endless"
    )]
    fn run(&self) -> u32 {
        let by_chance = UNLIKELY.ln() / self.failure_rate.ln();
        if by_chance.is_finite() { (by_chance.ceil() as u32).max(MIN_RUN) } else { u32::MAX }
    }

    const fn times(&self) -> OpenTimes {
        OpenTimes { min: self.open_min, max: self.open_max, probe: self.probe_timeout }
    }
}

impl Default for PoolBreakerConfig {
    fn default() -> Self {
        Self {
            failure_rate: 0.9,
            window: Duration::from_secs(30),
            successes: 3,
            open_min: Duration::from_secs(2),
            open_max: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(60),
        }
    }
}

/// A circuit breaker for all peers together. It opens when nearly everything fails, then allows one probe at a time,
/// and closes after some probes succeeded.
///
/// Outcomes carry no name, so one that arrives while a probe is under way is taken for the probe's.
#[derive(Debug, Clone)]
pub struct PoolBreaker {
    config: PoolBreakerConfig,
    /// Outcomes since it was last closed.
    window: Statistics,
    /// Failures in a row, and when the first of them came.
    run: Option<(u32, Instant)>,
    /// Probes that succeeded in a row.
    successes: u32,
    circuit: Circuit,
    /// How often it has opened or closed; with each, counting begins anew.
    phase: u64,
}

impl PoolBreaker {
    /// Creates a closed breaker.
    ///
    /// # Errors
    /// Names the first configuration field out of range, with `pool.` before it.
    pub fn new(config: PoolBreakerConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::closed(config))
    }

    /// A closed breaker of a configuration that is known to be valid.
    pub(crate) fn closed(config: PoolBreakerConfig) -> Self {
        let (window, circuit) = (Statistics::new(config.window), Circuit::closed(config.times()));
        Self { config, window, run: None, successes: 0, circuit, phase: 0 }
    }

    /// Returns the state of the breaker at `now`.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        self.circuit.state(now)
    }

    /// Tells whether a request may be sent to any peer. If the breaker is half-open, this claims its probe, so call it
    /// only if you will send a request.
    #[must_use]
    pub fn allows(&mut self, now: Instant) -> bool {
        self.circuit.allows(now)
    }

    /// Reports a good answer of some peer. It counts towards closing only while the breaker is half-open, because a few
    /// successes are normal while nearly everything fails.
    pub fn on_success(&mut self, now: Instant) {
        self.count_success(now);
    }

    /// Like [`on_success`](Self::on_success); tells in which phase the success was counted, if it was.
    pub(crate) fn count_success(&mut self, now: Instant) -> Option<Phase> {
        let phase = Phase(self.phase);
        match self.circuit.state(now) {
            BreakerState::Closed => {
                self.run = None;
                self.window.record_success(now);
            }
            BreakerState::Open { .. } => return None,
            BreakerState::HalfOpen => {
                self.circuit.release();
                self.successes += 1;
                if self.successes >= self.config.successes {
                    self.circuit.close();
                    self.begin_phase();
                }
            }
        }
        Some(phase)
    }

    /// Takes back a success that was counted at `at`, unless it counts no more.
    pub(crate) fn take_back(&mut self, phase: Phase, at: Instant, now: Instant) {
        if phase.0 != self.phase {
            return;
        }
        if self.circuit.is_closed() {
            self.window.take_back_success(at, now);
        } else {
            self.successes = self.successes.saturating_sub(1);
        }
    }

    /// Reports a failed request. A failure that blames no peer only ends the probe, if one is in flight. If the breaker
    /// is open, or half-open without a probe, the failure changes nothing, because the request was sent before.
    pub fn on_failure(&mut self, kind: FailureKind, now: Instant, rng: &mut Rng) {
        if !kind.blames_peer() {
            self.circuit.release();
            return;
        }
        let opens = match self.circuit.state(now) {
            BreakerState::Closed => {
                self.window.record_failure(kind, now);
                let (length, since) =
                    self.run.map_or((1, now), |(length, since)| (length.saturating_add(1), since));
                self.run = Some((length, since));
                let is_recent = now.saturating_duration_since(since) <= self.config.window;
                let is_sudden = is_recent && length >= self.config.run();
                let fails_mostly = |rate| rate >= self.config.failure_rate;
                is_sudden || self.window.failure_rate(now).is_some_and(fails_mostly)
            }
            BreakerState::Open { .. } => false,
            BreakerState::HalfOpen => self.circuit.probe_is_out(now),
        };
        if opens {
            self.circuit.open(now, rng);
            self.begin_phase();
        }
    }

    fn begin_phase(&mut self) {
        self.phase = self.phase.wrapping_add(1);
        self.successes = 0;
        self.run = None;
        self.window = Statistics::new(self.config.window);
    }

    /// Where it is open, a probe may go out from now on.
    pub(crate) fn half_open(&mut self, now: Instant) {
        self.circuit.half_open(now);
    }

    pub(crate) fn earliest(&self, now: Instant) -> Instant {
        self.circuit.earliest(now)
    }

    pub(crate) const fn release(&mut self) {
        self.circuit.release();
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.circuit.is_closed()
    }
}

/// One run of failures in a thousand may be so long by chance.
const UNLIKELY: f64 = 0.001;

/// As many outcomes as a share needs to tell anything.
const MIN_RUN: u32 = 20;

/// The time between two changes of a breaker between closed and not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Phase(u64);

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use proptest::prelude::*;

    use super::*;
    use crate::FailureKind::{Invalid, NoPeer, Refused, Timeout};

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
    fn start() -> Instant {
        Instant::now()
    }

    fn breaker() -> (PoolBreaker, Rng) {
        (PoolBreaker::new(PoolBreakerConfig::default()).unwrap(), Rng::with_seed(1))
    }

    fn opened(now: Instant) -> (PoolBreaker, Rng, Instant) {
        let (mut breaker, mut rng) = breaker();
        (0..20).for_each(|_| breaker.on_failure(Timeout, now, &mut rng));
        let BreakerState::Open { until } = breaker.state(now) else { panic!("open") };
        (breaker, rng, until)
    }

    #[test]
    fn half_opened_early_it_lets_one_probe_out_and_a_failure_opens_it_for_longer() {
        let now = start();
        let (mut breaker, mut rng, until) = opened(now);
        breaker.half_open(now);
        assert_eq!((breaker.allows(now), breaker.allows(now)), (true, false));
        breaker.on_failure(Timeout, now, &mut rng);
        assert!(matches!(breaker.state(now), BreakerState::Open { until: later } if later > until));

        let (mut closed, _) = self::breaker();
        closed.half_open(now);
        assert_eq!(closed.state(now), BreakerState::Closed);
    }

    #[test]
    fn it_opens_when_nearly_everything_fails_lately_and_not_before() {
        let now = start();
        for (successes, failures, open) in [(0, 19, false), (0, 20, true), (2, 18, true), (3, 18, false)] {
            let (mut breaker, mut rng) = breaker();
            (0..successes).for_each(|_| breaker.on_success(now));
            (0..failures).for_each(|_| breaker.on_failure(Invalid, now, &mut rng));
            let is_open = breaker.state(now) != BreakerState::Closed;
            assert_eq!(is_open, open, "{failures} failures, {successes} successes");
        }
        let (mut breaker, mut rng) = breaker();
        for i in 0..100 {
            breaker.on_failure(Timeout, now + i * 2 * SECOND, &mut rng);
        }
        assert_eq!(breaker.state(now + 200 * SECOND), BreakerState::Closed, "never 20 within the window");
    }

    /// 500 answers a second, then nothing but timeouts, of which there are fewer.
    #[test]
    fn a_sudden_outage_of_a_busy_pool_is_noticed_within_two_seconds() {
        let (mut breaker, mut rng) = breaker();
        let ms = Duration::from_millis;
        let begin = start();
        (0..15_000).for_each(|nth| breaker.on_success(begin + ms(2 * nth)));
        let outage = begin + ms(30_000);
        let opens = (1..1_500).find(|nth| {
            breaker.on_failure(Timeout, outage + ms(20 * nth), &mut rng);
            breaker.state(outage + ms(20 * nth)) != BreakerState::Closed
        });
        assert!(opens.is_some_and(|nth| 20 * nth <= 2_000), "after {opens:?} failures");
    }

    #[test]
    fn a_row_of_failures_that_chance_explains_opens_nothing() {
        for (failure_rate, row) in [(0.9, 65), (0.5, 19), (1.0, 1_000)] {
            let config = PoolBreakerConfig { failure_rate, ..PoolBreakerConfig::default() };
            let (mut breaker, mut rng) = (PoolBreaker::new(config).unwrap(), Rng::with_seed(1));
            let now = start();
            (0..10_000).for_each(|_| breaker.on_success(now));
            (0..row).for_each(|_| breaker.on_failure(Timeout, now, &mut rng));
            breaker.on_success(now);
            (0..row).for_each(|_| breaker.on_failure(Timeout, now, &mut rng));
            assert_eq!(breaker.state(now), BreakerState::Closed, "{failure_rate}");
        }
    }

    #[test]
    fn refusals_and_missing_peers_say_nothing_about_the_network() {
        let ((mut breaker, mut rng), now) = (breaker(), start());
        for kind in [Refused, NoPeer].repeat(100) {
            breaker.on_failure(kind, now, &mut rng);
        }
        assert_eq!(breaker.state(now), BreakerState::Closed);
    }

    #[test]
    fn one_probe_at_a_time_and_enough_successes_close_it() {
        let (mut breaker, mut rng, until) = opened(start());
        assert!(!breaker.allows(until - Duration::from_nanos(1)));
        for _ in 0..3 {
            assert!(breaker.allows(until) && !breaker.allows(until));
            breaker.on_success(until);
        }
        assert_eq!(breaker.state(until), BreakerState::Closed);
        breaker.on_failure(Timeout, until, &mut rng);
        assert_eq!(breaker.state(until), BreakerState::Closed, "what happened before it closed is past");
    }

    #[test]
    fn a_failed_probe_opens_it_for_longer_and_the_count_starts_again() {
        let (mut breaker, mut rng, mut now) = opened(start());
        for round in 1_u32..8 {
            for _ in 0..2 {
                assert!(breaker.allows(now));
                breaker.on_success(now);
            }
            assert!(breaker.allows(now));
            breaker.on_failure(Timeout, now, &mut rng);
            let BreakerState::Open { until } = breaker.state(now) else { panic!("open") };
            let longest = (2 * SECOND * 2_u32.pow(round)).min(30 * SECOND);
            assert!((longest / 2..=longest).contains(&(until - now)));
            now = until;
        }
    }

    #[test]
    fn what_was_sent_before_it_opened_neither_closes_nor_prolongs_it() {
        let (mut breaker, mut rng, until) = opened(start());
        breaker.on_success(until - Duration::from_millis(1));
        breaker.on_failure(Timeout, until - Duration::from_millis(1), &mut rng);
        breaker.on_failure(Timeout, until, &mut rng);
        assert!(breaker.allows(until));
    }

    #[test]
    fn a_probe_that_tells_nothing_makes_room_for_the_next() {
        let (mut breaker, mut rng, until) = opened(start());
        for kind in [Refused, NoPeer] {
            assert!(breaker.allows(until) && !breaker.allows(until));
            breaker.on_failure(kind, until, &mut rng);
            assert_eq!(breaker.state(until), BreakerState::HalfOpen);
        }
        assert!(breaker.allows(until) && !breaker.allows(until + 59 * SECOND));
        assert!(breaker.allows(until + 60 * SECOND), "a probe that is lost");
    }

    #[test]
    fn each_bad_field_is_named() {
        type Spoil = fn(&mut PoolBreakerConfig);
        let cases: [(&str, Spoil); 6] = [
            ("pool.failure_rate", |c| c.failure_rate = f64::NAN),
            ("pool.window", |c| c.window = Duration::ZERO),
            ("pool.successes", |c| c.successes = 0),
            ("pool.open_min", |c| c.open_min = Duration::ZERO),
            ("pool.open_max", |c| c.open_max = SECOND),
            ("pool.probe_timeout", |c| c.probe_timeout = Duration::MAX),
        ];
        for (field, spoil) in cases {
            let mut config = PoolBreakerConfig::default();
            spoil(&mut config);
            assert_eq!(PoolBreaker::new(config).unwrap_err().field, field);
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Op {
        Ask,
        Success,
        Failure,
        Neutral,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![4 => Just(Op::Ask), 1 => Just(Op::Success), 3 => Just(Op::Failure), 1 => Just(Op::Neutral)]
    }

    proptest! {
        #[test]
        fn while_not_closed_each_request_that_goes_out_waits_for_an_outcome_of_the_one_before(
            steps in proptest::collection::vec((0_u64..4_000, op()), 1..300), seed in any::<u64>(),
        ) {
            let (mut breaker, mut rng, mut now) = opened(start());
            rng.seed(seed);
            let mut probe_since: Option<Instant> = None;
            for (ms, op) in steps {
                now += Duration::from_millis(ms);
                let before = breaker.state(now);
                match op {
                    Op::Ask => {
                        let allowed = breaker.allows(now);
                        match before {
                            BreakerState::Closed => prop_assert!(allowed),
                            BreakerState::Open { .. } => prop_assert!(!allowed),
                            BreakerState::HalfOpen => {
                                let lost = probe_since.is_none_or(|since| now >= since + 60 * SECOND);
                                prop_assert_eq!(allowed, lost);
                                if allowed {
                                    probe_since = Some(now);
                                }
                            }
                        }
                    }
                    Op::Success => breaker.on_success(now),
                    Op::Failure => breaker.on_failure(Timeout, now, &mut rng),
                    Op::Neutral => breaker.on_failure(Refused, now, &mut rng),
                }
                if !matches!(op, Op::Ask) {
                    probe_since = None;
                }
                prop_assert_eq!(breaker.earliest(now) == now, breaker.clone().allows(now));
            }
            // Whatever happened, it is bounded how long the network stays unused, and successes close it.
            now += 90 * SECOND;
            for _ in 0..3 {
                prop_assert!(breaker.allows(now));
                breaker.on_success(now);
            }
            prop_assert_eq!(breaker.state(now), BreakerState::Closed);
        }
    }
}
