//! Computes members from evidence.

use dashcore::params::WORK_BLOCK_DEPTH;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{ChainParams, QuorumHash};

use super::Members;
use super::cycle::Cycle;
use super::error::MembersError;
use super::evidence::Evidence;
use super::modifier::unrotated_modifier;
use super::ranking::ranked;
use super::session::{Session, unrotated_list_height};

impl Evidence {
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
        let candidates = list.masternodes().shared().filter(|one| !evo_only || self.is_evo(&one.entry));
        let mut members = ranked(candidates, &modifier);
        members.truncate(usize::try_from(llmq.size).unwrap_or(usize::MAX));
        Ok(Members::new(members))
    }
}
