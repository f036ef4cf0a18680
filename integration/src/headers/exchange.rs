use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dashcore::consensus::DecodeError;
use dashcore::network::message_blockdata::GetHeadersMessage;
use dashcore::{BlockHash, Header};
use spv_executor::{Completed, ExecuteError, LateError, Permit};

use super::error::HeaderDownloadError;
use crate::chain::{HeaderChain, HeaderError, hash_all};
use crate::clock;
use crate::fleet::{Executed, Outcome, Peers};
use crate::net::RequestError;
use crate::verification::Verification;
use crate::wire::{Answer, AnsweredHeaders, Request, RequestKind};

/// Asks peers for headers, validates what they send, and puts the outcome on their records.
#[derive(Debug)]
pub(super) struct HeaderExchange {
    pub(super) peers: Arc<Peers>,
    validation: Verification,
    /// Whether headers came that are too far ahead of this machine's clock.
    saw_future: AtomicBool,
}

/// Why headers that a peer sent are of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BatchError {
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Header(#[from] HeaderError),
}

/// Headers that a peer sent.
pub(super) struct Batch {
    pub(super) peer: SocketAddr,
    pub(super) answered: AnsweredHeaders,
    /// Takes the verdict to the executor; absent for headers that nobody asked for.
    pub(super) permit: Option<Permit>,
}

/// What headers came to that a peer sent.
#[derive(Debug)]
pub(super) enum Judged {
    /// There were none.
    Empty,
    /// A valid chain up to the last of them; all of it was known before.
    Known(Arc<HeaderChain>),
    /// A valid chain up to the last of them, with blocks that were not known before.
    New(Arc<HeaderChain>),
    /// They follow no block that is known.
    Unconnected,
    /// They break a rule, which is on the peer's record.
    Invalid,
    /// They are ahead of this machine's clock, which may be to blame as well.
    Future,
}

impl HeaderExchange {
    pub(super) fn new(peers: Arc<Peers>, validation: Verification) -> Self {
        Self { peers, validation, saw_future: AtomicBool::new(false) }
    }

    /// Why no header is of use, if this machine's clock seems to be the reason.
    pub(super) fn clock_error(&self) -> Option<HeaderDownloadError> {
        let saw_future = self.saw_future.load(Ordering::Relaxed);
        saw_future.then(|| HeaderDownloadError::Clock { peers_ahead: self.peers.clock_ahead() })
    }

    /// Asks this peer and no other; waits also for an answer that comes late.
    pub(super) async fn ask_peer(
        &self,
        peer: SocketAddr,
        locator: Vec<BlockHash>,
    ) -> (SocketAddr, Option<Batch>) {
        let request = headers_after(locator);
        let completed = match self.peers.ask_for_headers(&peer, request.clone()).await {
            Err(ExecuteError::SoftTimeout { late, .. }) => match late.await {
                Err(LateError::Transport { source: RequestError::Undecodable }) => {
                    self.peers.ask_for_headers(&peer, request).await.ok()
                }
                late => late.ok(),
            },
            executed => executed.ok(),
        };
        match completed {
            Some(completed) => (peer, self.decode(completed).await),
            None => (peer, None),
        }
    }

    /// Asks some peer; `None` when it brought nothing that can be decoded, which is on the peer's record then.
    pub(super) async fn ask(&self, locator: Vec<BlockHash>, exclude: BTreeSet<SocketAddr>) -> Option<Batch> {
        let executed: Executed = self.peers.ask_somebody_for_headers(headers_after(locator), exclude).await;
        self.decode(executed.ok()?).await
    }

    /// Decodes an answer off the runtime, as compressed headers are hashed on the way.
    async fn decode(&self, completed: Completed<SocketAddr, Answer>) -> Option<Batch> {
        let Completed { peer, response, permit, .. } = completed;
        match self.validation.offload(move || response.headers()).await {
            Ok(Ok(answered)) => Some(Batch { peer, answered, permit: Some(permit) }),
            Ok(Err(error)) => {
                permit.reject();
                self.reject(peer, &error.into());
                None
            }
            // A panic while decoding is not the peer's doing as far as anybody knows.
            Err(error) => {
                tracing::error!(%peer, %error, "decoding headers failed");
                None
            }
        }
    }

