//! Bitcoin's merkle tree and the partial tree that proves a transaction.

use bitcoin_hashes::sha256d;

use crate::hash_types::{TxMerkleNode, Txid};

/// Most transactions that a block can hold: its 2 MB divided by the smallest transaction
/// (Dash Core: `MaxBlockSize() / 60`, merkleblock.cpp).
const MAX_TRANSACTIONS: u32 = 33_333;

/// Why a merkle tree was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MerkleError {
    /// Two equal siblings: the leaves could be repeated without changing the root (CVE-2012-2459).
    #[error("two sibling nodes are equal")]
    Mutated,
    /// The number of transactions is zero or more than a block can hold.
    #[error("{0} transactions cannot be in one block")]
    TransactionCount(u32),
    /// The flags or hashes end before the tree is complete.
    #[error("the partial tree is incomplete")]
    Incomplete,
    /// Flags, be it set bits of the last byte's padding, or hashes are left over after the tree is complete.
    #[error("the partial tree has unused parts")]
    Unused,
}

/// Root over `leaves`, computed level by level; an odd last node is paired with itself; zero for no leaves.
///
/// # Errors
/// [`MerkleError::Mutated`] when two different siblings are equal.
pub fn merkle_root(leaves: Vec<[u8; 32]>) -> Result<[u8; 32], MerkleError> {
    let height = leaves.len().next_power_of_two().ilog2();
    Ok(merkle_nodes(leaves, height)?.first().copied().unwrap_or_default())
}

/// The nodes that are `levels` above `leaves`, each over 2^`levels` of them, in order. The last one is over what is
/// left: an odd last node is paired with itself on every level, be it the only one. So this is the level of any tree
/// that ends with these leaves and is at least as high.
///
/// # Errors
/// [`MerkleError::Mutated`] when two different siblings are equal.
pub fn merkle_nodes(leaves: Vec<[u8; 32]>, levels: u32) -> Result<Vec<[u8; 32]>, MerkleError> {
    let mut level = leaves;
    let mut pairs: Vec<[u8; 64]> = Vec::with_capacity(level.len().div_ceil(2) + 1);
    for _ in 0..levels {
        pairs.clear();
        for pair in level.chunks(2) {
            let (left, right) = (pair[0], *pair.get(1).unwrap_or(&pair[0]));
            if pair.len() == 2 && left == right {
                return Err(MerkleError::Mutated);
            }
            pairs.push(concatenate(left, right));
        }
        let parents = pairs.len();
        // Processors that hash two at a time take as long for two as for one, and longer for one that is left over.
        if let (true, Some(last)) = (parents % 2 == 1, pairs.last().copied()) {
            pairs.push(last);
        }
        level.resize(pairs.len(), [0; 32]);
        sha256d::Hash::hash_64_many(&mut level, &pairs);
        level.truncate(parents);
    }
    Ok(level)
}

/// A merkle tree pruned to the branches of some transactions (BIP37; Dash Core `CPartialMerkleTree`, merkleblock.h).
#[derive(Debug, Clone, Copy)]
pub struct PartialMerkleTree<'a> {
    /// Number of transactions in the block.
    pub total_transactions: u32,
    /// Nodes in depth-first order.
    pub hashes: &'a [TxMerkleNode],
    /// Packed flags, least significant bit first: whether a node is an ancestor of (or is) a match.
    pub flags: &'a [u8],
}

/// What a valid partial tree proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matches {
    /// Root of the whole tree.
    pub root: TxMerkleNode,
    /// Matched transactions with their position in the block.
    pub transactions: Vec<(u32, Txid)>,
}

impl PartialMerkleTree<'_> {
    /// Checks the tree and extracts its root and matches.
    ///
    /// # Errors
    /// When the tree is incomplete, has unused parts, or could stand for two different blocks.
    pub fn extract_matches(&self) -> Result<Matches, MerkleError> {
        if self.total_transactions == 0 || self.total_transactions > MAX_TRANSACTIONS {
            return Err(MerkleError::TransactionCount(self.total_transactions));
        }
        if self.hashes.len() as u64 > u64::from(self.total_transactions) {
            return Err(MerkleError::Unused);
        }
        let height = 32 - (self.total_transactions - 1).leading_zeros();
        let mut walk = Walk { tree: self, next_flag: 0, next_hash: 0, transactions: Vec::new() };
        let root = walk.node(height, 0)?;
        let flags_used_up = walk.next_flag.div_ceil(8) == self.flags.len();
        let padding = self.flags.last().map_or(0, |last| u32::from(*last) >> ((walk.next_flag - 1) % 8 + 1));
        if !flags_used_up || padding != 0 || walk.next_hash != self.hashes.len() {
            return Err(MerkleError::Unused);
        }
        Ok(Matches { root: TxMerkleNode::from_byte_array(root), transactions: walk.transactions })
    }

    fn width(&self, height: u32) -> u64 {
        (u64::from(self.total_transactions) + (1 << height) - 1) >> height
    }
}

struct Walk<'a> {
    tree: &'a PartialMerkleTree<'a>,
    next_flag: usize,
    next_hash: usize,
    transactions: Vec<(u32, Txid)>,
}

impl Walk<'_> {
    /// Depth is bounded by the 16 levels that [`MAX_TRANSACTIONS`] allows.
    fn node(&mut self, height: u32, position: u32) -> Result<[u8; 32], MerkleError> {
        let byte = self.tree.flags.get(self.next_flag / 8).ok_or(MerkleError::Incomplete)?;
        let is_ancestor = byte >> (self.next_flag % 8) & 1 == 1;
        self.next_flag += 1;
        if height == 0 || !is_ancestor {
            let hash = self.tree.hashes.get(self.next_hash).ok_or(MerkleError::Incomplete)?;
            self.next_hash += 1;
            if is_ancestor {
                self.transactions.push((position, Txid::from_byte_array(hash.to_byte_array())));
            }
            return Ok(hash.to_byte_array());
        }
        let left = self.node(height - 1, position * 2)?;
        let right = if u64::from(position) * 2 + 1 < self.tree.width(height - 1) {
            let right = self.node(height - 1, position * 2 + 1)?;
            if left == right {
                return Err(MerkleError::Mutated);
            }
            right
        } else {
            left
        };
        Ok(sha256d::hash(&concatenate(left, right)).to_byte_array())
    }
}

fn concatenate(left: [u8; 32], right: [u8; 32]) -> [u8; 64] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(&left);
    both[32..].copy_from_slice(&right);
    both
}
