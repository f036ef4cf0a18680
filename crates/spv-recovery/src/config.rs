use std::time::Duration;

use crate::{
    breaker::BreakerConfig,
    error::{ConfigError, ensure},
    pool_breaker::PoolBreakerConfig,
};

/// Limits of attempts, waits and rates, and the settings of breakers.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Config {
    /// Number of attempts for one piece of work before giving up. Default 20, range 1 to 1000. At 20, if half of all
    /// answers fail, about one piece of work in a million is given up.
    pub max_attempts: u32,
    /// Longest wait of the first backoff round; it doubles in each round. Default 500 ms, range 1 ms to `backoff_cap`.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub backoff_base: Duration,
    /// Longest wait of any backoff round. Default 30 s, range `backoff_base` to 1 day.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub backoff_cap: Duration,
    /// Number of different peers that must refuse the work before the alternative is used. Default 2, range 1 and up.
    /// With a higher value, more refusals are spent before the change.
    pub alternative_after_refusals: u32,
    /// Number of independent peers that must send the same unverifiable answer before the work is
    /// [`Unverifiable`](crate::GiveUpReason::Unverifiable); every available peer must have been asked too. Default 2,
    /// range 2 and up.
    pub witnesses: u32,
    /// Number of attempts before the work may have to run alone. Default 6, range 1 and up.
    pub sequential_after: u32,
    /// Share of recent answers that failed from which work has to run alone. Default 0.75, range 0 to 1. With a lower
    /// value, a network of medium quality is used one request at a time, and slowly.
    pub sequential_failure_rate: f64,
    /// Length of the period over which failure rates are computed. Default 1 min, range 1 s to 1 day.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub statistics_window: Duration,
    /// Maximum share of the available peers that breakers may block; one peer may always be blocked. Default 0.5, range
    /// 0 to 1.
    pub max_open_share: f64,
    /// Number of refusals of a peer on one connection after which it is not asked before
    /// [`on_reconnect`](crate::Recovery::on_reconnect). Default 0, which means no limit. If servers disconnect clients
    /// that cause too many refusals, set it well below their limit, because what is in flight then may be refused too;
    /// and report reconnects, or all peers are exhausted in the end.
    pub ledger_limit: u32,
    /// Maximum number of peers that the breakers and the ledger remember, each. Default 1024, range 1 and up. Beyond it
    /// the one that matters least is forgotten.
    pub max_peers: usize,
    /// Limit of retries over all work.
    pub budget: BudgetConfig,
    /// When the breaker of a failing peer opens.
    pub breaker: BreakerConfig,
    /// When the breaker of the whole pool opens.
    pub pool: PoolBreakerConfig,
}

/// The retry budget, which limits retries in proportion to successes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct BudgetConfig {
    /// Maximum number of retries that may be due at once. Default 100, range 1 to 1000000.
    pub burst: u32,
    /// Number of retries that each answer adds to the budget. Default 2, range 0 to 100. At 2, a network that loses two
    /// of three answers is still used at full speed; at 1, one that loses less than half.
    pub per_success: f64,
    /// Number of retries per second if nothing succeeds. Default 5, range 0.01 to 1000000.
    pub floor_per_second: f64,
}

impl Config {
    /// Checks all fields, and returns the first one that is out of range as an error.
    ///
    /// # Errors
    /// Names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let ratio = |value: f64| (0.0..=1.0).contains(&value);
        let (min, max) = (Duration::from_millis(1), Duration::from_secs(24 * 60 * 60));
        ensure((1..=1000).contains(&self.max_attempts), "max_attempts", "must be from 1 to 1000")?;
        ensure(self.backoff_base >= min, "backoff_base", "must be at least 1 ms")?;
        ensure(
            (self.backoff_base..=max).contains(&self.backoff_cap),
            "backoff_cap",
            "must be from backoff_base to 1 day",
        )?;
        ensure(self.alternative_after_refusals > 0, "alternative_after_refusals", "must be at least 1")?;
        ensure(self.witnesses > 1, "witnesses", "must be at least 2")?;
        ensure(self.sequential_after > 0, "sequential_after", "must be at least 1")?;
        ensure(ratio(self.sequential_failure_rate), "sequential_failure_rate", "must be from 0 to 1")?;
        ensure(
            (Duration::from_secs(1)..=max).contains(&self.statistics_window),
            "statistics_window",
            "must be from 1 s to 1 day",
        )?;
        ensure(ratio(self.max_open_share), "max_open_share", "must be from 0 to 1")?;
        ensure((1..=65_536).contains(&self.max_peers), "max_peers", "must be from 1 to 65536")?;
        ensure((1..=1_000_000).contains(&self.budget.burst), "budget.burst", "must be from 1 to 1000000")?;
        ensure(
            (0.0..=100.0).contains(&self.budget.per_success),
            "budget.per_success",
            "must be from 0 to 100",
        )?;
        ensure(
            (0.01..=1_000_000.0).contains(&self.budget.floor_per_second),
            "budget.floor_per_second",
            "must be from 0.01 to 1000000",
        )?;
        self.breaker.validate()?;
        self.pool.validate()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_attempts: 20,
            backoff_base: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(30),
            alternative_after_refusals: 2,
            witnesses: 2,
            sequential_after: 6,
            sequential_failure_rate: 0.75,
            statistics_window: Duration::from_secs(60),
            max_open_share: 0.5,
            ledger_limit: 0,
            max_peers: 1024,
            budget: BudgetConfig::default(),
            breaker: BreakerConfig::default(),
            pool: PoolBreakerConfig::default(),
        }
    }
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { burst: 100, per_success: 2.0, floor_per_second: 5.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_each_bad_field_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        type Spoil = fn(&mut Config);
        let cases: [(&str, Spoil); 16] = [
            ("max_attempts", |c| c.max_attempts = 0),
            ("backoff_base", |c| c.backoff_base = Duration::ZERO),
            ("backoff_cap", |c| c.backoff_cap = Duration::from_millis(499)),
            ("alternative_after_refusals", |c| c.alternative_after_refusals = 0),
            ("witnesses", |c| c.witnesses = 1),
            ("sequential_after", |c| c.sequential_after = 0),
            ("sequential_failure_rate", |c| c.sequential_failure_rate = f64::NAN),
            ("statistics_window", |c| c.statistics_window = Duration::ZERO),
            ("max_open_share", |c| c.max_open_share = 1.1),
            ("max_peers", |c| c.max_peers = 0),
            ("budget.burst", |c| c.budget.burst = 0),
            ("budget.per_success", |c| c.budget.per_success = -1.0),
            ("budget.floor_per_second", |c| c.budget.floor_per_second = 0.0),
            ("breaker.failures", |c| c.breaker.failures = 0),
            ("breaker.open_max", |c| c.breaker.open_max = Duration::from_secs(4)),
            ("pool.failure_rate", |c| c.pool.failure_rate = 0.0),
        ];
        for (field, spoil) in cases {
            let mut config = Config::default();
            spoil(&mut config);
            assert_eq!(config.validate().unwrap_err().field, field);
        }
    }

    #[test]
    fn text_names_what_differs_and_unknown_names_are_refused() {
        let config: Config = toml::from_str("backoff_cap = '2m'\n[breaker]\nfailures = 3").unwrap();
        let breaker = BreakerConfig { failures: 3, ..BreakerConfig::default() };
        assert_eq!(config, Config { backoff_cap: Duration::from_secs(120), breaker, ..Config::default() });
        assert!(toml::from_str::<Config>("[budget]\nbursts = 3").is_err());
    }
}
