//! Configuration: defaults, then the file, then the environment and flags.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use dashcore::network::framing::DEFAULT_MAX_PAYLOAD;
use dashcore::params::{Activation, UnknownNetwork};
use dashcore::sml::llmq_type::{LLMQParams, LLMQType};
use dashcore::{ChainParams, Network};
use serde::{Deserialize, Serialize};
use spv_executor::Depth;

use crate::client::ClientSettings;
use crate::discovery::DiscoveryConfig;
use crate::operation::{LogSettings, listen_address};
use crate::peer::ConnectionConfig;
use crate::sync::{REPLACEMENTS, Selector};

/// Everything that can be configured. Keys of the file are the names of the fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Network: `main` (default), `test`, `regtest` or `devnet:NAME`.
    pub network: String,
    /// Nodes to ask, as `HOST:PORT`; `HOST` alone means the network's default port. Empty (default): the network's DNS
    /// seeds.
    pub peers: Vec<String>,
    /// Whether to look for further nodes besides `peers`: those that are remembered, that other nodes name, and that the
    /// DNS seeds know. Default false; without `peers` it is always done.
    pub discover: bool,
    /// Height from which every cycle's list is wanted. Unset (default): only what is needed at the tip.
    pub from: Option<u32>,
    /// Where data is kept. Unset (default): a directory per network below the user's data directory.
    pub data_dir: Option<PathBuf>,
    /// Where metrics, health and status are served over HTTP, as `ADDRESS:PORT`; a port alone is of the loopback
    /// interface. Unset (default): nowhere.
    #[serde(deserialize_with = "listen_address")]
    pub metrics_listen: Option<SocketAddr>,
    /// Whether `metrics_listen` may be other than loopback. Default false: what is served names peers, and nobody is
    /// asked who they are.
    pub metrics_allow_remote: bool,
    /// Following: a tip whose block is older than this is stale, and the service not ready. Unset (default): 1 h on the
    /// public networks, no limit on others, where blocks come when somebody wants them.
    #[serde(with = "humantime_serde")]
    pub max_tip_age: Option<Duration>,
    /// Quorum parameters that differ from the network's, as `TYPE=SIZE:THRESHOLD` separated by commas. Names also types
    /// that the network does not have otherwise.
    pub llmq_params: String,
    /// Quorum types with another role than the network's, as `ROLE=TYPE` separated by commas; roles are `chain-locks`,
    /// `instant-send` (the rotated one) and `platform`.
    pub llmq_roles: String,
    /// Activation heights that differ from the network's, as `NAME=HEIGHT` separated by commas.
    pub activation: String,
    /// How the sync works.
    pub sync: Settings,
    /// Bounds of lookups.
    pub client: ClientSettings,
    /// Logs of the `qrsync` command; a library logs as its caller likes.
    pub log: LogSettings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            network: Network::Dash.to_string(),
            peers: Vec::new(),
            discover: false,
            from: None,
            data_dir: None,
            metrics_listen: None,
            metrics_allow_remote: false,
            max_tip_age: None,
            llmq_params: String::new(),
            llmq_roles: String::new(),
            activation: String::new(),
            sync: Settings::default(),
            client: ClientSettings::default(),
            log: LogSettings::default(),
        }
    }
}

