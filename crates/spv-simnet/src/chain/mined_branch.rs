use std::collections::HashMap;

use dashcore::hash_types::TxMerkleNode;
use dashcore::{BlockHash, Header};

use super::ActiveChain;

/// Headers on top of a part of a world's chain, with real proof of work at the least difficulty that there is, and no blocks
/// behind them. Valid where difficulty never changes.
#[derive(Debug)]
pub(crate) struct MinedBranch {
    trunk: ActiveChain,
    headers: Vec<Header>,
    heights: HashMap<BlockHash, u32>,
}

impl MinedBranch {
    /// Mines so many headers on top of `trunk`; the seed decides which.
    pub(crate) fn mine(trunk: ActiveChain, blocks: u32, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut parent, mut parent_hash) =
            (*trunk.header(trunk.tip()).expect("a chain has its tip"), trunk.tip_hash());
        let bits = trunk.world().params().pow_limit;
        let (mut headers, mut heights) = (Vec::new(), HashMap::new());
        for height in (1..=blocks).map(|above| trunk.tip() + above) {
            let mut merkle_root = [0; 32];
            random.fill(&mut merkle_root);
            let mut header = Header {
                prev_blockhash: parent_hash,
                merkle_root: TxMerkleNode::from_byte_array(merkle_root),
                time: parent.time + SECONDS_PER_BLOCK,
                nonce: 0,
                bits,
                ..parent
            };
            while !header.meets_target(header.block_hash()) {
                header.nonce += 1;
            }
            (parent, parent_hash) = (header, header.block_hash());
            heights.insert(parent_hash, height);
            headers.push(header);
        }
        Self { trunk, headers, heights }
    }

    pub(crate) fn tip(&self) -> u32 {
        self.trunk.tip() + u32::try_from(self.headers.len()).expect("so many as a u32 said were mined")
    }

    pub(crate) fn height(&self, hash: &BlockHash) -> Option<u32> {
        self.heights.get(hash).copied().or_else(|| self.trunk.height(hash))
    }

    pub(crate) fn header(&self, height: u32) -> Option<&Header> {
        match height.checked_sub(self.trunk.tip() + 1) {
            Some(above) => self.headers.get(above as usize),
            None => self.trunk.header(height),
        }
    }

    /// What was mined, ascending.
    pub(crate) fn mined(&self) -> &[Header] {
        &self.headers
    }
}

/// So few that long branches too end before now.
const SECONDS_PER_BLOCK: u32 = 2;
