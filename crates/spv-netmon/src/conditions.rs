use std::time::Duration;

use crate::{config::Config, pace::Baseline, throughput::as_f64};

/// Conditions of the whole network at the moment, judged by the median peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conditions {
    /// Round trips are long.
    pub high_latency: bool,
    /// Answers arrive slowly.
    pub low_bandwidth: bool,
    /// Requests often fail.
    pub unstable: bool,
    /// Round trips have grown for most peers at once, so the cause is the local link, see [`Pace`](crate::Pace).
    pub slow_link: bool,
}

impl Conditions {
    /// Tells whether none of the conditions holds.
    #[must_use]
    pub const fn is_optimal(&self) -> bool {
        !self.high_latency && !self.low_bandwidth && !self.unstable && !self.slow_link
    }

    /// Moves each condition whose measurement passed its threshold. One that nobody measured lately does not hold: nothing
    /// is known of the network, and what it was like before is no reason to be careful for ever.
    pub(crate) fn update(&mut self, pool: &PoolMedians, config: &Config) {
        self.high_latency = pool.round_trip.is_some_and(|round_trip| {
            if self.high_latency {
                round_trip > config.high_latency_leave
            } else {
                round_trip >= config.high_latency_enter
            }
        });
        self.low_bandwidth = pool.bytes_per_second.is_some_and(|rate| {
            if self.low_bandwidth {
                rate < as_f64(config.low_bandwidth_leave)
            } else {
                rate <= as_f64(config.low_bandwidth_enter)
            }
        });
        self.slow_link = pool.baseline.is_some_and(|baseline| baseline.link_is_slow(self.slow_link, config));
        self.unstable = pool.reliability.is_some_and(|ratio| {
            if self.unstable { ratio < config.unstable_leave } else { ratio <= config.unstable_enter }
        });
    }
}

/// The median over the peers that have the measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PoolMedians {
    pub(crate) round_trip: Option<Duration>,
    pub(crate) bytes_per_second: Option<f64>,
    pub(crate) reliability: Option<f64>,
    pub(crate) baseline: Option<Baseline>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn pool(round_trip_ms: u64, bytes_per_second: f64, reliability: f64) -> PoolMedians {
        PoolMedians {
            round_trip: Some(ms(round_trip_ms)),
            bytes_per_second: Some(bytes_per_second),
            reliability: Some(reliability),
            baseline: None,
        }
    }

    #[test]
    fn each_condition_enters_and_leaves_at_its_own_thresholds() {
        let config = Config::default();
        let all =
            Conditions { high_latency: true, low_bandwidth: true, unstable: true, ..Conditions::default() };
        let mut conditions = Conditions::default();
        for (step, pool, expected) in [
            ("just good enough", pool(399, 65_537.0, 0.71), Conditions::default()),
            ("at the thresholds to enter", pool(400, 65_536.0, 0.7), all),
            ("not yet good enough to leave", pool(251, 131_071.0, 0.84), all),
            ("nothing measured", PoolMedians::default(), Conditions::default()),
            ("at the thresholds to enter again", pool(400, 65_536.0, 0.7), all),
            ("at the thresholds to leave", pool(250, 131_072.0, 0.85), Conditions::default()),
            ("nothing measured", PoolMedians::default(), Conditions::default()),
            ("only latency", pool(900, 1e9, 1.0), Conditions { high_latency: true, ..Conditions::default() }),
        ] {
            conditions.update(&pool, &config);
            assert_eq!(conditions, expected, "{step}");
            assert_eq!(conditions.is_optimal(), expected == Conditions::default());
        }
    }

    proptest! {
        #[test]
        fn values_between_the_thresholds_never_change_a_condition(
            start in any::<[bool; 3]>(),
            pools in prop::collection::vec((251u64..400, 65_537.0..131_072.0, 0.701..0.85), 1..30),
        ) {
            let [high_latency, low_bandwidth, unstable] = start;
            let before = Conditions { high_latency, low_bandwidth, unstable, slow_link: false };
            let mut conditions = before;
            for (round_trip, rate, reliability) in pools {
                conditions.update(&pool(round_trip, rate, reliability), &Config::default());
                prop_assert_eq!(conditions, before);
            }
        }
    }
}