/// How a sync works: bounds, times and policies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Most requests in flight per peer, 1 to 3. Default 3; how many it really gets follows from its round trip and the
    /// time it takes for an answer, see `executor.adaptive_depth`.
    pub depth: Depth,
    /// Who gets the next request: `expected-completion` (default), `least-loaded`, `lowest-latency` or `round-robin`; see
    /// [`Selector`]. The others know less of the peers; they are there to measure what knowing it is worth, which is
    /// much where peers are uneven and nothing where they are alike.
    pub selector: Selector,
    /// Requests between the lowest list that is not proven yet and the highest that is asked for. At least 1, default
    /// 256. Bounds memory to as many answers, and to `executor.max_bytes` of them, and 16 more while refused requests are
    /// replaced by smaller ones. Lower, and quick peers wait for the slowest, which may hold the lowest list.
    pub window: usize,
    /// Limit for connecting, handshake and first pong together. Default 5 s. A node that has greeted is asked for headers
    /// before its first pong, but for nothing else.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// Time between two pings on an idle connection. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub ping_interval: Duration,
    /// A connection without any byte for this long after a ping is given up. Default 20 s.
    #[serde(with = "humantime_serde")]
    pub ping_timeout: Duration,
    /// Largest wait before the first reconnection. Default 500 ms. Grows to half the time that a node which has served is
    /// away; doubles with each failure for others.
    #[serde(with = "humantime_serde")]
    pub reconnect_base: Duration,
    /// Largest wait between two attempts to connect. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub reconnect_cap: Duration,
    /// How long a sync that has lost all its peers waits for one to come back. Default 2 min.
    #[serde(with = "humantime_serde")]
    pub peer_patience: Duration,
    /// Following: without any announcement of a block for this long, all peers are asked. Default 5 min, two blocks.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// Whether quorums are proven by their signatures. Default true. Without it they are only known to be in a proven
    /// set; that is for simulated networks that were generated without signatures.
    pub verify_quorums: bool,
    /// Largest message accepted, in bytes. Default 32 MiB; legacy answers exceed the 3 MiB that nodes accept.
    pub max_payload: usize,
    /// Caps and timeouts of requests.
    pub executor: spv_executor::Config,
    /// Order and rate of requests, all peers together.
    pub scheduler: spv_scheduler::Config,
    /// Rate of requests per peer. Default 100 per second after 32 at once.
    pub peer_rate: spv_scheduler::TokenBucketsConfig,
    /// What happens after a failure.
    pub recovery: spv_recovery::Config,
    /// Matching answers to requests. Without `correlation.fences` no request is followed by a ping, so a silent refusal, or a
    /// request that was swallowed, is known at the soft timeout only, and not after a round trip; there to measure what
    /// that is worth.
    pub correlation: spv_correlation::Config,
    /// Measuring peers.
    pub netmon: spv_netmon::Config,
    /// Finding and choosing peers.
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
            poll_interval: Duration::from_secs(300),
            verify_quorums: true,
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
            recovery: spv_recovery::Config::default(),
            correlation: spv_correlation::Config::default(),
            netmon: spv_netmon::Config::default(),
            discovery: DiscoveryConfig::default(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {message}; `qrsync config show` prints every key with its value", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why, on one line.
        message: String,
    },
    /// The network is not known.
    #[error(transparent)]
    Network(#[from] UnknownNetwork),
    /// Quorum parameters cannot be understood.
    #[error(
        "llmq-params: {entry:?} is not TYPE=SIZE:THRESHOLD with a known quorum type and 1 <= THRESHOLD <= SIZE"
    )]
    LlmqParams {
        /// The part that is wrong.
        entry: String,
    },
    /// A role of a quorum type cannot be understood.
    #[error(
        "llmq-roles: {entry:?} is not ROLE=TYPE with ROLE one of chain-locks, instant-send, platform and TYPE a quorum type of this network, rotated for instant-send alone"
    )]
    LlmqRoles {
        /// The part that is wrong.
        entry: String,
    },
    /// An activation height cannot be understood.
    #[error(
        "activation: {entry:?} is not NAME=HEIGHT with NAME one of dip3, dip8, dip24, v19, v20, mn_rr, withdrawals"
    )]
    Activation {
        /// The part that is wrong.
        entry: String,
    },
    /// The parameters of a public network are given.
    #[error("{option} can only be given for regtest and devnets, not for {network}")]
    FixedNetwork {
        /// The option.
        option: &'static str,
        /// The network.
        network: Network,
    },
    /// A setting is out of range.
    #[error("sync.{section}{field}: {reason}")]
    Setting {
        /// Section with a trailing dot, or nothing.
        section: &'static str,
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A bound of lookups is out of range.
    #[error("client.{field}: {reason}")]
    Client {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// There is no default data directory.
    #[error("no home directory is set; choose a directory with --data-dir")]
    NoHome,
}

macro_rules! from_mechanism {
    ($($krate:ident => $section:literal),+) => {$(
        impl From<$krate::ConfigError> for ConfigError {
            fn from(error: $krate::ConfigError) -> Self {
                Self::Setting { section: concat!($section, "."), field: error.field, reason: error.reason }
            }
        }
    )+};
}

from_mechanism! {
    spv_executor => "executor",
    spv_scheduler => "scheduler",
    spv_recovery => "recovery",
    spv_correlation => "correlation",
    spv_netmon => "netmon"
}

impl Config {
    /// Reads a TOML file; what it does not say keeps its default.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or has unknown keys.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            let message = format!("line {line}: {}", error.message().replace('\n', " "));
            ConfigError::Parse { path: path.to_owned(), message }
        })
    }

    /// Parameters of the configured network.
    ///
    /// # Errors
    /// When the network is unknown or its parameters are malformed.
    pub fn chain_params(&self) -> Result<ChainParams, ConfigError> {
        let network = Network::from_str(&self.network)?;
        let mut params = ChainParams::new(network);
        let fixed = |option| ConfigError::FixedNetwork { option, network: params.network.clone() };
        let is_public = matches!(params.network, Network::Dash | Network::Testnet);
        if is_public && !self.llmq_params.is_empty() {
            return Err(fixed("llmq-params"));
        }
        if is_public && !self.llmq_roles.is_empty() {
            return Err(fixed("llmq-roles"));
        }
        if is_public && !self.activation.is_empty() {
            return Err(fixed("activation"));
        }
        apply_llmq_params(&mut params, &self.llmq_params)?;
        apply_llmq_roles(&mut params, &self.llmq_roles)?;
        apply_activation(&mut params.activation, &self.activation)?;
        Ok(params)
    }

    /// Where data of this network is kept.
    ///
    /// # Errors
    /// When none is configured and no home directory is set.
    pub fn data_dir(&self) -> Result<PathBuf, ConfigError> {
        if let Some(directory) = &self.data_dir {
            return Ok(directory.clone());
        }
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
        Ok(base.ok_or(ConfigError::NoHome)?.join("qrsync").join(self.network.replace(':', "-")))
    }
}

