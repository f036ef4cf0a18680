use std::sync::Arc;

use dashcore::ChainParams;

use super::error::HeaderDownloadError;
use super::exchange::HeaderExchange;
use super::hearing::Hearing;
use super::patience::Patience;
use super::tips::Tips;
use crate::chain::HeaderChain;
use crate::fleet::Peers;
use crate::net::Announcements;
use crate::verification::Verification;

/// Downloads headers from all peers and tells which chain has the most work.
#[derive(Debug)]
pub(crate) struct HeaderDownload {
    params: ChainParams,
    exchange: HeaderExchange,
    patience: Patience,
}

impl HeaderDownload {
    /// A download from these peers; headers are validated at this place.
    pub(crate) fn new(
        params: &ChainParams,
        peers: Arc<Peers>,
        patience: Patience,
        validation: Verification,
    ) -> Self {
        Self { params: params.clone(), exchange: HeaderExchange::new(peers, validation), patience }
    }

    /// Brings `chain` to the last checkpoint ahead of it, the stretches between checkpoints in parallel.
    ///
    /// # Errors
    /// See [`HeaderDownloadError`].
    ///
    /// # Cancel safety
    /// What was downloaded is lost.
    pub(crate) async fn to_last_checkpoint(
        &self,
        chain: HeaderChain,
        on_progress: impl Fn(u32),
    ) -> Result<HeaderChain, HeaderDownloadError> {
        self.exchange.fill_to_last_checkpoint(&self.params, chain, &on_progress).await
    }

    /// Asks every peer for what follows `chain`, each as soon as it has greeted, and offers the chains that they have to
    /// `tips`. Says there when all have been heard that can be expected to answer, and goes on for as long as it is polled:
    /// with newcomers, with what peers announce, and with a question to everybody when there were no news for long. Ends only
    /// when `needs_lower` gives another start for a peer's chain, which is to be used instead.
    ///
    /// # Cancel safety
    /// What was offered is complete; headers under way are lost.
    pub(crate) async fn run(
        &self,
        chain: Arc<HeaderChain>,
        tips: &Tips,
        announcements: Option<&mut Announcements>,
        on_progress: impl Fn(u32),
        needs_lower: impl Fn(&HeaderChain) -> Option<HeaderChain>,
    ) -> HeaderChain {
        let hearing = Hearing::new(&self.exchange, tips, chain, self.patience);
        hearing.run(announcements, on_progress, needs_lower).await
    }
}
