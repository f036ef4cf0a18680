use std::time::Duration;

use crate::config::Config;

/// Smoothed round trip and its variation, as RFC 6298 section 2 defines them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RttEstimator {
    estimate: Option<RttEstimate>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RttEstimate {
    pub(crate) smoothed: Duration,
    pub(crate) variation: Duration,
}

impl RttEstimator {
    pub(crate) fn record(&mut self, sample: Duration) {
        self.estimate = Some(match self.estimate {
            None => RttEstimate { smoothed: sample, variation: sample / 2 },
            Some(old) => RttEstimate {
                // The variation is against the smoothed value before this sample.
                variation: step(old.variation, old.smoothed.abs_diff(sample), 4),
                smoothed: step(old.smoothed, sample, 8),
            },
        });
    }

    pub(crate) const fn estimate(&self) -> Option<RttEstimate> {
        self.estimate
    }

    pub(crate) fn rto(&self, config: &Config) -> Duration {
        self.estimate.map_or(config.rto_initial, |estimate| {
            let rto = estimate.smoothed.saturating_add(estimate.variation.saturating_mul(4));
            rto.clamp(config.rto_min, config.rto_max)
        })
    }
}

/// `old` moved by one `part`-th towards `new`. Dividing first cannot overflow, and because both terms grow
/// with their input the result never leaves the range of the two.
pub(crate) fn step(old: Duration, new: Duration, part: u32) -> Duration {
    (old - old / part) + new / part
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_estimate_follows_rfc_6298() {
        let config = Config { rto_min: ms(1), rto_initial: ms(1), ..Config::default() };
        let mut rtt = RttEstimator::default();
        assert_eq!(rtt.rto(&config), config.rto_initial);
        for (sample, smoothed, variation, rto) in [
            (ms(80), ms(80), ms(40), ms(240)),
            // 3/4 * 40 + 1/4 * |80 - 160| = 50; 7/8 * 80 + 1/8 * 160 = 90.
            (ms(160), ms(90), ms(50), ms(290)),
            // 3/4 * 50 + 1/4 * |90 - 90| = 37.5.
            (ms(90), ms(90), Duration::from_micros(37_500), ms(240)),
        ] {
            rtt.record(sample);
            let estimate = rtt.estimate().unwrap();
            assert_eq!((estimate.smoothed, estimate.variation, rtt.rto(&config)), (smoothed, variation, rto));
        }
    }

    #[test]
    fn the_timeout_is_clamped() {
        let config = Config::default();
        for (sample, rto) in [(Duration::ZERO, config.rto_min), (Duration::MAX, config.rto_max)] {
            let mut rtt = RttEstimator::default();
            rtt.record(sample);
            assert_eq!(rtt.rto(&config), rto);
        }
    }

    fn any_duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            (any::<u64>(), 0u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
            (0u64..10_000_000).prop_map(Duration::from_micros),
            (0u64..20).prop_map(Duration::from_nanos),
        ]
    }

    proptest! {
        #[test]
        fn the_smoothed_value_stays_within_the_samples(samples in prop::collection::vec(any_duration(), 1..50)) {
            let mut rtt = RttEstimator::default();
            for &sample in &samples {
                rtt.record(sample);
            }
            let estimate = rtt.estimate().unwrap();
            let (min, max) = (*samples.iter().min().unwrap(), *samples.iter().max().unwrap());
            prop_assert!((min..=max).contains(&estimate.smoothed));
            prop_assert!(estimate.variation <= (max - min).max(samples[0] / 2));
        }
    }
}
