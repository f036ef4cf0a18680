//! A chain with everything that it takes to answer any request about it.

mod error;
mod genesis;
mod manifest;
mod masternode_list;
mod quorum_set;
mod recording;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use dashcore::hash_types::TxMerkleNode;
use dashcore::network::message_qrinfo::QuorumSnapshot;
use dashcore::{BlockHash, ChainParams, Header, Transaction};

use crate::chain::ActiveChain;
use crate::generate::{Branch, GeneratedSpec, generate};

pub use error::{Inconsistency, WorldError};

pub(crate) use genesis::genesis_block;
pub(crate) use masternode_list::MasternodeList;
pub(crate) use quorum_set::QuorumSet;

/// A chain: headers, and for each block the masternode list, the active quorums, the coinbase and its proof; the
/// snapshots of the rotated quorums' cycles; the parameters that all this follows.
#[derive(Debug)]
pub struct World {
    params: ChainParams,
    headers: Vec<Header>,
    hashes: Vec<BlockHash>,
    heights: HashMap<BlockHash, u32>,
    /// From height 0 to the tip.
    blocks: Vec<BlockState>,
    /// By base height of the cycle.
    snapshots: BTreeMap<u32, QuorumSnapshot>,
    first_qrinfo_height: u32,
}

impl World {
    /// Loads what was recorded from a node: `headers.bin`, `mnlistdiff-from-genesis.bin`,
    /// `qrinfo-from-genesis.bin` and `manifest.json` in one directory.
    ///
    /// # Errors
    /// When a file is missing, malformed, or contradicts another one; the error names the file and the byte.
    pub fn load(dir: &Path) -> Result<Self, WorldError> {
        recording::load(dir)
    }

    /// Generates a regtest chain; equal specifications give equal chains.
    ///
    /// Rotation, basic BLS and quorum roots are active from block 1, masternode lists from block 2, ChainLocks in
    /// coinbases from block 100; quorums of types 100, 103 and 106 have four members.
    ///
    /// # Panics
    /// When a number is out of range; [`GeneratedSpec::validate`] and parsing tell before.
    pub fn generate(spec: &GeneratedSpec) -> Self {
        generate(spec, None)
    }

    /// Generates a chain that has the blocks of [`generate`](Self::generate) up to height `after`, and others from there
    /// on, as many, which `seed` decides.
    ///
    /// # Panics
    /// As for [`generate`](Self::generate).
    pub fn generate_branch(spec: &GeneratedSpec, after: u32, seed: u64) -> Self {
        generate(spec, Some(Branch { after, seed }))
    }

    /// Refuses every `getqrinfo` about a block below `height`, as a node does that lacks the snapshots.
    #[must_use]
    pub fn with_qrinfo_refused_below(self, height: u32) -> Self {
        Self { first_qrinfo_height: height, ..self }
    }

    /// Parameters of the network, with the activation heights and quorum sizes of this chain.
    pub fn params(&self) -> &ChainParams {
        &self.params
    }

    /// Height of the last block.
    pub fn tip(&self) -> u32 {
        u32::try_from(self.headers.len() - 1).expect("worlds have far fewer than 2^32 blocks")
    }

    /// Hash of the block at `height`; `None` above the tip.
    pub fn block_hash(&self, height: u32) -> Option<BlockHash> {
        self.hashes.get(height as usize).copied()
    }

    /// Header of the block at `height`; `None` above the tip.
    pub fn header(&self, height: u32) -> Option<&Header> {
        self.headers.get(height as usize)
    }

    /// Height of a block; `None` when the chain does not have it.
    pub fn height(&self, hash: &BlockHash) -> Option<u32> {
        self.heights.get(hash).copied()
    }

    /// The chain as a node sees it that has all of it.
    pub fn active_chain(self: &Arc<Self>) -> ActiveChain {
        ActiveChain::new(Arc::clone(self), self.tip())
    }

    /// Assembles a world; `blocks` belong to the headers of the same index.
    pub(crate) fn new(
        params: ChainParams,
        headers: Vec<Header>,
        hashes: Vec<BlockHash>,
        blocks: Vec<BlockState>,
        snapshots: BTreeMap<u32, QuorumSnapshot>,
    ) -> Self {
        let heights = (0..).zip(&hashes).map(|(height, hash)| (*hash, height)).collect();
        Self { params, headers, hashes, heights, blocks, snapshots, first_qrinfo_height: 0 }
    }

    /// # Panics
    /// Above the tip.
    pub(crate) fn hash_at(&self, height: u32) -> BlockHash {
        self.hashes[height as usize]
    }

    pub(crate) fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// # Panics
    /// Above the tip.
    pub(crate) fn block(&self, height: u32) -> &BlockState {
        &self.blocks[height as usize]
    }

    pub(crate) fn snapshot(&self, cycle: u32) -> Option<&QuorumSnapshot> {
        self.snapshots.get(&cycle)
    }

    pub(crate) fn refuses_qrinfo_at(&self, height: u32) -> bool {
        height < self.first_qrinfo_height
    }
}

/// What is known about one block beside its header.
#[derive(Debug, Clone)]
pub(crate) struct BlockState {
    /// The list after the block.
    pub(crate) masternodes: Arc<MasternodeList>,
    /// The quorums that are active after the block.
    pub(crate) quorums: Arc<QuorumSet>,
    /// The coinbase and the proof that it is in the block.
    pub(crate) coinbase: CoinbaseProof,
}

/// A coinbase with its partial merkle tree.
#[derive(Debug, Clone)]
pub(crate) struct CoinbaseProof {
    pub(crate) transaction: Transaction,
    pub(crate) total_transactions: u32,
    pub(crate) merkle_hashes: Vec<TxMerkleNode>,
    pub(crate) merkle_flags: Vec<u8>,
}
