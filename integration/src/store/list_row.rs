use dashcore::BlockHash;
use dashcore::network::message_sml::MnListDiff;
use spv_masternodes::{CheckedDiff, ProofError, ProvenState};

use crate::chain::BlockId;

/// A list is stored whole after this many diffs, so that reading one never applies more than that.
const KEYFRAME_INTERVAL: u32 = 32;

/// A proven list, and how it is stored: how many diffs lie between it and the last one that is stored whole.
#[derive(Debug, Clone)]
pub(crate) struct ProvenList {
    state: ProvenState,
    depth: u32,
}

/// A proven list as it is stored: as the diff that leads to it, with its own proof. There is one way to get one,
/// [`ProvenList::advance`], so whoever holds one knows that the list was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListRow {
    pub(super) height: u32,
    pub(super) base_height: u32,
    pub(super) depth: u32,
    pub(super) diff: MnListDiff,
}

impl ProvenList {
    /// The empty list of block 0. What is based on it is stored whole.
    pub(crate) fn genesis(genesis_hash: BlockHash) -> Self {
        Self { state: ProvenState::genesis(genesis_hash), depth: KEYFRAME_INTERVAL }
    }

    /// A list that was just read, and so proven anew.
    pub(super) fn stored(state: ProvenState, depth: u32) -> Self {
        Self { state, depth }
    }

    /// Block of the list.
    pub(crate) fn block(&self) -> BlockId {
        BlockId { height: self.state.height(), hash: self.state.block_hash() }
    }

    /// Proves the list that a diff from this one leads to; gives it with the row to store.
    ///
    /// # Errors
    /// When the diff does not prove a list.
    pub(crate) fn advance(&self, diff: &CheckedDiff) -> Result<(Self, ListRow), ProofError> {
        let state = self.state.advance(diff)?;
        let depth = self.depth + 1;
        let row = if depth >= KEYFRAME_INTERVAL {
            let diff = state.to_full_diff(&diff.to_diff());
            ListRow { height: state.height(), base_height: 0, depth: 0, diff }
        } else {
            let (height, base_height) = (state.height(), self.state.height());
            ListRow { height, base_height, depth, diff: diff.to_diff() }
        };
        Ok((Self { state, depth: row.depth }, row))
    }
}
