use std::collections::BTreeMap;

use dashcore::network::message_qrinfo::QuorumSnapshot;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{ChainParams, QuorumHash};

use super::cycle::Cycle;
use super::error::MembersError;
use super::modifier::unrotated_modifier;
use super::needs::{Session, unrotated_list_height};
use super::ranking::ranked;
use super::{Members, WORK_BLOCK_DEPTH};
use crate::proven_state::ProvenState;

/// Proven states and served snapshots of one chain, by height: what members are computed from.
///
/// Snapshots are the word of whoever sent them. A wrong one makes wrong members, for which no commitment verifies;
/// where the three cycles before are there too, [`check_snapshot`](Self::check_snapshot) finds it out directly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    states: BTreeMap<u32, ProvenState>,
    snapshots: BTreeMap<u32, QuorumSnapshot>,
}

impl Evidence {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the state at its height. All states have to be of one chain.
    pub fn add_state(&mut self, state: ProvenState) {
        self.states.insert(state.height(), state);
    }

    /// Adds the snapshot of the cycle with its base block at height `cycle_base`.
    pub fn add_snapshot(&mut self, cycle_base: u32, snapshot: QuorumSnapshot) {
        self.snapshots.insert(cycle_base, snapshot);
    }

    /// The state at a height.
    pub fn state(&self, height: u32) -> Option<&ProvenState> {
        self.states.get(&height)
    }

    /// The snapshot of the cycle with its base block at this height.
    pub fn snapshot(&self, cycle_base: u32) -> Option<&QuorumSnapshot> {
        self.snapshots.get(&cycle_base)
    }

    /// Drops all states and snapshots below a height. This is what keeps evidence bounded: its owner calls it when
    /// quorums and cycles have been dealt with.
    pub fn forget_below(&mut self, height: u32) {
        self.states = self.states.split_off(&height);
        self.snapshots = self.snapshots.split_off(&height);
    }

    /// The members of the quorum of this kind whose base block is at `base_height` and has the hash `quorum_hash`.
    ///
    /// For many quorums of one cycle of the rotated kind [`cycle`](Self::cycle) does the work once.
    ///
    /// # Errors
    /// What is missing, as a [`MembersError`]; or why no such quorum can be, or a snapshot is malformed.
    pub fn members(
        &self,
        llmq_type: LLMQType,
        quorum_hash: QuorumHash,
        base_height: u32,
        params: &ChainParams,
    ) -> Result<Members, MembersError> {
        let session = Session::locate(llmq_type, base_height, params)?;
        let Some(index) = session.index else {
            return self.unrotated_members(&session, quorum_hash, params);
        };
        let cycle = Cycle::compute(session.llmq, session.cycle_base, self, params)?;
        Ok(cycle.members(index).expect("a session's index is one of its cycle's").clone())
    }

    /// The members of all quorums of the rotated kind in the cycle with its base block at `cycle_base`, and the
    /// cycle's snapshot.
    ///
    /// # Errors
    /// What is missing, as a [`MembersError`]; or why no such cycle can be, or a snapshot is malformed.
    pub fn cycle(&self, cycle_base: u32, params: &ChainParams) -> Result<Cycle, MembersError> {
        let session = Session::locate(params.rotated_llmq, cycle_base, params)?;
        if session.index != Some(0) {
            let llmq_type = params.rotated_llmq;
            return Err(MembersError::NoSession { llmq_type, base_height: cycle_base });
        }
        Cycle::compute(session.llmq, cycle_base, self, params)
    }

    /// Checks the snapshot that was added for a cycle against the one that follows from the cycle's list and the
    /// three cycles before.
    ///
    /// # Errors
    /// That the snapshot is another one, or why that cannot be said.
    pub fn check_snapshot(&self, cycle_base: u32, params: &ChainParams) -> Result<(), MembersError> {
        let cycle = self.cycle(cycle_base, params)?;
        let given = self.snapshot(cycle_base).ok_or(MembersError::MissingSnapshot { cycle_base })?;
        match cycle.snapshot() {
            None => Err(MembersError::UnexpectedSnapshot { cycle_base }),
            Some(expected) if expected == given => Ok(()),
            Some(_) => Err(MembersError::SnapshotMismatch { cycle_base }),
        }
    }

    pub(super) fn require_state(&self, height: u32) -> Result<&ProvenState, MembersError> {
        self.state(height).ok_or(MembersError::MissingList { height })
    }

    fn unrotated_members(
        &self,
        session: &Session<'_>,
        quorum_hash: QuorumHash,
        params: &ChainParams,
    ) -> Result<Members, MembersError> {
        let Session { llmq, cycle_base: base_height, .. } = *session;
        let list = self.require_state(unrotated_list_height(base_height, params))?;
        let work_state = self.state(base_height - WORK_BLOCK_DEPTH);
        let modifier = unrotated_modifier(llmq.llmq_type, base_height, quorum_hash, work_state, params)?;
        let evo_only =
            llmq.llmq_type == params.platform_llmq && base_height.saturating_add(1) >= params.activation.v19;
        let candidates = list.masternodes().shared().filter(|one| !evo_only || one.entry.is_evo());
        let mut members = ranked(candidates, &modifier);
        members.truncate(usize::try_from(llmq.size).unwrap_or(usize::MAX));
        Ok(Members::new(members))
    }
}
