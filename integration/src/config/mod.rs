//! Configuration: defaults, then the file, then the environment and flags. Plain data, which every other module may read.

mod api;
mod bounds;
mod chain_params;
mod client;
mod discovery;
mod error;
mod network_params;
mod peer_name;
mod selector;
mod service;
mod settings;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dashcore::{ChainParams, Network};
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use api::ApiSettings;
pub(crate) use bounds::LONGEST_BAN;
pub use client::ClientSettings;
pub use discovery::DiscoveryConfig;
pub use error::ConfigError;
pub use network_params::NetworkParams;
pub(crate) use peer_name::PeerName;
pub use selector::Selector;
pub use service::{LogFormat, LogSettings, own_levels};
pub(crate) use settings::REPLACEMENTS;
pub use settings::Settings;

use bounds::TIME;
use service::listen_address;

/// Age from which a tip of a public network is stale, where nothing else is configured: 24 blocks.
const MAX_TIP_AGE: Duration = Duration::from_secs(3_600);

/// Where Platform's SDK finds the service, unless another address is configured.
const PLATFORM_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9184);

/// The whole configuration. The keys of the file are the names of the fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Network: `main` (default), `test`, `regtest`, `devnet:NAME`, or `local`: a regtest as `dashmate` sets it up.
    pub network: String,
    /// Nodes to connect to, as `HOST:PORT`; `HOST` alone means the network's default port. A name that cannot be looked
    /// up is looked up again for as long as the sync lasts. Empty (default): the network's DNS seeds.
    pub peers: Vec<String>,
    /// Whether to look for other nodes besides `peers`: remembered ones, and addresses from other nodes and from the
    /// DNS seeds. Default false; without `peers` this is always done.
    pub discover: bool,
    /// Height from which every cycle's list is synced. Unset (default): only the lists that the tip needs.
    pub from: Option<u32>,
    /// Directory of the database. Unset (default): a directory per network below the user's data directory.
    pub data_dir: Option<PathBuf>,
    /// Address at which the API, metrics, health and status are served over HTTP, as `ADDRESS:PORT`; a port alone means
    /// the loopback interface. Unset (default): they are not served.
    #[serde(deserialize_with = "listen_address")]
    pub metrics_listen: Option<SocketAddr>,
    /// Whether `metrics_listen` may be another address than loopback. Default false, because the service shows peers
    /// and has no authentication.
    pub metrics_allow_remote: bool,
    /// Age of the tip's block from which the tip is stale: then a sync ends as `Degraded`, and a service is not ready.
    /// Unset (default): 1 h on the public networks, and no limit on others, where blocks are made on demand.
    #[serde(with = "humantime_serde")]
    pub max_tip_age: Option<Duration>,
    /// Quorum parameters that differ from the network's, as `TYPE=SIZE:THRESHOLD` separated by commas. It may contain
    /// types that the network does not have by default.
    pub llmq_params: String,
    /// Quorum types with another role than the network's, as `ROLE=TYPE` separated by commas; roles are `chain-locks`,
    /// `instant-send` (the rotated one) and `platform`.
    pub llmq_roles: String,
    /// Activation heights that differ from the network's, as `NAME=HEIGHT` separated by commas.
    pub activation: String,
    /// Target time between two blocks of a devnet, in seconds, as its nodes' `-powtargetspacing`. Unset (default): 150.
    pub pow_target_spacing: Option<NonZeroU32>,
    /// Height up to which a devnet's blocks have the easiest target, as its nodes' `-minimumdifficultyblocks`. Unset
    /// (default): 0.
    pub minimum_difficulty_blocks: Option<u32>,
    /// Settings of a sync.
    pub sync: Settings,
    /// Limits of lookups.
    pub client: ClientSettings,
    /// The HTTP API of the `qrsync` service.
    pub api: ApiSettings,
    /// Logs of the `qrsync` command. A program that uses the library configures its own logs.
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
            pow_target_spacing: None,
            minimum_difficulty_blocks: None,
            sync: Settings::default(),
            client: ClientSettings::default(),
            api: ApiSettings::default(),
            log: LogSettings::default(),
        }
    }
}

