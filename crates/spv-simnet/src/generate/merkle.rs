//! The proof that a coinbase is in its block: BIP37's partial merkle tree, pruned to the first transaction.

use bitcoin_hashes::sha256d;
use dashcore::hash_types::TxMerkleNode;

/// Root of a block's transactions, and the partial tree of the first.
pub(super) struct CoinbaseBranch {
    pub(super) root: TxMerkleNode,
    /// Depth first: the coinbase, then the sibling of each node on its way to the root.
    pub(super) hashes: Vec<TxMerkleNode>,
    pub(super) flags: Vec<u8>,
}

/// # Panics
/// Without transactions.
pub(super) fn coinbase_branch(transactions: &[[u8; 32]]) -> CoinbaseBranch {
    let mut level = transactions.to_vec();
    let mut hashes = vec![TxMerkleNode::from_byte_array(level[0])];
    let mut ancestors = 1;
    while level.len() > 1 {
        hashes.push(TxMerkleNode::from_byte_array(level[1]));
        ancestors += 1;
        level = level.chunks(2).map(|pair| parent(pair[0], *pair.get(1).unwrap_or(&pair[0]))).collect();
    }
    CoinbaseBranch {
        root: TxMerkleNode::from_byte_array(level[0]),
        flags: pack_flags(ancestors, hashes.len() - 1),
        hashes,
    }
}

/// Going down from the root, every node on the way to the coinbase is flagged; then come the siblings, unflagged.
fn pack_flags(flagged: usize, unflagged: usize) -> Vec<u8> {
    let mut bytes = vec![0_u8; (flagged + unflagged).div_ceil(8)];
    for bit in 0..flagged {
        bytes[bit / 8] |= 1 << (bit % 8);
    }
    bytes
}

fn parent(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    sha256d::hash(&[left, right].concat()).to_byte_array()
}

#[cfg(test)]
mod tests {
    use dashcore::merkle_tree::{PartialMerkleTree, merkle_root};

    use super::*;

    #[test]
    fn branch_proves_the_first_transaction_of_blocks_of_any_size() {
        for count in 1..=40_u8 {
            let transactions: Vec<[u8; 32]> = (0..count).map(|index| [index + 1; 32]).collect();
            let branch = coinbase_branch(&transactions);
            let tree = PartialMerkleTree {
                total_transactions: u32::from(count),
                hashes: &branch.hashes,
                flags: &branch.flags,
            };
            let matches = tree.extract_matches().unwrap();
            assert_eq!(matches.root, branch.root);
            assert_eq!(matches.root.to_byte_array(), merkle_root(transactions.clone()).unwrap());
            let [(position, txid)] = matches.transactions[..] else { panic!("one match") };
            assert_eq!((position, txid.to_byte_array()), (0, transactions[0]));
        }
    }
}
