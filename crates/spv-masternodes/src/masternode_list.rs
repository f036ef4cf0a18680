use std::fmt;
use std::sync::Arc;

use bitcoin_hashes::sha256;
use dashcore::ProTxHash;
use dashcore::hash_types::MerkleRootMasternodeList;
use dashcore::merkle_tree::merkle_root;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;

/// The masternodes registered at a block, banned ones included, in raw order of their registration hashes.
///
/// Lists share what they have in common: a clone copies one pointer, a changed list one pointer per masternode.
#[derive(Clone, PartialEq, Eq)]
pub struct MasternodeList {
    masternodes: Arc<[Arc<HashedEntry>]>,
    merkle_root: MerkleRootMasternodeList,
    valid_count: usize,
    evo_count: usize,
}

impl MasternodeList {
    /// The masternode that this transaction registered.
    pub fn get(&self, pro_tx_hash: &ProTxHash) -> Option<&MasternodeListEntry> {
        self.position(pro_tx_hash).map(|position| &self.masternodes[position].entry)
    }

    /// All masternodes, ascending by raw registration hash.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &MasternodeListEntry> + DoubleEndedIterator {
        self.masternodes.iter().map(|masternode| &masternode.entry)
    }

    /// Number of masternodes, valid or not.
    pub fn len(&self) -> usize {
        self.masternodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.masternodes.is_empty()
    }

    /// Number of masternodes that are not banned.
    pub fn valid_count(&self) -> usize {
        self.valid_count
    }

    /// Number of EvoNodes, banned ones included. Not those that are revoked: their entries no longer say what they are.
    pub fn evo_count(&self) -> usize {
        self.evo_count
    }

    /// Root of the merkle tree over all entries, as a coinbase commits to it; zero for an empty list.
    pub fn merkle_root(&self) -> MerkleRootMasternodeList {
        self.merkle_root
    }

    pub(crate) fn empty() -> Self {
        Self::from_sorted(Vec::new())
    }

    /// All masternodes, as lists and quorums share them.
    pub(crate) fn shared(&self) -> &[Arc<HashedEntry>] {
        &self.masternodes
    }

    /// The list after some masternodes, given in raw order of their hashes, left, and some joined or changed.
    ///
    /// # Errors
    /// The first deleted masternode that is not in this list.
    pub(crate) fn apply(
        &self,
        deleted: &[ProTxHash],
        changed: &[Arc<HashedEntry>],
    ) -> Result<Self, ProTxHash> {
        if let Some(unknown) = deleted.iter().find(|hash| self.position(hash).is_none()) {
            return Err(*unknown);
        }
        if deleted.is_empty() && changed.is_empty() {
            return Ok(self.clone());
        }
        let mut masternodes = Vec::with_capacity(self.len() + changed.len() - deleted.len());
        let replaced = |hash: &ProTxHash| {
            changed.binary_search_by_key(hash, |masternode| masternode.pro_tx_hash()).is_ok()
        };
        masternodes.extend(
            self.masternodes
                .iter()
                .filter(|old| {
                    let hash = old.pro_tx_hash();
                    deleted.binary_search(&hash).is_err() && !replaced(&hash)
                })
                .chain(changed)
                .cloned(),
        );
        // Two ascending runs, which a stable sort merges in linear time.
        masternodes.sort_by_key(|masternode| masternode.pro_tx_hash());
        Ok(Self::from_sorted(masternodes))
    }

    fn from_sorted(masternodes: Vec<Arc<HashedEntry>>) -> Self {
        let leaves = masternodes.iter().map(|masternode| masternode.entry_hash).collect();
        let root = merkle_root(leaves).expect("entries of different masternodes have different hashes");
        Self {
            merkle_root: MerkleRootMasternodeList::from_byte_array(root),
            valid_count: masternodes.iter().filter(|masternode| masternode.entry.is_valid).count(),
            evo_count: masternodes.iter().filter(|masternode| masternode.entry.is_evo()).count(),
            masternodes: masternodes.into(),
        }
    }

    fn position(&self, pro_tx_hash: &ProTxHash) -> Option<usize> {
        self.masternodes.binary_search_by_key(pro_tx_hash, |masternode| masternode.pro_tx_hash()).ok()
    }
}

/// Thousands of entries would hide everything else; the root tells lists apart.
impl fmt::Debug for MasternodeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasternodeList")
            .field("len", &self.len())
            .field("merkle_root", &self.merkle_root)
            .finish_non_exhaustive()
    }
}

/// An entry with its hash, which takes longer to compute than all else in applying a diff.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HashedEntry {
    pub(crate) entry: MasternodeListEntry,
    entry_hash: [u8; 32],
    /// The part of a score that no quorum changes; `None` while the registration is not confirmed.
    pub(crate) score_base: Option<[u8; 32]>,
}

impl HashedEntry {
    pub(crate) fn new(entry: MasternodeListEntry) -> Self {
        let score_base = entry.confirmed_hash.map(|confirmed_hash| {
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(entry.pro_reg_tx_hash.as_byte_array());
            bytes[32..].copy_from_slice(confirmed_hash.as_byte_array());
            sha256::hash(&bytes).to_byte_array()
        });
        Self { entry_hash: entry.entry_hash(), score_base, entry }
    }

    pub(crate) fn pro_tx_hash(&self) -> ProTxHash {
        self.entry.pro_reg_tx_hash
    }
}

#[cfg(test)]
mod tests {
    use dashcore::bls_sig_utils::BLSPublicKey;
    use dashcore::hash_types::PubkeyHash;
    use dashcore::sml::address::ServiceAddress;
    use dashcore::sml::masternode_list_entry::EntryMasternodeType;

    use super::*;

    fn masternode(id: u16, port: u16) -> Arc<HashedEntry> {
        let mut pro_reg_tx_hash = [0; 32];
        pro_reg_tx_hash[..2].copy_from_slice(&id.to_be_bytes());
        Arc::new(HashedEntry::new(MasternodeListEntry {
            version: 2,
            pro_reg_tx_hash: ProTxHash::from_byte_array(pro_reg_tx_hash),
            confirmed_hash: None,
            service_address: ServiceAddress::Socket(([127, 0, 0, 1], port).into()),
            operator_public_key: BLSPublicKey::default(),
            key_id_voting: PubkeyHash::default(),
            is_valid: true,
            mn_type: EntryMasternodeType::Regular,
        }))
    }

    #[test]
    fn lists_share_what_they_have_in_common() {
        let all: Vec<_> = (0..3_200).map(|id| masternode(id, 1)).collect();
        let list = MasternodeList::empty().apply(&[], &all).unwrap();
        assert!(Arc::ptr_eq(&list.masternodes, &list.clone().masternodes));
        assert!(Arc::ptr_eq(&list.masternodes, &list.apply(&[], &[]).unwrap().masternodes));

        let changed = list.apply(&[all[0].pro_tx_hash()], &[masternode(1_000, 2)]).unwrap();
        let shared = changed
            .masternodes
            .iter()
            .filter(|masternode| all.iter().any(|old| Arc::ptr_eq(old, masternode)));
        assert_eq!((changed.len(), shared.count()), (3_199, 3_198));
    }

    #[test]
    fn order_is_that_of_the_internal_bytes() {
        // In the printed, reversed form the first of these would be the greater one.
        let list = MasternodeList::empty().apply(&[], &[masternode(0x00ff, 1), masternode(0x0100, 1)]);
        let first_bytes: Vec<_> =
            list.unwrap().iter().map(|entry| entry.pro_reg_tx_hash.to_byte_array()[0]).collect();
        assert_eq!(first_bytes, [0, 1]);
    }
}
