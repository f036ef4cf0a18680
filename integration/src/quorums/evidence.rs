use std::collections::{BTreeMap, BTreeSet};

use dashcore::params::WORK_BLOCK_DEPTH;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{ChainParams, QuorumHash};
use spv_masternodes::members::{Cycle, Evidence, Members, MembersError, Needs};

use super::states::States;
use super::survey::Candidate;
use crate::chain::{BlockId, HeaderChain};
use crate::store::{SnapshotRow, Store, StoreError};

/// Computes members in ascending order of height, from what is stored of a chain's blocks.
///
/// Snapshots are computed from lists wherever that is possible, cycle by cycle; a peer's is used only where the lists do
/// not go far enough back, and everything that follows from it is marked as resting on it.
pub(super) struct MembersSource<'a> {
    store: &'a Store,
    params: &'a ChainParams,
    chain: &'a HeaderChain,
    states: States<'a>,
    evidence: Evidence,
    /// The newest cycle that was computed.
    cycle: Option<(u32, Result<Cycle, MembersError>)>,
    /// Cycles of which the snapshot is known, or known not to exist; with the cycles whose snapshots, on the word of a
    /// peer, that rests on.
    rests_on: BTreeMap<u32, BTreeSet<u32>>,
    computed: Vec<SnapshotRow>,
    knows_evo_nodes: bool,
}

/// Members of a quorum.
pub(super) struct Membership {
    pub(super) members: Members,
    /// Base heights of the cycles on whose snapshots, not proven, this rests.
    pub(super) rests_on: BTreeSet<u32>,
}

impl<'a> MembersSource<'a> {
    pub(super) fn new(store: &'a Store, params: &'a ChainParams, chain: &'a HeaderChain) -> Self {
        Self {
            store,
            params,
            chain,
            states: States::new(store, params, chain),
            evidence: Evidence::new(),
            cycle: None,
            rests_on: BTreeMap::new(),
            computed: Vec::new(),
            knows_evo_nodes: false,
        }
    }

    /// The members of a quorum whose base block is not below that of the one before.
    pub(super) fn members(
        &mut self,
        candidate: &Candidate,
    ) -> Result<Result<Membership, MembersError>, StoreError> {
        let (llmq_type, base_height) = (candidate.entry.llmq_type, candidate.base_height);
        self.forget(base_height);
        if llmq_type == self.params.rotated_llmq && self.params.rotated().rotated {
            return self.rotated(candidate);
        }
        if llmq_type == self.params.platform_llmq && !std::mem::replace(&mut self.knows_evo_nodes, true) {
            // What a masternode is it stays: a list of whatever height tells.
            self.evidence.add_evo_nodes(self.store.evo_nodes(u32::MAX)?);
        }
        for &height in &candidate.needs.lists {
            self.load(height)?;
        }
        let members = self.unrotated(llmq_type, candidate.entry.quorum_hash, base_height);
        Ok(members.map(|members| Membership { members, rests_on: BTreeSet::new() }))
    }

    /// Base heights of the cycles on whose snapshots, not proven, a quorum's members would rest.
    pub(super) fn rests_on(&self, candidate: &Candidate) -> BTreeSet<u32> {
        candidate
            .needs
            .snapshots
            .iter()
            .filter_map(|cycle| self.rests_on.get(cycle))
            .flatten()
            .copied()
            .collect()
    }

    /// Snapshots that were computed since this was last called, and are proven.
    pub(super) fn take_computed(&mut self) -> Vec<SnapshotRow> {
        std::mem::take(&mut self.computed)
    }

    fn unrotated(
        &self,
        llmq_type: LLMQType,
        quorum_hash: QuorumHash,
        base_height: u32,
    ) -> Result<Members, MembersError> {
        self.evidence.members(llmq_type, quorum_hash, base_height, self.params)
    }

    fn rotated(&mut self, candidate: &Candidate) -> Result<Result<Membership, MembersError>, StoreError> {
        let index = candidate.base_height % self.interval();
        self.advance(candidate.base_height - index)?;
        let Some((cycle_base, cycle)) = &self.cycle else {
            unreachable!("a cycle was just computed");
        };
        Ok(match cycle {
            Ok(cycle) => {
                let members = cycle.members(index).cloned();
                let no_session = MembersError::NoSession {
                    llmq_type: candidate.entry.llmq_type,
                    base_height: candidate.base_height,
                };
                let rests_on = self.earlier(*cycle_base);
                members.ok_or(no_session).map(|members| Membership { members, rests_on })
            }
            Err(error) => Err(*error),
        })
    }

