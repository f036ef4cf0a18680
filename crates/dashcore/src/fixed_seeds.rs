//! Addresses of nodes known in advance, for when no DNS seed answers and nobody else is known.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// EvoNodes that were valid in mainnet's masternode list after block 2,240,504, whose merkle root its coinbase commits to.
/// Drawn at random, each from another /8, of those that are reached at the default port. Ascending.
pub(crate) const MAINNET: &[SocketAddr] = &[
    mainnet(23, 88, 63, 58),
    mainnet(31, 220, 84, 93),
    mainnet(37, 60, 244, 220),
    mainnet(38, 242, 253, 223),
    mainnet(43, 167, 244, 109),
    mainnet(46, 254, 241, 11),
    mainnet(52, 36, 102, 91),
    mainnet(62, 84, 182, 155),
    mainnet(64, 23, 134, 67),
    mainnet(81, 0, 249, 58),
    mainnet(84, 46, 248, 78),
    mainnet(87, 228, 24, 64),
    mainnet(89, 23, 117, 144),
    mainnet(91, 199, 149, 177),
    mainnet(108, 61, 165, 170),
    mainnet(114, 132, 172, 215),
    mainnet(130, 162, 233, 186),
    mainnet(135, 181, 110, 216),
    mainnet(139, 180, 143, 115),
    mainnet(142, 132, 165, 149),
    mainnet(146, 59, 45, 235),
    mainnet(147, 45, 183, 128),
    mainnet(155, 138, 220, 69),
    mainnet(157, 90, 238, 161),
    mainnet(159, 69, 204, 162),
    mainnet(168, 119, 102, 10),
    mainnet(172, 233, 66, 70),
    mainnet(177, 93, 141, 60),
    mainnet(185, 192, 96, 70),
    mainnet(192, 248, 178, 237),
    mainnet(198, 7, 119, 139),
    mainnet(216, 238, 75, 46),
];

const fn mainnet(a: u8, b: u8, c: u8, d: u8) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), 9999))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{ChainParams, Network};

    #[test]
    fn each_seed_is_in_a_network_of_its_own_and_at_the_default_port() {
        let params = ChainParams::new(Network::Dash);
        let seeds = params.fixed_seeds;
        assert!(seeds.len() >= 32 && seeds.is_sorted());
        assert!(seeds.iter().all(|seed| seed.port() == params.default_port));
        let networks: BTreeSet<_> = MAINNET
            .iter()
            .map(|seed| seed.to_string().split('.').take(2).collect::<Vec<_>>().join("."))
            .collect();
        assert_eq!(networks.len(), seeds.len());
        for network in [Network::Testnet, Network::Regtest, Network::Devnet("d".into())] {
            assert!(ChainParams::new(network).fixed_seeds.is_empty());
        }
    }
}
