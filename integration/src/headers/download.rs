use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::consensus::{DecodeError, deserialize};
use dashcore::network::message_blockdata::{GetHeadersMessage, HeadersMessage, MAX_HEADERS};
use dashcore::{BlockHash, ChainParams, Checkpoint, Header};
use futures::StreamExt;
use spv_executor::{Completed, Permit};

use crate::chain::{HeaderChain, HeaderError, hash_all};
use crate::clock;
use crate::fleet::{Executed, Outcome, Peers};
use crate::wire::{Request, RequestKind};

/// Headers downloaded beyond this many at once come from several peers, a checkpoint to the next each.
const SEGMENTS_IN_FLIGHT: usize = 16;

/// Rounds in which no peer gives a usable answer before giving up.
const MAX_FRUITLESS_ROUNDS: u32 = 5;

/// Failed attempts at one segment before giving up.
const MAX_SEGMENT_ATTEMPTS: u32 = 20;

/// Wait between two fruitless rounds, times their number.
const ROUND_DELAY: Duration = Duration::from_millis(500);

/// Why the header chain could not be brought to the tip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderDownloadError {
    /// No peer gave a usable answer.
    #[error("no peer serves valid headers after height {height}")]
    NoUsableAnswer {
        /// Height that was reached.
        height: u32,
    },
    /// Stretches between checkpoints do not fit together.
    #[error("headers contradict a checkpoint: {0}")]
    Checkpoint(#[from] HeaderError),
}

/// Why one answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BatchError {
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("the headers follow no block of our chain")]
    Unconnected,
}

/// Downloads headers from several peers and keeps the chain with the most work.
#[derive(Debug)]
pub(crate) struct HeaderDownload {
    params: ChainParams,
    pub(super) peers: Arc<Peers>,
}

/// Headers that a peer sent.
pub(super) struct Batch {
    pub(super) peer: SocketAddr,
    pub(super) headers: Vec<Header>,
    /// Takes the verdict to the executor, where it was that brought them.
    pub(super) permit: Option<Permit>,
}

impl HeaderDownload {
    /// A download from these peers.
    pub(crate) fn new(params: &ChainParams, peers: Arc<Peers>) -> Self {
        Self { params: params.clone(), peers }
    }

    /// Brings `chain` to the tip with the most work that any peer knows. `on_progress` gets the height reached;
    /// `on_tip` every validated chain to a peer's tip that has more work than those before it, as soon as there is one.
    /// By the end, every peer that answered in grace has been heard. Gives the chain and who was asked for its tip.
    ///
    /// # Errors
    /// See [`HeaderDownloadError`].
    ///
    /// # Cancel safety
    /// What was downloaded is lost.
    pub(crate) async fn run(
        &self,
        chain: HeaderChain,
        on_progress: impl Fn(u32),
        on_tip: impl Fn(&HeaderChain),
    ) -> Result<(HeaderChain, BTreeSet<SocketAddr>), HeaderDownloadError> {
        let mut chain = self.fill_to_last_checkpoint(chain, &on_progress).await?;
        let mut fruitless = 0;
        loop {
            let mut asked = BTreeSet::new();
            let round = self.ask_everyone(&chain, &mut asked, &on_progress, &on_tip).await;
            if round.answered == 0 {
                let somebody = self.peers.ready().await;
                fruitless += 1;
                if fruitless == MAX_FRUITLESS_ROUNDS || !somebody {
                    return Err(HeaderDownloadError::NoUsableAnswer { height: chain.tip_height() });
                }
                tokio::time::sleep(ROUND_DELAY * fruitless).await;
                continue;
            }
            fruitless = 0;
            let Some(best) = round.best.filter(|best| best.work() > chain.work()) else {
                on_tip(&chain);
                return Ok((chain, asked));
            };
            if round.complete {
                on_tip(&best);
            }
            chain = best;
            if round.complete && !(round.followed && chain.tip_height() < self.peers.claimed_height()) {
                return Ok((chain, asked));
            }
        }
    }

    /// Hears peers that greet later, and tells `on_tip` of better chains, for as long as this is polled. Nobody in `asked`
    /// is asked again.
    ///
    /// # Cancel safety
    /// What was downloaded is lost.
    pub(crate) async fn hear_newcomers(
        &self,
        mut chain: HeaderChain,
        mut asked: BTreeSet<SocketAddr>,
        on_progress: impl Fn(u32),
        on_tip: impl Fn(&HeaderChain),
    ) {
        let mut peers_changed = self.peers.changes();
        loop {
            if self.peers.greeted().iter().any(|peer| !asked.contains(peer)) {
                let round = self.ask_everyone(&chain, &mut asked, &on_progress, &on_tip).await;
                if let Some(best) = round.best.filter(|_| round.complete) {
                    on_tip(&best);
                    chain = best;
                }
            }
            // Cannot fail: the sender belongs to the peers.
            peers_changed.changed().await.ok();
        }
    }

    /// Downloads the stretches between checkpoints in parallel, each from any peer.
    async fn fill_to_last_checkpoint(
        &self,
        mut chain: HeaderChain,
        on_progress: &impl Fn(u32),
    ) -> Result<HeaderChain, HeaderDownloadError> {
        let tip = chain.tip_height();
        let ahead: Vec<&Checkpoint> =
            self.params.checkpoints.iter().filter(|checkpoint| checkpoint.height > tip).collect();
        let checkpoints =
            ahead.iter().map(|checkpoint| HeaderChain::starting_at_or_below(&self.params, checkpoint.height));
        let starts = std::iter::once(chain.starting_at_tip()).chain(checkpoints);
        let segments: Vec<(HeaderChain, u32)> =
            starts.zip(&ahead).map(|(start, end)| (start, end.height)).collect();
        let mut segments = futures::stream::iter(segments)
            .map(|(start, end)| self.fill_segment(start, end))
            .buffered(SEGMENTS_IN_FLIGHT);
        while let Some(segment) = segments.next().await {
            let segment = segment?;
            chain.append(&segment, clock::unix_time())?;
            on_progress(chain.tip_height());
        }
        Ok(chain)
    }

