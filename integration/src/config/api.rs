use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bounds::{Bounds, CLIENTS, TIME};
use super::error::{ConfigError, ensure};

/// Settings of the HTTP API of the `qrsync` service. It is served at [`Config::metrics_listen`](super::Config), and to
/// the command line of the same machine at a socket in the data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSettings {
    /// Whether to serve also what Platform's SDK reads from a trusted server: `/quorums`, `/previous` and
    /// `/masternodes`. Default false. The address is then port 9184 of the loopback interface, if none is configured.
    pub platform: bool,
    /// Further host names under which the service may be asked, besides those of the loopback interface and the address
    /// of the connection, for example that of a proxy. Default none. A request with another `Host` is refused, so that a
    /// web page whose name leads to this address cannot read the answers.
    pub hosts: Vec<String>,
    /// Origins whose web pages may read the answers, such as `https://wallet.example`; `*` stands for all. Default none.
    pub cors_origins: Vec<String>,
    /// Maximum number of connections at a time. Default 512, 8 to 65,536. A further one takes the place of the one that
    /// has waited longest for a request, and is refused if all are being answered.
    pub max_connections: usize,
    /// Maximum number of connections of one IP address at a time, likewise. Default 128, 8 to 65,536. A proxy is one
    /// address.
    pub max_connections_per_client: usize,
    /// Maximum number of clients that read events at a time; further ones are refused. Default 64, 8 to 65,536.
    pub max_subscribers: usize,
    /// Maximum time until an answer begins, which includes the body of the request. Default 10 s, a millisecond to a
    /// year.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            platform: false,
            hosts: Vec::new(),
            cors_origins: Vec::new(),
            max_connections: 512,
            max_connections_per_client: 128,
            max_subscribers: 64,
            request_timeout: Duration::from_secs(10),
        }
    }
}

impl ApiSettings {
    /// Refuses the first field out of range.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |field, reason| ConfigError::value(format!("api.{field}"), reason);
        let is_host = |host: &String| {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte))
        };
        ensure(self.hosts.iter().all(is_host), || wrong("hosts", "must be host names without ports"))?;
        let is_origin = |origin: &String| {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            origin == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains(['/', ' ', ',']))
        };
        ensure(self.cors_origins.iter().all(is_origin), || {
            wrong("cors_origins", "must be origins such as https://wallet.example, without a path, or *")
        })?;
        let check = |field, value: usize, bounds: &Bounds<usize>| {
            ensure(bounds.allow(&value), || wrong(field, bounds.said))
        };
        check("max_connections", self.max_connections, &CLIENTS)?;
        check("max_connections_per_client", self.max_connections_per_client, &CLIENTS)?;
        check("max_subscribers", self.max_subscribers, &CLIENTS)?;
        ensure(TIME.allow(&self.request_timeout), || wrong("request_timeout", TIME.said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_origins_have_to_be_some() {
        let refused = |text: &str| toml::from_str::<ApiSettings>(text).unwrap().validate().is_err();
        assert!(!refused("hosts = ['qrsync.example', '10.0.0.5', '::1']"));
        assert!(!refused("cors_origins = ['https://wallet.example:8443', 'http://localhost', '*']"));
        for text in [
            "hosts = ['']",
            "hosts = ['https://qrsync.example']",
            "hosts = ['a b']",
            "cors_origins = ['wallet.example']",
            "cors_origins = ['https://']",
            "cors_origins = ['https://wallet.example/path']",
            "max_connections = 1",
            "max_subscribers = 100000",
            "request_timeout = '0s'",
        ] {
            assert!(refused(text), "{text}");
        }
    }
}
