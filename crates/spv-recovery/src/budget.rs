use std::time::{Duration, Instant};

use crate::config::BudgetConfig;

/// Tokens for retries: successes earn them, and a floor rate adds a few even when nothing succeeds.
///
/// Retries are not refused but reserved: each takes a token, if need be one that will only grow later, and learns
/// when. So by any instant no more retries are due than `burst + successes * per_success + elapsed * floor`.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Time in which one token grows at the floor rate.
    interval: Duration,
    /// Time in which an empty budget fills at the floor rate.
    depth: Duration,
    /// What a success is worth, as time at the floor rate.
    reward: Duration,
    /// When the budget will be full again, all reservations counted. In the past: it is full.
    full_at: Option<Instant>,
}

impl Budget {
    /// The configuration must be valid.
    pub(crate) fn new(config: &BudgetConfig) -> Self {
        let interval = Duration::from_secs_f64(config.floor_per_second.recip());
        let reward = interval.mul_f64(config.per_success);
        Self { interval, depth: interval.saturating_mul(config.burst), reward, full_at: None }
    }

    /// Takes a token; the time until it is there.
    pub(crate) fn reserve(&mut self, now: Instant) -> Duration {
        let spent = self.full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let spent = spent.saturating_add(self.interval);
        // Past the end of time there is nothing left to reserve; the wait is as good as endless already.
        self.full_at = now.checked_add(spent).or(self.full_at);
        spent.saturating_sub(self.depth)
    }

    /// Pays for an answer; what it brought, which is less than the reward when the budget is nearly full.
    pub(crate) fn on_success(&mut self, now: Instant) -> Earned {
        let spent = self.full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let earned = self.reward.min(spent);
        self.full_at = self.full_at.and_then(|at| at.checked_sub(earned));
        Earned(earned)
    }

    /// Takes back what an answer brought.
    pub(crate) fn take_back(&mut self, Earned(earned): Earned) {
        self.full_at = self.full_at.map(|at| at.checked_add(earned).unwrap_or(at));
    }
}

/// What an answer was worth, as time at the floor rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Earned(Duration);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
    fn start() -> Instant {
        Instant::now()
    }

    fn budget(burst: u32, per_success: f64, floor_per_second: f64) -> Budget {
        Budget::new(&BudgetConfig { burst, per_success, floor_per_second })
    }

    #[test]
    fn an_empty_budget_delays_at_the_floor_rate_and_success_shortens_the_wait() {
        let now = start();
        let mut budget = budget(2, 0.5, 2.0);
        let mut ms = || budget.reserve(now).as_millis();
        assert_eq!([ms(), ms(), ms(), ms()], [0, 0, 500, 1000]);
        for _ in 0..4 {
            budget.on_success(now);
        }
        assert_eq!(budget.reserve(now).as_millis(), 500);
    }

    #[test]
    fn successes_never_save_up_more_than_the_burst() {
        let now = start();
        let mut budget = budget(2, 10.0, 1.0);
        assert_eq!(budget.reserve(now), Duration::ZERO);
        for _ in 0..50 {
            budget.on_success(now);
        }
        let later = now + Duration::from_secs(1);
        let free = (0..10).filter(|_| budget.reserve(later).is_zero()).count();
        assert_eq!(free, 2);
    }

    #[test]
    fn what_was_earned_can_be_taken_back_and_no_more() {
        let now = start();
        let mut budget = budget(1, 2.0, 1.0);
        let worth_nothing = budget.on_success(now);
        budget.take_back(worth_nothing);
        assert_eq!(budget.reserve(now), Duration::ZERO, "a full budget earns nothing");
        let earned = budget.on_success(now);
        budget.take_back(earned);
        assert_eq!(budget.reserve(now), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn retries_due_never_exceed_the_budget(
            burst in 1_u32..10,
            steps in proptest::collection::vec((0_u64..400, any::<bool>()), 1..200),
        ) {
            let t0 = start();
            let mut budget = budget(burst, 0.5, 4.0);
            let (mut ms, mut due, mut successes) = (0_u64, Vec::new(), Vec::new());
            for (step, success) in steps {
                ms += step;
                let now = t0 + Duration::from_millis(ms);
                if success {
                    budget.on_success(now);
                    successes.push(now);
                } else {
                    due.push(now + budget.reserve(now));
                }
            }
            due.sort();
            for (i, at) in due.iter().enumerate() {
                let earned = successes.iter().filter(|s| *s <= at).count() as f64 * 0.5;
                let floor = (*at - t0).as_secs_f64() * 4.0;
                prop_assert!((i + 1) as f64 <= f64::from(burst) + earned + floor + 1e-6);
            }
        }
    }
}