impl Settings {
    /// Checks what the mechanism crates do not check themselves.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let out_of_range = |field, reason| Err(ConfigError::Setting { section: "", field, reason });
        if self.window == 0 {
            return out_of_range("window", "must be at least 1");
        }
        if self.window.saturating_add(REPLACEMENTS) > self.scheduler.capacity {
            return out_of_range("window", "must be at least 16 below scheduler.capacity");
        }
        if self.handshake_timeout.is_zero()
            || self.ping_interval.is_zero()
            || self.ping_timeout.is_zero()
            || self.poll_interval.is_zero()
        {
            return out_of_range(
                "handshake_timeout, ping_interval, ping_timeout, poll_interval",
                "must be above zero",
            );
        }
        if self.max_payload < DEFAULT_MAX_PAYLOAD / 8 {
            return out_of_range("max_payload", "must be at least 4 MiB, the size of real answers");
        }
        spv_correlation::PendingTable::<crate::peer::Request>::new(&self.correlation, 0)?;
        self.discovery.validate()
    }

    pub(crate) fn connection(&self) -> ConnectionConfig {
        ConnectionConfig {
            handshake_timeout: self.handshake_timeout,
            ping_interval: self.ping_interval,
            ping_timeout: self.ping_timeout,
            max_payload: self.max_payload,
            correlation: self.correlation.clone(),
        }
    }
}

/// As Dash Core's `-llmqtestparams` and the like: the minimum size becomes the threshold. But a type that keeps its usual
/// size and threshold, and is only named to be there, keeps its usual minimum too.
fn apply_llmq_params(params: &mut ChainParams, text: &str) -> Result<(), ConfigError> {
    for entry in entries(text) {
        let parsed = || {
            let (llmq_type, rest) = entry.split_once('=')?;
            let (size, threshold) = rest.split_once(':')?;
            let (size, threshold) = (size.parse().ok()?, threshold.parse().ok()?);
            let in_range = 1 <= threshold && threshold <= size;
            let usual = LLMQType(llmq_type.parse().ok()?).params()?;
            in_range.then_some((usual, size, threshold))
        };
        let (mut llmq, size, threshold): (LLMQParams, u32, u32) =
            parsed().ok_or_else(|| ConfigError::LlmqParams { entry: entry.to_owned() })?;
        if (llmq.size, llmq.threshold) != (size, threshold) {
            (llmq.size, llmq.threshold, llmq.min_size) = (size, threshold, threshold);
        }
        match params.llmqs.iter_mut().find(|known| known.llmq_type == llmq.llmq_type) {
            Some(known) => *known = llmq,
            None => params.llmqs.push(llmq),
        }
    }
    Ok(())
}

/// As Dash Core's `-llmqchainlocks`, `-llmqinstantsenddip0024` and `-llmqplatform`.
fn apply_llmq_roles(params: &mut ChainParams, text: &str) -> Result<(), ConfigError> {
    for entry in entries(text) {
        let wrong = || ConfigError::LlmqRoles { entry: entry.to_owned() };
        let (role, llmq_type) = entry.split_once('=').ok_or_else(wrong)?;
        let llmq_type = LLMQType(llmq_type.parse().map_err(|_| wrong())?);
        let rotated = params.llmq(llmq_type).ok_or_else(wrong)?.rotated;
        *match (role, rotated) {
            ("chain-locks", false) => &mut params.chain_locks_llmq,
            ("instant-send", true) => &mut params.rotated_llmq,
            ("platform", false) => &mut params.platform_llmq,
            _ => return Err(wrong()),
        } = llmq_type;
    }
    Ok(())
}

