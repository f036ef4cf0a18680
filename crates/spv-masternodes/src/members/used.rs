use std::collections::BTreeSet;
use std::sync::Arc;

use dashcore::ProTxHash;
use dashcore::bls_sig_utils::BLSPublicKey;
use dashcore::hash_types::PubkeyHash;
use dashcore::sml::address::NetInfoEntry;
use dashcore::sml::masternode_list_entry::EntryMasternodeType;

use crate::masternode_list::HashedEntry;

/// Masternodes that were already chosen, in the order in which they were.
///
/// Nodes keep them in a list of the kind that forbids two masternodes with one operator key or one address, of whatever
/// purpose and network. Entries here may come from lists of different heights, where such things have wandered from one
/// masternode to another: then the second one does not count as chosen.
#[derive(Debug, Clone, Default)]
pub(super) struct Used {
    masternodes: Vec<Arc<HashedEntry>>,
    names: BTreeSet<ProTxHash>,
    operator_keys: BTreeSet<BLSPublicKey>,
    addresses: BTreeSet<NetInfoEntry>,
    platform_nodes: BTreeSet<PubkeyHash>,
}

impl Used {
    /// Adds a masternode; `false` if it, or something that only one masternode can have, is there already.
    pub(super) fn add(&mut self, masternode: &Arc<HashedEntry>) -> bool {
        let entry = &masternode.entry;
        let name = entry.pro_reg_tx_hash;
        let key = Some(entry.operator_public_key).filter(|key| !key.is_zeroed());
        let addresses = entry.service_address.addresses();
        let platform_node = match entry.mn_type {
            EntryMasternodeType::HighPerformance { platform_node_id, .. } => Some(platform_node_id),
            EntryMasternodeType::Regular => None,
        }
        .filter(|node| !node.is_null());
        let taken = self.contains(&name)
            || key.is_some_and(|key| self.operator_keys.contains(&key))
            || addresses.iter().any(|address| self.addresses.contains(address))
            || platform_node.is_some_and(|node| self.platform_nodes.contains(&node));
        if taken {
            return false;
        }
        self.names.insert(name);
        self.operator_keys.extend(key);
        self.addresses.extend(addresses);
        self.platform_nodes.extend(platform_node);
        self.masternodes.push(Arc::clone(masternode));
        true
    }

    pub(super) fn contains(&self, name: &ProTxHash) -> bool {
        self.names.contains(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<HashedEntry>> {
        self.masternodes.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.masternodes.len()
    }
}

#[cfg(test)]
mod tests {
    use dashcore::consensus::deserialize;
    use dashcore::sml::address::{ExtendedNetInfo, NetInfoPurpose, ServiceAddress};
    use dashcore::sml::masternode_list_entry::MasternodeListEntry;

    use super::*;

    fn masternode(id: u8, version: u16, service_address: ServiceAddress) -> Arc<HashedEntry> {
        let bytes = [&[2, 0][..], &[id; 32], &[1; 32], &[0; 18], &[id; 48], &[id; 20], &[1, 0, 0]].concat();
        let entry: MasternodeListEntry = deserialize(&bytes).expect("a whole entry");
        Arc::new(HashedEntry::new(MasternodeListEntry { version, service_address, ..entry }, &mut Vec::new()))
    }

    fn extended(id: u8, addresses: &[(NetInfoPurpose, NetInfoEntry)]) -> Arc<HashedEntry> {
        let addresses = addresses.iter().map(|(purpose, address)| (*purpose, vec![address.clone()]));
        masternode(id, 3, ServiceAddress::Extended(ExtendedNetInfo::new(&addresses.collect())))
    }

    #[test]
    fn every_address_is_one_masternode_s() {
        use NetInfoPurpose::{CoreP2p, PlatformHttps, PlatformP2p};
        let service = |network, address: Vec<u8>| NetInfoEntry::Service { network, address, port: 9 };
        let (tor, i2p) = (service(4, vec![7; 32]), service(5, vec![7; 32]));
        let domain = |port| NetInfoEntry::Domain { name: "a.example".into(), port };
        let ip = NetInfoEntry::from(std::net::SocketAddr::from(([10, 0, 0, 1], 9)));
        let mut used = Used::default();
        assert!(used.add(&extended(1, &[(CoreP2p, ip), (PlatformP2p, tor.clone())])));
        // Networks and ports tell addresses apart, purposes do not.
        assert!(used.add(&extended(2, &[(CoreP2p, i2p.clone()), (PlatformHttps, domain(1))])));
        assert!(!used.add(&extended(3, &[(CoreP2p, tor)])));
        assert!(!used.add(&extended(4, &[(PlatformP2p, i2p)])));
        assert!(!used.add(&extended(5, &[(CoreP2p, domain(1))])));
        assert!(used.add(&extended(6, &[(CoreP2p, domain(2))])));
        // The same address counts in the fixed form too.
        let fixed = ServiceAddress::Socket(([10, 0, 0, 1], 9).into());
        assert!(!used.add(&masternode(7, 2, fixed)));
        // What is no address is nobody's.
        for id in 8..10 {
            assert!(used.add(&extended(id, &[(CoreP2p, NetInfoEntry::Invalid)])));
            assert!(used.add(&masternode(id + 10, 2, ServiceAddress::Socket(([0; 8], 9).into()))));
        }
        assert_eq!(used.len(), 7);
    }
}
