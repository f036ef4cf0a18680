use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ephemerealdata::chain_lock::ChainLock;
use futures::future::{BoxFuture, FutureExt};
use spv_masternodes::chain_lock::quorums_height;
use tokio::time::Instant;

use super::Hearing;
use crate::chain::HeaderChain;
use crate::quorums::{ChainLocks, LockVerdict};
use crate::store::StoreError;

/// A lock that cannot be checked yet is tried again after this long: its quorum is proven with the next tip.
const RETRY_DELAY: Duration = Duration::from_secs(10);

/// Locks of one peer that may wait. Blocks follow each other faster than that only when headers are behind, and then newer
/// locks count.
const MAX_WAITING: usize = 4;

/// ChainLocks that peers have sent. Nobody's lock takes the place of another peer's.
#[derive(Default)]
pub(super) struct Locking<'a> {
    /// The newest of each peer that are still to be judged, by the height of their block.
    waiting: BTreeMap<SocketAddr, BTreeMap<u32, Waiting>>,
    /// Peers that sent one which its quorum did not sign. Theirs are not looked at any more, until they connect anew.
    muted: BTreeSet<SocketAddr>,
    pub(super) judging: Option<BoxFuture<'a, JudgedLock>>,
}

impl Locking<'_> {
    /// The locks that are still to be judged, with who sent them.
    fn waiting(&self) -> impl Iterator<Item = (SocketAddr, &Waiting)> {
        self.waiting.iter().flat_map(|(peer, waiting)| waiting.values().map(|waiting| (*peer, waiting)))
    }
}

struct Waiting {
    lock: ChainLock,
    not_before: Instant,
}

/// What became of a lock.
pub(super) struct JudgedLock {
    lock: ChainLock,
    chain: Arc<HeaderChain>,
    verdict: Result<LockVerdict, StoreError>,
}

/// ChainLocks decide which chains may be followed. One that comes before its block waits for it, and decides nothing until
/// then; nor does one whose quorum is not verified yet.
impl Hearing<'_> {
    /// A peer has sent a ChainLock.
    pub(super) fn lock_announced(&mut self, peer: SocketAddr, lock: ChainLock) {
        let is_news = self.locks.best().is_none_or(|best| best.block_height < lock.block_height);
        if is_news && self.peers.contains_key(&peer) && !self.locking.muted.contains(&peer) {
            let waiting = self.locking.waiting.entry(peer).or_default();
            waiting.insert(lock.block_height, Waiting { lock, not_before: Instant::now() });
            if waiting.len() > MAX_WAITING {
                waiting.pop_first();
            }
        }
    }

    /// Holds all chains to the highest verified lock, once somebody has shown its block.
    pub(super) fn hold_to_lock(&mut self) {
        let Some(best) = self.locks.best() else { return };
        if self.tips.locked_height() >= Some(best.block_height) {
            return;
        }
        if let Some(chain) = with(&self.chains(), &best) {
            self.tips.lock(chain, &best);
            // What was heard before may contradict it.
            self.has_news = true;
        }
    }

    /// Begins to judge the highest lock whose block has been shown.
    pub(super) fn judge_next_lock(&mut self) {
        let best = self.locks.best().map(|best| best.block_height);
        let Self { peers, locking, .. } = self;
        locking.waiting.retain(|peer, waiting| {
            waiting.retain(|height, _| Some(*height) > best);
            !waiting.is_empty() && peers.contains_key(peer)
        });
        locking.muted.retain(|peer| peers.contains_key(peer));
        if locking.judging.is_some() {
            return;
        }
        let now = Instant::now();
        let mut due = self.locking.waiting().filter(|(_, waiting)| waiting.not_before <= now).peekable();
        if due.peek().is_none() {
            return;
        }
        let chains = self.chains();
        let shown = due.filter_map(|(_, waiting)| Some((&waiting.lock, with(&chains, &waiting.lock)?)));
        let Some((lock, chain)) = shown.max_by_key(|(lock, _)| lock.block_height) else { return };
        let chain = chain.clone();
        let (locks, lock) = (self.locks, lock.clone());
        self.locking.judging = Some(judge(locks, lock, chain).boxed());
    }

    /// When a lock is tried again that could not be judged.
    pub(super) fn lock_retried_at(&self) -> Option<Instant> {
        let now = Instant::now();
        self.locking.waiting().map(|(_, waiting)| waiting.not_before).filter(|at| *at > now).min()
    }

    pub(super) fn lock_judged(&mut self, JudgedLock { lock, chain, verdict }: JudgedLock) {
        self.locking.judging = None;
        let same = self.locking.waiting().filter(|(_, waiting)| waiting.lock == lock);
        let senders: Vec<SocketAddr> = same.map(|(peer, _)| peer).collect();
        let height = lock.block_height;
        match verdict {
            Ok(LockVerdict::Verified(_)) => {}
            // On a branch that leaves ours so far below, other quorums may be active than those that its lists showed.
            Ok(LockVerdict::Wrong(error))
                if chain.last_common(&self.best()) >= Some(quorums_height(height)) =>
            {
                for peer in senders {
                    self.locking.waiting.remove(&peer);
                    self.locking.muted.insert(peer);
                    self.exchange.peers.on_wrong_lock(
                        peer,
                        format_args!("ChainLock of block {height}"),
                        &error,
                    );
                }
            }
            Ok(LockVerdict::Wrong(_) | LockVerdict::Unknown(_)) | Err(_) => {
                if let Err(error) = verdict {
                    tracing::warn!(height, %error, "a ChainLock could not be checked");
                }
                let not_before = Instant::now() + RETRY_DELAY;
                for waiting in self.locking.waiting.values_mut() {
                    if let Some(waiting) = waiting.get_mut(&height).filter(|waiting| waiting.lock == lock) {
                        waiting.not_before = not_before;
                    }
                }
            }
        }
    }
}

/// One of these chains that has the locked block.
fn with<'a>(chains: &'a [Arc<HeaderChain>], lock: &ChainLock) -> Option<&'a Arc<HeaderChain>> {
    chains.iter().find(|chain| chain.hash(lock.block_height) == Some(lock.block_hash))
}

/// Judges a lock; one that is verified counts from then on.
async fn judge(locks: &ChainLocks, lock: ChainLock, chain: Arc<HeaderChain>) -> JudgedLock {
    let mut verdict = locks.judge(chain.clone(), lock.clone()).await;
    if let Ok(LockVerdict::Verified(verified)) = &verdict
        && let Err(error) = locks.raise(verified.clone()).await
    {
        verdict = Err(error);
    }
    JudgedLock { lock, chain, verdict }
}
