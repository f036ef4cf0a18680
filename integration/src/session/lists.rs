use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::end_state::EndState;
use super::error::SyncError;
use super::run::{Run, RunResults};
use crate::chain::HeaderChain;
use crate::headers::{HeaderDownloadError, Tips};
use crate::lists::{Downloaded, ListDownload};
use crate::plan::Plan;
use crate::progress::Phase;
use crate::store::StoreError;

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
    /// heard. When a better one turns up, what is missing for it follows; on another branch, at once. Ends when nobody
    /// is left to be heard, with headers and lists stored.
    pub(super) async fn bring_lists(
        &self,
        mut stored: Option<Arc<HeaderChain>>,
        tips: &Tips,
        results: &mut RunResults,
    ) -> Result<(), SyncError> {
        let mut known = tips.first().await;
        results.headers = self.started.elapsed() - results.connect;
        let mut wanted_lists = WantedLists::default();
        if known.chain.is_some() {
            self.connected.progress.enter(Phase::Lists);
        }
        while let Some(chain) = known.chain.take() {
            results.chain = chain.clone();
            self.download_lists(stored.replace(chain.clone()), tips, &mut wanted_lists, results).await?;
            known = tips.after(&chain).await;
            if !known.is_other_than(&chain) {
                break;
            }
        }
        results.list_time = self.started.elapsed() - results.connect - results.headers;
        match known.settled {
            Some(Err(HeaderDownloadError::NoUsableAnswer { .. })) => results.state = EndState::NoCapablePeer,
            Some(Err(error)) => return Err(SyncError::Headers(error)),
            Some(Ok(())) | None => {}
        }
        // A store holds the same whether a better tip was known from the beginning or turned up meanwhile.
        let superseded = wanted_lists.superseded();
        if !superseded.is_empty() {
            self.connected.blocking(move |store, _| store.drop_lists(&superseded)).await?;
        }
        let proven = self.proven_lists(&results.chain)?;
        results.lists = wanted_lists.wanted.intersection(&proven).count() as u64;
        Ok(())
    }

    /// Stores the headers, and meanwhile downloads the lists that are missing, as long as the chain is not a branch that
    /// is left.
    async fn download_lists(
        &self,
        stored: Option<Arc<HeaderChain>>,
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
            let looked_at = if tip_only { vec![chain.tip_height()] } else { cycles.heights.clone() };
            let plan = if tip_only {
                cycles.with_lists_for_tip(&self.connected.params, &chain, proven)
            } else {
                cycles
            };
            (plan, looked_at)
        };
        let mut proven = self.proven_lists(&chain)?;
        wanted_lists.wanted = plan_with(&proven).0.heights.into_iter().collect();
        // These will go, so nothing is to be based on them.
        let superseded = wanted_lists.superseded();
        proven.retain(|height| !superseded.contains(height));
        let (plan, looked_at) = plan_with(&proven);
        (results.heights, results.from) = (looked_at, from);
        let missing: BTreeSet<u32> = wanted_lists.wanted.difference(&proven).copied().collect();
        let (lists, held) =
            (wanted_lists.wanted.len() as u64, (wanted_lists.wanted.len() - missing.len()) as u64);
        tracing::info!(requests = plan.works.len(), lists, held, "planned");
        if wanted_lists.missing.is_empty() {
            self.connected.progress.planned(lists, held);
        } else {
            self.connected.progress.more_planned(lists - held);
        }
        wanted_lists.missing.extend(missing);

        let headers_stored = watch::Sender::new(false);
        let save_headers = async {
            self.save_headers(stored, chain.clone()).await?;
            headers_stored.send_replace(true);
            Ok::<_, SyncError>(())
        };
        let (peers, settings) = (self.connected.peers.clone(), &self.connected.config.sync);
        let download = ListDownload::new(peers, &self.verifier, plan, settings, self.connected.progress)?;
        let download = download.verifying_once(headers_stored.subscribe());
        let work = async {
            tokio::select! {
                biased;
                // What is under way for such a branch could be refused by everybody.
                () = tips.left(&chain) => Ok(None),
                downloaded = download.run() => Ok(Some(downloaded)),
            }
        };
        let ((), downloaded) = tokio::try_join!(save_headers, work)?;
        let Some(Downloaded { tally, outcome, snapshots_from }) = downloaded else { return Ok(()) };
        results.quorums.snapshots_from.extend(snapshots_from);
        results.tally.add(tally);
        results.state = outcome.into();
        Ok(())
    }

    async fn save_headers(
        &self,
        stored: Option<Arc<HeaderChain>>,
        chain: Arc<HeaderChain>,
    ) -> Result<(), StoreError> {
        // A chain that reaches further down is stored anew.
        let stored = stored.filter(|stored| stored.start_height() <= chain.start_height());
        if stored.as_ref().is_some_and(|stored| stored.tip_hash() == chain.tip_hash()) {
            return Ok(());
        }
        let unchanged = stored.and_then(|stored| chain.last_common(&stored));
        self.connected.blocking(move |store, _| store.save_chain(&chain, unchanged)).await
    }
}
