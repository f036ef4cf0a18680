use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use dashcore::ProTxHash;
use dashcore::bls_sig_utils::BLSPublicKey;
use dashcore::hash_types::PubkeyHash;
use dashcore::sml::masternode_list_entry::EntryMasternodeType;

use crate::masternode_list::HashedEntry;

/// Masternodes that were already chosen, in the order in which they were.
///
/// Nodes keep them in a list of the kind that forbids two masternodes with one operator key or one address. Entries
/// here may come from lists of different heights, where such things have wandered from one masternode to another:
/// then the second one does not count as chosen.
#[derive(Debug, Clone, Default)]
pub(super) struct Used {
    masternodes: Vec<Arc<HashedEntry>>,
    names: BTreeSet<ProTxHash>,
    operator_keys: BTreeSet<BLSPublicKey>,
    addresses: BTreeSet<SocketAddr>,
    platform_nodes: BTreeSet<PubkeyHash>,
}

impl Used {
    /// Adds a masternode; `false` if it, or something that only one masternode can have, is there already.
    pub(super) fn add(&mut self, masternode: &Arc<HashedEntry>) -> bool {
        let entry = &masternode.entry;
        let name = entry.pro_reg_tx_hash;
        let key = Some(entry.operator_public_key).filter(|key| !key.is_zeroed());
        let address = entry.service_address.socket_addr().filter(|address| !address.ip().is_unspecified());
        let platform_node = match entry.mn_type {
            EntryMasternodeType::HighPerformance { platform_node_id, .. } => Some(platform_node_id),
            EntryMasternodeType::Regular => None,
        }
        .filter(|node| !node.is_null());
        let taken = self.contains(&name)
            || key.is_some_and(|key| self.operator_keys.contains(&key))
            || address.is_some_and(|address| self.addresses.contains(&address))
            || platform_node.is_some_and(|node| self.platform_nodes.contains(&node));
        if taken {
            return false;
        }
        self.names.insert(name);
        self.operator_keys.extend(key);
        self.addresses.extend(address);
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
