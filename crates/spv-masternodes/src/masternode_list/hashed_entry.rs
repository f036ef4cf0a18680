use std::sync::OnceLock;

use bitcoin_hashes::sha256;
use dashcore::ProTxHash;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;

/// An entry with its hash, which takes longer to compute than all else in applying a diff.
#[derive(Debug)]
pub(crate) struct HashedEntry {
    pub(crate) entry: MasternodeListEntry,
    pub(super) entry_hash: [u8; 32],
    score_base: OnceLock<[u8; 32]>,
}

impl HashedEntry {
    /// `buffer` is for reuse from entry to entry.
    pub(crate) fn new(entry: MasternodeListEntry, buffer: &mut Vec<u8>) -> Self {
        Self { entry_hash: entry.entry_hash_in(buffer), score_base: OnceLock::new(), entry }
    }

    pub(crate) fn pro_tx_hash(&self) -> ProTxHash {
        self.entry.pro_reg_tx_hash
    }

    /// The part of a score that no quorum changes; `None` while the registration is not confirmed. It is computed when
    /// first asked for, as most lists are never drawn from.
    pub(crate) fn score_base(&self) -> Option<&[u8; 32]> {
        let confirmed_hash = self.entry.confirmed_hash?;
        Some(self.score_base.get_or_init(|| {
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(self.entry.pro_reg_tx_hash.as_byte_array());
            bytes[32..].copy_from_slice(confirmed_hash.as_byte_array());
            sha256::hash(&bytes).to_byte_array()
        }))
    }
}

/// All else follows from the entry.
impl PartialEq for HashedEntry {
    fn eq(&self, other: &Self) -> bool {
        self.entry == other.entry
    }
}

impl Eq for HashedEntry {}
