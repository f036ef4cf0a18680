use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::download::{Downloaded, ListDownload};
use super::progress::Phase;
use super::run::{Reached, Run, SyncError, blocking};
use super::summary::EndState;
use super::tips::Tips;
use crate::headers::{HeaderChain, HeaderDownloadError};
use crate::plan::Plan;
use crate::store::StoreError;

impl Run<'_> {
    /// Brings the lists of the best chain that is known, beginning with the first, while other peers are still being
    /// heard. When a better one turns up, what is missing for it follows; on another branch, at once. Ends when nobody
    /// is left to be heard, with headers and lists stored.
    pub(super) async fn bring_lists(
        &self,
        mut stored: Option<Arc<HeaderChain>>,
        tips: &Tips,
        reached: &mut Reached,
    ) -> Result<(), SyncError> {
        let mut known = tips.first().await;
        reached.headers = self.started.elapsed() - reached.connect;
        let mut wanted = BTreeSet::new();
        if known.chain.is_some() {
            self.progress.enter(Phase::Lists);
        }
        while let Some(chain) = known.chain.take() {
            reached.chain = chain.clone();
            self.download_lists(stored.replace(chain.clone()), tips, &mut wanted, reached).await?;
            known = tips.after(&chain).await;
            if !known.is_other_than(&chain) {
                break;
            }
        }
        reached.list_time = self.started.elapsed() - reached.connect - reached.headers;
        match known.settled {
            Some(Err(HeaderDownloadError::NoUsableAnswer { .. })) => reached.state = EndState::NoCapablePeer,
            Some(Err(error)) => return Err(SyncError::Headers(error)),
            Some(Ok(())) | None => {}
        }
        let proven = self.proven_lists(&reached.chain)?;
        reached.lists = wanted.intersection(&proven).count() as u64;
        Ok(())
    }

    /// Stores the headers, and meanwhile downloads the lists that are missing, as long as the chain is not a branch that
    /// is left.
    async fn download_lists(
        &self,
        stored: Option<Arc<HeaderChain>>,
        tips: &Tips,
        wanted: &mut BTreeSet<u32>,
        reached: &mut Reached,
    ) -> Result<(), SyncError> {
        let chain = reached.chain.clone();
        let from = self.from(chain.tip_height());
        let proven = self.proven_lists(&chain)?;
        let mut plan = Plan::new(&self.params, &chain, from, &proven);
        // Without a start height, it is the quorums of the tip alone that count.
        let tip_only = self.config.from.is_none() && self.config.sync.verify_quorums;
        reached.heights = if tip_only { vec![chain.tip_height()] } else { plan.heights.clone() };
        reached.from = from;
        if tip_only {
            plan = plan.with_lists_for_tip(&self.params, &chain, &proven);
        }
        let held = plan.heights.iter().filter(|height| proven.contains(height)).count() as u64;
        let lists = plan.heights.len() as u64;
        tracing::info!(requests = plan.works.len(), lists, held, "planned");
        if wanted.is_empty() {
            self.progress.planned(lists, held);
        } else {
            self.progress.more_planned(lists - held);
        }
        wanted.extend(&plan.heights);

        let headers_stored = watch::Sender::new(false);
        let save_headers = async {
            self.save_headers(stored, chain.clone()).await?;
            headers_stored.send_replace(true);
            Ok::<_, SyncError>(())
        };
        let (peers, settings) = (self.peers.clone(), &self.config.sync);
        let download = ListDownload::new(peers, &self.verifier, plan, settings, self.progress)?;
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
        let Some(Downloaded { tally, state, snapshots_from }) = downloaded else { return Ok(()) };
        reached.quorums.snapshots_from.extend(snapshots_from);
        reached.tally.add(tally);
        reached.state = state;
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
        let unchanged = stored.and_then(|stored| {
            let common = stored.tip_height().min(chain.tip_height());
            (stored.start_height()..=common).rev().find(|&height| stored.hash(height) == chain.hash(height))
        });
        blocking(&self.store, &self.params, move |store, _| store.save_chain(&chain, unchanged)).await
    }
}
