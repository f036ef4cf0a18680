use dashcore::ChainParams;
use dashcore::params::WORK_BLOCK_DEPTH;
use dashcore::sml::llmq_type::{LLMQParams, LLMQType};

use super::error::MembersError;

/// A DKG session: what comes out of it is a quorum.
pub(crate) struct Session<'a> {
    pub(crate) llmq: &'a LLMQParams,
    /// Height of the base block of the cycle, or of the quorum itself where nothing rotates.
    pub(crate) cycle_base: u32,
    /// Position in the cycle; `None` for a kind that does not rotate.
    pub(crate) index: Option<u32>,
}

impl<'a> Session<'a> {
    pub(crate) fn locate(
        llmq_type: LLMQType,
        base_height: u32,
        params: &'a ChainParams,
    ) -> Result<Self, MembersError> {
        let llmq = params.llmq(llmq_type).ok_or(MembersError::UnknownType(llmq_type))?;
        let index = base_height % llmq.dkg_interval;
        let cycle_base = base_height - index;
        let exists = if llmq.rotated {
            rotates(cycle_base, params) && index < llmq.signing_active_quorum_count
        } else {
            index == 0
        };
        if !exists || cycle_base < WORK_BLOCK_DEPTH {
            return Err(MembersError::NoSession { llmq_type, base_height });
        }
        Ok(Self { llmq, cycle_base, index: llmq.rotated.then_some(index) })
    }
}

/// The three cycles before, latest first, as far as quorums rotated then.
pub(super) fn earlier_cycles(
    cycle_base: u32,
    llmq: &LLMQParams,
    params: &ChainParams,
) -> impl Iterator<Item = u32> {
    (1..=3)
        .map_while(move |cycles| cycle_base.checked_sub(cycles * llmq.dkg_interval))
        .take_while(|&cycle_base| cycle_base >= WORK_BLOCK_DEPTH && rotates(cycle_base, params))
}

/// From v20 on the work block's list counts, before it the base block's own.
pub(super) fn unrotated_list_height(base_height: u32, params: &ChainParams) -> u32 {
    let after_v20 = base_height.saturating_add(1) >= params.activation.v20;
    if after_v20 { base_height - WORK_BLOCK_DEPTH } else { base_height }
}

/// Before DIP3 there are no masternodes that could rotate.
fn rotates(cycle_base: u32, params: &ChainParams) -> bool {
    let activation = &params.activation;
    cycle_base >= activation.dip24.max(1) && cycle_base >= activation.dip3.saturating_add(WORK_BLOCK_DEPTH)
}