    async fn fill_segment(&self, start: HeaderChain, end: u32) -> Result<HeaderChain, HeaderDownloadError> {
        let mut chain = start;
        let mut exclude = BTreeSet::new();
        let mut attempts = 0;
        while chain.tip_height() < end {
            let missing = usize::try_from(end - chain.tip_height()).unwrap_or(usize::MAX);
            let progressed = match self.ask(vec![chain.tip_hash()], exclude.clone()).await {
                Some(mut batch) => {
                    batch.headers.truncate(missing);
                    exclude.insert(batch.peer);
                    let extended = self.judge(&chain, batch).await;
                    let progress = extended.filter(|extended| extended.work() > chain.work());
                    progress.map(|extended| chain = extended).is_some()
                }
                None => false,
            };
            if progressed {
                exclude.clear();
                attempts = 0;
                continue;
            }
            attempts += 1;
            if attempts == MAX_SEGMENT_ATTEMPTS || self.peers.none_expected() {
                return Err(HeaderDownloadError::NoUsableAnswer { height: chain.tip_height() });
            }
            if self.peers.greeted().iter().all(|peer| exclude.contains(peer)) {
                exclude.clear();
                tokio::time::sleep(ROUND_DELAY).await;
            }
        }
        Ok(chain)
    }

    /// Extends a chain that is far behind, one batch after the other; and whether until a peer had no more.
    pub(super) async fn follow_one_peer(
        &self,
        mut chain: HeaderChain,
        on_progress: &impl Fn(u32),
    ) -> (HeaderChain, bool) {
        while let Some(batch) = self.ask(chain.locator(), BTreeSet::new()).await {
            let more = batch.headers.len() == MAX_HEADERS;
            if batch.headers.is_empty() {
                return (chain, true);
            }
            let extended = self.judge(&chain, batch).await;
            let Some(extended) = extended.filter(|extended| extended.work() > chain.work()) else { break };
            chain = extended;
            on_progress(chain.tip_height());
            if !more {
                return (chain, true);
            }
        }
        (chain, false)
    }

    /// Asks this peer and no other.
    pub(super) async fn ask_peer(
        &self,
        peer: SocketAddr,
        locator: Vec<BlockHash>,
    ) -> (SocketAddr, Option<Batch>) {
        let executed = self.peers.ask_for_headers(&peer, headers_after(locator)).await;
        (peer, self.decode(executed))
    }

    /// Asks some peer; `None` when it brought nothing that can be decoded, which is on the peer's record then.
    async fn ask(&self, locator: Vec<BlockHash>, exclude: BTreeSet<SocketAddr>) -> Option<Batch> {
        let executed = self.peers.ask_somebody_for_headers(headers_after(locator), exclude).await;
        self.decode(executed)
    }

    fn decode(&self, executed: Executed) -> Option<Batch> {
        let Completed { peer, response, permit, .. } = executed.ok()?;
        match deserialize::<HeadersMessage>(&response.payload) {
            Ok(HeadersMessage(headers)) => Some(Batch { peer, headers, permit: Some(permit) }),
            Err(error) => {
                permit.reject();
                self.reject(peer, &error.into());
                None
            }
        }
    }

    /// Hashes and validates a batch off the runtime and puts the outcome on the peer's record; gives the chain that
    /// results.
    pub(super) async fn judge(&self, chain: &HeaderChain, mut batch: Batch) -> Option<HeaderChain> {
        let (peer, permit) = (batch.peer, batch.permit.take());
        // Headers fork off at a block of ours or are of no use; only what stays of our chain is copied.
        let fork = batch.headers.first().and_then(|first| chain.height_of(&first.prev_blockhash));
        let base = fork.and_then(|fork| chain.truncated(fork));
        let validated = tokio::task::spawn_blocking(move || validate(base, &batch.headers));
        match validated.await.ok()? {
            Ok(extended) => {
                // Headers that are known already, or a lighter branch, cost nothing to send and earn nothing.
                if extended.work() > chain.work() {
                    permit.into_iter().for_each(Permit::accept);
                    self.peers.record(peer, Outcome::Accepted(RequestKind::GetHeaders));
                }
                Some(extended)
            }
            Err(error) => {
                permit.into_iter().for_each(Permit::reject);
                self.reject(peer, &error);
                None
            }
        }
    }

    pub(super) fn reject(&self, peer: SocketAddr, error: &BatchError) {
        tracing::info!(%peer, %error, "invalid headers");
        self.peers.record(peer, Outcome::Invalid(RequestKind::GetHeaders));
    }
}

fn headers_after(locator: Vec<BlockHash>) -> Request {
    Request::Headers(GetHeadersMessage {
        version: 1,
        locator_hashes: locator,
        stop_hash: BlockHash::all_zeros(),
    })
}

fn validate(base: Option<HeaderChain>, headers: &[Header]) -> Result<HeaderChain, BatchError> {
    let mut chain = base.ok_or(BatchError::Unconnected)?;
    chain.extend(headers, &hash_all(headers), clock::unix_time())?;
    Ok(chain)
}
