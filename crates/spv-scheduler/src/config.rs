use std::time::Duration;

use crate::{
    batch::BatchConfig,
    error::{ConfigError, ensure},
    token_bucket::validate_rate,
};

/// Limits and rates of a [`Scheduler`](crate::Scheduler) or [`Queue`](crate::Queue).
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Config {
    /// Maximum number of items, ready, waiting and running together, including tickets that joined an item. Default
    /// 16384, range 1 to 1000000. Beyond it a push is refused. A retry always fits, because its place was kept while it
    /// ran.
    pub capacity: usize,
    /// Maximum number of jobs that start at the same time after a quiet period. Default 64, range 1 to 1000000.
    pub burst: u32,
    /// Jobs started per second in the long run. Default 100, range 0.001 to 1000000.
    pub per_second: f64,
    /// Time after which the effective priority of a ready item rises by one level. Default 5 s, range 1 ms to 1 day.
    /// Raised: priorities are stricter and a low one waits longer. Lowered: closer to first come, first served. An item
    /// that became ready `4 * ageing` after another never overtakes it.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub ageing: Duration,
    /// Sizes of batches.
    pub batch: BatchConfig,
}

impl Config {
    /// Checks all fields, and returns the first one that is out of range as an error.
    ///
    /// # Errors
    /// Names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let ageing = MIN_AGEING..=MAX_AGEING;
        ensure((1..=MAX_CAPACITY).contains(&self.capacity), "capacity", "must be from 1 to 1000000")?;
        ensure(ageing.contains(&self.ageing), "ageing", "must be from 1 ms to 1 day")?;
        self.batch.validate()?;
        validate_rate(self.burst, self.per_second)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            capacity: 16_384,
            burst: 64,
            per_second: 100.0,
            ageing: Duration::from_secs(5),
            batch: BatchConfig::default(),
        }
    }
}

const MAX_CAPACITY: usize = 1_000_000;
const MIN_AGEING: Duration = Duration::from_millis(1);
const MAX_AGEING: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_each_bad_field_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let with_batch = |batch| Config { batch, ..Config::default() };
        let bad = [
            ("capacity", Config { capacity: 0, ..Config::default() }),
            ("capacity", Config { capacity: usize::MAX, ..Config::default() }),
            ("burst", Config { burst: 0, ..Config::default() }),
            ("per_second", Config { per_second: 0.0, ..Config::default() }),
            ("per_second", Config { per_second: f64::NAN, ..Config::default() }),
            ("per_second", Config { per_second: f64::INFINITY, ..Config::default() }),
            ("ageing", Config { ageing: Duration::ZERO, ..Config::default() }),
            ("batch.max", with_batch(BatchConfig { max: 0, ..BatchConfig::default() })),
            ("batch.unstable", with_batch(BatchConfig { unstable: 1.1, ..BatchConfig::default() })),
            ("batch.low_bandwidth", with_batch(BatchConfig { low_bandwidth: 0.0, ..BatchConfig::default() })),
        ];
        for (field, config) in bad {
            assert_eq!(config.validate().unwrap_err().field, field);
        }
    }

    #[test]
    fn text_names_what_differs_and_unknown_names_are_refused() {
        let config: Config = toml::from_str("ageing = '2m'\nburst = 3").unwrap();
        assert_eq!(config, Config { ageing: Duration::from_secs(120), burst: 3, ..Config::default() });
        assert!(toml::from_str::<Config>("bursts = 3").is_err());
    }
}
