use std::collections::BTreeSet;
use std::time::Duration;

use crate::estimates::KindEstimate;
use crate::{Config, Cost};

/// How long one request is waited for, from sending it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// Until a copy may go to another peer, if the request holds up the others. Not above `soft`.
    pub(crate) hedge: Duration,
    /// Until the caller is freed.
    pub(crate) soft: Duration,
    /// Until the peer is. Not below `soft`.
    pub(crate) hard: Duration,
}

impl Timeouts {
    /// From what is known of the peer, or else of the pool. Without either, what is configured: nobody knows how long a
    /// request of the kind takes. Then only a copy is due sooner, by `guess`, what other kinds say. Else it is due when the
    /// peer is late by its own measure; one that was not measured yet is not late before the answer is `due`.
    pub(crate) fn new(
        config: &Config,
        own: Option<&KindEstimate>,
        newcomer: Option<&KindEstimate>,
        guess: Option<Duration>,
        due: Duration,
        cost: Cost,
        widening: u32,
    ) -> Self {
        let measured = own.or(newcomer).map(|estimate| estimate.elapsed(cost, SOFT_DEVIATIONS));
        let within_bounds = |soft: Duration| {
            // What is configured for lack of measurements is never out of range.
            let floor = config.soft_timeout_floor.min(config.soft_timeout);
            let ceiling = config.soft_timeout_ceiling.max(config.soft_timeout);
            soft.saturating_mul(widening).clamp(floor, ceiling)
        };
        let (soft, hard) = match measured {
            Some(soft) if config.adaptive_timeouts => {
                let soft = within_bounds(soft);
                let ratio = config.hard_timeout.as_secs_f64() / config.soft_timeout.as_secs_f64();
                let hard = Duration::try_from_secs_f64(soft.as_secs_f64() * ratio).unwrap_or(Duration::MAX);
                let hard =
                    hard.clamp(config.hard_timeout_floor.min(config.hard_timeout), config.hard_timeout);
                (soft.min(hard), hard)
            }
            _ => (config.soft_timeout, config.hard_timeout),
        };
        let slow = |estimate: &KindEstimate| {
            let usual = estimate.elapsed(cost, 0.0);
            estimate.elapsed(cost, HEDGE_DEVIATIONS).max(usual + usual / HEDGE_LATENESS)
        };
        let slow_newcomer =
            |pool: &KindEstimate| slow(pool).max(due.saturating_add(pool.spread(HEDGE_DEVIATIONS)));
        let guessed =
            guess.filter(|_| config.adaptive_timeouts).map_or(soft, |guess| within_bounds(guess).min(soft));
        let hedge = own.map(slow).or_else(|| newcomer.map(slow_newcomer)).unwrap_or(guessed / 2);
        let hedge = hedge.saturating_mul(widening).min(soft);
        Self { hedge, soft, hard }
    }
}

/// Whether everybody is slow: then it is the way we share, and impatience would only make it worse.
#[derive(Debug)]
pub(crate) struct Widening<P> {
    /// Peers whose soft timeout passed since anybody answered in time.
    slow: BTreeSet<P>,
    doublings: u32,
}

impl<P: Ord> Widening<P> {
    pub(crate) const fn new() -> Self {
        Self { slow: BTreeSet::new(), doublings: 0 }
    }

    /// What to multiply timeouts by.
    pub(crate) const fn factor(&self) -> u32 {
        1 << self.doublings
    }

    pub(crate) fn timed_out(&mut self, peer: P, connected: usize) {
        self.slow.insert(peer);
        if self.slow.len() * 2 > connected {
            self.slow.clear();
            self.doublings = (self.doublings + 1).min(MAX_DOUBLINGS);
        }
    }

    pub(crate) fn answered_in_time(&mut self) {
        self.slow.clear();
        self.doublings = self.doublings.saturating_sub(1);
    }
}

