use dashcore::BlockHash;

/// Why a node does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The base is not a block of the chain.
    #[error("unknown base block {0}")]
    UnknownBase(BlockHash),
    /// The block is not a block of the chain.
    #[error("unknown block {0}")]
    UnknownBlock(BlockHash),
    /// The base comes after the block.
    #[error("base height {base} is above block height {block}")]
    BaseAboveBlock {
        /// Height of the base.
        base: u32,
        /// Height of the block.
        block: u32,
    },
    /// The cycle is too close to genesis to have the earlier cycles that it needs.
    #[error("cycle {cycle} has too few predecessors")]
    TooEarly {
        /// Base height of the requested cycle.
        cycle: u32,
    },
    /// A cycle that is needed has no snapshot.
    #[error("no snapshot of cycle {cycle}")]
    NoSnapshot {
        /// Base height of the cycle.
        cycle: u32,
    },
    /// The block cannot be read, as on a node that has pruned it.
    #[error("the block at height {height} cannot be read")]
    NotOnDisk {
        /// Its height.
        height: u32,
    },
    /// The world is made to refuse requests about blocks as early as this.
    #[error("rotation info at height {height} is not served")]
    NotServed {
        /// Height of the requested block.
        height: u32,
    },
}
