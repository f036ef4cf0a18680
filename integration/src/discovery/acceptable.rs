use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dashcore::{ChainParams, Network};

/// Whether an address that others name is worth remembering on this network. On public networks it must be one that is
/// routed publicly: anything else would have us knock at doors of our own network on a stranger's word.
pub(super) fn is_acceptable(address: &SocketAddr, params: &ChainParams) -> bool {
    let is_public = matches!(params.network, Network::Dash | Network::Testnet);
    let (ip, port) = (address.ip(), address.port());
    let is_usable = port != 0 && !ip.is_unspecified() && !ip.is_multicast();
    // Services of other kinds live on low ports, and are not ours to be sent to.
    is_usable && (!is_public || is_routable(ip) && (port >= FIRST_USER_PORT || port == params.default_port))
}

/// Whether the address of a masternode in a proven list is worth remembering. On private networks such an address may be
/// made up: where it is not routed publicly, only those of this host are taken.
pub(super) fn is_acceptable_masternode(address: &SocketAddr, params: &ChainParams) -> bool {
    is_acceptable(address, params) && (is_routable(address.ip()) || address.ip().is_loopback())
}

/// Ports below belong to the system's services.
const FIRST_USER_PORT: u16 = 1_024;

fn is_routable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_routable_v4(ip),
        IpAddr::V6(ip) => is_routable_v6(ip),
    }
}

/// IANA's registry of special-purpose addresses, as far as nothing there is reached from everywhere.
fn is_routable_v4(ip: Ipv4Addr) -> bool {
    let [first, second, third, _] = ip.octets();
    let is_special = ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_broadcast()
        || first == 0
        || first >= 240
        || first == 100 && (64..128).contains(&second)
        || first == 198 && (18..20).contains(&second)
        || (first, second, third) == (192, 0, 0);
    !is_special
}

/// Only global unicast, 2000::/3, is routed; within it not documentation, Teredo and 6to4, which stand for other addresses.
fn is_routable_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    first & 0xe000 == 0x2000
        && first != 0x2002
        && (first, second) != (0x2001, 0x0db8)
        && !(first == 0x2001 && second < 0x0200)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(network: Network, address: &str) -> bool {
        is_acceptable(&address.parse().unwrap(), &ChainParams::new(network))
    }

    #[test]
    fn public_networks_take_addresses_that_are_routed_publicly() {
        for (address, expected) in [
            ("5.6.7.8:9999", true),
            ("5.6.7.8:19999", true),
            ("[2a01:4f8::1]:9999", true),
            ("5.6.7.8:0", false),
            ("5.6.7.8:22", false),
            ("127.0.0.1:9999", false),
            ("10.1.2.3:9999", false),
            ("192.168.1.1:9999", false),
            ("169.254.1.1:9999", false),
            ("100.64.0.1:9999", false),
            ("198.18.0.1:9999", false),
            ("203.0.113.1:9999", false),
            ("224.0.0.1:9999", false),
            ("255.255.255.255:9999", false),
            ("0.0.0.0:9999", false),
            ("[::1]:9999", false),
            ("[fd00::1]:9999", false),
            ("[fe80::1]:9999", false),
            ("[2001:db8::1]:9999", false),
            ("[2002:a00::1]:9999", false),
            ("[::ffff:10.0.0.1]:9999", false),
        ] {
            assert_eq!(accepted(Network::Dash, address), expected, "{address}");
        }
    }

    #[test]
    fn of_masternodes_only_those_are_taken_that_may_be_there() {
        for (network, address, expected) in [
            (Network::Dash, "5.6.7.8:9999", true),
            (Network::Dash, "127.0.0.1:9999", false),
            (Network::Dash, "[::]:9999", false),
            (Network::Regtest, "127.0.0.1:19899", true),
            (Network::Regtest, "5.6.7.8:19899", true),
            (Network::Regtest, "10.0.0.1:19899", false),
            (Network::Regtest, "127.0.0.1:0", false),
        ] {
            let params = ChainParams::new(network);
            let accepted = is_acceptable_masternode(&address.parse().unwrap(), &params);
            assert_eq!(accepted, expected, "{address} on {}", params.network);
        }
    }

    #[test]
    fn private_networks_take_private_addresses() {
        assert!(accepted(Network::Regtest, "127.0.0.1:19899"));
        assert!(accepted(Network::Devnet("d".into()), "10.0.0.1:19899"));
        assert!(!accepted(Network::Regtest, "0.0.0.0:19899"));
    }
}