fn apply_activation(activation: &mut Activation, text: &str) -> Result<(), ConfigError> {
    let mut fields = BTreeMap::from([
        ("dip3", &mut activation.dip3),
        ("dip8", &mut activation.dip8),
        ("dip24", &mut activation.dip24),
        ("v19", &mut activation.v19),
        ("v20", &mut activation.v20),
        ("mn_rr", &mut activation.mn_rr),
        ("withdrawals", &mut activation.withdrawals),
    ]);
    for entry in entries(text) {
        let wrong = || ConfigError::Activation { entry: entry.to_owned() };
        let (name, height) = entry.split_once('=').ok_or_else(wrong)?;
        let field = fields.get_mut(name).ok_or_else(wrong)?;
        **field = height.parse().map_err(|_| wrong())?;
    }
    Ok(())
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regtest(llmq_params: &str, activation: &str) -> Config {
        Config {
            network: "regtest".into(),
            llmq_params: llmq_params.into(),
            activation: activation.into(),
            ..Config::default()
        }
    }

    #[test]
    fn parameters_of_private_networks_can_be_changed() {
        let params = regtest("100=4:4, 106=5:3", "dip3=2,v20=300").chain_params().unwrap();
        let llmq = params.llmq(LLMQType(106)).unwrap();
        assert_eq!((llmq.size, llmq.threshold, llmq.min_size), (5, 3, 3));
        assert_eq!((params.activation.dip3, params.activation.v20), (2, 300));
    }

    #[test]
    fn mainnet_s_quorums_can_be_those_of_a_regtest() {
        let config = Config {
            llmq_roles: "chain-locks=2, instant-send=5,platform=4".into(),
            ..regtest("2=400:240,4=100:67,5=60:45", "")
        };
        let params = config.chain_params().unwrap();
        assert_eq!(params.rotated(), &LLMQType::LLMQ_60_75.params().unwrap());
        assert_eq!((params.chain_locks_llmq, params.platform_llmq), (LLMQType(2), LLMQType(4)));
        for roles in ["chain-locks=5", "instant-send=2", "platform=1", "platform", "votes=2", "platform=x"] {
            let config = Config { llmq_roles: roles.into(), ..regtest("2=400:240,5=60:45", "") };
            let error = config.chain_params().unwrap_err();
            assert!(matches!(&error, ConfigError::LlmqRoles { entry } if entry == roles), "{error}");
        }
        let main = Config { network: "main".into(), llmq_roles: "platform=6".into(), ..Config::default() };
        assert!(matches!(main.chain_params(), Err(ConfigError::FixedNetwork { option: "llmq-roles", .. })));
    }

    #[test]
    fn malformed_parameters_are_named() {
        for (llmq, activation) in [
            ("100=4", ""),
            ("100=4:5", ""),
            ("100=4:0", ""),
            ("9=4:4", ""),
            ("", "dip3"),
            ("", "dip9=2"),
            ("", "v20=x"),
        ] {
            let error = regtest(llmq, activation).chain_params().unwrap_err().to_string();
            assert!(error.contains(llmq.max(activation)), "{error}");
        }
        let main = Config { network: "main".into(), ..regtest("100=4:4", "") };
        assert!(matches!(main.chain_params(), Err(ConfigError::FixedNetwork { option: "llmq-params", .. })));
        let unknown = Config { network: "mainnet".into(), ..Config::default() };
        assert!(unknown.chain_params().unwrap_err().to_string().contains("main, test, regtest"));
    }

    #[test]
    fn the_printed_configuration_can_be_read_back() {
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
        Config::default().sync.validate().unwrap();
    }

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
    fn a_broken_file_says_where() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("qrsync.toml");
        fs::write(&path, "network = \"regtest\"\n[sync]\nwindw = 3\n").unwrap();
        let error = Config::read(&path).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("windw"), "{error}");
        assert!(!error.contains('\n'));
        assert!(matches!(Config::read(directory.path()), Err(ConfigError::Read { .. })));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let capacity = Settings::default().scheduler.capacity;
        for window in [0, capacity - 15, usize::MAX] {
            let settings = Settings { window, ..Settings::default() };
            assert!(matches!(settings.validate(), Err(ConfigError::Setting { field: "window", .. })));
        }
        Settings { window: capacity - 16, ..Settings::default() }.validate().unwrap();
    }
}
