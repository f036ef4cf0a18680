use std::collections::HashMap;
use std::sync::Arc;

use dashcore::{BlockHash, Header};

/// Headers that are shared as a whole. A power of two, so that finding one takes no division.
const CHUNK: usize = 1024;

/// Headers with their hashes, in a row. Copies share all chunks but the last, so that the many versions of a chain that
/// are about while peers are heard cost as much as one.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks {
    /// Full, but for the last, which is not empty.
    chunks: Vec<Arc<Chunk>>,
}

#[derive(Debug, Clone, Default)]
struct Chunk {
    blocks: Vec<(Header, BlockHash)>,
    positions: HashMap<BlockHash, usize>,
}

impl Blocks {
    pub(super) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.blocks.len())
    }

    pub(super) fn get(&self, index: usize) -> Option<&(Header, BlockHash)> {
        self.chunks.get(index / CHUNK)?.blocks.get(index % CHUNK)
    }

    /// Newest blocks are looked for first: that is what is mostly asked.
    pub(super) fn position(&self, hash: &BlockHash) -> Option<usize> {
        let mut chunks = self.chunks.iter().enumerate().rev();
        chunks.find_map(|(index, chunk)| Some(index * CHUNK + chunk.positions.get(hash)?))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Header, BlockHash)> {
        self.chunks.iter().flat_map(|chunk| &chunk.blocks)
    }

    pub(super) fn push(&mut self, header: Header, hash: BlockHash) {
        if self.len().is_multiple_of(CHUNK) {
            // Whoever fills one will fill the next.
            let expected = if self.chunks.is_empty() { 0 } else { CHUNK };
            let (blocks, positions) = (Vec::with_capacity(expected), HashMap::with_capacity(expected));
            self.chunks.push(Arc::new(Chunk { blocks, positions }));
        }
        if let Some(last) = self.chunks.last_mut() {
            let last = Arc::make_mut(last);
            last.positions.insert(hash, last.blocks.len());
            last.blocks.push((header, hash));
        }
    }

    /// Keeps this many; gives those that went, newest first.
    pub(super) fn truncate(&mut self, keep: usize) -> Vec<Header> {
        let mut gone = Vec::new();
        while self.len() > keep {
            let Some(last) = self.chunks.last_mut() else { break };
            let last = Arc::make_mut(last);
            if let Some((header, hash)) = last.blocks.pop() {
                last.positions.remove(&hash);
                gone.push(header);
            }
            if last.blocks.is_empty() {
                self.chunks.pop();
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use dashcore::hash_types::TxMerkleNode;
    use proptest::prelude::*;

    use super::*;

    fn block(number: usize) -> (Header, BlockHash) {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        let header = Header {
            version: 4,
            prev_blockhash: BlockHash::all_zeros(),
            merkle_root: TxMerkleNode::from_byte_array(hash),
            time: 0,
            bits: 0,
            nonce: 0,
        };
        (header, BlockHash::from_byte_array(hash))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// A copy that goes another way leaves what it was copied from alone.
        #[test]
        fn it_is_a_list_that_can_be_copied(
            first in 0..3 * CHUNK,
            keep in 0..3 * CHUNK,
            more in 0..2 * CHUNK,
        ) {
            let mut blocks = Blocks::default();
            (0..first).for_each(|number| { let (header, hash) = block(number); blocks.push(header, hash); });
            let mut branch = blocks.clone();
            let gone = branch.truncate(keep);
            let kept = keep.min(first);
            prop_assert!(gone.into_iter().eq((kept..first).rev().map(|number| block(number).0)));
            let added = (0..more).map(|number| block(1_000_000 + number));
            added.clone().for_each(|(header, hash)| branch.push(header, hash));
            let expected: Vec<_> = (0..kept).map(block).chain(added).collect();
            for (blocks, expected) in [(&branch, &expected), (&blocks, &(0..first).map(block).collect())] {
                prop_assert_eq!(blocks.len(), expected.len());
                prop_assert!(blocks.iter().eq(expected));
                for (index, entry) in expected.iter().enumerate() {
                    prop_assert_eq!(blocks.get(index), Some(entry));
                    prop_assert_eq!(blocks.position(&entry.1), Some(index));
                }
                prop_assert_eq!(blocks.get(expected.len()), None);
            }
            if kept < first && more > 0 {
                prop_assert_eq!(branch.position(&block(first - 1).1), None);
            }
        }
    }
}
