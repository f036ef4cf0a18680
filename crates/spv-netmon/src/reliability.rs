use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Share of a peer's recent requests that brought an accepted answer. A refusal is neither a success nor a failure, and
/// neither is an unverified answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reliability {
    /// Share of successes among the samples, 0 to 1; 1 if there are none.
    pub ratio: f64,
    /// Number of outcomes in the window. With few outcomes the ratio means little.
    pub samples: usize,
}

/// The last outcomes, bounded in number and in age.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutcomeWindow {
    outcomes: VecDeque<(Instant, bool)>,
}

impl OutcomeWindow {
    pub(crate) fn record(&mut self, success: bool, now: Instant, limit: usize, horizon: Duration) {
        while self.outcomes.len() >= limit
            || self.outcomes.front().is_some_and(|&(at, _)| is_old(at, now, horizon))
        {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back((now, success));
    }

    /// Over the outcomes that are not older than the horizon at `now`.
    pub(crate) fn reliability(&self, now: Instant, horizon: Duration) -> Reliability {
        let recent = self.outcomes.iter().filter(|&&(at, _)| !is_old(at, now, horizon));
        let (samples, successes) = recent
            .fold((0u32, 0u32), |(samples, successes), &(_, ok)| (samples + 1, successes + u32::from(ok)));
        let ratio = if samples == 0 { 1.0 } else { f64::from(successes) / f64::from(samples) };
        Reliability { ratio, samples: samples as usize }
    }
}

fn is_old(at: Instant, now: Instant, horizon: Duration) -> bool {
    now.saturating_duration_since(at) > horizon
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HORIZON: Duration = Duration::from_secs(10);

    #[expect(clippy::disallowed_methods, reason = "a base for times; nothing reads it again")]
    fn base() -> Instant {
        Instant::now()
    }

    #[test]
    fn only_recent_outcomes_count() {
        let start = base();
        let at = |secs| start + Duration::from_secs(secs);
        let mut window = OutcomeWindow::default();
        assert_eq!(window.reliability(start, HORIZON), Reliability { ratio: 1.0, samples: 0 });
        for (second, ok) in [(0, false), (1, false), (2, true), (3, true)] {
            window.record(ok, at(second), 3, HORIZON);
        }
        // The window holds three; the first failure was displaced.
        assert_eq!(window.reliability(at(3), HORIZON), Reliability { ratio: 2.0 / 3.0, samples: 3 });
        assert_eq!(window.reliability(at(12), HORIZON), Reliability { ratio: 1.0, samples: 2 });
        assert_eq!(window.reliability(at(60), HORIZON), Reliability { ratio: 1.0, samples: 0 });
    }

    proptest! {
        #[test]
        fn the_window_is_bounded_and_the_ratio_a_ratio(
            outcomes in prop::collection::vec((any::<bool>(), 0u64..5_000), 0..100),
            limit in 1usize..10,
        ) {
            let mut now = base();
            let mut window = OutcomeWindow::default();
            for (ok, wait) in outcomes {
                now += Duration::from_millis(wait);
                window.record(ok, now, limit, HORIZON);
                prop_assert!(window.outcomes.len() <= limit);
                prop_assert!((0.0..=1.0).contains(&window.reliability(now, HORIZON).ratio));
            }
        }
    }
}
