//! What an address says about who may run the node behind it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Peers of one group may be one operator: a /16 of IPv4, a /32 of IPv6. Addresses that are not routed publicly say
/// nothing about operators, so there each socket address is a group of its own.
pub(crate) fn network_group(peer: SocketAddr) -> u64 {
    match peer.ip() {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_private() || ip.is_link_local() => {
            1 << 62 | u64::from(ip.to_bits()) << 16 | u64::from(peer.port())
        }
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> 16),
        IpAddr::V6(ip) if ip.is_loopback() || ip.is_unique_local() => {
            let [.., low] = ip.segments();
            1 << 61 | u64::from(low) << 16 | u64::from(peer.port())
        }
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.segments();
            1 << 63 | u64::from(first) << 16 | u64::from(second)
        }
    }
}

/// In how many networks these peers are.
pub(crate) fn count_networks(peers: &[SocketAddr]) -> usize {
    peers.iter().map(|peer| network_group(*peer)).collect::<BTreeSet<u64>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(address: &str) -> u64 {
        network_group(address.parse().unwrap())
    }

    #[test]
    fn neighbours_share_a_group_unless_they_are_local() {
        assert_eq!(group("203.0.113.5:9999"), group("203.0.1.1:19999"));
        assert_ne!(group("203.0.113.5:9999"), group("203.1.113.5:9999"));
        assert_eq!(group("[2001:db8:1::1]:9999"), group("[2001:db8:2::1]:9999"));
        assert_ne!(group("[2001:db8::1]:9999"), group("[2001:db9::1]:9999"));
        assert_ne!(group("127.0.0.1:1"), group("127.0.0.1:2"));
        assert_eq!(group("127.0.0.1:1"), group("127.0.0.1:1"));
        assert_ne!(group("[::1]:1"), group("[::1]:2"));
    }
}
