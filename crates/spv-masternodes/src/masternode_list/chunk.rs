use std::sync::Arc;

use dashcore::ProTxHash;
use dashcore::merkle_tree::merkle_nodes;

use super::HashedEntry;

/// Masternodes at neighbouring positions of a list, and the node of the list's merkle tree that is above them.
///
/// All chunks of a list but the last are full, so that a chunk is the same whatever the rest of the list is, and lists
/// share it. A larger chunk has more to hash when one of its masternodes changes, a smaller one leaves more to hash
/// above the chunks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    masternodes: Vec<Arc<HashedEntry>>,
    node: [u8; 32],
    valid_count: usize,
    evo_count: usize,
}

impl Chunk {
    const LEVELS: u32 = 6;

    /// Masternodes in a full chunk.
    pub(super) const SIZE: usize = 1 << Self::LEVELS;

    /// Moves masternodes into chunks, as far as these get full.
    pub(super) fn cut(masternodes: &mut Vec<Arc<HashedEntry>>, chunks: &mut Vec<Arc<Self>>) {
        let in_full = masternodes.len() - masternodes.len() % Self::SIZE;
        let mut masternodes = masternodes.drain(..in_full);
        while masternodes.len() > 0 {
            chunks.push(Arc::new(Self::new(masternodes.by_ref().take(Self::SIZE).collect())));
        }
    }

    /// # Panics
    /// When there are no masternodes.
    pub(super) fn new(masternodes: Vec<Arc<HashedEntry>>) -> Self {
        let leaves = masternodes.iter().map(|masternode| masternode.entry_hash).collect();
        let nodes = merkle_nodes(leaves, Self::LEVELS);
        Self {
            node: nodes.expect("entries of different masternodes have different hashes")[0],
            valid_count: masternodes.iter().filter(|masternode| masternode.entry.is_valid).count(),
            evo_count: masternodes.iter().filter(|masternode| masternode.entry.is_evo()).count(),
            masternodes,
        }
    }

    pub(super) fn masternodes(&self) -> &[Arc<HashedEntry>] {
        &self.masternodes
    }

    /// The lowest name in it.
    pub(super) fn first(&self) -> ProTxHash {
        self.masternodes[0].pro_tx_hash()
    }

    /// The node of the list's merkle tree above these masternodes.
    pub(super) fn node(&self) -> [u8; 32] {
        self.node
    }

    pub(super) fn valid_count(&self) -> usize {
        self.valid_count
    }

    pub(super) fn evo_count(&self) -> usize {
        self.evo_count
    }
}
