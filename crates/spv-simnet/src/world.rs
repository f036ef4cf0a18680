//! A chain with everything that it takes to answer any request about it.

mod cache;
mod error;
mod manifest;
mod recording;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use dashcore::network::message_qrinfo::QuorumSnapshot;
use dashcore::{BlockHash, ChainParams, Header};

use crate::generate::{Branch, GeneratedSpec, generate};
use crate::history::{Coinbases, History, MasternodeHistory, QuorumHistory};

pub use error::{CacheError, Inconsistency, WorldError};

/// A chain: headers, and for each block the masternode list, the active quorums, the coinbase and its proof; the
/// snapshots of the rotated quorums' cycles; the parameters that all this follows.
///
/// Lists and quorum sets are kept as what each block changed; coinbases of a world from the cache stay in its file. So
/// a world takes about 250 bytes of memory per block, and a few megabytes for masternodes and quorums.
#[derive(Debug)]
pub struct World {
    history: History,
    heights: HashMap<BlockHash, u32>,
    coinbases: Coinbases,
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

    /// Generates a regtest chain in memory; equal specifications give equal chains. See the README for what is in it.
    ///
    /// # Panics
    /// When a number is out of range; [`GeneratedSpec::validate`] and parsing tell before.
    pub fn generate(spec: &GeneratedSpec) -> Self {
        Self::make(spec, None)
    }

    /// Generates a chain that has the blocks of [`generate`](Self::generate) up to height `after`, and others from there
    /// on, as many, which `seed` decides. None of these is locked: quorums lock one block of a height.
    ///
    /// # Panics
    /// As for [`generate`](Self::generate).
    pub fn generate_branch(spec: &GeneratedSpec, after: u32, seed: u64) -> Self {
        Self::make(spec, Some(Branch { after, seed }))
    }

    /// The chain that [`generate`](Self::generate) makes, from a file in `directory`; it is made and written there if it
    /// is not there yet or damaged. The file is checked as a whole, once, and read from as long as the world lives.
    ///
    /// # Errors
    /// When the directory or the file cannot be written or read.
    ///
    /// # Panics
    /// As for [`generate`](Self::generate).
    pub fn generate_cached(spec: &GeneratedSpec, directory: &Path) -> Result<Self, CacheError> {
        cache::load_or_generate(spec, directory)
    }

    /// Where generated worlds are kept for this user: what the environment variable `SPV_SIMNET_CACHE` says, or
    /// `spv-simnet` below the user's cache directory. `None` without a home directory.
    pub fn cache_directory() -> Option<PathBuf> {
        cache::default_directory()
    }

    /// Refuses every `getqrinfo` about a block below `height`, as a node does that lacks the snapshots.
    #[must_use]
    pub fn with_qrinfo_refused_below(self, height: u32) -> Self {
        Self { first_qrinfo_height: height, ..self }
    }

    /// Parameters of the network, with the activation heights and quorum sizes of this chain.
    pub fn params(&self) -> &ChainParams {
        &self.history.params
    }

    /// Height of the last block.
    pub fn tip(&self) -> u32 {
        u32::try_from(self.history.headers.len() - 1).expect("worlds have far fewer than 2^32 blocks")
    }

    /// Hash of the block at `height`; `None` above the tip.
    pub fn block_hash(&self, height: u32) -> Option<BlockHash> {
        self.history.hashes.get(height as usize).copied()
    }

    /// Header of the block at `height`; `None` above the tip.
    pub fn header(&self, height: u32) -> Option<&Header> {
        self.history.headers.get(height as usize)
    }

    /// Height of a block; `None` when the chain does not have it.
    pub fn height(&self, hash: &BlockHash) -> Option<u32> {
        self.heights.get(hash).copied()
    }

    fn make(spec: &GeneratedSpec, branch: Option<Branch>) -> Self {
        let mut coinbases = Vec::new();
        let (history, ends) = generate(spec, branch, &mut coinbases).expect("memory can be written to");
        Self::new(history, Coinbases::in_memory(coinbases, ends))
    }

    /// The same as if these bits were the least difficulty of its network.
    #[cfg(test)]
    pub(crate) fn with_pow_limit(mut self, bits: u32) -> Self {
        self.history.params.pow_limit = bits;
        self
    }

    pub(crate) fn new(history: History, coinbases: Coinbases) -> Self {
        let heights = (0..).zip(&history.hashes).map(|(height, hash)| (*hash, height)).collect();
        Self { history, heights, coinbases, first_qrinfo_height: 0 }
    }

    /// # Panics
    /// Above the tip.
    pub(crate) fn hash_at(&self, height: u32) -> BlockHash {
        self.history.hashes[height as usize]
    }

    pub(crate) fn headers(&self) -> &[Header] {
        &self.history.headers
    }

    pub(crate) fn masternodes(&self) -> &MasternodeHistory {
        &self.history.masternodes
    }

    pub(crate) fn quorums(&self) -> &QuorumHistory {
        &self.history.quorums
    }

    pub(crate) fn coinbases(&self) -> &Coinbases {
        &self.coinbases
    }

    pub(crate) fn snapshot(&self, cycle: u32) -> Option<&QuorumSnapshot> {
        self.history.snapshots.get(&cycle)
    }

    pub(crate) fn refuses_qrinfo_at(&self, height: u32) -> bool {
        height < self.first_qrinfo_height
    }
}
