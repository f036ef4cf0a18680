//! Merkle trees against a slow, obvious version of them.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use bitcoin_hashes::sha256d;
use dashcore::Txid;
use dashcore::hash_types::TxMerkleNode;
use dashcore::merkle_tree::{MerkleError, PartialMerkleTree, merkle_nodes, merkle_root};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

fn parent(pair: &[[u8; 32]]) -> [u8; 32] {
    sha256d::hash(&[pair[0], *pair.last().unwrap()].concat()).to_byte_array()
}

fn slow_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => [0; 32],
        [root] => *root,
        _ => slow_root(&leaves.chunks(2).map(parent).collect::<Vec<_>>()),
    }
}

fn leaves(count: u32) -> Vec<[u8; 32]> {
    (0..count).map(|index| sha256d::hash(&index.to_le_bytes()).to_byte_array()).collect()
}

#[test]
fn the_nodes_over_parts_of_a_tree_have_the_root_of_the_whole() {
    let all = leaves(150);
    for (count, levels) in (5..150).flat_map(|count| [(count, 1), (count, 2), (count, 3)]) {
        // Cut where full subtrees end, of which there are at least two.
        if count <= 1 << levels {
            continue;
        }
        let parts = all[..count].chunks(1 << levels);
        let nodes: Vec<_> = parts.flat_map(|part| merkle_nodes(part.to_vec(), levels).unwrap()).collect();
        assert_eq!(nodes, merkle_nodes(all[..count].to_vec(), levels).unwrap());
        assert_eq!(merkle_root(nodes).unwrap(), slow_root(&all[..count]), "{count} leaves, {levels} levels");
    }
    assert_eq!(merkle_nodes(Vec::new(), 3), Ok(Vec::new()));
    assert_eq!(merkle_nodes(vec![all[0], all[0]], 1), Err(MerkleError::Mutated));
}

#[derive(Debug, Clone, PartialEq)]
struct Proof {
    total: u32,
    hashes: Vec<TxMerkleNode>,
    flags: Vec<u8>,
}

impl Proof {
    /// Depth first over the tree whose lowest level is `leaves`.
    fn new(leaves: &[[u8; 32]], matches: &[bool]) -> Self {
        let mut levels = vec![leaves.to_vec()];
        while levels.last().unwrap().len() > 1 {
            levels.push(levels.last().unwrap().chunks(2).map(parent).collect());
        }
        let (mut hashes, mut bits) = (Vec::new(), Vec::new());
        descend(&levels, matches, 0, &mut hashes, &mut bits);
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        Self {
            total: u32::try_from(leaves.len()).unwrap(),
            hashes,
            flags: bits.chunks(8).map(byte).collect(),
        }
    }

    fn extract(&self) -> Result<(TxMerkleNode, Vec<(u32, Txid)>), MerkleError> {
        let tree =
            PartialMerkleTree { total_transactions: self.total, hashes: &self.hashes, flags: &self.flags };
        tree.extract_matches().map(|matches| (matches.root, matches.transactions))
    }
}

fn descend(
    levels: &[Vec<[u8; 32]>],
    matches: &[bool],
    position: usize,
    hashes: &mut Vec<TxMerkleNode>,
    bits: &mut Vec<bool>,
) {
    let (level, below) = levels.split_last().unwrap();
    let span = 1 << below.len();
    let first = position * span;
    let is_ancestor = matches[first..matches.len().min(first + span)].contains(&true);
    bits.push(is_ancestor);
    match below.last() {
        Some(children) if is_ancestor => {
            for child in (2 * position..children.len()).take(2) {
                descend(below, matches, child, hashes, bits);
            }
        }
        _ => hashes.push(TxMerkleNode::from_byte_array(level[position])),
    }
}

