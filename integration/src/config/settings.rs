use std::num::NonZeroUsize;
use std::time::Duration;

use dashcore::network::framing::DEFAULT_MAX_PAYLOAD;
use serde::{Deserialize, Serialize};
use spv_executor::Depth;

use super::bounds::{PAYLOAD, TIME, WINDOW};
use super::error::{Check, ConfigError, ensure};
use super::{DiscoveryConfig, Selector};

/// Work that may be open beyond the window because it takes the place of work that was: a request for several lists
/// that nobody answers becomes one for each. All that is open must find a place in verification, or answers that wait for
/// the lowest list could keep that list out.
pub(crate) const REPLACEMENTS: usize = 16;

/// Settings of a sync: limits, times and policies. Times are from a millisecond to a year unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Maximum number of requests in flight per peer, 1 to 3. Default 3. The actual number depends on its round trip
    /// and its time for an answer, see `executor.adaptive_depth`.
    pub depth: Depth,
    /// The rule that selects a peer: `expected-completion` (default), `least-loaded`, `lowest-latency` or
    /// `round-robin`; see [`Selector`]. The others use less information about the peers. They exist for comparison: the
    /// default gains much if peers differ, and nothing if they are alike.
    pub selector: Selector,
    /// Maximum number of requests between the lowest list that is not proven yet and the highest requested one. Default
    /// 256, range 1 to 16,384. It limits memory to as many answers and to `executor.max_bytes` of them, plus 16 while
    /// refused requests are replaced by smaller ones. With a low value, quick peers wait for the slowest one, which may
    /// have the lowest list.
    pub window: usize,
    /// Maximum time for connecting, handshake and first pong together, and for resolving the name of a configured peer.
    /// Default 5 s. A node that has greeted is asked for headers before its first pong, but for nothing else.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// Time between two pings on an idle connection. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub ping_interval: Duration,
    /// Time after which a connection ends if a ping is not answered, the peer does not read what is sent to it, or a
    /// message that has begun arrives at less than 1 KiB per second. Default 20 s. The pongs behind a large answer may
    /// wait for it.
    #[serde(with = "humantime_serde")]
    pub ping_timeout: Duration,
    /// Largest wait before the first reconnection. Default 500 ms. For a node that has served lists, the wait grows to
    /// half of the time of its absence; for others it doubles with each failure.
    #[serde(with = "humantime_serde")]
    pub reconnect_base: Duration,
    /// Largest wait between two attempts to connect. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub reconnect_cap: Duration,
    /// Time for which a sync that has lost all its peers waits for one to return. Default 2 min.
    #[serde(with = "humantime_serde")]
    pub peer_patience: Duration,
    /// Maximum time that a sync waits for the tip of one peer before it may end without it, and for the first attempts
    /// to connect. Default 5 s. A peer that has greeted gets twice what that took, half a second at least; all of this
    /// time where it claims more than anybody has told; and four times this where its answer is coming, or it has shown
    /// that it has more. With `discover`, a sync looks for further peers six times as long, where it has heard fewer
    /// than half of `discovery.target_peers` or fewer than three networks.
    #[serde(with = "humantime_serde")]
    pub tip_patience: Duration,
    /// Time without any announcement of a block after which a follower asks all peers for their tips. Default 5 min,
    /// two blocks.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// Whether the signatures of quorums are checked. Default true. If false, quorums are only proven to be active; use
    /// that for simulated networks that were generated without signatures.
    pub verify_quorums: bool,
    /// Whether a follower asks nodes for InstantSend locks, checks them, and hands those that are verified to
    /// [`Client::instant_locks`](crate::Client::instant_locks). Default false: nodes then also announce transactions,
    /// a few hundred bytes each, which are ignored.
    pub instant_locks: bool,
    /// Maximum size of an answer with masternode lists, in bytes. Default 32 MiB, 4 to 256 MiB; legacy answers exceed
    /// the 3 MiB that nodes accept. The limits of other messages follow from their entries.
    pub max_payload: usize,
    /// Limits and timeouts of requests.
    pub executor: spv_executor::Config,
    /// Order and rate of the requests to all peers together.
    pub scheduler: spv_scheduler::Config,
    /// Rate of requests per peer. Default 100 per second after 32 at once.
    pub peer_rate: spv_scheduler::TokenBucketsConfig,
    /// Decisions after a failure.
    pub recovery: spv_recovery::Config,
    /// Matching of answers to requests. Without `correlation.fences` no request is followed by a ping, so a refused or
    /// swallowed request is detected at the soft timeout instead of after one round trip; this exists for comparison.
    pub correlation: spv_correlation::Config,
    /// Measurement of peers.
    pub netmon: spv_netmon::Config,
    /// Search for peers and choice among them.
    pub discovery: DiscoveryConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            depth: Depth::THREE,
            selector: Selector::default(),
            window: 256,
            handshake_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(20),
            reconnect_base: Duration::from_millis(500),
            reconnect_cap: Duration::from_secs(30),
            peer_patience: Duration::from_secs(120),
            tip_patience: Duration::from_secs(5),
            poll_interval: Duration::from_secs(300),
            verify_quorums: true,
            instant_locks: false,
            max_payload: DEFAULT_MAX_PAYLOAD,
            executor: spv_executor::Config {
                // Counts only until answers were measured. Nodes that serve at all take a fraction of this.
                soft_timeout: Duration::from_secs(5),
                // All that the tip needs may be asked for at once, where there are peers enough.
                max_in_flight: NonZeroUsize::new(64).expect("64 is not zero"),
                ..spv_executor::Config::default()
            },
            // Caps and credit keep us polite to single nodes; these only bound what a mistake could do.
            scheduler: spv_scheduler::Config {
                burst: 256,
                per_second: 1000.0,
                ..spv_scheduler::Config::default()
            },
            peer_rate: spv_scheduler::TokenBucketsConfig {
                burst: 32,
                per_second: 100.0,
                ..spv_scheduler::TokenBucketsConfig::default()
            },
            recovery: spv_recovery::Config {
                // Nodes shut out who makes them refuse a hundred times on one connection.
                ledger_limit: 45,
                ..spv_recovery::Config::default()
            },
            correlation: spv_correlation::Config::default(),
            netmon: spv_netmon::Config::default(),
            discovery: DiscoveryConfig::default(),
        }
    }
}

