use std::num::NonZeroUsize;

use crate::error::{ConfigError, ensure};

/// Maximum size of a batch of jobs, and its reduction under bad conditions.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct BatchConfig {
    /// Maximum number of jobs in a batch when conditions are good. Default 16, range 1 to 1000000.
    pub max: usize,
    /// Factor while latency is high. Default 0.8, range above 0 to 1.
    pub high_latency: f64,
    /// Factor while bandwidth is low. Default 0.5, range above 0 to 1.
    pub low_bandwidth: f64,
    /// Factor while many requests fail. Default 0.6, range above 0 to 1.
    pub unstable: f64,
}

/// Bad conditions of the network at the moment, as measured by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conditions {
    /// Answers take long to begin.
    pub high_latency: bool,
    /// Answers take long to arrive.
    pub low_bandwidth: bool,
    /// Many requests fail.
    pub unstable: bool,
}

impl BatchConfig {
    /// Returns the batch size under these conditions: `max` times the factor of each that holds, rounded down, at least
    /// 1.
    #[must_use]
    pub fn size(&self, conditions: Conditions) -> NonZeroUsize {
        let factors = [
            (conditions.high_latency, self.high_latency),
            (conditions.low_bandwidth, self.low_bandwidth),
            (conditions.unstable, self.unstable),
        ];
        let factor: f64 = factors.into_iter().filter(|(holds, _)| *holds).map(|(_, factor)| factor).product();
        #[expect(clippy::cast_possible_truncation, reason = "at most max, and never negative")]
        let size = (self.max as f64 * factor + ROUNDING).floor() as usize;
        NonZeroUsize::new(size.min(self.max)).unwrap_or(NonZeroUsize::MIN)
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let is_factor = |value: f64| value > 0.0 && value <= 1.0;
        let reason = "must be above 0 and at most 1";
        ensure((1..=MAX_BATCH).contains(&self.max), "batch.max", "must be from 1 to 1000000")?;
        ensure(is_factor(self.high_latency), "batch.high_latency", reason)?;
        ensure(is_factor(self.low_bandwidth), "batch.low_bandwidth", reason)?;
        ensure(is_factor(self.unstable), "batch.unstable", reason)
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { max: 16, high_latency: 0.8, low_bandwidth: 0.5, unstable: 0.6 }
    }
}

const MAX_BATCH: usize = 1_000_000;
/// So that a product that should be whole is not rounded to the number below it.
const ROUNDING: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn conditions(bits: u8) -> Conditions {
        Conditions { high_latency: bits & 1 != 0, low_bandwidth: bits & 2 != 0, unstable: bits & 4 != 0 }
    }

    #[test]
    fn each_condition_has_its_factor_and_they_multiply() {
        for (max, expected) in [
            (100, [100, 80, 50, 40, 60, 48, 30, 24]),
            (16, [16, 12, 8, 6, 9, 7, 4, 3]),
            (5, [5, 4, 2, 2, 3, 2, 1, 1]),
            (1, [1; 8]),
        ] {
            let config = BatchConfig { max, ..BatchConfig::default() };
            let sizes = [0, 1, 2, 3, 4, 5, 6, 7].map(|bits| config.size(conditions(bits)).get());
            assert_eq!(sizes, expected, "of {max}");
        }
    }

    proptest! {
        #[test]
        fn worse_conditions_never_make_a_batch_larger_and_none_empties_it(
            max in 1_usize..100_000, factors in [0.001..=1.0, 0.001..=1.0, 0.001..=1.0], bits in 0_u8..8, more in 0_u8..8,
        ) {
            let [high_latency, low_bandwidth, unstable] = factors;
            let config = BatchConfig { max, high_latency, low_bandwidth, unstable };
            prop_assert_eq!(config.validate(), Ok(()));
            let (good, bad) = (config.size(conditions(bits)), config.size(conditions(bits | more)));
            prop_assert!(bad <= good && good.get() <= max);
        }
    }
}
