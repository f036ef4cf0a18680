use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::{ChainParams, Network};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connected::Connected;
use super::end_state::EndState;
use super::io::Io;
use super::quorums::ProvenQuorums;
use super::summary::{Bytes, Lists, Quorums, RecoverySummary, Requests, Seconds, Summary, Tip};
use crate::chain::HeaderChain;
use crate::config::{Config, ConfigError};
use crate::fleet::{Peer, PeerReport};
use crate::headers::{HeaderDownload, HeaderDownloadError, Tips};
use crate::lists::Tally;
use crate::progress::{Phase, Progress};
use crate::store::{Store, StoreError};
use crate::verify::Verifier;
use crate::wire::RequestKind;

/// Without a start height, this many cycles below the tip are synced: what the members of the newest cycle's quorums
/// are computed from, those of the cycle before, as long as it is the newest one mined, and for a session of that cycle
/// that failed, those of one before it.
const TIP_CYCLES: u32 = 6;

/// Headers are held from this many cycles below the first wanted list, for bases further down.
const HEADER_MARGIN_CYCLES: u32 = 8;

/// Why a sync could not be carried out; how an attempted one ended is its [`Summary`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No peer is configured and the network has no seeds.
    #[error("no peers known for {0}; give some with --peer HOST:PORT")]
    NoPeers(Network),
    /// A peer's name cannot be looked up.
    #[error("cannot look up peer {name:?}: {source}; expected HOST:PORT")]
    Lookup {
        /// The name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The headers that peers sent contradict what is known.
    #[error(transparent)]
    Headers(HeaderDownloadError),
    /// It was cancelled. What was proven until then is stored.
    #[error("interrupted; what was proven so far is stored and the next run continues from it")]
    Interrupted,
}

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
    sync_with(&Io::default(), params, config, store, progress, cancel).await
}

/// Like [`sync`], in surroundings of one's own.
///
/// # Errors
/// As for [`sync`].
///
/// # Cancel safety
/// As for [`sync`].
pub async fn sync_with(
    io: &Io,
    params: &ChainParams,
    config: &Config,
    store: Arc<Store>,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Summary, SyncError> {
    // Also when the sync cannot begin or is dropped: whoever watches the progress waits for its end.
    let _done = progress.done_on_drop();
    let (connected, keep_up) = Connected::start(io, params, config, store, progress, None).await?;
    let summary = tokio::select! {
        biased;
        summary = connected.run(async |run| run.run().await, cancel) => summary,
        () = keep_up => unreachable!("the pool outlives the sync"),
    };
    connected.peers.stop().await;
    summary
}

pub(super) struct Run<'a> {
    pub(super) connected: &'a Connected<'a>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) started: Instant,
}

/// What was reached; the summary is made of it.
pub(super) struct Reached {
    pub(super) state: EndState,
    pub(super) chain: Arc<HeaderChain>,
    pub(super) from: u32,
    /// Heights of the lists whose quorums are to be proven.
    pub(super) heights: Vec<u32>,
    pub(super) lists: u64,
    pub(super) quorums: ProvenQuorums,
    pub(super) tally: Tally,
    pub(super) connect: Duration,
    pub(super) headers: Duration,
    pub(super) list_time: Duration,
}

impl Reached {
    fn nothing(config: &Config, chain: Arc<HeaderChain>) -> Self {
        Self {
            state: EndState::NoCapablePeer,
            from: config.from.unwrap_or_else(|| chain.tip_height()),
            chain,
            heights: Vec::new(),
            lists: 0,
            quorums: ProvenQuorums::default(),
            tally: Tally::default(),
            connect: Duration::ZERO,
            headers: Duration::ZERO,
            list_time: Duration::ZERO,
        }
    }
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
        let mut reached = Reached::nothing(self.connected.config, Arc::new(start.clone()));
        reached.connect = connect;
        if !ready {
            return self.summary(reached).await;
        }

