use std::time::Duration;

use crate::error::{ConfigError, ensure};

/// Size of the memory per peer, and thresholds of the pool's conditions.
///
/// Each condition has a threshold to enter and a milder one to leave it; between them it stays as it is.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Config {
    /// Maximum number of remembered peers. Default 256, range 1 to 65536. One more displaces the peer heard of least
    /// recently.
    pub max_peers: usize,
    /// Maximum number of outcomes from which a peer's reliability is computed. Default 32, range 1 to 4096. Fewer react
    /// faster.
    pub reliability_window: usize,
    /// Age at which an outcome stops counting. Default 10 minutes, above 0.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub reliability_horizon: Duration,
    /// Smallest answer from which throughput is estimated, in bytes. Default 16384, range 1 and up.
    ///
    /// The time of a smaller answer is mostly round trip and service, whatever the bandwidth.
    pub throughput_min_bytes: u64,
    /// Retransmission timeout of a peer without a sample. Default 1 s, within the two bounds below.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub rto_initial: Duration,
    /// Smallest retransmission timeout. Default 1 s, above 0 (RFC 6298, 2.4).
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub rto_min: Duration,
    /// Largest retransmission timeout. Default 1 minute, not below `rto_min` (RFC 6298, 2.5).
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub rto_max: Duration,
    /// Length of the period over which the smallest round trip is taken. Default 5 minutes, above 0.
    ///
    /// Longer, and a way that has become longer for good is taken for a slow one for longer.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub min_rtt_window: Duration,
    /// Time without reports after which a peer no longer counts for the pool's conditions. Default 5 minutes, above 0.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub stale_after: Duration,
    /// Median round trip at or above which latency is high. Default 400 ms.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub high_latency_enter: Duration,
    /// Median round trip at or below which it no longer is. Default 250 ms, below the one to enter.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub high_latency_leave: Duration,
    /// Median throughput at or below which bandwidth is low, in bytes per second. Default 65536.
    pub low_bandwidth_enter: u64,
    /// Median throughput at or above which it no longer is, in bytes per second. Default 131072, above the
    /// one to enter.
    pub low_bandwidth_leave: u64,
    /// Median reliability at or below which the network is unstable. Default 0.7, range 0 to 1.
    pub unstable_enter: f64,
    /// Median reliability at or above which it no longer is. Default 0.85, range 0 to 1, above the one to enter.
    pub unstable_leave: f64,
    /// The local link is slow if the median peer's round trip is this many times its smallest. Default 2.
    pub slow_link_enter: f64,
    /// Ratio below which it is no longer slow. Default 1.5, at least 1, below the one to enter.
    pub slow_link_leave: f64,
    /// A peer is slow if its round trip is this many times the median peer's. Default 3.
    pub slow_peer_enter: f64,
    /// Ratio below which it is no longer slow. Default 2, at least 1, below the one to enter.
    pub slow_peer_leave: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_peers: 256,
            reliability_window: 32,
            reliability_horizon: Duration::from_secs(600),
            throughput_min_bytes: 16 * 1024,
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_secs(1),
            rto_max: Duration::from_secs(60),
            min_rtt_window: Duration::from_secs(300),
            stale_after: Duration::from_secs(300),
            high_latency_enter: Duration::from_millis(400),
            high_latency_leave: Duration::from_millis(250),
            low_bandwidth_enter: 64 * 1024,
            low_bandwidth_leave: 128 * 1024,
            unstable_enter: 0.7,
            unstable_leave: 0.85,
            slow_link_enter: 2.0,
            slow_link_leave: 1.5,
            slow_peer_enter: 3.0,
            slow_peer_leave: 2.0,
        }
    }
}