proptest! {
    #[test]
    fn the_root_is_that_of_the_definition(count in 0..70_u32) {
        let leaves = leaves(count);
        prop_assert_eq!(merkle_root(leaves.clone()), Ok(slow_root(&leaves)));
    }

    #[test]
    fn a_partial_tree_gives_root_and_matches(matches in vec(any::<bool>(), 1..70)) {
        let leaves = leaves(u32::try_from(matches.len()).unwrap());
        let expected: Vec<_> = (0..)
            .zip(leaves.iter().zip(&matches))
            .filter(|(_, (_, matched))| **matched)
            .map(|(position, (leaf, _))| (position, Txid::from_byte_array(*leaf)))
            .collect();
        let root = TxMerkleNode::from_byte_array(slow_root(&leaves));
        prop_assert_eq!(Proof::new(&leaves, &matches).extract(), Ok((root, expected)));
    }

    /// With other hashes the root is another; with other flags nothing extracts, or what does is true all the same.
    #[test]
    fn a_changed_tree_proves_nothing_false(
        matches in vec(any::<bool>(), 1..70), hash in any::<Index>(), flag in any::<Index>(), bit in 0..8_u8,
    ) {
        let leaves = leaves(u32::try_from(matches.len()).unwrap());
        let root = TxMerkleNode::from_byte_array(slow_root(&leaves));
        let proof = Proof::new(&leaves, &matches);

        let mut changed = proof.clone();
        let at = hash.index(changed.hashes.len());
        changed.hashes[at] = TxMerkleNode::from_byte_array([7; 32]);
        prop_assert!(changed.extract().is_err() || changed.extract().unwrap().0 != root);

        let mut changed = proof;
        let at = flag.index(changed.flags.len());
        changed.flags[at] ^= 1 << bit;
        if let Ok((found, transactions)) = changed.extract() && found == root {
            for (position, txid) in transactions {
                prop_assert_eq!(leaves[position as usize], txid.to_byte_array());
            }
        }
    }
}

#[test]
fn equal_siblings_are_refused() {
    let mut repeated = leaves(3);
    repeated.push(repeated[2]);
    assert_eq!(slow_root(&repeated), slow_root(&leaves(3)));
    assert_eq!(merkle_root(repeated.clone()), Err(MerkleError::Mutated));
    assert_eq!(Proof::new(&repeated, &[false, false, true, true]).extract(), Err(MerkleError::Mutated));

    // The same one level up: 6 leaves and the last two again.
    let mut repeated = leaves(6);
    repeated.extend_from_within(4..);
    assert_eq!(merkle_root(repeated), Err(MerkleError::Mutated));
}

#[test]
fn all_parts_have_to_be_there_and_used() {
    let valid = Proof::new(&leaves(5), &[true, false, false, false, false]);
    assert!(valid.extract().is_ok());
    for (change, error) in [
        ((|proof| proof.hashes.truncate(3)) as fn(&mut Proof), MerkleError::Incomplete),
        (|proof| proof.hashes.push(TxMerkleNode::all_zeros()), MerkleError::Unused),
        (|proof| proof.flags.clear(), MerkleError::Incomplete),
        (|proof| proof.flags.push(0), MerkleError::Unused),
        (|proof| proof.flags[0] |= 0b1000_0000, MerkleError::Unused),
        (|proof| proof.hashes.resize(6, TxMerkleNode::all_zeros()), MerkleError::Unused),
        (|proof| proof.total = 0, MerkleError::TransactionCount(0)),
        (|proof| proof.total = 33_334, MerkleError::TransactionCount(33_334)),
        (|proof| proof.total = u32::MAX, MerkleError::TransactionCount(u32::MAX)),
    ] {
        let mut proof = valid.clone();
        change(&mut proof);
        assert_eq!(proof.extract(), Err(error), "{proof:?}");
    }
}

#[test]
fn the_largest_block_has_a_tree() {
    let leaves = leaves(33_333);
    let mut matches = vec![false; leaves.len()];
    matches[33_332] = true;
    let (root, transactions) = Proof::new(&leaves, &matches).extract().unwrap();
    assert_eq!(root.to_byte_array(), slow_root(&leaves));
    assert_eq!(transactions, [(33_332, Txid::from_byte_array(leaves[33_332]))]);
}
