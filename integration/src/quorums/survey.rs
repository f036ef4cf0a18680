use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::params::WORK_BLOCK_DEPTH;
use dashcore::sml::llmq_type::{LLMQParams, LLMQType};
use dashcore::{BlockHash, ChainParams, QuorumHash};
use spv_masternodes::chain_lock::{BestLock, quorums_height};
use spv_masternodes::members::Needs;
use spv_masternodes::{ActiveQuorum, ProvenState};

use super::chain_lock::locking_quorums;
use super::states::States;
use crate::chain::HeaderChain;
use crate::plan::RETIRED_INTERVALS;
use crate::store::{Finding, QuorumRow, Store, StoreError, Unverified};

/// What was found of each quorum that was looked at.
pub(crate) type Findings = BTreeMap<(LLMQType, QuorumHash), Finding>;

/// Which quorums there are to prove, and what that needs.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// What is known without a check: found by an earlier run, or impossible.
    pub(crate) findings: Findings,
    /// Quorums to be proven, ascending by base height.
    pub(crate) candidates: Vec<Candidate>,
    /// Quorums whose base block is below the headers that are held, so that no members can be computed.
    pub(crate) unlocated: Vec<Candidate>,
    /// Whether one of `lists` is to show which quorum signed the tip's ChainLock; that quorum is to be proven then, too.
    pub(crate) signers_unknown: bool,
    /// Lists that this needs and that are not stored.
    pub(crate) lists: BTreeSet<u32>,
    /// Base heights of cycles whose snapshot this needs, and neither is stored nor follows from lists.
    pub(crate) snapshots: BTreeSet<u32>,
}

/// A quorum to be proven.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(super) entry: Arc<QuorumEntry>,
    pub(super) base_height: u32,
    pub(super) needs: Needs,
}

impl Candidate {
    pub(super) fn unverified(&self, why: Unverified) -> QuorumRow {
        QuorumRow::unverified(&self.entry, self.base_height, why)
    }
}

impl Survey {
    /// Looks at the quorums that are active at these heights, ascending, of which the last is the tip's. `proven` are
    /// the heights of all lists that are stored.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn of(
        store: &Store,
        params: &ChainParams,
        chain: &HeaderChain,
        heights: &[u32],
        proven: &BTreeSet<u32>,
    ) -> Result<Self, StoreError> {
        let mut survey = Self::default();
        let mut rows = Vec::new();
        let mut states = States::new(store, params, chain);
        let (mut seen, mut rootless) = (BTreeSet::new(), BTreeSet::new());
        for &height in heights {
            let Some(state) = states.get(height)? else { continue };
            for quorum in state.quorums().iter() {
                if !state.are_quorums_proven() {
                    rootless.insert((quorum.entry.llmq_type, quorum.entry.quorum_hash));
                } else if seen.insert((quorum.entry.llmq_type, quorum.entry.quorum_hash)) {
                    rows.extend(survey.look_at(quorum, store, params, chain)?);
                }
            }
            if height == chain.tip_height()
                && let Some(Ok(Some(lock))) = state.coinbase().map(BestLock::of_coinbase)
            {
                let locked = lock.block_height;
                match locking_quorums(&mut states, params, chain, proven, locked)? {
                    Some(state) => {
                        for quorum in state.quorums().of_type(params.chain_locks_llmq) {
                            if seen.insert((quorum.entry.llmq_type, quorum.entry.quorum_hash)) {
                                rows.extend(survey.look_at(quorum, store, params, chain)?);
                            }
                        }
                    }
                    None => {
                        survey.lists.insert(quorums_height(locked));
                        survey.signers_unknown = true;
                    }
                }
            }
        }
        if heights.contains(&chain.tip_height()) {
            let computed = computed_snapshots(params, proven, None);
            for quorum in lately_retired(&mut states, params, chain, proven)? {
                let name = (quorum.entry.llmq_type, quorum.entry.quorum_hash);
                // What proves those of Platform is downloaded, as they may still sign. Others are proven where it is there.
                let is_wanted = name.0 == params.platform_llmq
                    || is_provable(&quorum, store, params, chain, proven, &computed)?;
                if is_wanted && seen.insert(name) {
                    rows.extend(survey.look_at(&quorum, store, params, chain)?);
                }
            }
        }
        store.save_quorums(&rows)?;
        let of_rootless = rootless.difference(&seen).map(|&name| (name, Finding::NoRoot));
        survey.findings.extend(of_rootless);
        survey.candidates.sort_by_key(|candidate| candidate.base_height);
        for candidate in &survey.candidates {
            survey.lists.extend(&candidate.needs.lists);
            survey.snapshots.extend(&candidate.needs.snapshots);
        }
        let lowest = params.activation.dip3.max(chain.start_height());
        survey
            .lists
            .retain(|height| (lowest..=chain.tip_height()).contains(height) && !proven.contains(height));
        let held: BTreeSet<u32> = proven.union(&survey.lists).copied().collect();
        let computed = computed_snapshots(params, &held, survey.snapshots.last().copied());
        let wanted = std::mem::take(&mut survey.snapshots);
        for cycle_base in wanted.difference(&computed) {
            if !stored_snapshot(store, chain, *cycle_base)? {
                survey.snapshots.insert(*cycle_base);
            }
        }
        Ok(survey)
    }

    /// Sorts a quorum in; returns what is to be stored of it right away.
    fn look_at(
        &mut self,
        quorum: &ActiveQuorum,
        store: &Store,
        params: &ChainParams,
        chain: &HeaderChain,
    ) -> Result<Option<QuorumRow>, StoreError> {
        let (entry, entry_hash) = (quorum.entry.clone(), quorum.entry_hash);
        let name = (entry.llmq_type, entry.quorum_hash);
        let known = store.quorum(entry.llmq_type, entry.quorum_hash, entry_hash)?;
        let located = chain.height_of(&BlockHash::from(entry.quorum_hash));
        // More can be found of a quorum when headers reach further down than before.
        let settled = |finding: Finding| {
            finding.is_verified() || (finding == Finding::SignedByQuorum && located.is_none())
        };
        if let Some(known) = known.map(|known| known.finding()).filter(|&known| settled(known)) {
            self.findings.insert(name, known);
            return Ok(None);
        }
        let base_height = located.unwrap_or(0);
        let mut candidate = Candidate { entry, base_height, needs: Needs::default() };
        match located.map(|height| Needs::of(name.0, height, params)) {
            Some(Ok(needs)) => {
                candidate.needs = needs;
                self.candidates.push(candidate);
                Ok(None)
            }
            Some(Err(_)) => {
                self.findings.insert(name, Finding::WrongMembers);
                Ok(Some(candidate.unverified(Unverified::WrongMembers)))
            }
            None => {
                self.unlocated.push(candidate);
                Ok(None)
            }
        }
    }
}