impl Config {
    /// Checks all fields, and returns the first one that is out of range as an error.
    ///
    /// # Errors
    /// Names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let ratio = 0.0..=1.0;
        ensure((1..=65_536).contains(&self.max_peers), "max_peers", "must be 1 to 65536")?;
        ensure((1..=4096).contains(&self.reliability_window), "reliability_window", "must be 1 to 4096")?;
        ensure(!self.reliability_horizon.is_zero(), "reliability_horizon", "must be above 0")?;
        for (field, time) in [
            ("reliability_horizon", self.reliability_horizon),
            ("rto_max", self.rto_max),
            ("min_rtt_window", self.min_rtt_window),
            ("stale_after", self.stale_after),
            ("high_latency_enter", self.high_latency_enter),
        ] {
            ensure(time <= LONGEST, field, "must not be above a day")?;
        }
        ensure(self.throughput_min_bytes > 0, "throughput_min_bytes", "must be above 0")?;
        ensure(!self.rto_min.is_zero(), "rto_min", "must be above 0")?;
        ensure(self.rto_min <= self.rto_max, "rto_max", "must not be below rto_min")?;
        ensure(
            (self.rto_min..=self.rto_max).contains(&self.rto_initial),
            "rto_initial",
            "must be between rto_min and rto_max",
        )?;
        ensure(!self.min_rtt_window.is_zero(), "min_rtt_window", "must be above 0")?;
        ensure(!self.stale_after.is_zero(), "stale_after", "must be above 0")?;
        ensure(
            self.high_latency_leave < self.high_latency_enter,
            "high_latency_leave",
            "must be below high_latency_enter",
        )?;
        ensure(
            self.low_bandwidth_leave > self.low_bandwidth_enter,
            "low_bandwidth_leave",
            "must be above low_bandwidth_enter",
        )?;
        ensure(ratio.contains(&self.unstable_enter), "unstable_enter", "must be 0 to 1")?;
        ensure(ratio.contains(&self.unstable_leave), "unstable_leave", "must be 0 to 1")?;
        ensure(self.unstable_leave > self.unstable_enter, "unstable_leave", "must be above unstable_enter")?;
        // Compared the way round that a NaN fails.
        let between = |leave: f64, enter: f64| leave >= 1.0 && leave < enter && enter.is_finite();
        let reason = "must be at least 1 and below the one to enter";
        ensure(between(self.slow_link_leave, self.slow_link_enter), "slow_link_leave", reason)?;
        ensure(between(self.slow_peer_leave, self.slow_peer_enter), "slow_peer_leave", reason)
    }
}

/// Nothing that is measured here lasts longer.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_survives_toml() {
        let config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        let text = toml::to_string(&config).unwrap();
        assert!(text.contains("high_latency_enter = \"400ms\""), "{text}");
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    }

    #[test]
    fn each_field_out_of_range_is_named() {
        let base = Config::default;
        let second = Duration::from_secs(1);
        for (config, field) in [
            (Config { max_peers: 0, ..base() }, "max_peers"),
            (Config { reliability_window: 0, ..base() }, "reliability_window"),
            (Config { reliability_horizon: Duration::ZERO, ..base() }, "reliability_horizon"),
            (Config { reliability_horizon: Duration::MAX, ..base() }, "reliability_horizon"),
            (Config { rto_max: Duration::MAX, ..base() }, "rto_max"),
            (Config { min_rtt_window: Duration::MAX, ..base() }, "min_rtt_window"),
            (Config { stale_after: Duration::MAX, ..base() }, "stale_after"),
            (Config { high_latency_enter: Duration::MAX, ..base() }, "high_latency_enter"),
            (Config { throughput_min_bytes: 0, ..base() }, "throughput_min_bytes"),
            (Config { rto_min: Duration::ZERO, ..base() }, "rto_min"),
            (Config { rto_max: second / 2, ..base() }, "rto_max"),
            (Config { rto_initial: second / 2, ..base() }, "rto_initial"),
            (Config { stale_after: Duration::ZERO, ..base() }, "stale_after"),
            (Config { high_latency_leave: second, ..base() }, "high_latency_leave"),
            (Config { low_bandwidth_leave: 65_536, ..base() }, "low_bandwidth_leave"),
            (Config { unstable_enter: f64::NAN, ..base() }, "unstable_enter"),
            (Config { unstable_leave: 1.5, ..base() }, "unstable_leave"),
            (Config { unstable_leave: 0.7, ..base() }, "unstable_leave"),
            (Config { min_rtt_window: Duration::ZERO, ..base() }, "min_rtt_window"),
            (Config { slow_link_enter: f64::NAN, ..base() }, "slow_link_leave"),
            (Config { slow_link_leave: 0.9, ..base() }, "slow_link_leave"),
            (Config { slow_peer_leave: 3.0, ..base() }, "slow_peer_leave"),
            (Config { slow_peer_enter: f64::INFINITY, ..base() }, "slow_peer_leave"),
        ] {
            assert_eq!(config.validate().unwrap_err().field, field);
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(toml::from_str::<Config>("max_peer = 3").is_err());
    }
}
