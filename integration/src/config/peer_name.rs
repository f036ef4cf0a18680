use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::error::ConfigError;

/// A node as it is named in the configuration, apart by host and port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerName {
    text: String,
    host: String,
    port: u16,
    /// Where the host is an address, so that nothing has to be looked up.
    address: Option<SocketAddr>,
}

impl PeerName {
    /// Reads `HOST:PORT`, or `HOST` alone, which means the default port. A host is a name or an address; one of IPv6 stands
    /// in brackets where a port follows.
    ///
    /// # Errors
    /// When there is no host, or the port is none.
    pub(crate) fn parse(text: &str, default_port: u16) -> Result<Self, ConfigError> {
        let refused = |reason| ConfigError::Peer { name: text.to_owned(), reason };
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let address = bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, default_port));
        let address = address.or_else(|_| text.parse::<SocketAddr>()).ok();
        let (host, port) = match (address, text.rsplit_once(':')) {
            (Some(address), _) => (address.ip().to_string(), address.port()),
            // What does not fit is 0.
            (None, Some((host, port))) => (host.to_owned(), port.parse().unwrap_or(0)),
            (None, None) => (text.to_owned(), default_port),
        };
        if host.is_empty() {
            return Err(refused("there is no host"));
        }
        if port == 0 {
            return Err(refused("the port is not from 1 to 65535"));
        }
        Ok(Self { text: text.to_owned(), host, port, address })
    }

    /// What is to be looked up.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The address, where the name is one.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

/// As it was configured.
impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hosts_with_or_without_a_port() {
        for (text, host, port, is_address) in [
            ("node.example:1", "node.example", 1, false),
            ("node.example", "node.example", 9999, false),
            ("no such host:65535", "no such host", 65_535, false),
            ("1.2.3.4:5", "1.2.3.4", 5, true),
            ("1.2.3.4", "1.2.3.4", 9999, true),
            ("[2a01::1]:5", "2a01::1", 5, true),
            ("[2a01::1]", "2a01::1", 9999, true),
            ("2a01::1", "2a01::1", 9999, true),
        ] {
            let name = PeerName::parse(text, 9999).unwrap();
            assert_eq!((name.host(), name.port(), name.to_string().as_str()), (host, port, text));
            assert_eq!(name.address().is_some(), is_address, "{text}");
            assert!(name.address().is_none_or(|address| address.port() == port), "{text}");
        }
    }

    #[test]
    fn what_has_no_host_or_no_port_in_range_is_refused() {
        for text in ["", ":9999", "host:", "host:0", "host:65536", "host:x", "1.2.3.4:99999", "1.2.3.4:0"] {
            let refused = PeerName::parse(text, 9999).unwrap_err();
            assert!(matches!(&refused, ConfigError::Peer { name, .. } if name == text), "{refused}");
        }
    }
}
