use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bounds::{ADDRESSES, BAN, CONNECTIONS, OF_NETWORK, SHARE, TIME};
use super::error::{Check, ConfigError};

/// Settings of the search for nodes and the choice among them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscoveryConfig {
    /// Number of connections that are kept, including configured peers. Default 8; 3 to 64. More connections bring
    /// lists faster, and put more load on the network.
    pub target_peers: usize,
    /// Maximum number of remembered addresses. Default 2,000; 64 to 20,000.
    pub capacity: usize,
    /// Maximum number of remembered addresses in one network (a /16 of IPv4, a /32 of IPv6). Default 32; 1 to 20,000.
    pub per_group: usize,
    /// Maximum number of connections into one network. Default 2; 1 to 20,000. There is a second one only if no other
    /// network is left to try.
    pub connected_per_group: usize,
    /// Share of connections that go to addresses which have never answered, while there are others. Default 0.25; 0 to
    /// 1.
    pub exploration: f64,
    /// Time for which a node that sent wrong data is banned. Default 24 h; at most 30 days.
    #[serde(with = "humantime_serde")]
    pub ban: Duration,
    /// Time for which a node that refuses everything or is far behind is banned. Default 1 h; at most 30 days.
    #[serde(with = "humantime_serde")]
    pub set_aside: Duration,
    /// Wait before an address is tried again; it doubles with each failure. Default 500 ms.
    #[serde(with = "humantime_serde")]
    pub retry_base: Duration,
    /// Longest wait before an address is tried again. Default 1 h.
    #[serde(with = "humantime_serde")]
    pub retry_cap: Duration,
    /// Longest wait before an address is tried again while there is no connection at all. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub lonely_retry_cap: Duration,
    /// Maximum time for the answer of a DNS seed. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub seed_timeout: Duration,
    /// Interval between saves of the known addresses. Default 1 min. A ban is saved at once.
    #[serde(with = "humantime_serde")]
    pub save_interval: Duration,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self {
            target_peers: 8,
            capacity: 2_000,
            per_group: 32,
            connected_per_group: 2,
            exploration: 0.25,
            ban: Duration::from_secs(24 * 3_600),
            set_aside: Duration::from_secs(3_600),
            retry_base: Duration::from_millis(500),
            retry_cap: Duration::from_secs(3_600),
            lonely_retry_cap: Duration::from_secs(30),
            seed_timeout: Duration::from_secs(5),
            save_interval: Duration::from_secs(60),
        }
    }
}

impl DiscoveryConfig {
    /// Refuses the first field out of range.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let check = Check { section: "sync.discovery." };
        check.value("target_peers", &self.target_peers, &CONNECTIONS)?;
        check.value("capacity", &self.capacity, &ADDRESSES)?;
        check.value("per_group", &self.per_group, &OF_NETWORK)?;
        check.value("connected_per_group", &self.connected_per_group, &OF_NETWORK)?;
        check.value("exploration", &self.exploration, &SHARE)?;
        check.value("ban", &self.ban, &BAN)?;
        check.value("set_aside", &self.set_aside, &BAN)?;
        check.value("retry_base", &self.retry_base, &TIME)?;
        check.value("retry_cap", &self.retry_cap, &TIME)?;
        check.value("lonely_retry_cap", &self.lonely_retry_cap, &TIME)?;
        check.value("seed_timeout", &self.seed_timeout, &TIME)?;
        check.value("save_interval", &self.save_interval, &TIME)
    }
}
