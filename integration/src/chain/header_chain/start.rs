//! Where a chain starts.

use std::sync::Arc;

use dash_num::{Arith256, CompactTarget};
use dashcore::{BlockHash, ChainParams, Checkpoint, Header};

use super::HeaderChain;
use crate::chain::HeaderError;
use crate::chain::ancestry::Ancestry;
use crate::chain::blocks::Blocks;

impl HeaderChain {
    /// A chain that begins with the last checkpoint at or below `height` whose header is known, or with genesis.
    pub fn starting_at_or_below(params: &ChainParams, height: u32) -> Self {
        let below = params.checkpoints.iter().rev().filter(|checkpoint| checkpoint.height <= height);
        let mut known = below.filter_map(|checkpoint| Some((checkpoint, checkpoint.header?)));
        match known.next() {
            Some((checkpoint, header)) => Self::from_checkpoint(params, checkpoint, header),
            None => {
                let work = CompactTarget::new(params.genesis.bits).block_proof();
                let ancestry = Ancestry::unknown(params, 0, &params.genesis);
                Self::from_block(params.clone(), 0, ancestry, (params.genesis, params.genesis_hash), work)
            }
        }
    }

    /// Height and hash of the last checkpoint at or below `height`, where its header is to be fetched before a chain can
    /// start there.
    pub(crate) fn incomplete_checkpoint(params: &ChainParams, height: u32) -> Option<(u32, BlockHash)> {
        let last = params.checkpoints.iter().rev().find(|checkpoint| checkpoint.height <= height)?;
        last.header.is_none().then_some((last.height, last.hash))
    }

    /// A chain that begins with the checkpoint at `height`, whose header this is. Hashes it.
    ///
    /// # Errors
    /// [`HeaderError::NoCheckpoint`], and [`HeaderError::CheckpointMismatch`] if it is another block's header.
    pub(crate) fn from_hash_checkpoint(
        params: &ChainParams,
        height: u32,
        header: Header,
    ) -> Result<Self, HeaderError> {
        let checkpoint = params.checkpoint_at(height).ok_or(HeaderError::NoCheckpoint { height })?;
        let (expected, got) = (checkpoint.hash, header.block_hash());
        if expected != got {
            return Err(HeaderError::CheckpointMismatch { height, expected, got });
        }
        Ok(Self::from_checkpoint(params, checkpoint, header))
    }

    fn from_checkpoint(params: &ChainParams, checkpoint: &Checkpoint, header: Header) -> Self {
        let ancestry = Ancestry::below_checkpoint(params, checkpoint, &header);
        let start = (header, checkpoint.hash);
        let chain =
            Self::from_block(params.clone(), checkpoint.height, ancestry, start, checkpoint.chain_work);
        Self { is_start_exact: !checkpoint.is_work_assumed, ..chain }
    }

    fn from_block(
        params: impl Into<Arc<ChainParams>>,
        height: u32,
        ancestry: Ancestry,
        (header, hash): (Header, BlockHash),
        work: Arith256,
    ) -> Self {
        let mut blocks = Blocks::default();
        blocks.push(header, hash);
        Self {
            params: params.into(),
            start_height: height,
            ancestry,
            blocks,
            work,
            lifts: Vec::new(),
            is_start_exact: true,
        }
    }

    /// A chain that begins with this one's tip, to be extended on its own and appended later.
    pub(crate) fn starting_at_tip(&self) -> Self {
        let (height, start) = (self.tip_height(), *self.tip());
        let ancestry = Ancestry::of(&self.params, height, &start.0, self.newest_first_below(height).copied());
        let segment = Self::from_block(Arc::clone(&self.params), height, ancestry, start, self.work);
        Self { is_start_exact: self.exact_work().is_some() && self.lifts.is_empty(), ..segment }
    }
}
