use dashcore::BlockHash;
use serde::{Deserialize, Serialize};

use super::{Data, Problem};

/// The block whose coinbase proves an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) height: u32,
    pub(crate) block_hash: BlockHash,
    /// Whether it is at or below a block that a verified ChainLock locks, so that it cannot be replaced.
    pub(crate) chain_locked: bool,
}

impl Block {
    pub(crate) async fn new(data: &Data, height: u32, block_hash: BlockHash) -> Result<Self, Problem> {
        let chain_locked = data.client.is_chain_locked(height).await?;
        Ok(Self { height, block_hash, chain_locked })
    }

    /// For a person.
    pub(crate) fn text(&self) -> String {
        let locked = if self.chain_locked { "ChainLocked" } else { "not ChainLocked yet" };
        format!("height {} ({}, {locked})", self.height, self.block_hash)
    }
}