impl Config {
    /// Reads a TOML file. Keys that it does not contain keep their defaults.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or has unknown keys.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let wrong = |at: usize, message: &str| {
            let line = text[..at].matches('\n').count() + 1;
            let message = format!("line {line}: {}", message.replace('\n', " "));
            ConfigError::Parse { path: path.to_owned(), message }
        };
        let read = toml::from_str(&text);
        let config =
            read.map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message()))?;
        // TOML knows numbers that are none, which no setting can be.
        match infinite(&text) {
            Some(at) => Err(wrong(at, "a finite number is expected")),
            None => Ok(config),
        }
    }

    /// Checks all values, and returns the first one that a sync cannot use as an error; [`ConfigError::key`] names it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.log.validate()?;
        let params = self.chain_params()?;
        self.peer_names(&params)?;
        if let Some(age) = self.max_tip_age
            && !TIME.allow(&age)
        {
            return Err(ConfigError::value("max_tip_age", TIME.said));
        }
        if let Some(address) = self.metrics_listen.filter(|address| !address.ip().is_loopback())
            && !self.metrics_allow_remote
        {
            return Err(ConfigError::Remote { address });
        }
        self.sync.validate()?;
        self.client.validate()?;
        self.api.validate()
    }

    /// Returns the address at which the service answers; `None` if it does so at none.
    pub fn listen_address(&self) -> Option<SocketAddr> {
        let of_platform = || self.api.platform.then_some(PLATFORM_ADDRESS);
        self.metrics_listen.or_else(of_platform)
    }

    /// Returns the age from which a tip is stale on this network; `None` if there is no limit.
    pub fn max_tip_age(&self, params: &ChainParams) -> Option<Duration> {
        let is_public = matches!(params.network, Network::Dash | Network::Testnet);
        self.max_tip_age.or_else(|| is_public.then_some(MAX_TIP_AGE))
    }

    /// The configured peers, apart by host and port.
    ///
    /// # Errors
    /// When one is not `HOST:PORT`.
    pub(crate) fn peer_names(&self, params: &ChainParams) -> Result<Vec<PeerName>, ConfigError> {
        self.peers.iter().map(|text| PeerName::parse(text, params.default_port)).collect()
    }

    /// Returns the directory of this network's data.
    ///
    /// # Errors
    /// When none is configured and no home directory is set, or the network is none: its name becomes a directory's.
    pub fn data_dir(&self) -> Result<PathBuf, ConfigError> {
        if let Some(directory) = &self.data_dir {
            return Ok(directory.clone());
        }
        if self.network != chain_params::LOCAL {
            self.network.parse::<Network>()?;
        }
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
        Ok(base.ok_or(ConfigError::NoHome)?.join("qrsync").join(self.network.replace(':', "-")))
    }
}

/// Where in a TOML text the first number stands that is infinite or none.
fn infinite(text: &str) -> Option<usize> {
    fn in_value(value: &Spanned<DeValue<'_>>) -> Option<usize> {
        match value.get_ref() {
            DeValue::Float(number) => {
                let is_finite = number.as_str().parse::<f64>().is_ok_and(f64::is_finite);
                (!is_finite).then(|| value.span().start)
            }
            DeValue::Array(values) => values.iter().find_map(in_value),
            DeValue::Table(table) => table.values().find_map(in_value),
            _ => None,
        }
    }
    DeTable::parse(text).ok()?.get_ref().values().filter_map(in_value).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_configuration_can_be_read_back() {
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
        Config::default().sync.validate().unwrap();
    }

    #[test]
    fn a_name_that_is_a_path_leads_nowhere() {
        for name in ["../../x", "..", ".x", "a/b", "a\\b", "a\u{1b}[31m", "a b", "", "-x"] {
            let config = Config { network: format!("devnet:{name}"), ..Config::default() };
            for error in [config.data_dir().unwrap_err(), config.chain_params().unwrap_err()] {
                assert!(matches!(error, ConfigError::Network(_)), "{error}");
                assert!(!error.to_string().contains(char::is_control), "{error}");
            }
        }
        let config = Config { network: "devnet:a.b_c-1".into(), ..Config::default() };
        let directory = config.data_dir().unwrap();
        assert!(directory.ends_with("qrsync/devnet-a.b_c-1"), "{}", directory.display());
    }

    #[test]
    fn only_loopback_is_served_unless_told_otherwise() {
        for (address, is_loopback) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
        ] {
            let config = Config { metrics_listen: Some(address.parse().unwrap()), ..Config::default() };
            assert_eq!(config.validate().is_ok(), is_loopback, "{address}");
            Config { metrics_allow_remote: true, ..config }.validate().unwrap();
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        let refused =
            |text: &str| toml::from_str::<Config>(text).unwrap().validate().unwrap_err().key().unwrap();
        for (text, key) in [
            ("network = 'mainnet'", "network"),
            ("peers = ['host:0']", "peers"),
            ("max_tip_age = '500000000000y'", "max_tip_age"),
            ("max_tip_age = '0s'", "max_tip_age"),
            ("metrics_listen = '0.0.0.0:1'", "metrics_listen"),
            ("llmq_params = '100=4:4'", "llmq_params"),
            ("pow_target_spacing = 60", "pow_target_spacing"),
            ("log.level = 'banana'", "log.level"),
            ("sync.window = 1000000", "sync.window"),
            ("sync.max_payload = 4294967296", "sync.max_payload"),
            ("sync.netmon.rto_max = '2d'", "sync.netmon.rto_max"),
            ("client.cached_lists = 100000", "client.cached_lists"),
        ] {
            assert_eq!(refused(text), key, "{text}");
        }
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
        for number in ["nan", "-inf", "1e999"] {
            fs::write(&path, format!("from = 7\n[sync.scheduler]\nper_second = {number}\n")).unwrap();
            let error = Config::read(&path).unwrap_err().to_string();
            assert!(error.contains("line 3: ") && error.contains("number"), "{number}: {error}");
        }
        fs::write(&path, "[sync.scheduler]\nper_second = 1_000.5e-1\n").unwrap();
        Config::read(&path).unwrap();
    }
}
