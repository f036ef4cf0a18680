use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;
use spv_integration::config::own_levels;
use spv_integration::{Config, ConfigError};
use toml::de::{DeTable, DeValue};

use crate::exit::Usage;

/// A configuration, and where each of its values comes from.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) config: Config,
    /// The same as nested objects, with null where nothing is set.
    pub(super) tree: Value,
    /// By key, as in `sync.window`; what is not here is a default.
    origins: BTreeMap<String, Origin>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment { name: String },
    Flag { name: &'static str },
}

/// A key's value as a flag gives it.
#[derive(Debug)]
pub(crate) struct Flag {
    name: &'static str,
    key: &'static str,
    value: Value,
}

impl Flag {
    /// What `name`, a flag, was given for `key`; `None` when it was not given.
    pub(crate) fn new(
        name: &'static str,
        key: &'static str,
        value: Option<impl Into<Value>>,
    ) -> Option<Self> {
        value.map(|value| Self { name, key, value: value.into() })
    }
}

impl Layers {
    /// Merges them, each over the ones before.
    ///
    /// # Errors
    /// When the file cannot be used, or a value is none that its key can have; the error says where the value stands.
    pub(crate) fn merge(
        file: Option<&Path>,
        environment: impl Fn(&str) -> Option<String>,
        flags: impl IntoIterator<Item = Flag>,
    ) -> anyhow::Result<Self> {
        let config = file.map_or_else(|| Ok(Config::default()), Config::read)?;
        let tree = serde_json::to_value(&config)?;
        let origins = file.map(lines).transpose()?.unwrap_or_default();
        let mut layers = Self { config, tree, origins };
        for key in keys(&layers.tree) {
            let given = variables(&key).find_map(|name| Some((environment(&name)?, name)));
            let given = given.map(|(text, name)| match name.as_str() {
                RUST_LOG => (own_levels(&text), name),
                _ => (text, name),
            });
            if let Some((text, name)) = given.filter(|(text, _)| !text.is_empty()) {
                layers.set_from_text(&key, &text, Origin::Environment { name })?;
            }
        }
        for Flag { name, key, value } in flags {
            layers.set(key, value, Origin::Flag { name })?;
        }
        // Whatever the command does, it logs.
        layers.config.log.validate().map_err(|error| layers.blame(error))?;
        Ok(layers)
    }

    /// Refuses values that a sync cannot work with.
    ///
    /// # Errors
    /// The first such value, and where it stands.
    pub(crate) fn checked(self) -> anyhow::Result<Self> {
        match self.config.validate() {
            Ok(()) => Ok(self),
            Err(error) => Err(self.blame(error)),
        }
    }

    /// Adds to the error of a value where that value comes from.
    fn blame(&self, error: ConfigError) -> anyhow::Error {
        match error.key().map(|key| self.origin(&key)) {
            None | Some(Origin::Default) => error.into(),
            Some(origin) => Usage(format!("{origin}: {error}")).into(),
        }
    }

    pub(crate) fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Keys that have another value here, and their values there.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        keys(&self.tree).into_iter().filter(|key| self.value(key) != other.value(key)).collect()
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.tree.pointer(&pointer(key))
    }

    /// A variable is text, whatever its key wants: what the key can have of the ways to read it counts.
    fn set_from_text(&mut self, key: &str, text: &str, origin: Origin) -> anyhow::Result<()> {
        let literal = serde_json::from_str(text).ok();
        let plain = Value::from(text);
        let readings = match self.value(key) {
            Some(Value::String(_)) => vec![plain],
            Some(Value::Array(_)) => {
                let parts = text.split(',').map(str::trim).collect::<Vec<_>>();
                vec![literal.filter(Value::is_array).unwrap_or_else(|| parts.into())]
            }
            Some(Value::Null) => [Some(plain), literal].into_iter().flatten().collect(),
            _ => vec![literal.unwrap_or(plain)],
        };
        let mut result = Ok(());
        for reading in readings {
            result = self.set(key, reading, origin.clone());
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) -> anyhow::Result<()> {
        let mut tree = self.tree.clone();
        *tree.pointer_mut(&pointer(key)).with_context(|| format!("{key} is a key of the configuration"))? =
            value;
        self.config = serde_json::from_value(tree).map_err(|error| {
            Usage(format!("{origin}: {error}; `qrsync config show` prints every key with its value"))
        })?;
        // As it is understood, which may be more than what was given.
        self.tree = serde_json::to_value(&self.config)?;
        self.origins.insert(key.to_owned(), origin);
        Ok(())
    }
}

