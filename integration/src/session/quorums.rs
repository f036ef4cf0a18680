use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use dashcore::BlockHash;
use dashcore::params::WORK_BLOCK_DEPTH;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::end_state::EndState;
use super::error::SyncError;
use super::run::{ProvenQuorums, Run, RunResults};
use crate::chain::HeaderChain;
use crate::fleet::Outcome;
use crate::lists::{Downloaded, ListDownload};
use crate::log::Listed;
use crate::plan::Plan;
use crate::quorums::{Candidate, Prover, Proving, Survey, verify_tip_lock};
use crate::store::StoreError;
use crate::verify::Stage;
use crate::wire::RequestKind;

/// Snapshots that lead to quorums which fail are asked for anew of other peers, this often at least. On an honest network no
/// round is needed; where the quorums themselves are wrong, no number of them helps.
const ROUNDS: usize = 3;

impl Run<'_> {
    /// Proves the quorums of all lists in the range, downloading what their members follow from.
    pub(super) async fn prove_quorums(&self, results: &mut RunResults) -> Result<(), SyncError> {
        let started = Instant::now();
        let heights: Arc<[u32]> = std::mem::take(&mut results.heights).into();
        let chain = results.chain.clone();
        let mut checked = BTreeSet::new();
        let mut doubted = BTreeSet::new();
        // As long as there is a peer that was not asked, it may have what is true.
        for _ in 0..ROUNDS.max(self.connected.peers.greeted().len()) {
            let mut survey = self.survey(&chain, &heights).await?;
            let (lists, snapshots) =
                (std::mem::take(&mut survey.lists), std::mem::take(&mut survey.snapshots));
            self.download_evidence(lists, snapshots, &doubted, results).await?;
            if survey.signers_unknown {
                survey = self.survey(&chain, &heights).await?;
            }
            let Survey { findings, candidates, unlocated, .. } = survey;
            results.quorums.findings.extend(findings);

            let new = (candidates.len() + unlocated.len()).saturating_sub(checked.len());
            self.connected.progress.quorums_planned(new as u64);
            let proving = self.prove(&chain, candidates, unlocated).await?;
            checked.extend(proving.findings.keys().copied());
            results.quorums.findings.extend(proving.findings);
            if proving.suspects.is_empty() {
                self.blame(&doubted, &results.quorums);
                break;
            }
            let cycles = Listed(&proving.suspects);
            tracing::warn!(%cycles, "quorums fail with the snapshots of these cycles, which are requested again");
            let served = &results.quorums.snapshots_from;
            doubted.extend(proving.suspects.iter().filter_map(|cycle_base| served.get(cycle_base)));
            // Also after the last round, so that the next run asks for others.
            let work_block = |base: u32| chain.hash(base.checked_sub(WORK_BLOCK_DEPTH)?);
            let suspects: Vec<BlockHash> = proving.suspects.into_iter().filter_map(work_block).collect();
            self.connected.blocking(move |store, _| store.drop_unproven_snapshots(&suspects)).await?;
            if results.state != EndState::Synced {
                break;
            }
        }
        results.quorums.checked += checked.len() as u64;
        let stages = self.verifier.stages().clone();
        let tip_lock = self
            .connected
            .blocking(move |store, params| {
                let started = Instant::now();
                let lock = verify_tip_lock(store, params, &chain)?;
                stages.record(Stage::ChainLock, usize::from(lock.is_some()), started);
                Ok(lock)
            })
            .await?;
        if let Some((lock, verified)) = tip_lock {
            results.quorums.tip_lock = Some(lock);
            if let Some(verified) = verified {
                self.connected.locks.raise(verified).await?;
            }
        }
        results.quorums.time += started.elapsed();
        Ok(())
    }

    /// Proves the quorums that are active at a height, whose list is downloaded for that. Where that fails, the tip lacks
    /// nothing: the height is what a peer named.
    pub(super) async fn prove_quorums_at(
        &self,
        height: u32,
        results: &mut RunResults,
    ) -> Result<(), SyncError> {
        let state = results.state.clone();
        if !self.proven_lists(&results.chain).await?.contains(&height) {
            let lists = BTreeSet::from([height]);
            self.download_evidence(lists, BTreeSet::new(), &BTreeSet::new(), results).await?;
        }
        results.heights = vec![height];
        self.prove_quorums(results).await?;
        results.state = state;
        Ok(())
    }

    async fn survey(&self, chain: &Arc<HeaderChain>, heights: &Arc<[u32]>) -> Result<Survey, StoreError> {
        let proven = self.proven_lists(chain).await?;
        let (chain, heights) = (chain.clone(), heights.clone());
        let stages = self.verifier.stages().clone();
        self.connected
            .blocking(move |store, params| {
                let started = Instant::now();
                let survey = Survey::of(store, params, &chain, &heights, &proven)?;
                let quorums = survey.findings.len() + survey.candidates.len() + survey.unlocated.len();
                stages.record(Stage::Survey, quorums, started);
                Ok(survey)
            })
            .await
    }

    /// Other snapshots verify in place of those that these peers served.
    fn blame(&self, doubted: &BTreeSet<SocketAddr>, quorums: &ProvenQuorums) {
        for &peer in doubted {
            if quorums.snapshots_from.values().all(|&served| served != peer) {
                self.connected.peers.record(peer, Outcome::Disproved(RequestKind::QrInfo));
                self.connected.peers.ban(peer, "other snapshots than its own verify");
            }
        }
    }

    async fn download_evidence(
        &self,
        lists: BTreeSet<u32>,
        snapshots: BTreeSet<u32>,
        avoid: &BTreeSet<SocketAddr>,
        results: &mut RunResults,
    ) -> Result<(), SyncError> {
        let chain = &results.chain;
        if lists.is_empty() && snapshots.is_empty() {
            return Ok(());
        }
        let proven = self.proven_lists(chain).await?;
        let plan = Plan::further(&self.connected.params, chain, &lists, &snapshots, &proven);
        let (requests, cycles) = (plan.works.len(), Listed(&snapshots));
        tracing::debug!(requests, lists = lists.len(), %cycles, "planned for members");
        self.connected.progress.lists_missing(lists.len() as u64);
        let (peers, settings) = (self.connected.peers.clone(), &self.connected.config.sync);
        let download = ListDownload::new(peers, &self.verifier, plan, settings, self.connected.progress)?;
        let Downloaded { tally, outcome, snapshots_from } = download.avoiding(avoid.clone()).run().await;
        results.quorums.snapshots_from.extend(snapshots_from);
        results.quorums.lists += tally.lists;
        results.tally.add(tally);
        results.state = outcome.into();
        Ok(())
    }

    async fn prove(
        &self,
        chain: &Arc<HeaderChain>,
        candidates: Vec<Candidate>,
        unlocated: Vec<Candidate>,
    ) -> Result<Proving, StoreError> {
        let cancel = CancellationToken::new();
        // The threads look at it when this future is dropped.
        let _cancelled_when_dropped = cancel.clone().drop_guard();
        let (progress, verification) = (self.connected.progress.clone(), self.connected.verification);
        let (chain, stages) = (chain.clone(), self.verifier.stages().clone());
        self.connected
            .blocking(move |store, params| {
                let on_judged = |count| progress.quorums_judged(count);
                let (chain, cancel, stages, on_judged) = (&*chain, &cancel, &stages, &on_judged);
                let prover = Prover { store, params, chain, verification, stages, cancel, on_judged };
                let mut proving = prover.check_quorum_signatures(&unlocated)?;
                proving.merge(prover.prove(candidates)?);
                Ok(proving)
            })
            .await
    }
}
