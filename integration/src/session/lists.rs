use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::end_state::EndState;
use super::error::SyncError;
use super::run::{Run, RunResults};
use super::shortfall::Shortfall;
use crate::chain::HeaderChain;
use crate::headers::{HeaderDownloadError, Tips};
use crate::lists::{Downloaded, ListDownload};
use crate::plan::{Plan, locking_heights};
use crate::progress::Phase;

/// Lists that could not be had are tried again with peers that have come since, at most this often.
const MAX_TRIES_WITH_OTHERS: u32 = 8;

/// Lists that a run has to do with, by height.
#[derive(Default)]
struct WantedLists {
    /// Wanted for the chain that is known by now.
    wanted: BTreeSet<u32>,
    /// Missing at any time, and so downloaded.
    missing: BTreeSet<u32>,
}

impl WantedLists {
    /// Downloaded for a tip that is none any more.
    fn superseded(&self) -> BTreeSet<u32> {
        self.missing.difference(&self.wanted).copied().collect()
    }
}

impl Run<'_> {
    /// Brings the lists of the best chain that is known, beginning with the first, while other peers are still being
    /// heard. When a better one turns up, what is missing for it follows; on another branch, at once. Lists that could not
    /// be had are tried again when others have come meanwhile: the first peers that were there may have been liars all. A
    /// chain whose lists cannot be had is set aside for the next best one. Ends when nobody is left to be heard, with
    /// headers and lists stored.
    pub(super) async fn bring_lists(&self, tips: &Tips, results: &mut RunResults) -> Result<(), SyncError> {
        let mut known = tips.first().await;
        results.headers = self.started.elapsed() - results.connect;
        if let Some(chain) = &known.chain {
            results.tell_headers(chain.tip_height());
        }
        let mut wanted_lists = WantedLists::default();
        if known.chain.is_some() {
            self.connected.progress.enter(Phase::Lists);
        }
        let (mut asked, mut tries) = (BTreeSet::new(), 0);
        while let Some(chain) = known.chain.take() {
            if results.chain.tip_hash() != chain.tip_hash() {
                (asked, tries) = (BTreeSet::new(), 0);
            }
            results.chain = chain.clone();
            self.download_lists(tips, &mut wanted_lists, results).await?;
            asked.extend(self.holders(&chain));
            let may_try_again = results.state != EndState::Synced && tries < MAX_TRIES_WITH_OTHERS;
            let others_came = tokio::select! {
                biased;
                () = self.holder_besides(&chain, &asked), if may_try_again => true,
                _ = tips.after(&chain) => false,
            };
            known = tips.known();
            if known.is_other_than(&chain) {
                continue;
            }
            if others_came {
                tries += 1;
                continue;
            }
            let Some(height) = results.state.failed_at() else { break };
            // Without lists a chain is no tip.
            let lowest = self.connected.params.activation.dip3;
            let Some(block) = tips.set_aside(&chain, height, lowest) else { break };
            self.connected.peers.on_set_aside(&block);
            known = tips.known();
        }
        results.list_time = self.started.elapsed() - results.connect - results.headers;
        match known.settled {
            Some(Err(HeaderDownloadError::NoUsableAnswer { .. })) => results.state = EndState::NoCapablePeer,
            Some(Err(error @ HeaderDownloadError::Checkpoint(_))) => return Err(SyncError::Headers(error)),
            Some(Err(error)) => {
                results.state = EndState::Degraded { reason: Shortfall::Headers(error), next_retry: None };
            }
            Some(Ok(())) | None => {}
        }
        // A store holds the same whether a better tip was known from the beginning or turned up meanwhile.
        let superseded = wanted_lists.superseded();
        if !superseded.is_empty() {
            self.connected.blocking(move |store, _| store.drop_lists(&superseded)).await?;
        }
        let proven = self.proven_lists(&results.chain).await?;
        results.lists = wanted_lists.wanted.intersection(&proven).count() as u64;
        results.tell_lists();
        Ok(())
    }

    /// Peers that can be asked for the lists of this chain's tip.
    fn holders(&self, chain: &HeaderChain) -> Vec<SocketAddr> {
        let tip = chain.tip_id();
        self.connected.peers.holders(&tip).ready
    }

    /// Resolves when a peer that is not in `asked` can be asked for the lists of this chain's tip.
    async fn holder_besides(&self, chain: &HeaderChain, asked: &BTreeSet<SocketAddr>) {
        let mut changed = self.connected.peers.changes();
        while self.holders(chain).iter().all(|peer| asked.contains(peer)) {
            if changed.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Downloads the lists that are missing of a chain, as long as it is not a branch that is left. Its headers are stored
    /// with them, as far as they are proven.
    async fn download_lists(
        &self,
        tips: &Tips,
        wanted_lists: &mut WantedLists,
        results: &mut RunResults,
    ) -> Result<(), SyncError> {
        let chain = results.chain.clone();
        let from = self.from(chain.tip_height());
        // Without a start height, it is the quorums of the tip alone that count.
        let tip_only = self.connected.config.from.is_none() && self.connected.config.sync.verify_quorums;
        let plan_with = |proven: &BTreeSet<u32>| {
            let cycles = Plan::new(&self.connected.params, &chain, from, proven);
            let looked_at = if tip_only {
                // Quorums sign for some blocks after others have taken their place.
                locking_heights(&self.connected.params, chain.tip_height())
                    .chain([chain.tip_height()])
                    .collect()
            } else {
                cycles.heights.clone()
            };
            let plan = if tip_only {
                cycles.with_lists_for_tip(&self.connected.params, &chain, proven)
            } else {
                cycles
            };
            (plan, looked_at)
        };
        let mut proven = self.proven_lists(&chain).await?;
        wanted_lists.wanted = plan_with(&proven).0.heights.into_iter().collect();
        // These will go, so nothing is to be based on them.
        let superseded = wanted_lists.superseded();
        proven.retain(|height| !superseded.contains(height));
        let (plan, looked_at) = plan_with(&proven);
        (results.heights, results.from) = (looked_at, from);
        let missing: BTreeSet<u32> = wanted_lists.wanted.difference(&proven).copied().collect();
        let (lists, held) =
            (wanted_lists.wanted.len() as u64, (wanted_lists.wanted.len() - missing.len()) as u64);
        tracing::debug!(requests = plan.works.len(), lists, held, "planned");
        if wanted_lists.missing.is_empty() {
            self.connected.progress.planned(lists, held);
        } else {
            self.connected.progress.lists_missing(lists - held);
        }
        wanted_lists.missing.extend(missing);

        self.verifier.follow(chain.clone());
        let (peers, settings) = (self.connected.peers.clone(), &self.connected.config.sync);
        let download = ListDownload::new(peers, &self.verifier, plan, settings, self.connected.progress)?;
        let downloaded = tokio::select! {
            biased;
            // What is under way for such a branch could be refused by everybody.
            () = tips.left(&chain) => return Ok(()),
            downloaded = download.run() => downloaded,
        };
        let Downloaded { tally, outcome, snapshots_from } = downloaded;
        results.quorums.snapshots_from.extend(snapshots_from);
        results.tally.add(tally);
        results.state = outcome.into();
        if let Some(reason) = results.state.explanation() {
            tracing::debug!(tip = chain.tip_height(), reason, "lists could not be downloaded");
        }
        Ok(())
    }
}