        self.connected.progress.enter(Phase::Headers);
        let tips = Tips::new();
        tokio::select! {
            biased;
            () = self.survey_tips(start, &tips) => unreachable!("there may always be newcomers"),
            brought = self.bring_lists(stored.map(Arc::new), &tips, &mut reached) => brought?,
        }
        self.conclude(reached).await
    }

    /// Brings lists and quorums to the best of `tips`; gives the chain that is stored then.
    pub(super) async fn to_tip(
        &self,
        stored: Arc<HeaderChain>,
        tips: &Tips,
    ) -> Result<(Summary, Arc<HeaderChain>), SyncError> {
        let mut reached = Reached::nothing(self.connected.config, stored.clone());
        self.bring_lists(Some(stored), tips, &mut reached).await?;
        let chain = reached.chain.clone();
        Ok((self.conclude(reached).await?, chain))
    }

    async fn conclude(&self, mut reached: Reached) -> Result<Summary, SyncError> {
        if self.connected.config.sync.verify_quorums && reached.state == EndState::Synced {
            self.connected.progress.enter(Phase::Quorums);
            self.prove_quorums(&mut reached).await?;
        }
        self.summary(reached).await
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

    /// Height from which lists are wanted when the tip is at `tip`.
    pub(super) fn from(&self, tip: u32) -> u32 {
        let cycles = TIP_CYCLES * self.connected.params.rotated().dkg_interval;
        self.connected.config.from.unwrap_or_else(|| tip.saturating_sub(cycles))
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

    /// Heights of the stored lists that are of this chain.
    pub(super) fn proven_lists(&self, chain: &HeaderChain) -> Result<BTreeSet<u32>, StoreError> {
        let lists = self.connected.store.lists()?.into_iter();
        let of_chain = lists.filter(|(height, hash)| chain.hash(*height) == Some(*hash));
        Ok(of_chain.map(|(height, _)| height).collect())
    }

    async fn summary(&self, reached: Reached) -> Result<Summary, SyncError> {
        let chain = &reached.chain;
        let reports = self.connected.peers.reports();
        let tip = chain.tip_height();
        let tip_state = self.connected.blocking(move |store, params| store.state(params, tip)).await?;
        let total = self.started.elapsed();
        Ok(Summary {
            reason: reached.state.explanation(),
            next_retry_seconds: reached.state.next_retry_seconds(),
            state: reached.state.clone(),
            network: self.connected.params.network.to_string(),
            tip: Tip { height: chain.tip_height(), hash: chain.tip_hash() },
            from_height: reached.from,
            headers: u64::from(chain.tip_height() - chain.start_height()) + 1,
            lists: Lists { verified: reached.lists, for_members: reached.quorums.lists },
            quorums: Quorums::new(
                &reached.quorums.findings,
                reached.quorums.checked,
                tip_state.iter().flat_map(|state| state.quorums().iter()),
            ),
            chain_lock: reached.quorums.tip_lock.clone(),
            requests: self.requests(&reached.tally, &reports),
            recovery: RecoverySummary {
                recovered: reached.tally.recovered,
                by_first_strategy: reached.tally.recovered_by_first_strategy,
                pool_openings: self.connected.peers.pool_openings(),
            },
            verification: self.verifier.stages().totals(),
            bytes: Bytes {
                received: self.connected.peers.bytes_received(),
                wasted: reached.tally.wasted_bytes,
            },
            max_in_flight_per_peer: reports.values().map(|report| report.max_in_flight).max().unwrap_or(0),
            peers: reports.iter().map(|(&address, report)| Peer::new(address, report)).collect(),
            seconds: Seconds {
                total: total.as_secs_f64(),
                connect: reached.connect.as_secs_f64(),
                headers: reached.headers.as_secs_f64(),
                lists: reached.list_time.as_secs_f64(),
                quorums: reached.quorums.time.as_secs_f64(),
            },
        })
    }

    fn requests(&self, tally: &Tally, reports: &BTreeMap<SocketAddr, PeerReport>) -> Requests {
        Requests {
            qrinfo: self.connected.peers.sent(RequestKind::QrInfo),
            mnlistdiff: self.connected.peers.sent(RequestKind::MnListDiff),
            getheaders: self.connected.peers.sent(RequestKind::GetHeaders),
            refused: reports.values().map(|report| report.refused).sum(),
            retried: tally.retried,
            hedged: self.connected.peers.hedged(),
            late: tally.late,
        }
    }
}
