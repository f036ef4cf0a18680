use std::sync::Arc;

use dashcore::ChainParams;
use tokio_util::sync::CancellationToken;

use super::connected::Connected;
use super::end_state::EndState;
use super::environment::Environment;
use super::error::SyncError;
use super::run::{Run, RunResults};
use super::summary::Summary;
use crate::chain::HeaderChain;
use crate::config::Config;
use crate::headers::{HeaderDownload, Tips};
use crate::progress::{Phase, Progress};
use crate::store::Store;

/// Headers are held from this many cycles below the first wanted list, for bases further down.
const HEADER_MARGIN_CYCLES: u32 = 8;

/// Brings `store` to the state that `config` asks for, and says what it took. `params` are those of the configured
/// network, see [`Config::chain_params`].
///
/// # Errors
/// See [`SyncError`]. Failures of peers are no errors of this kind: they end in the summary's state.
///
/// # Cancel safety
/// Everything stored so far stays; connections are dropped. Cancel through `cancel` to have them closed in order.
pub async fn sync(
    params: &ChainParams,
    config: &Config,
    store: Arc<Store>,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Summary, SyncError> {
    sync_with(&Environment::default(), params, config, store, progress, cancel).await
}

/// Like [`sync`], in surroundings of one's own.
///
/// # Errors
/// As for [`sync`].
///
/// # Cancel safety
/// As for [`sync`].
pub async fn sync_with(
    environment: &Environment,
    params: &ChainParams,
    config: &Config,
    store: Arc<Store>,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Summary, SyncError> {
    // Also when the sync cannot begin or is dropped: whoever watches the progress waits for its end.
    let _done = progress.done_on_drop();
    let (connected, keep_up) = Connected::start(environment, params, config, store, progress, None).await?;
    let summary = tokio::select! {
        biased;
        summary = connected.run(async |run| run.run().await, cancel) => summary,
        () = keep_up => unreachable!("the pool outlives the sync"),
    };
    connected.peers.stop().await;
    summary
}

impl Run<'_> {
    /// Syncs from what is stored to the tip.
    pub(super) async fn run(&self) -> Result<Summary, SyncError> {
        self.connected.progress.enter(Phase::Connecting);
        let connected = async { (self.connected.peers.ready().await, self.started.elapsed()) };
        let load = self.connected.blocking(|store, params| store.chain(params));
        let ((ready, connect), stored) = tokio::join!(connected, load);
        let stored = stored?;
        let claimed = self.connected.peers.claimed_height();
        self.connected.progress.claimed_height(claimed);
        let (start, stored) = self.starting_chain(claimed, stored);
        let mut results = RunResults::nothing(self.connected.config, Arc::new(start.clone()));
        results.connect = connect;
        if !ready {
            return self.summary(results).await;
        }

        self.connected.progress.enter(Phase::Headers);
        let tips = Tips::new();
        tokio::select! {
            biased;
            () = self.survey_tips(start, &tips) => unreachable!("there may always be newcomers"),
            done = self.bring_lists(stored.map(Arc::new), &tips, &mut results) => done?,
        }
        self.conclude(results).await
    }

    /// Brings lists and quorums to the best of `tips`; gives the chain that is stored then.
    pub(super) async fn to_tip(
        &self,
        stored: Arc<HeaderChain>,
        tips: &Tips,
    ) -> Result<(Summary, Arc<HeaderChain>), SyncError> {
        let mut results = RunResults::nothing(self.connected.config, stored.clone());
        self.bring_lists(Some(stored), tips, &mut results).await?;
        let chain = results.chain.clone();
        Ok((self.conclude(results).await?, chain))
    }

    async fn conclude(&self, mut results: RunResults) -> Result<Summary, SyncError> {
        if self.connected.config.sync.verify_quorums && results.state == EndState::Synced {
            self.connected.progress.enter(Phase::Quorums);
            self.prove_quorums(&mut results).await?;
        }
        self.summary(results).await
    }

    /// Finds the chain with the most work, and publishes the best one known so far as soon as there is one. Goes on
    /// hearing newcomers when everybody has been heard.
    async fn survey_tips(&self, start: HeaderChain, tips: &Tips) {
        let download = HeaderDownload::new(&self.connected.params, self.connected.peers.clone());
        let on_progress = |height| self.connected.progress.header_height(height);
        let mut start = start;
        loop {
            // Where to start was chosen by what a peer claimed. A greater claim than the truth is found out here.
            let too_high = |chain: &HeaderChain| {
                let (lower, _) = self.starting_chain(chain.tip_height(), None);
                (lower.start_height() < chain.start_height()).then_some(lower)
            };
            let on_tip = |chain: &HeaderChain| {
                if too_high(chain).is_none() {
                    self.connected.peers.verified_height(chain.tip_height());
                    tips.publish(chain);
                }
            };
            let (chain, asked) = match download.run(start, on_progress, on_tip).await {
                Ok(found) => found,
                Err(error) => {
                    tips.settle(Err(error));
                    return std::future::pending().await;
                }
            };
            match too_high(&chain) {
                Some(lower) => start = lower,
                None => {
                    tips.settle(Ok(()));
                    download.hear_newcomers(chain, asked, on_progress, on_tip).await;
                    return;
                }
            }
        }
    }

    /// The stored chain where it reaches down far enough for a tip at `tip`, else a new one; with the stored one that
    /// it continues.
    fn starting_chain(&self, tip: u32, stored: Option<HeaderChain>) -> (HeaderChain, Option<HeaderChain>) {
        let margin = HEADER_MARGIN_CYCLES * self.connected.params.rotated().dkg_interval;
        let needed = self.from(tip).saturating_sub(margin);
        let fresh = HeaderChain::starting_at_or_below(&self.connected.params, needed);
        match stored.filter(|stored| stored.start_height() <= fresh.start_height()) {
            Some(stored) => (stored.clone(), Some(stored)),
            None => (fresh, None),
        }
    }
}
