//! Settings of whoever runs the client as a service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer, Serialize};

/// What is logged, and in which form. Logs go to stderr.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// A level, `error`, `warn` (default), `info`, `debug` or `trace`, or levels by target as in
    /// `info,spv_integration=debug`. Reloaded on SIGHUP.
    pub level: String,
    /// `human` (default) or `json`, one object per line.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "warn".to_owned(), format: LogFormat::Human }
    }
}

/// Form of log lines.
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
    use crate::config::Config;

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
