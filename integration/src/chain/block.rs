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