    /// Computes cycles up to this one.
    fn advance(&mut self, cycle_base: u32) -> Result<(), StoreError> {
        let mut next = match self.cycle {
            Some((newest, _)) => newest + self.interval(),
            None => self.first_cycle(cycle_base)?,
        };
        while next <= cycle_base {
            self.load(next - WORK_BLOCK_DEPTH)?;
            let cycle = self.evidence.cycle(next, self.params);
            self.add_snapshot(next, cycle.as_ref().ok())?;
            self.cycle = Some((next, cycle));
            self.forget(next);
            next += self.interval();
        }
        Ok(())
    }

    fn add_snapshot(&mut self, cycle_base: u32, cycle: Option<&Cycle>) -> Result<(), StoreError> {
        let stored = self.stored_snapshot(cycle_base)?;
        let (snapshot, rests_on) = match (stored, cycle) {
            (Some(stored), _) if stored.is_proven() => (Some(stored.into_snapshot()), BTreeSet::new()),
            (_, Some(cycle)) => {
                let rests_on = self.earlier(cycle_base);
                let work_block = self.evidence.state(cycle_base - WORK_BLOCK_DEPTH);
                self.computed
                    .extend(work_block.and_then(|state| SnapshotRow::computed(cycle, state, &rests_on)));
                (cycle.snapshot().cloned(), rests_on)
            }
            (Some(served), None) => (Some(served.into_snapshot()), BTreeSet::from([cycle_base])),
            (None, None) => return Ok(()),
        };
        if let Some(snapshot) = snapshot {
            self.evidence.add_snapshot(cycle_base, snapshot);
        }
        self.rests_on.insert(cycle_base, rests_on);
        Ok(())
    }

    fn stored_snapshot(&self, cycle_base: u32) -> Result<Option<SnapshotRow>, StoreError> {
        match self.work_block(cycle_base) {
            Some(work_block) => self.store.snapshot(work_block.hash),
            None => Ok(None),
        }
    }

    /// The block whose list a cycle's new quarters are chosen from.
    fn work_block(&self, cycle_base: u32) -> Option<BlockId> {
        let height = cycle_base.checked_sub(WORK_BLOCK_DEPTH)?;
        Some(BlockId { height, hash: self.chain.hash(height)? })
    }

    /// What the old quarters of a cycle rest on.
    fn earlier(&self, cycle_base: u32) -> BTreeSet<u32> {
        let needs = Needs::of(self.params.rotated_llmq, cycle_base, self.params).unwrap_or_default();
        needs.snapshots.iter().filter_map(|cycle| self.rests_on.get(cycle)).flatten().copied().collect()
    }

    /// The cycle to begin with: as low as lists go without a gap, but not below three proven snapshots in a row.
    fn first_cycle(&mut self, cycle_base: u32) -> Result<u32, StoreError> {
        let mut first = cycle_base;
        let mut proven = 0;
        while proven < 3 {
            let Some(lower) = first.checked_sub(self.interval()) else { break };
            let Some(work_block) = self.work_block(lower) else { break };
            if !self.store.has_list(work_block)? {
                break;
            }
            first = lower;
            let is_proven = self.store.snapshot(work_block.hash)?.is_some_and(|row| row.is_proven());
            proven = if is_proven { proven + 1 } else { 0 };
        }
        Ok(first)
    }

    fn load(&mut self, height: u32) -> Result<(), StoreError> {
        if self.evidence.state(height).is_none()
            && let Some(state) = self.states.get(height)?
        {
            self.evidence.add_state(state);
        }
        Ok(())
    }

    /// Keeps memory flat: no quorum from here on needs anything further down.
    fn forget(&mut self, base_height: u32) {
        let newest = self.cycle.as_ref().map_or(base_height, |(newest, _)| *newest).min(base_height);
        let lowest = newest.saturating_sub(4 * self.interval() + WORK_BLOCK_DEPTH);
        self.evidence.forget_below(lowest);
        self.rests_on = self.rests_on.split_off(&lowest);
    }

    fn interval(&self) -> u32 {
        self.params.rotated().dkg_interval
    }
}