impl Settings {
    /// Refuses the first field out of range, those of the mechanism crates included.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let check = Check { section: "sync." };
        check.value("window", &self.window, &WINDOW)?;
        ensure(self.window + REPLACEMENTS <= self.scheduler.capacity, || {
            ConfigError::value("sync.window", "must be at least 16 below scheduler.capacity")
        })?;
        for (field, time) in [
            ("handshake_timeout", self.handshake_timeout),
            ("ping_interval", self.ping_interval),
            ("ping_timeout", self.ping_timeout),
            ("reconnect_base", self.reconnect_base),
            ("reconnect_cap", self.reconnect_cap),
            ("peer_patience", self.peer_patience),
            ("tip_patience", self.tip_patience),
            ("poll_interval", self.poll_interval),
        ] {
            check.value(field, &time, &TIME)?;
        }
        check.value("max_payload", &self.max_payload, &PAYLOAD)?;
        self.executor.validate()?;
        self.scheduler.validate()?;
        // The same crate as the scheduler's, and another section.
        let rate = self.peer_rate.validate();
        rate.map_err(|error| ConfigError::value(format!("sync.peer_rate.{}", error.field), error.reason))?;
        self.recovery.validate()?;
        self.correlation.validate()?;
        self.netmon.validate()?;
        self.discovery.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_for_measuring_can_be_switched() {
        let read = |text: &str| toml::from_str::<Settings>(text);
        let defaults = Settings::default();
        assert_eq!((defaults.selector, defaults.correlation.fences), (Selector::ExpectedCompletion, true));
        for (name, selector) in [
            ("expected-completion", Selector::ExpectedCompletion),
            ("least-loaded", Selector::LeastLoaded),
            ("lowest-latency", Selector::LowestLatency),
            ("round-robin", Selector::RoundRobin),
        ] {
            let settings = read(&format!("selector = '{name}'\n[correlation]\nfences = false")).unwrap();
            assert_eq!((settings.selector, settings.correlation.fences), (selector, false));
            settings.validate().unwrap();
        }
        assert!(read("selector = 'fastest'").unwrap_err().to_string().contains("round-robin"));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let capacity = Settings::default().scheduler.capacity;
        for window in [0, capacity - 15, 1_000_000, usize::MAX] {
            let settings = Settings { window, ..Settings::default() };
            assert_eq!(settings.validate().unwrap_err().key().as_deref(), Some("sync.window"));
        }
        Settings { window: capacity - 16, ..Settings::default() }.validate().unwrap();
    }

    #[test]
    fn times_that_no_clock_can_count_are_refused_by_name() {
        let tree = toml::Value::try_from(Settings::default()).unwrap();
        let mut tried = 0;
        try_each_time(&tree, &mut |path| {
            let text = format!("{path} = '500000000000y'");
            let error = toml::from_str::<Settings>(&text).unwrap().validate().unwrap_err();
            // Some times bound others: then it is the other that does not fit.
            assert!(error.key().unwrap().starts_with("sync."), "{path}: {error}");
            tried += 1;
        });
        assert!(tried > 30, "{tried}");
        let settings: Settings = toml::from_str("handshake_timeout = '500000000000y'").unwrap();
        assert_eq!(settings.validate().unwrap_err().key().as_deref(), Some("sync.handshake_timeout"));
    }

    /// Calls with the path of every value that is a time.
    fn try_each_time(tree: &toml::Value, tried: &mut impl FnMut(String)) {
        fn walk(tree: &toml::Value, path: &str, tried: &mut impl FnMut(String)) {
            match tree {
                toml::Value::Table(table) => {
                    for (name, below) in table {
                        let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
                        walk(below, &format!("{prefix}{name}"), tried);
                    }
                }
                toml::Value::String(text) if humantime::parse_duration(text).is_ok() => {
                    tried(path.to_owned())
                }
                _ => {}
            }
        }
        walk(tree, "", tried);
    }

    #[test]
    fn every_section_out_of_range_is_refused_by_its_name() {
        for (section, field) in [
            ("executor", "max_bytes = 0"),
            ("scheduler", "burst = 0"),
            ("peer_rate", "burst = 0"),
            ("peer_rate", "max_keys = 0"),
            ("recovery", "max_attempts = 0"),
            ("correlation", "max_pending = 0"),
            ("netmon", "max_peers = 0"),
            ("discovery", "per_group = 0"),
        ] {
            let settings: Settings = toml::from_str(&format!("[{section}]\n{field}")).unwrap();
            let (name, _) = field.split_once(' ').unwrap();
            let refused = settings.validate().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("sync.{section}.{name}: ")), "{refused}");
        }
    }
}
