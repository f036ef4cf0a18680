use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    breaker::BreakerConfig,
    error::{ConfigError, ensure},
    pool_breaker::PoolBreakerConfig,
};

/// How hard to try, how fast, and when to stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Tries of one piece of work before giving up. Default 20, range 1 to 1000. At 20, work that half of all
    /// answers spoil is given up about once in a million.
    pub max_attempts: u32,
    /// Longest wait of the first backoff round; doubles each round. Default 500 ms, range 1 ms to `backoff_cap`.
    #[serde(with = "humantime_serde")]
    pub backoff_base: Duration,
    /// Longest wait of any backoff round. Default 30 s, range `backoff_base` to 1 day.
    #[serde(with = "humantime_serde")]
    pub backoff_cap: Duration,
    /// Distinct peers that must refuse before the work is done by its other means. Peers, default 2, range 1 and
    /// up. Raised: more refusals are spent before changing over.
    pub alternative_after_refusals: u32,
    /// Independent peers that must send the same unverifiable answer for the fault to be ours or the data's, not
    /// theirs; besides, every available peer must have been asked. Peers, default 2, range 2 and up.
    pub witnesses: u32,
    /// Tries before the work may be asked to run alone. Default 6, range 1 and up.
    pub sequential_after: u32,
    /// Share of answers failing lately from which work is asked to run alone. Ratio, default 0.75, range 0 to 1.
    /// Lowered: a middling network is driven one request at a time, and slowly.
    pub sequential_failure_rate: f64,
    /// How far back failure rates look. Default 1 min, range 1 s to 1 day.
    #[serde(with = "humantime_serde")]
    pub statistics_window: Duration,
    /// Largest share of the available peers that breakers may cut off; one peer always may be. Ratio, default 0.5,
    /// range 0 to 1.
    pub max_open_share: f64,
    /// Refusals of a peer on one connection after which it is asked nothing more before
    /// [`on_reconnect`](crate::Recovery::on_reconnect). Default 0, which is no limit. Set it where servers shut out who makes
    /// them refuse too often, well below their number, because what is in flight then may be refused too; and report
    /// reconnects, or all peers are exhausted in the end.
    pub ledger_limit: u32,
    /// Peers remembered by the breakers and by the ledger, each. Default 1024, range 1 and up. Beyond it the one
    /// that matters least is forgotten.
    pub max_peers: usize,
    /// Retries allowed overall.
    pub budget: BudgetConfig,
    /// When a failing peer is left alone.
    pub breaker: BreakerConfig,
    /// When a failing network is left alone.
    pub pool: PoolBreakerConfig,
}

/// The retry budget: a bound on retries by what succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetConfig {
    /// Retries that may be due at once. Default 100, range 1 to 1000000.
    pub burst: u32,
    /// Retries that each answer earns. Default 2, range 0 to 100. At 2 a network that loses two of three answers is
    /// still worked at full speed; at 1, one that loses less than half.
    pub per_success: f64,
    /// Retries per second when nothing succeeds. Default 5, range 0.01 to 1000000.
    pub floor_per_second: f64,
}

impl Config {
    /// Refuses the first field out of range.
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