/// RFC 6298's.
const SOFT_DEVIATIONS: f64 = 4.0;
/// About one answer in twenty is slower, for times that are spread like those of most services.
const HEDGE_DEVIATIONS: f64 = 2.0;
/// Where times hardly vary, an answer that is late by less than this part of the usual time is about to come.
const HEDGE_LATENESS: u32 = 4;
const MAX_DOUBLINGS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sample;
    use crate::estimates::Estimates;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const COST: Cost = Cost { kind: "list", bytes: 0 };

    fn measured(elapsed: u64) -> Option<KindEstimate> {
        let mut estimates = Estimates::default();
        estimates.learn(&Sample::new("list", ms(elapsed)));
        estimates.kind("list").copied()
    }

    #[test]
    fn timeouts_follow_the_measurements_between_floor_and_ceiling() {
        let config = Config::default();
        for (estimate, widening, hedge, soft, hard) in [
            (None, 1, 5_000, 10_000, 120_000),
            // Twice and three times a first sample, within 2 s to 60 s; twelve times that, within 60 s to 120 s.
            (measured(100), 1, 200, 2_000, 60_000),
            (measured(2_000), 1, 4_000, 6_000, 72_000),
            (measured(2_000), 2, 8_000, 12_000, 120_000),
            (measured(50_000), 1, 60_000, 60_000, 120_000),
        ] {
            let expected = Timeouts { hedge: ms(hedge), soft: ms(soft), hard: ms(hard) };
            assert_eq!(
                Timeouts::new(&config, estimate.as_ref(), None, None, Duration::ZERO, COST, widening),
                expected
            );
            assert_eq!(
                Timeouts::new(&config, None, estimate.as_ref(), None, Duration::ZERO, COST, widening),
                expected
            );
        }
        let slow_peer = Timeouts::new(
            &config,
            measured(2_000).as_ref(),
            measured(100).as_ref(),
            None,
            Duration::ZERO,
            COST,
            1,
        );
        assert_eq!(slow_peer, Timeouts { hedge: ms(4_000), soft: ms(6_000), hard: ms(72_000) });
        // Until a far peer was measured, it is not late before its answer can be there.
        let far = Timeouts::new(&config, None, measured(100).as_ref(), None, ms(700), COST, 1);
        assert_eq!(far.hedge, ms(800));
        let short = Config { soft_timeout: ms(50), hard_timeout: ms(100), ..Config::default() };
        let expected = Timeouts { hedge: ms(100), soft: ms(100), hard: ms(100) };
        assert_eq!(
            Timeouts::new(&short, measured(100).as_ref(), None, None, Duration::ZERO, COST, 1),
            expected
        );
        let fixed = Config { adaptive_timeouts: false, ..config };
        let expected = Timeouts { hedge: ms(200), soft: ms(10_000), hard: ms(120_000) };
        assert_eq!(
            Timeouts::new(&fixed, measured(100).as_ref(), None, None, Duration::ZERO, COST, 1),
            expected
        );
    }

    #[test]
    fn without_measurements_of_the_kind_a_guess_hastens_a_copy_and_frees_no_caller() {
        let config = Config::default();
        for (guess, widening, hedge) in
            [(50, 1, 1_000), (4_000, 1, 2_000), (4_000, 2, 8_000), (90_000, 1, 5_000)]
        {
            let timeouts =
                Timeouts::new(&config, None, None, Some(ms(guess)), Duration::ZERO, COST, widening);
            assert_eq!((timeouts.soft, timeouts.hedge), (config.soft_timeout, ms(hedge)), "{guess}");
        }
        let measured =
            Timeouts::new(&config, None, measured(2_000).as_ref(), Some(ms(1)), Duration::ZERO, COST, 1);
        assert_eq!(measured.soft, ms(6_000));
        let fixed = Config { adaptive_timeouts: false, ..config };
        assert_eq!(Timeouts::new(&fixed, None, None, Some(ms(50)), Duration::ZERO, COST, 1).soft, ms(10_000));
    }

    #[test]
    fn timeouts_widen_only_when_most_peers_are_slow_and_nobody_is_in_time() {
        let mut widening = Widening::new();
        for _ in 0..9 {
            widening.timed_out(1, 3);
        }
        assert_eq!(widening.factor(), 1);
        widening.timed_out(2, 3);
        assert_eq!(widening.factor(), 2);
        widening.timed_out(1, 3);
        widening.answered_in_time();
        widening.timed_out(2, 3);
        assert_eq!(widening.factor(), 1);
        (0..20).for_each(|_| widening.timed_out(1, 1));
        assert_eq!(widening.factor(), 16);
    }
}
