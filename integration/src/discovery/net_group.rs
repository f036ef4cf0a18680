use std::net::SocketAddr;

use crate::address::network_group;

/// A part of the Internet that may belong to one operator: a /16 of IPv4, a /32 of IPv6. Where addresses are not routed
/// publicly, each host is a group of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NetGroup(u64);

impl NetGroup {
    /// The group of an address, whatever its port.
    pub(crate) fn of(address: &SocketAddr) -> Self {
        Self(network_group(SocketAddr::new(address.ip(), 0)))
    }

    /// As a number that can be stored.
    pub(super) const fn to_u64(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_group_whatever_the_port() {
        let group = |text: &str| NetGroup::of(&text.parse().unwrap());
        assert_eq!(group("127.0.0.1:1"), group("127.0.0.1:2"));
        assert_ne!(group("10.0.0.1:1"), group("10.0.0.2:1"));
        assert_eq!(group("5.6.7.8:1"), group("5.6.1.1:9"));
        assert_ne!(group("5.6.7.8:1"), group("5.7.7.8:1"));
    }
}