/// Quorums of all kinds that were active within the last intervals of their kind, as the stored lists show them: those
/// nearest to each interval's end, as a quorum is active for one interval at least.
fn lately_retired(
    states: &mut States<'_>,
    params: &ChainParams,
    chain: &HeaderChain,
    proven: &BTreeSet<u32>,
) -> Result<Vec<ActiveQuorum>, StoreError> {
    let tip = chain.tip_height();
    let mut kinds_at: BTreeMap<u32, Vec<&LLMQParams>> = BTreeMap::new();
    for llmq in params.llmqs.iter().filter(|llmq| !params.is_switched_off(llmq.llmq_type, tip)) {
        let ends = (0..=RETIRED_INTERVALS).filter_map(|age| tip.checked_sub(age * llmq.dkg_interval));
        for height in ends.filter_map(|end| proven.range(..=end).next_back()) {
            kinds_at.entry(*height).or_default().push(llmq);
        }
    }
    let mut retired = Vec::new();
    for (height, llmqs) in kinds_at {
        let Some(state) = states.get(height)?.filter(ProvenState::are_quorums_proven) else { continue };
        for llmq in llmqs {
            let quorums = state.quorums().of_type(llmq.llmq_type);
            retired.extend(quorums.filter(|quorum| is_lately_retired(llmq, chain, quorum)).cloned());
        }
    }
    Ok(retired)
}

/// Whether a quorum is so new that it was active within the intervals in which it may still sign, where no session before
/// failed.
fn is_lately_retired(llmq: &LLMQParams, chain: &HeaderChain, quorum: &ActiveQuorum) -> bool {
    let active = if llmq.rotated { 1 } else { llmq.signing_active_quorum_count };
    let newest_session = chain.tip_height() - chain.tip_height() % llmq.dkg_interval;
    chain
        .height_of(&BlockHash::from(quorum.entry.quorum_hash))
        .is_some_and(|base| base + (active + RETIRED_INTERVALS) * llmq.dkg_interval >= newest_session)
}

/// Whether all that it takes to prove a quorum is stored, or follows from stored lists.
fn is_provable(
    quorum: &ActiveQuorum,
    store: &Store,
    params: &ChainParams,
    chain: &HeaderChain,
    proven: &BTreeSet<u32>,
    computed: &BTreeSet<u32>,
) -> Result<bool, StoreError> {
    let base = chain.height_of(&BlockHash::from(quorum.entry.quorum_hash));
    let needs = base.and_then(|base| Needs::of(quorum.entry.llmq_type, base, params).ok());
    let Some(needs) = needs.filter(|needs| needs.lists.iter().all(|height| proven.contains(height))) else {
        return Ok(false);
    };
    for cycle_base in needs.snapshots {
        if !computed.contains(&cycle_base) && !stored_snapshot(store, chain, cycle_base)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a snapshot of this cycle of the chain is stored.
fn stored_snapshot(store: &Store, chain: &HeaderChain, cycle_base: u32) -> Result<bool, StoreError> {
    let work_block = cycle_base.checked_sub(WORK_BLOCK_DEPTH).and_then(|height| chain.hash(height));
    Ok(work_block.map(|work_block| store.snapshot(work_block)).transpose()?.flatten().is_some())
}

/// Base heights of the cycles whose snapshot follows from the lists at the heights of `held`.
fn computed_snapshots(params: &ChainParams, held: &BTreeSet<u32>, last: Option<u32>) -> BTreeSet<u32> {
    let mut computed = BTreeSet::new();
    let interval = params.rotated().dkg_interval;
    let cycles = held.iter().map(|height| height + WORK_BLOCK_DEPTH);
    for cycle_base in cycles.filter(|height| height % interval == 0) {
        if last.is_none_or(|last| cycle_base > last) {
            break;
        }
        let follows = Needs::of(params.rotated_llmq, cycle_base, params).is_ok_and(|needs| {
            needs.lists.iter().all(|height| held.contains(height))
                && needs.snapshots.iter().all(|cycle_base| computed.contains(cycle_base))
        });
        if follows {
            computed.insert(cycle_base);
        }
    }
    computed
}