    /// Validates a batch that continues one of these chains, off the runtime, and puts the outcome on the peer's record.
    /// Headers that are known cost no more than the hash of the last.
    pub(super) async fn judge(&self, chains: &[Arc<HeaderChain>], mut batch: Batch) -> Judged {
        let Some(last) = batch.answered.headers.last() else { return Judged::Empty };
        let known_hash = batch.answered.hashes.as_ref().and_then(|hashes| hashes.last());
        let last_hash = known_hash.copied().unwrap_or_else(|| last.block_hash());
        if let Some(known) = up_to(chains, last_hash) {
            return Judged::Known(known);
        }
        let Some((base, skip)) = base_of(chains, &batch.answered.headers) else { return Judged::Unconnected };
        let (peer, permit) = (batch.peer, batch.permit.take());
        let mut new = batch.answered;
        new.skip(skip);
        match self.validation.offload(move || validate(base, &new)).await {
            Ok(Ok(extended)) => {
                // A lighter branch costs nothing to send and earns nothing.
                if chains.iter().all(|chain| extended.work() > chain.work()) {
                    permit.into_iter().for_each(Permit::accept);
                    self.peers.record(peer, Outcome::Accepted(RequestKind::GetHeaders));
                }
                Judged::New(Arc::new(extended))
            }
            Ok(Err(error @ BatchError::Header(HeaderError::TimeTooNew { .. }))) => {
                tracing::warn!(%peer, %error, "headers from the future");
                self.saw_future.store(true, Ordering::Relaxed);
                Judged::Future
            }
            Ok(Err(error)) => {
                permit.into_iter().for_each(Permit::reject);
                self.reject(peer, &error);
                Judged::Invalid
            }
            // A panic while validating is not the peer's doing as far as anybody knows; its headers are not used.
            Err(error) => {
                tracing::error!(%peer, %error, "validating headers failed");
                Judged::Invalid
            }
        }
    }

    pub(super) fn reject(&self, peer: SocketAddr, error: &BatchError) {
        tracing::info!(%peer, %error, "invalid headers");
        self.peers.record(peer, Outcome::Invalid(RequestKind::GetHeaders));
    }
}

/// The part of one of these chains that ends with this block.
fn up_to(chains: &[Arc<HeaderChain>], hash: BlockHash) -> Option<Arc<HeaderChain>> {
    if let Some(chain) = chains.iter().find(|chain| chain.tip_hash() == hash) {
        return Some(chain.clone());
    }
    let known = chains.iter().find_map(|chain| Some((chain, chain.height_of(&hash)?)));
    known.and_then(|(chain, height)| chain.truncated(height)).map(Arc::new)
}

/// The known chain that headers continue, and how many of them it has already.
fn base_of(chains: &[Arc<HeaderChain>], headers: &[Header]) -> Option<(HeaderChain, usize)> {
    let first = headers.first()?;
    let branches = chains.iter().filter_map(|chain| {
        let fork = chain.height_of(&first.prev_blockhash)?;
        let known =
            (fork + 1..).zip(headers).take_while(|(height, header)| chain.header(*height) == Some(header));
        Some((chain, fork, known.count()))
    });
    let (chain, fork, skip) = branches.max_by_key(|(_, _, skip)| *skip)?;
    Some((chain.truncated(fork + u32::try_from(skip).ok()?)?, skip))
}

fn headers_after(locator: Vec<BlockHash>) -> Request {
    Request::Headers(GetHeadersMessage {
        version: 1,
        locator_hashes: locator,
        stop_hash: BlockHash::all_zeros(),
    })
}

fn validate(mut chain: HeaderChain, new: &AnsweredHeaders) -> Result<HeaderChain, BatchError> {
    let AnsweredHeaders { headers, hashes, .. } = new;
    let hashes = hashes.as_ref().map_or_else(|| Cow::Owned(hash_all(headers)), Cow::Borrowed);
    chain.extend(headers, &hashes, clock::unix_seconds())?;
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Scene;

    #[tokio::test(start_paused = true)]
    async fn headers_earn_something_when_they_add_work_and_nothing_when_they_are_known() {
        let scene = Scene::with("", |_| {}).await;
        let exchange = HeaderExchange::new(scene.peers.clone(), Verification::Inline);
        let headers = |heights: std::ops::RangeInclusive<u32>| Batch {
            peer: scene.peer,
            answered: AnsweredHeaders {
                headers: heights.filter_map(|height| scene.world.header(height).copied()).collect(),
                hashes: None,
                is_full: false,
            },
            permit: None,
        };
        let start = Arc::new(HeaderChain::starting_at_or_below(scene.world.params(), 0));
        let Judged::New(chain) = exchange.judge(&[start], headers(1..=5)).await else { panic!("new") };
        assert_eq!((chain.tip_height(), scene.accepted(RequestKind::GetHeaders)), (5, 1));
        for (known, tip) in [(headers(1..=5), 5), (headers(2..=4), 4)] {
            let judged = exchange.judge(std::slice::from_ref(&chain), known).await;
            let Judged::Known(known) = judged else { panic!("{judged:?}") };
            assert_eq!(known.tip_height(), tip);
        }
        assert_eq!(scene.accepted(RequestKind::GetHeaders), 1, "what is known earns nothing");
        let Judged::New(longer) = exchange.judge(&[chain], headers(3..=9)).await else { panic!("new") };
        assert_eq!((longer.tip_height(), scene.accepted(RequestKind::GetHeaders)), (9, 2));
        let unconnected = exchange.judge(&[longer], headers(20..=30)).await;
        assert!(matches!(unconnected, Judged::Unconnected), "{unconnected:?}");
    }
}
