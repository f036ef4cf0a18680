mod chunk;
mod hashed_entry;

use std::fmt;
use std::sync::Arc;

use dashcore::ProTxHash;
use dashcore::hash_types::MerkleRootMasternodeList;
use dashcore::merkle_tree::merkle_root;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;

use chunk::Chunk;
pub(crate) use hashed_entry::HashedEntry;

/// The masternodes registered at a block, banned ones included, in raw order of their registration hashes.
///
/// Lists share what they have in common: a clone copies one pointer, a list in which a masternode changed is new in the
/// 64 around that one. Where one joins or leaves, all after it move by one, and with them their place in the merkle tree.
#[derive(Clone, PartialEq, Eq)]
pub struct MasternodeList {
    chunks: Arc<[Arc<Chunk>]>,
    merkle_root: MerkleRootMasternodeList,
    len: usize,
    valid_count: usize,
    evo_count: usize,
}

impl MasternodeList {
    /// The masternode that this transaction registered.
    pub fn get(&self, pro_tx_hash: &ProTxHash) -> Option<&MasternodeListEntry> {
        let after = self.chunks.partition_point(|chunk| chunk.first() <= *pro_tx_hash);
        let masternodes = self.chunks.get(after.checked_sub(1)?)?.masternodes();
        let position = masternodes.binary_search_by_key(pro_tx_hash, |masternode| masternode.pro_tx_hash());
        position.ok().map(|position| &masternodes[position].entry)
    }

    /// All masternodes, ascending by raw registration hash.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &MasternodeListEntry> + DoubleEndedIterator {
        self.shared().map(|masternode| &masternode.entry)
    }

    /// Number of masternodes, valid or not.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of masternodes that are not banned.
    pub fn valid_count(&self) -> usize {
        self.valid_count
    }

    /// Number of EvoNodes, banned ones included. Not those whose entries have version 1, as revoked ones' have: these no
    /// longer say what they are.
    pub fn evo_count(&self) -> usize {
        self.evo_count
    }

    /// Root of the merkle tree over all entries, as a coinbase commits to it; zero for an empty list.
    pub fn merkle_root(&self) -> MerkleRootMasternodeList {
        self.merkle_root
    }

    pub(crate) fn empty() -> Self {
        Self::of(Vec::new())
    }

    /// All masternodes, as lists and quorums share them.
    pub(crate) fn shared(&self) -> impl ExactSizeIterator<Item = &Arc<HashedEntry>> + DoubleEndedIterator {
        (0..self.len)
            .map(|position| &self.chunks[position / Chunk::SIZE].masternodes()[position % Chunk::SIZE])
    }

    /// The list after some masternodes, given in raw order of their hashes, left, and some joined or changed.
    ///
    /// # Errors
    /// The first deleted masternode that is not in this list.
    pub(crate) fn apply(
        &self,
        mut deleted: &[ProTxHash],
        mut changed: &[Arc<HashedEntry>],
    ) -> Result<Self, ProTxHash> {
        if deleted.is_empty() && changed.is_empty() {
            return Ok(self.clone());
        }
        let mut chunks = Vec::with_capacity(self.chunks.len() + changed.len() / Chunk::SIZE + 1);
        // Masternodes on their way into the next chunk.
        let mut moving = Vec::with_capacity(2 * Chunk::SIZE);
        for (index, chunk) in self.chunks.iter().enumerate() {
            let after = self.chunks.get(index + 1).map(|chunk| chunk.first());
            let is_here = |name: ProTxHash| after.is_none_or(|after| name < after);
            let deleted_here = take(&mut deleted, |name| is_here(*name));
            let changed_here = take(&mut changed, |masternode| is_here(masternode.pro_tx_hash()));
            if moving.is_empty() && deleted_here.is_empty() && changed_here.is_empty() {
                chunks.push(Arc::clone(chunk));
                continue;
            }
            merge(chunk.masternodes(), deleted_here, changed_here, &mut moving)?;
            Chunk::cut(&mut moving, &mut chunks);
        }
        // Where there was no chunk, nothing has been taken.
        merge(&[], deleted, changed, &mut moving)?;
        Chunk::cut(&mut moving, &mut chunks);
        if !moving.is_empty() {
            chunks.push(Arc::new(Chunk::new(moving)));
        }
        Ok(Self::of(chunks))
    }

    fn of(chunks: Vec<Arc<Chunk>>) -> Self {
        let nodes = match &chunks[..] {
            // The tree over less than two chunks is lower than a chunk's part of a tree.
            [only] => only.masternodes().iter().map(|masternode| masternode.entry_hash).collect(),
            chunks => chunks.iter().map(|chunk| chunk.node()).collect(),
        };
        let root = merkle_root(nodes).expect("entries of different masternodes have different hashes");
        Self {
            merkle_root: MerkleRootMasternodeList::from_byte_array(root),
            len: chunks.iter().map(|chunk| chunk.masternodes().len()).sum(),
            valid_count: chunks.iter().map(|chunk| chunk.valid_count()).sum(),
            evo_count: chunks.iter().map(|chunk| chunk.evo_count()).sum(),
            chunks: chunks.into(),
        }
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

/// Splits off the elements at the front for which `is_taken` holds, as it does for none after the first it does not.
fn take<'a, T>(from: &mut &'a [T], is_taken: impl Fn(&T) -> bool) -> &'a [T] {
    let (taken, rest) = from.split_at(from.partition_point(is_taken));
    *from = rest;
    taken
}

/// What becomes of `old`, in order; everything given is in order too.
fn merge(
    old: &[Arc<HashedEntry>],
    deleted: &[ProTxHash],
    changed: &[Arc<HashedEntry>],
    merged: &mut Vec<Arc<HashedEntry>>,
) -> Result<(), ProTxHash> {
    let (mut deleted, mut changed) = (deleted.iter().peekable(), changed.iter().peekable());
    for old in old {
        let name = old.pro_tx_hash();
        while let Some(joined) = changed.next_if(|joined| joined.pro_tx_hash() < name) {
            merged.push(Arc::clone(joined));
        }
        match deleted.next_if(|deleted| **deleted <= name) {
            Some(deleted) if *deleted == name => {}
            Some(unknown) => return Err(*unknown),
            None => {
                let changed = changed.next_if(|changed| changed.pro_tx_hash() == name);
                merged.push(Arc::clone(changed.unwrap_or(old)));
            }
        }
    }
    merged.extend(changed.cloned());
    deleted.next().map_or(Ok(()), |unknown| Err(*unknown))
}

#[cfg(test)]
mod tests;
