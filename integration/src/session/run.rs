use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ephemerealdata::chain_lock::ChainLock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connected::Connected;
use super::end_state::EndState;
use super::error::SyncError;
use super::shortfall::Shortfall;
use super::summary::{
    Bytes, Lists, Masternodes, Quorums, RecoverySummary, Requests, Seconds, Summary, Tip, TipHeard,
};
use crate::address::count_networks;
use crate::chain::HeaderChain;
use crate::config::Config;
use crate::fleet::{Peer, PeerReport};
use crate::lists::Tally;
use crate::quorums::{BestChainLock, Findings};
use crate::store::StoreError;
use crate::verify::Verifier;
use crate::wire::RequestKind;

/// Without a start height, this many cycles below the tip are synced: what the members of the newest cycle's quorums
/// are computed from, those of the cycle before, as long as it is the newest one mined, and for a session of that cycle
/// that failed, those of one before it.
const TIP_CYCLES: u32 = 6;

/// One piece of work for a sync, with verification of its own.
pub(super) struct Run<'a> {
    pub(super) connected: &'a Connected<'a>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) started: Instant,
}

/// What a run came to; the summary is made of it.
pub(super) struct RunResults {
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
    /// Whether the end of each phase is worth a line in the log.
    pub(super) tells_phases: bool,
}

impl RunResults {
    pub(super) fn nothing(config: &Config, chain: Arc<HeaderChain>) -> Self {
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
            tells_phases: false,
        }
    }
}

/// What became of the range's quorums.
#[derive(Debug, Default)]
pub(super) struct ProvenQuorums {
    pub(super) findings: Findings,
    /// Quorums that were checked now, not by an earlier run.
    pub(super) checked: u64,
    /// Lists that were downloaded for members alone.
    pub(super) lists: u64,
    /// Base heights of cycles to the peer that served the cycle's snapshot last.
    pub(super) snapshots_from: BTreeMap<u32, SocketAddr>,
    pub(super) tip_lock: Option<BestChainLock>,
    pub(super) time: Duration,
}

impl Connected<'_> {
    /// Carries out one piece of work with verification of its own, of which nothing is left afterwards.
    ///
    /// # Errors
    /// Those of the work and of the store, and [`SyncError::Interrupted`] when it was cancelled.
    ///
    /// # Cancel safety
    /// Through `cancel`, everything proven so far is stored before this returns. Dropped, it may be stored later.
    pub(super) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&Run<'_>) -> Result<T, SyncError>,
        cancel: &CancellationToken,
    ) -> Result<T, SyncError> {
        let (verifier, store_failed) = self.start_verifier()?;
        let verifier = Arc::new(verifier);
        let run = Run { connected: self, verifier: verifier.clone(), started: Instant::now() };
        let result = tokio::select! {
            biased;
            result = work(&run) => result,
            Ok(error) = store_failed => Err(error.into()),
            () = cancel.cancelled() => Err(SyncError::Interrupted),
            never = self.tell_progress() => match never {},
        };
        drop(run);
        if let Some(verifier) = Arc::into_inner(verifier) {
            verifier.stop().await;
        }
        result
    }
}

