use std::sync::Arc;

use dashcore::ChainParams;

use super::ahead::Ahead;
use super::error::HeaderDownloadError;
use super::exchange::HeaderExchange;
use super::hearing::Hearing;
use super::patience::Patience;
use super::tips::Tips;
use crate::chain::HeaderChain;
use crate::fleet::Peers;
use crate::net::Announcements;
use crate::quorums::ChainLocks;
use crate::store::Store;
use crate::verification::Verification;

/// Downloads headers from all peers and tells which chain has the most work.
#[derive(Debug)]
pub(crate) struct HeaderDownload {
    params: ChainParams,
    exchange: HeaderExchange,
    ahead: Ahead,
    locks: Arc<ChainLocks>,
    patience: Patience,
}

impl HeaderDownload {
    /// A download from these peers; headers are validated and stored at this place.
    pub(crate) fn new(
        params: &ChainParams,
        peers: Arc<Peers>,
        store: Arc<Store>,
        locks: Arc<ChainLocks>,
        patience: Patience,
        place: Verification,
    ) -> Self {
        let ahead = Ahead::new(store, params, place);
        Self { params: params.clone(), exchange: HeaderExchange::new(peers, place), ahead, locks, patience }
    }

    /// A chain that starts at the newest checkpoint, where the header of that is to be fetched first; `None` where it is
    /// built in, or nobody serves it.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn newest_checkpoint(&self) -> Option<HeaderChain> {
        let (height, hash) = HeaderChain::incomplete_checkpoint(&self.params, u32::MAX)?;
        let header = self.exchange.header_of(hash).await?;
        HeaderChain::from_hash_checkpoint(&self.params, height, header).ok()
    }

    /// Brings `chain` to the last checkpoint ahead of it, the stretches between checkpoints in parallel. Begins with what an
    /// earlier download has kept.
    ///
    /// # Errors
    /// See [`HeaderDownloadError`].
    ///
    /// # Cancel safety
    /// Stretches that are complete are kept, with all before them; what else was downloaded is lost.
    pub(crate) async fn to_last_checkpoint(
        &self,
        chain: HeaderChain,
        on_progress: impl Fn(u32),
    ) -> Result<HeaderChain, HeaderDownloadError> {
        let tip = chain.tip_height();
        let known = self.params.checkpoints.iter().rev().find(|checkpoint| checkpoint.header.is_some());
        let last = known.map_or(0, |checkpoint| checkpoint.height);
        if last <= tip {
            return Ok(chain);
        }
        let chain = self.ahead.on_top_of(chain).await;
        let chain = chain.truncated(last).unwrap_or(chain);
        self.exchange.fill_to_last_checkpoint(&self.params, chain, &self.ahead, &on_progress).await
    }

    /// Asks every peer for what follows `chain`, each as soon as it has greeted, and offers the chains that they have to
    /// `tips`. Says there when all have been heard that can be expected to answer, and goes on for as long as it is polled:
    /// with newcomers, with what peers announce, and with a question to everybody when there were no news for long. Ends only
    /// when `needs_lower` gives another start for a peer's chain, which is to be used instead.
    ///
    /// # Cancel safety
    /// What was offered is complete. Headers are kept as they come; those of the last answers may be lost.
    pub(crate) async fn run(
        &self,
        chain: Arc<HeaderChain>,
        tips: &Tips,
        announcements: Option<&mut Announcements>,
        on_progress: impl Fn(u32),
        needs_lower: impl Fn(&HeaderChain) -> Option<HeaderChain>,
    ) -> HeaderChain {
        let remembered = Arc::new(self.ahead.on_top_of(HeaderChain::clone(&chain)).await);
        let hearing =
            Hearing::new(&self.exchange, tips, &self.ahead, &self.locks, chain, remembered, self.patience);
        hearing.run(announcements, on_progress, needs_lower).await
    }
}
