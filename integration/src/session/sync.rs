use std::sync::Arc;
use std::time::Duration;

use dashcore::ChainParams;
use tokio_util::sync::CancellationToken;

use super::connected::Connected;
use super::damage::Damage;
use super::end_state::EndState;
use super::environment::Environment;
use super::error::SyncError;
use super::run::{ProvenQuorums, Run, RunResults};
use super::shortfall::Shortfall;
use super::summary::Summary;
use super::telling::{self, Ends};
use crate::chain::HeaderChain;
use crate::clock;
use crate::config::Config;
use crate::headers::{HeaderDownload, Tips};
use crate::panicked::contained_future;
use crate::progress::{Phase, Progress};
use crate::store::Store;

/// Headers are held from this many cycles below the first wanted list, for bases further down.
const HEADER_MARGIN_CYCLES: u32 = 8;

/// Syncs `store` to the state that `config` requests, and returns a summary. `params` are those of the configured
/// network, see [`Config::chain_params`]. A store that turns out to be damaged is set aside, once, and filled anew.
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

/// Like [`sync`], with an environment of the caller, for example a simulation.
///
/// # Errors
/// As for [`sync`]. A panic of the environment's code is that of what it was asked for; any other one is
/// [`SyncError::Panicked`].
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
    let synced = contained_future(async {
        let mut damage = Damage::default();
        loop {
            match sync_once(environment, params, config, store.clone(), progress, cancel).await {
                Err(failed) => damage.mend(failed, environment, params, &store).await?,
                synced => return synced,
            }
        }
    });
    synced.await.unwrap_or_else(|panic| Err(SyncError::panicked("the sync", &panic)))
}

