use dashcore::ChainParams;

/// A cycle's list is that of the block this far below its base (Dash Core `WORK_DIFF_DEPTH`, llmq/utils.h).
pub(crate) const WORK_BLOCK_OFFSET: u32 = 8;

/// Whether the members of some kind of quorum may be chosen from the list of the block at this height.
pub(crate) fn is_work_block(params: &ChainParams, height: u32) -> bool {
    params.llmqs.iter().any(|llmq| (height + WORK_BLOCK_OFFSET).is_multiple_of(llmq.dkg_interval))
}
