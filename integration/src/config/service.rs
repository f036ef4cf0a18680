//! Settings of whoever runs the client as a service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer, Serialize};

use super::bounds::{LOG_LEVELS, LOG_TARGETS};
use super::error::ConfigError;

/// Level and format of the logs, which go to stderr.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// The level: `error`, `warn`, `info` (default), `debug`, `trace` or `off`, or levels by target as in
    /// `info,spv_integration=debug`. Reloaded on SIGHUP.
    pub level: String,
    /// `human` (default) or `json`, one object per line.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Human }
    }
}

impl LogSettings {
    /// Checks that each level and target exists, because an unknown one would log nothing.
    ///
    /// # Errors
    /// Which part of it that is.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let refused = |part: &str| ConfigError::LogLevel { level: self.level.clone(), part: part.to_owned() };
        let mut parts = self.level.split(',').map(str::trim);
        parts.try_for_each(|part| match part.split_once('=') {
            Some((target, _)) if !is_target(target) => Err(refused(target)),
            Some((_, level)) if is_level(level) => Ok(()),
            None if is_level(part) => Ok(()),
            _ => Err(refused(part)),
        })
    }
}

/// Returns the part of a text such as `RUST_LOG`, which other programs read too, that is not about their targets.
pub fn own_levels(text: &str) -> String {
    let is_own = |part: &&str| part.split_once('=').is_none_or(|(target, _)| is_target(target.trim()));
    text.split(',').map(str::trim).filter(is_own).collect::<Vec<_>>().join(",")
}

fn is_level(text: &str) -> bool {
    LOG_LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text))
}

/// Whether this is one of the crates that log, or a module of one.
fn is_target(text: &str) -> bool {
    let (root, path) = text.split_once("::").unwrap_or((text, "any"));
    LOG_TARGETS.contains(&root) && !path.is_empty()
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// For machines.
    Json,
}

/// An address to listen at; a port alone, with or without a colon, is one of the loopback interface.
pub(crate) fn listen_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected ADDRESS:PORT or PORT")]
    enum Given {
        Port(u16),
        Text(String),
    }
    let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    match Option::<Given>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Given::Port(port)) => Ok(Some(loopback(port))),
        Some(Given::Text(text)) => {
            let port = text.strip_prefix(':').unwrap_or(&text).parse().map(loopback);
            let address = port.or_else(|_| text.parse::<SocketAddr>());
            let refused = |_| serde::de::Error::custom(format!("{text:?} is not ADDRESS:PORT or PORT"));
            address.map(Some).map_err(refused)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn levels_and_targets_have_to_exist() {
        let check =
            |level: &str| LogSettings { level: level.to_owned(), ..LogSettings::default() }.validate();
        for level in ["info", "OFF", "warn, spv_integration=debug", "spv_integration::net=trace,error"] {
            check(level).unwrap();
        }
        assert_eq!(own_levels("hyper=debug, warn,spv_netmon=trace"), "warn,spv_netmon=trace");
        assert_eq!(own_levels("hyper=debug"), "");
        for (level, wrong) in [
            ("banana", "banana"),
            ("", ""),
            ("info,", ""),
            ("info,banana=debug", "banana"),
            ("spv_integraton=debug", "spv_integraton"),
            ("spv_integration=banana", "spv_integration=banana"),
            ("spv_integration", "spv_integration"),
            ("a=b=c", "a"),
        ] {
            let error = check(level).unwrap_err();
            assert!(matches!(&error, ConfigError::LogLevel { part, .. } if part == wrong), "{error}");
        }
    }

    #[test]
    fn a_port_alone_is_of_the_loopback_interface() {
        for (given, expected) in [
            ("9184", Some("127.0.0.1:9184")),
            ("\"9184\"", Some("127.0.0.1:9184")),
            ("\":9184\"", Some("127.0.0.1:9184")),
            ("\"0.0.0.0:1\"", Some("0.0.0.0:1")),
            ("\"[::1]:2\"", Some("[::1]:2")),
            ("\"nowhere\"", None),
            ("70000", None),
        ] {
            let config = toml::from_str::<Config>(&format!("metrics_listen = {given}"));
            let address = config.ok().and_then(|config| config.metrics_listen);
            assert_eq!(address.map(|address| address.to_string()).as_deref(), expected, "{given}");
        }
    }
}