async fn sync_once(
    environment: &Environment,
    params: &ChainParams,
    config: &Config,
    store: Arc<Store>,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Summary, SyncError> {
    telling::starting(environment, params, &store).await?;
    let (connected, keep_up) = Connected::start(environment, params, config, store, progress, None).await?;
    let summary = tokio::select! {
        biased;
        summary = connected.run(async |run| run.run(config.max_tip_age(params)).await, cancel) => summary,
        failed = keep_up => Err(failed),
    };
    connected.peers.stop().await;
    if let Ok(summary) = &summary {
        Ends::default().tell(summary, None, None);
    }
    summary
}

impl Run<'_> {
    /// Syncs from what is stored to the tip. A tip whose block is older than `max_tip_age` is not accepted.
    pub(super) async fn run(&self, max_tip_age: Option<Duration>) -> Result<Summary, SyncError> {
        self.connected.progress.enter(Phase::Connecting);
        let connected = async { (self.connected.peers.ready().await, self.started.elapsed()) };
        let load = self.connected.blocking(|store, params| store.proven_chain(params));
        let ((ready, connect), stored) = tokio::join!(connected, load);
        let stored = stored?;
        let is_new = stored.is_none() && self.connected.config.from.is_none();
        let start = self.starting_chain(stored);
        self.connected.progress.claimed_height(self.connected.peers.claimed_height());
        let mut results = RunResults::nothing(self.connected.config, Arc::new(start.clone()));
        results.connect = connect;
        results.tells_phases = true;
        if !ready {
            return self.summary(results).await;
        }

        let tips = Tips::new();
        loop {
            self.connected.progress.enter(Phase::Headers);
            tokio::select! {
                biased;
                () = self.hear_tips(start.clone(), is_new, &tips) => unreachable!("there may always be newcomers"),
                done = self.bring_lists(&tips, &mut results) => done?,
            }
            if !self.prove_tip(&tips, &mut results).await? {
                break;
            }
        }
        let tip = results.chain.tip_height();
        if let Some(from) = self.connected.config.from
            && results.state == EndState::Synced
            // Of a chain that has hardly begun it is the peers' fault.
            && (self.connected.params.activation.dip3..from).contains(&tip)
        {
            return Err(SyncError::FromAboveTip { from, tip });
        }
        self.conclude(results, max_tip_age).await
    }

    /// Brings lists and quorums to the best of `tips`; gives the chain that was worked on.
    pub(super) async fn to_tip(
        &self,
        before: Arc<HeaderChain>,
        tips: &Tips,
    ) -> Result<(Summary, Arc<HeaderChain>), SyncError> {
        let mut results = RunResults::nothing(self.connected.config, before);
        loop {
            self.bring_lists(tips, &mut results).await?;
            if !self.prove_tip(tips, &mut results).await? {
                break;
            }
        }
        let chain = results.chain.clone();
        // While following, the age of the tip is looked at all the time.
        Ok((self.conclude(results, None).await?, chain))
    }

    /// Proves the quorums of the lists that were brought, and with them ChainLocks. Whether these show that another chain is
    /// the one to follow.
    async fn prove_tip(&self, tips: &Tips, results: &mut RunResults) -> Result<bool, SyncError> {
        if !self.connected.config.sync.verify_quorums || results.state != EndState::Synced {
            return Ok(false);
        }
        self.connected.progress.enter(Phase::Quorums);
        self.prove_quorums(results).await?;
        results.tell_quorums();
        let is_other = self.weigh_rivals(tips, results).await?;
        if is_other {
            results.quorums = ProvenQuorums::default();
        }
        Ok(is_other)
    }

    async fn conclude(
        &self,
        mut results: RunResults,
        max_tip_age: Option<Duration>,
    ) -> Result<Summary, SyncError> {
        self.check_tip(&mut results, max_tip_age);
        if results.state == EndState::Synced && self.connected.peers.wants_masternodes() {
            self.learn_masternodes(results.chain.tip_height()).await?;
        }
        self.summary(results).await
    }

    /// Ends as degraded when the tip cannot be what the network has: without lists, shown by nobody, or too old.
    fn check_tip(&self, results: &mut RunResults, max_tip_age: Option<Duration>) {
        let (chain, height) = (&results.chain, results.chain.tip_height());
        if results.lists == 0 {
            results.state.lacks(Shortfall::NoLists { height });
        }
        if self.tip_heard(chain).peers == 0 {
            let other = self.other_chain(chain).unwrap_or(Shortfall::Unconfirmed { height });
            results.state.lacks(other);
        }
        let made = chain.header(height).map_or(0, |header| header.time);
        let age = clock::unix_now().saturating_sub(Duration::from_secs(made.into()));
        if let Some(limit) = max_tip_age.filter(|limit| age > *limit) {
            let peers_ahead = self.connected.peers.clock_ahead();
            results.state.lacks(Shortfall::StaleTip { height, age, limit, peers_ahead });
        }
        if results.state == EndState::Synced {
            self.connected.peers.on_proven_tip(chain);
        }
    }

    /// The masternodes of the tip's proven list are peers to turn to.
    async fn learn_masternodes(&self, tip: u32) -> Result<(), SyncError> {
        let list = self.connected.blocking(move |store, params| store.state(params, tip)).await?;
        if let Some(state) = list {
            self.connected.peers.on_proven_list(state.masternodes());
        }
        Ok(())
    }

    /// Hears peers and offers the chains that they have, from the first that has told its tip. Goes on hearing newcomers
    /// when everybody has been heard. A store `is_new` whose first headers follow the newest checkpoint.
    async fn hear_tips(&self, start: HeaderChain, is_new: bool, tips: &Tips) {
        let download = HeaderDownload::new(
            &self.connected.params,
            self.connected.peers.clone(),
            self.connected.store.clone(),
            self.connected.locks.clone(),
            self.connected.patience(),
            self.connected.verification,
        );
        let on_progress = |height| self.connected.progress.header_height(height);
        let newest = if is_new { download.newest_checkpoint().await } else { None };
        let mut start = newest.unwrap_or(start);
        loop {
            let chain = match download.to_last_checkpoint(start, on_progress).await {
                Ok(chain) => chain,
                Err(error) => {
                    tips.settle(Err(error));
                    return std::future::pending().await;
                }
            };
            // The newest checkpoint may be too high for a tip that is close to it.
            let needs_lower = |tip: &HeaderChain| {
                let lowest = self.lowest_for(tip.tip_height());
                let lower = HeaderChain::starting_at_or_below(&self.connected.params, lowest);
                (lowest < tip.start_height() && lower.start_height() < tip.start_height()).then_some(lower)
            };
            start = download.run(Arc::new(chain), tips, None, on_progress, needs_lower).await;
            self.connected.peers.forget_heard();
        }
    }

    /// The stored chain where it reaches down far enough, else a new one. Without a start height, that is the newest
    /// checkpoint of the network, whatever peers claim.
    fn starting_chain(&self, stored: Option<HeaderChain>) -> HeaderChain {
        let lowest = match (self.connected.config.from, &stored) {
            (Some(from), _) => self.lowest_for(from),
            (None, Some(stored)) => self.lowest_for(stored.tip_height()),
            (None, None) => u32::MAX,
        };
        let fresh = HeaderChain::starting_at_or_below(&self.connected.params, lowest);
        let reaches_down = |stored: &HeaderChain| stored.start_height() <= lowest.max(fresh.start_height());
        stored.filter(reaches_down).unwrap_or(fresh)
    }

    /// Height from which headers are needed for a tip at this height. No tip of a public network is below its newest
    /// checkpoint, whatever peers show.
    fn lowest_for(&self, tip: u32) -> u32 {
        let newest = self.connected.params.newest_checkpoint().map_or(0, |checkpoint| checkpoint.height);
        let margin = HEADER_MARGIN_CYCLES * self.connected.params.rotated().dkg_interval;
        self.from(tip.max(newest)).saturating_sub(margin)
    }
}