impl Origin {
    /// Its kind, for machines.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File { .. } => "file",
            Self::Environment { .. } => "environment",
            Self::Flag { .. } => "flag",
        }
    }

    /// Where exactly; nowhere for a default.
    pub(super) fn source(&self) -> Option<String> {
        match self {
            Self::Default => None,
            Self::File { path, line } => Some(format!("{}:{line}", path.display())),
            Self::Environment { name } => Some(name.clone()),
            Self::Flag { name } => Some((*name).to_owned()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source() {
            Some(source) => write!(f, "{} {source}", self.kind()),
            None => f.write_str(self.kind()),
        }
    }
}

/// The environment variable of a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// Variables whose name says that they are ours, and that no key has.
pub(crate) fn unknown_variables(names: impl Iterator<Item = String>) -> Vec<String> {
    let tree = serde_json::to_value(Config::default()).unwrap_or_default();
    let known: BTreeSet<String> = keys(&tree).iter().map(|key| variable(key)).collect();
    names.filter(|name| name.starts_with(PREFIX) && name != FILE_VARIABLE && !known.contains(name)).collect()
}

/// All keys in the order of the file.
pub(super) fn keys(tree: &Value) -> Vec<String> {
    let Value::Object(object) = tree else { return Vec::new() };
    let below = |(name, value): (&String, &Value)| match value {
        Value::Object(_) => keys(value).into_iter().map(|key| format!("{name}.{key}")).collect(),
        _ => vec![name.clone()],
    };
    object.iter().flat_map(below).collect()
}

/// Variables that may set a key, the first one that is there does.
fn variables(key: &str) -> impl Iterator<Item = String> {
    let customary = (key == "log.level").then(|| RUST_LOG.to_owned());
    [variable(key)].into_iter().chain(customary)
}

fn pointer(key: &str) -> String {
    format!("/{}", key.replace('.', "/"))
}

/// Where in the file each key stands.
fn lines(path: &Path) -> anyhow::Result<BTreeMap<String, Origin>> {
    let text = fs::read_to_string(path)?;
    let table = DeTable::parse(&text)?;
    let mut origins = BTreeMap::new();
    collect(table.get_ref(), "", &mut |key, position| {
        let line = text[..position].matches('\n').count() + 1;
        origins.insert(key, Origin::File { path: path.to_owned(), line });
    });
    Ok(origins)
}

fn collect(table: &DeTable<'_>, prefix: &str, found: &mut impl FnMut(String, usize)) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        match value.get_ref() {
            DeValue::Table(below) => collect(below, &format!("{key}."), found),
            _ => found(key, name.span().start),
        }
    }
}

/// Other programs read it too.
const RUST_LOG: &str = "RUST_LOG";

const PREFIX: &str = "QRSYNC_";

