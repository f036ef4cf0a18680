use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::{ChainParams, Network};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::download::{Downloaded, ListDownload, Tally};
use super::io::{Io, Verification};
use super::peer_report::PeerReport;
use super::peers::Peers;
use super::progress::{Phase, Progress};
use super::quorums::ProvenQuorums;
use super::summary::{
    Bytes, EndState, Lists, Peer, Quorums, RecoverySummary, Requests, Seconds, Summary, Tip,
};
use crate::config::{Config, ConfigError};
use crate::headers::{HeaderChain, HeaderDownload, HeaderDownloadError};
use crate::peer::RequestKind;
use crate::plan::Plan;
use crate::store::{Store, StoreError};
use crate::verify::Verifier;

/// Without a start height, this many cycles below the tip are synced: what the members of the newest cycle's quorums
/// are computed from.
const TIP_CYCLES: u32 = 5;

/// Headers are held from this many cycles below the first wanted list, for bases further down.
const HEADER_MARGIN_CYCLES: u32 = 8;

/// Answers that may be in verification beyond the window: copies of work that is done meanwhile.
pub(super) const VERIFIER_MARGIN: usize = 16;

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
    let started = Instant::now();
    config.sync.validate()?;
    let addresses = addresses(config, params).await?;
    let stored = blocking(&store, params, |store, params| store.chain(params)).await?;
    let start_height = stored.as_ref().map_or(0, HeaderChain::tip_height);
    let (peers, follow) = Peers::start(params, &addresses, start_height, &config.sync, io)?;
    let capacity = config.sync.window + VERIFIER_MARGIN;
    let (verifier, store_failed) = Verifier::start(params, store.clone(), capacity, io.verification);
    let verifier = Arc::new(verifier);
    let run = Run {
        config,
        params: params.clone(),
        store,
        progress,
        peers: peers.clone(),
        verifier: verifier.clone(),
        verification: io.verification,
        started,
    };
    let summary = tokio::select! {
        biased;
        summary = run.run(stored) => summary,
        () = follow => unreachable!("the pool outlives the sync"),
        Ok(error) = store_failed => Err(error.into()),
        () = cancel.cancelled() => Err(SyncError::Interrupted),
    };
    peers.stop().await;
    drop(run);
    if let Some(verifier) = Arc::into_inner(verifier) {
        verifier.stop().await;
    }
    summary
}

pub(super) struct Run<'a> {
    pub(super) config: &'a Config,
    pub(super) params: ChainParams,
    pub(super) store: Arc<Store>,
    pub(super) progress: &'a Progress,
    pub(super) peers: Arc<Peers>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) verification: Verification,
    started: Instant,
}

/// What was reached; the summary is made of it.
pub(super) struct Reached {
    pub(super) state: EndState,
    pub(super) chain: Arc<HeaderChain>,
    from: u32,
    /// Heights of the lists whose quorums are to be proven.
    pub(super) heights: Vec<u32>,
    lists: u64,
    pub(super) quorums: ProvenQuorums,
    pub(super) tally: Tally,
    connect: Duration,
    headers: Duration,
    list_time: Duration,
}

