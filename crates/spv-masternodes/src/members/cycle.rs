use dashcore::network::message_qrinfo::QuorumSnapshot;
use dashcore::params::WORK_BLOCK_DEPTH;
use dashcore::sml::llmq_type::LLMQParams;
use dashcore::{ChainParams, Network};

use super::Members;
use super::error::MembersError;
use super::evidence::Evidence;
use super::modifier::cycle_modifier;
use super::new_quarter::new_quarter;
use super::old_quarter::old_quarter;
use super::quarter::{Quarter, quarter_size, quorum_count};
use super::session::earlier_cycles;

/// The quorums of one cycle of the rotated kind. Each has three quarters from the cycles before, and a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    members: Vec<Members>,
    snapshot: Option<QuorumSnapshot>,
}

impl Cycle {
    /// The members of the quorum at this index, whose base block is this many blocks above the cycle's.
    pub fn members(&self, index: u32) -> Option<&Members> {
        self.members.get(usize::try_from(index).ok()?)
    }

    /// The snapshot that nodes keep of this cycle; `None` if there were too few masternodes for one.
    pub fn snapshot(&self) -> Option<&QuorumSnapshot> {
        self.snapshot.as_ref()
    }

    pub(super) fn compute(
        llmq: &LLMQParams,
        cycle_base: u32,
        evidence: &Evidence,
        params: &ChainParams,
    ) -> Result<Self, MembersError> {
        let old = old_quarters(llmq, cycle_base, evidence, params)?;
        let state = evidence.require_state(cycle_base - WORK_BLOCK_DEPTH)?;
        let modifier = cycle_modifier(llmq.llmq_type, state, params);
        let before_v19 = cycle_base.saturating_add(1) < params.activation.v19;
        let keep_removed = before_v19 && params.network != Network::Testnet;
        let (new, snapshot) = new_quarter(llmq, state.masternodes(), &modifier, &old, keep_removed).unzip();
        let members = (0..quorum_count(llmq))
            .map(|index| {
                let quarters = old.iter().rev().chain(&new);
                Members::new(quarters.flat_map(|quarter| quarter.of(index)).cloned().collect())
            })
            .collect();
        Ok(Self { members, snapshot })
    }
}

/// The quarters of the three cycles before, latest first. A cycle without a snapshot ends them: nodes look no further.
fn old_quarters(
    llmq: &LLMQParams,
    cycle_base: u32,
    evidence: &Evidence,
    params: &ChainParams,
) -> Result<Vec<Quarter>, MembersError> {
    let mut quarters = Vec::with_capacity(3);
    for cycle_base in earlier_cycles(cycle_base, llmq, params) {
        let state = evidence.require_state(cycle_base - WORK_BLOCK_DEPTH)?;
        let list = state.masternodes();
        if list.valid_count() < quarter_size(llmq) {
            break;
        }
        let snapshot = evidence.snapshot(cycle_base).ok_or(MembersError::MissingSnapshot { cycle_base })?;
        let modifier = cycle_modifier(llmq.llmq_type, state, params);
        quarters.push(old_quarter(llmq, cycle_base, list, &modifier, snapshot)?);
    }
    Ok(quarters)
}