/// The one variable that is no key: it names the file.
pub(crate) const FILE_VARIABLE: &str = "QRSYNC_CONFIG";

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(file: &str, environment: &[(&str, &str)], flags: Vec<Flag>) -> anyhow::Result<Layers> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("qrsync.toml");
        fs::write(&path, file).unwrap();
        let environment = |name: &str| {
            environment.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
        };
        Layers::merge(Some(&path), environment, flags)
    }

    #[test]
    fn a_flag_goes_before_the_environment_and_that_before_the_file() {
        let file = "network = \"test\"\nfrom = 1\n\n[sync]\nwindow = 5\n";
        let environment = [("QRSYNC_NETWORK", "regtest"), ("QRSYNC_SYNC_WINDOW", "6")];
        let flag = Flag::new("--network", "network", Some("devnet:x"));
        let layers = merge(file, &environment, flag.into_iter().collect()).unwrap();
        let Config { network, from, sync, .. } = &layers.config;
        assert_eq!((network.as_str(), *from, sync.window), ("devnet:x", Some(1), 6));
        assert_eq!(layers.origin("network"), Origin::Flag { name: "--network" });
        assert_eq!(layers.origin("sync.window").source().as_deref(), Some("QRSYNC_SYNC_WINDOW"));
        assert_eq!(layers.origin("sync.max_payload"), Origin::Default);
        assert!(matches!(layers.origin("from"), Origin::File { line: 2, .. }));
    }

    #[test]
    fn lines_are_found_however_a_key_is_written() {
        let file = "sync.window = 3\nclient = { cached_lists = 2 }\n[sync.executor]\nhedge_budget = 1\n";
        let layers = merge(file, &[], Vec::new()).unwrap();
        for (key, expected) in
            [("sync.window", 1), ("client.cached_lists", 2), ("sync.executor.hedge_budget", 4)]
        {
            assert!(matches!(layers.origin(key), Origin::File { line, .. } if line == expected), "{key}");
        }
    }

    #[test]
    fn a_variable_is_read_as_its_key_wants_it() {
        let environment = [
            ("QRSYNC_PEERS", "127.0.0.1:1, [::1]:2"),
            ("QRSYNC_FROM", "7"),
            ("QRSYNC_DATA_DIR", "7"),
            ("QRSYNC_METRICS_LISTEN", "9184"),
            ("QRSYNC_SYNC_VERIFY_QUORUMS", "false"),
            ("QRSYNC_SYNC_PEER_PATIENCE", "3s"),
            ("QRSYNC_MAX_TIP_AGE", "2h"),
            ("QRSYNC_NETWORK", ""),
            ("RUST_LOG", "debug"),
        ];
        let layers = merge("", &environment, Vec::new()).unwrap();
        let config = &layers.config;
        assert_eq!(config.peers, ["127.0.0.1:1", "[::1]:2"]);
        assert_eq!((config.from, config.data_dir.as_deref()), (Some(7), Some(Path::new("7"))));
        assert_eq!(config.metrics_listen.unwrap().to_string(), "127.0.0.1:9184");
        assert_eq!((config.sync.verify_quorums, config.sync.peer_patience.as_secs()), (false, 3));
        assert_eq!((config.network.as_str(), config.max_tip_age.unwrap().as_secs()), ("main", 7200));
        assert_eq!(config.log.level, "debug");
        assert_eq!(layers.origin("log.level").source().as_deref(), Some("RUST_LOG"));
    }

    #[test]
    fn a_value_that_cannot_be_is_blamed_on_its_place() {
        for (name, value) in
            [("QRSYNC_SYNC_DEPTH", "4"), ("QRSYNC_FROM", "soon"), ("QRSYNC_METRICS_LISTEN", "nowhere")]
        {
            let error = merge("", &[(name, value)], Vec::new()).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("config show"), "{error}");
        }
    }

    #[test]
    fn a_value_out_of_bounds_is_blamed_on_its_place() {
        let check = |file: &str, environment: &[(&str, &str)], flag: Option<Flag>| {
            let layers = merge(file, environment, flag.into_iter().collect());
            layers.and_then(Layers::checked).unwrap_err().to_string()
        };
        let flag = |name, key, value: &str| Flag::new(name, key, Some(value));
        let network = || flag("--network", "network", "test");
        let long = "\n[sync]\nhandshake_timeout = '500000000000y'\n";
        let error = check(long, &[], network());
        assert!(error.contains(":3: sync.handshake_timeout: must be"), "{error}");
        let error = check("sync.scheduler.per_second = nan", &[], network());
        assert!(error.contains("line 1") && !error.contains("--network"), "{error}");
        let error = check("", &[("QRSYNC_SYNC_WINDOW", "1000000")], network());
        assert!(error.starts_with("environment QRSYNC_SYNC_WINDOW: sync.window: must be"), "{error}");
        let error = check("", &[("QRSYNC_SYNC_SCHEDULER_PER_SECOND", "NaN")], network());
        assert!(error.starts_with("environment QRSYNC_SYNC_SCHEDULER_PER_SECOND: "), "{error}");
        let error = check("", &[], flag("--log-level", "log.level", "banana"));
        assert!(error.starts_with("flag --log-level: log level \"banana\""), "{error}");
        let error = check("", &[("RUST_LOG", "banana")], None);
        assert!(error.starts_with("environment RUST_LOG: "), "{error}");
        let layers = merge("", &[("RUST_LOG", "hyper=debug,warn")], Vec::new()).unwrap();
        assert_eq!(layers.config.log.level, "warn");
        let error = check("", &[], flag("--metrics-listen", "metrics_listen", "0.0.0.0:1"));
        assert!(error.starts_with("flag --metrics-listen: ") && error.contains("allow-remote"), "{error}");
    }

    #[test]
    fn every_key_has_a_variable_of_its_own_and_others_are_unknown() {
        let tree = serde_json::to_value(Config::default()).unwrap();
        let keys = keys(&tree);
        let names: BTreeSet<String> = keys.iter().map(|key| variable(key)).collect();
        assert_eq!(names.len(), keys.len());
        let given = ["QRSYNC_CONFIG", "QRSYNC_NETWORK", "QRSYNC_NETWROK", "PATH"].map(str::to_owned);
        assert_eq!(unknown_variables(given.into_iter()), ["QRSYNC_NETWROK"]);
    }
}
