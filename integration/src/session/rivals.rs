use std::collections::BTreeSet;
use std::sync::Arc;

use dashcore::BlockHash;
use dashcore::consensus::deserialize;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use spv_masternodes::chain_lock::quorums_height;
use spv_masternodes::{BlockRef, CheckedDiff};

use super::error::SyncError;
use super::run::{Run, RunResults};
use crate::chain::HeaderChain;
use crate::headers::Tips;
use crate::quorums::{LockVerdict, coinbase_lock};
use crate::wire::Request;

/// Other chains whose coinbase is asked for, those with the most work.
const MAX_RIVALS: usize = 4;

/// Peers whose chain leaves the one that was synced may be the honest ones: work alone does not decide, a ChainLock does.
impl Run<'_> {
    /// Asks for the coinbases of chains that leave the synced one above its own highest ChainLock, and looks for a lock of a
    /// block that this one does not have. Whether there is one: then `tips` has another best chain.
    pub(super) async fn weigh_rivals(
        &self,
        tips: &Tips,
        results: &mut RunResults,
    ) -> Result<bool, SyncError> {
        let chain = &results.chain.clone();
        if let Some(best) = self.connected.locks.best() {
            tips.lock(chain, &best);
        }
        for rival in self.rivals(tips, chain) {
            if let Some(lock) = self.lock_of(&rival, chain).await {
                let mut verdict = self.connected.locks.judge(rival.clone(), lock.clone()).await?;
                let shown_at = quorums_height(lock.block_height);
                if matches!(verdict, LockVerdict::Unknown(_)) && rival.last_common(chain) >= Some(shown_at) {
                    self.prove_quorums_at(shown_at, results).await?;
                    verdict = self.connected.locks.judge(rival.clone(), lock.clone()).await?;
                }
                let LockVerdict::Verified(verified) = verdict else { continue };
                tracing::warn!(
                    height = lock.block_height,
                    hash = %lock.block_hash,
                    "the synced chain contradicts a ChainLock: changing to the locked chain"
                );
                self.connected.locks.raise(verified).await?;
                tips.lock(&rival, &lock);
                break;
            }
        }
        Ok(tips.contradicts_lock(chain))
    }

    /// The chains of peers that leave this one and contradict no ChainLock, that with the most work first.
    fn rivals(&self, tips: &Tips, chain: &HeaderChain) -> Vec<Arc<HeaderChain>> {
        let heard = self.connected.peers.all_heard().into_iter().map(|(_, heard)| heard);
        let mut seen = BTreeSet::new();
        let mut rivals: Vec<_> = heard
            .filter(|heard| heard.is_complete && heard.chain.has_min_work())
            .map(|heard| heard.chain)
            .filter(|rival| {
                chain.diverges_by(rival, u32::MAX)
                    && !tips.contradicts_lock(rival)
                    && seen.insert(rival.tip_hash())
            })
            .collect();
        rivals.sort_by_key(|rival| std::cmp::Reverse(rival.work()));
        rivals.truncate(MAX_RIVALS);
        rivals
    }

    /// The ChainLock in the coinbase of a rival's tip, if it is of a block that `chain` does not have.
    async fn lock_of(&self, rival: &Arc<HeaderChain>, chain: &HeaderChain) -> Option<ChainLock> {
        let fork = rival.last_common(chain)?;
        let tip = rival.tip_id();
        let names = GetMnListDiff { base_block_hash: rival.hash(fork)?, block_hash: tip.hash };
        let (peers, nobody) = (&self.connected.peers, BTreeSet::new());
        let completed = peers.ask_for_lists(Request::ListDiff(names), tip, &nobody, 0).await.ok()?;
        let diff: MnListDiff = deserialize(&completed.response.payload).ok()?;
        let header = rival.header(tip.height)?;
        // Proves the coinbase by the header.
        let checked =
            CheckedDiff::check(diff, BlockRef { hash: tip.hash, header, height: tip.height }).ok()?;
        completed.permit.accept();
        let (best, hash) = coinbase_lock(checked.coinbase(), rival).ok()??;
        let is_new = |hash: &BlockHash| chain.hash(best.block_height) != Some(*hash);
        let block_hash = hash.filter(is_new)?;
        Some(ChainLock { block_height: best.block_height, block_hash, signature: best.signature })
    }
}