impl Run<'_> {
    /// Height from which lists are wanted when the tip is at `tip`.
    pub(super) fn from(&self, tip: u32) -> u32 {
        let cycles = TIP_CYCLES * self.connected.params.rotated().dkg_interval;
        self.connected.config.from.unwrap_or_else(|| tip.saturating_sub(cycles))
    }

    /// Heights of the stored lists that are of this chain.
    pub(super) async fn proven_lists(&self, chain: &HeaderChain) -> Result<BTreeSet<u32>, StoreError> {
        let lists = self.connected.blocking(|store, _| store.lists()).await?.into_iter();
        let of_chain = lists.filter(|(height, hash)| chain.hash(*height) == Some(*hash));
        Ok(of_chain.map(|(height, _)| height).collect())
    }

    /// The summary of what this run came to.
    pub(super) async fn summary(&self, results: RunResults) -> Result<Summary, SyncError> {
        let chain = &results.chain;
        self.connected.peers.compare_chains(chain);
        let reports = self.connected.peers.reports();
        let tip = chain.tip_height();
        let read = self
            .connected
            .blocking(move |store, params| Ok((store.state(params, tip)?, store.evo_nodes(tip)?)));
        let (tip_state, known_evo) = read.await?;
        let tip_time = chain.header(tip).map_or(0, |header| header.time);
        let total = self.started.elapsed();
        let chain_lock = self.best_lock(&results);
        let tip_state = tip_state.as_deref();
        let quorums = Quorums::new(&results.quorums.findings, results.quorums.checked, tip_state);
        let wrong = quorums.failed_at_tip();
        let state = match results.state {
            // A quorum that may sign now and is wrong is no success, whatever is proven besides.
            EndState::Synced if wrong > 0 => {
                EndState::Unverifiable { evidence: Shortfall::WrongQuorums { quorums: wrong } }
            }
            state => state,
        };
        Ok(Summary {
            reason: state.explanation(),
            next_retry_seconds: state.next_retry_seconds(),
            state,
            network: self.connected.params.network.to_string(),
            tip: Tip { height: tip, hash: chain.tip_hash(), time: tip_time },
            tip_heard: self.tip_heard(chain),
            from_height: results.from,
            headers: u64::from(chain.tip_height() - chain.start_height()) + 1,
            lists: Lists { verified: results.lists, for_members: results.quorums.lists },
            masternodes: tip_state.map(|state| Masternodes::of(state.masternodes(), &known_evo)),
            quorums,
            chain_lock,
            requests: self.requests(&results.tally, &reports),
            recovery: RecoverySummary {
                recovered: results.tally.recovered,
                by_first_strategy: results.tally.recovered_by_first_strategy,
                pool_openings: self.connected.peers.pool_openings(),
            },
            verification: self.verifier.stages().totals(),
            bytes: Bytes {
                received: self.connected.peers.bytes_received(),
                wasted: results.tally.wasted_bytes,
            },
            max_in_flight_per_peer: reports.values().map(|report| report.max_in_flight).max().unwrap_or(0),
            peers: reports.iter().map(|(&address, report)| Peer::new(address, report)).collect(),
            seconds: Seconds {
                total: total.as_secs_f64(),
                connect: results.connect.as_secs_f64(),
                headers: results.headers.as_secs_f64(),
                lists: results.list_time.as_secs_f64(),
                quorums: results.quorums.time.as_secs_f64(),
            },
        })
    }

    /// The highest verified ChainLock of the chain, or the one in the tip's coinbase that could not be verified.
    fn best_lock(&self, results: &RunResults) -> Option<BestChainLock> {
        let in_coinbase = results.quorums.tip_lock.clone();
        let best = self.connected.locks.best().filter(|best| {
            let is_of_chain = results.chain.hash(best.block_height) == Some(best.block_hash);
            is_of_chain && in_coinbase.as_ref().is_none_or(|lock| lock.height <= best.block_height)
        });
        let verified = |best: ChainLock| BestChainLock {
            height: best.block_height,
            hash: Some(best.block_hash),
            verified: true,
            reason: None,
        };
        best.map(verified).or(in_coinbase)
    }

    /// From how many peers the tip of this chain was heard.
    pub(super) fn tip_heard(&self, chain: &HeaderChain) -> TipHeard {
        let tip = chain.tip_id();
        let heard = self.connected.peers.all_heard().into_iter();
        let holders: Vec<_> = heard.filter(|(_, heard)| heard.holds(&tip)).map(|(peer, _)| peer).collect();
        TipHeard { peers: holders.len(), networks: count_networks(&holders) }
    }

    /// The other chain that peers are on, if nobody has this one.
    pub(super) fn other_chain(&self, chain: &HeaderChain) -> Option<Shortfall> {
        let heard = self.connected.peers.all_heard();
        let others = heard.iter().filter(|(_, heard)| heard.is_complete).map(|(_, heard)| &heard.chain);
        let branches = others.filter(|other| chain.diverges_by(other, u32::MAX));
        let best = branches.max_by_key(|other| other.work())?;
        let fork = chain.last_common(best)?;
        let (ours, theirs) = (chain.tip_id(), best.tip_id());
        let peers = heard.iter().filter(|(_, heard)| heard.holds(&theirs)).count();
        let contradicts = |lock: &ChainLock| {
            chain.hash(lock.block_height) == Some(lock.block_hash)
                && chain.diverges_by(best, lock.block_height)
        };
        if let Some(lock) = self.connected.locks.best().filter(contradicts) {
            return Some(Shortfall::ContradictedLock {
                locked_height: lock.block_height,
                locked_hash: lock.block_hash,
                their_height: theirs.height,
                their_hash: theirs.hash,
                fork,
                peers,
            });
        }
        Some(Shortfall::OtherChain {
            height: ours.height,
            hash: ours.hash,
            their_height: theirs.height,
            their_hash: theirs.hash,
            fork,
            peers,
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
