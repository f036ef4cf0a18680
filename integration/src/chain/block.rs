use dashcore::{BlockHash, Header};

/// A block of the header chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// Height.
    pub(crate) height: u32,
    /// Hash.
    pub(crate) hash: BlockHash,
    /// Header.
    pub(crate) header: Header,
}

/// Which block something is about. A height alone does not tell: a reorganisation puts other blocks at the same heights.
/// Ordered by height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockId {
    /// Height.
    pub(crate) height: u32,
    /// Hash.
    pub(crate) hash: BlockHash,
}

impl Block {
    /// Which block it is.
    pub(crate) fn id(&self) -> BlockId {
        BlockId { height: self.height, hash: self.hash }
    }
}