impl Run<'_> {
    async fn run(&self, stored: Option<HeaderChain>) -> Result<Summary, SyncError> {
        self.progress.enter(Phase::Connecting);
        let ready = self.peers.ready().await;
        let connect = self.started.elapsed();
        let claimed = self.peers.claimed_height();
        self.progress.claimed_height(claimed);
        let (start, mut stored) = self.starting_chain(claimed, stored);
        let mut reached = Reached {
            state: EndState::NoCapablePeer,
            from: self.config.from.unwrap_or_else(|| start.tip_height()),
            chain: Arc::new(start),
            heights: Vec::new(),
            lists: 0,
            quorums: ProvenQuorums::default(),
            tally: Tally::default(),
            connect,
            headers: Duration::ZERO,
            list_time: Duration::ZERO,
        };
        if !ready {
            return self.summary(reached).await;
        }

        self.progress.enter(Phase::Headers);
        let download = HeaderDownload::new(&self.params, self.peers.clone());
        let on_progress = |height| self.progress.header_height(height);
        loop {
            match download.run(HeaderChain::clone(&reached.chain), on_progress).await {
                Ok(chain) => reached.chain = Arc::new(chain),
                Err(HeaderDownloadError::NoUsableAnswer { .. }) => return self.summary(reached).await,
                Err(error) => return Err(SyncError::Headers(error)),
            }
            // Where to start was chosen by what peers claimed. A greater claim than the truth is found out here.
            let (lower, _) = self.starting_chain(reached.chain.tip_height(), None);
            if lower.start_height() >= reached.chain.start_height() {
                break;
            }
            (reached.chain, stored) = (Arc::new(lower), None);
        }
        self.save_headers(stored, reached.chain.clone()).await?;
        reached.headers = self.started.elapsed() - connect;

        self.progress.enter(Phase::Lists);
        self.download_lists(&mut reached).await?;
        reached.list_time = self.started.elapsed() - connect - reached.headers;

        if self.config.sync.verify_quorums && reached.state == EndState::Synced {
            self.progress.enter(Phase::Quorums);
            self.prove_quorums(&mut reached).await?;
        }
        self.summary(reached).await
    }

    /// Height from which lists are wanted when the tip is at `tip`.
    fn from(&self, tip: u32) -> u32 {
        let cycles = TIP_CYCLES * self.params.rotated().dkg_interval;
        self.config.from.unwrap_or_else(|| tip.saturating_sub(cycles))
    }

    /// The stored chain where it reaches down far enough for a tip at `tip`, else a new one; with the stored one that
    /// it continues.
    fn starting_chain(&self, tip: u32, stored: Option<HeaderChain>) -> (HeaderChain, Option<HeaderChain>) {
        let margin = HEADER_MARGIN_CYCLES * self.params.rotated().dkg_interval;
        let needed = self.from(tip).saturating_sub(margin);
        let fresh = HeaderChain::starting_at_or_below(&self.params, needed);
        match stored.filter(|stored| stored.start_height() <= fresh.start_height()) {
            Some(stored) => (stored.clone(), Some(stored)),
            None => (fresh, None),
        }
    }

    async fn save_headers(
        &self,
        stored: Option<HeaderChain>,
        chain: Arc<HeaderChain>,
    ) -> Result<(), StoreError> {
        if stored.as_ref().is_some_and(|stored| stored.tip_hash() == chain.tip_hash()) {
            return Ok(());
        }
        let unchanged = stored.and_then(|stored| {
            let common = stored.tip_height().min(chain.tip_height());
            (stored.start_height()..=common).rev().find(|&height| stored.hash(height) == chain.hash(height))
        });
        blocking(&self.store, &self.params, move |store, _| store.save_chain(&chain, unchanged)).await
    }

    async fn download_lists(&self, reached: &mut Reached) -> Result<(), SyncError> {
        let chain = &reached.chain;
        let from = self.from(chain.tip_height());
        let proven = self.proven_lists(chain)?;
        let mut plan = Plan::new(&self.params, chain, from, &proven);
        // Without a start height, it is the quorums of the tip alone that count.
        let tip_only = self.config.from.is_none() && self.config.sync.verify_quorums;
        let looked_at = if tip_only { vec![chain.tip_height()] } else { plan.heights.clone() };
        if tip_only {
            plan = plan.with_lists_for_tip(&self.params, chain, &proven);
        }
        let wanted = plan.heights.clone();
        let held = wanted.iter().filter(|height| proven.contains(height)).count() as u64;
        tracing::info!(requests = plan.works.len(), lists = wanted.len(), held, "planned");
        self.progress.planned(wanted.len() as u64, held);

        let (peers, settings) = (self.peers.clone(), &self.config.sync);
        let download = ListDownload::new(peers, &self.verifier, plan, settings, self.progress)?;
        let Downloaded { tally, state, snapshots_from } = download.run().await;
        reached.quorums.snapshots_from = snapshots_from;
        reached.from = from;
        reached.heights = looked_at;
        reached.tally = tally;
        reached.lists = held + tally.lists;
        reached.state = state;
        Ok(())
    }

    /// Heights of the stored lists that are of this chain.
    pub(super) fn proven_lists(&self, chain: &HeaderChain) -> Result<BTreeSet<u32>, StoreError> {
        let lists = self.store.lists()?.into_iter();
        let of_chain = lists.filter(|(height, hash)| chain.hash(*height) == Some(*hash));
        Ok(of_chain.map(|(height, _)| height).collect())
    }

    async fn summary(&self, reached: Reached) -> Result<Summary, SyncError> {
        let chain = &reached.chain;
        let reports = self.peers.reports();
        let tip = chain.tip_height();
        let tip_state =
            blocking(&self.store, &self.params, move |store, params| store.state(params, tip)).await?;
        let total = self.started.elapsed();
        Ok(Summary {
            reason: reached.state.explanation(),
            next_retry_seconds: reached.state.next_retry_seconds(),
            state: reached.state.clone(),
            network: self.params.network.to_string(),
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
                pool_openings: self.peers.recovery().pool_openings(),
            },
            bytes: Bytes { received: self.peers.bytes_received(), wasted: reached.tally.wasted_bytes },
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
            qrinfo: self.peers.sent(RequestKind::QrInfo),
            mnlistdiff: self.peers.sent(RequestKind::MnListDiff),
            getheaders: self.peers.sent(RequestKind::GetHeaders),
            refused: reports.values().map(|report| report.refused).sum(),
            retried: tally.retried,
            hedged: self.peers.hedged(),
            late: tally.late,
        }
    }
}

/// Uses the store where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    store: &Arc<Store>,
    params: &ChainParams,
    work: impl FnOnce(&Store, &ChainParams) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (store, params) = (store.clone(), params.clone());
    match tokio::task::spawn_blocking(move || work(&store, &params)).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Addresses of the configured peers, or of the network's seeds; each once.
async fn addresses(config: &Config, params: &ChainParams) -> Result<Vec<SocketAddr>, SyncError> {
    let seeds = params.dns_seeds.iter().map(|&seed| seed.to_owned());
    let names: Vec<String> = if config.peers.is_empty() { seeds.collect() } else { config.peers.clone() };
    let mut addresses = BTreeSet::new();
    for name in names {
        let with_port =
            if has_port(&name) { name.clone() } else { format!("{name}:{}", params.default_port) };
        let found =
            tokio::net::lookup_host(with_port).await.map_err(|source| SyncError::Lookup { name, source })?;
        addresses.extend(found);
    }
    if addresses.is_empty() {
        return Err(SyncError::NoPeers(params.network.clone()));
    }
    Ok(addresses.into_iter().collect())
}

/// A bare IPv6 address has colons too, but no port.
fn has_port(name: &str) -> bool {
    name.parse::<std::net::Ipv6Addr>().is_err()
        && name.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}
