use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::consensus::DecodeError;
use dashcore::network::message_blockdata::GetHeadersMessage;
use dashcore::{BlockHash, Header};
use spv_executor::{Completed, ExecuteError, LateError, Permit};

use super::error::HeaderDownloadError;
use crate::chain::{HeaderChain, HeaderError, hash_all};
use crate::clock;
use crate::fleet::{Executed, Outcome, Peers};
use crate::net::RequestError;
use crate::panicked::Panicked;
use crate::verification::Verification;
use crate::wire::{Answer, AnsweredHeaders, Request, RequestKind};

/// Failed attempts to have the same headers from any peer before giving up.
pub(super) const MAX_ATTEMPTS: u32 = 20;

/// Wait before a peer that failed is asked for the same again.
pub(super) const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Asks peers for headers, validates what they send, and puts the outcome on their records.
#[derive(Debug)]
pub(super) struct HeaderExchange {
    pub(super) peers: Arc<Peers>,
    validation: Verification,
}

/// Why headers that a peer sent are of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BatchError {
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("the answer is not the requested header of {asked}")]
    OtherBlock { asked: BlockHash },
}

/// Headers that a peer sent.
pub(super) struct Batch {
    pub(super) peer: SocketAddr,
    pub(super) answered: AnsweredHeaders,
    /// Takes the verdict to the executor; absent for headers that nobody asked for.
    pub(super) permit: Option<Permit>,
}

/// Headers of a batch that are not known, with the chain that they continue.
pub(super) struct Placed {
    peer: SocketAddr,
    new: AnsweredHeaders,
    /// Where it could be taken without those of the others.
    last_hash: Option<BlockHash>,
    base: Arc<HeaderChain>,
    permit: Option<Permit>,
}

/// The same with the hash of the last of them, from which the next ones can be asked for.
pub(super) struct Hashed {
    peer: SocketAddr,
    headers: Vec<Header>,
    /// Those of compressed headers had to be taken on the way.
    hashes: Option<Vec<BlockHash>>,
    pub(super) last_hash: BlockHash,
    base: Arc<HeaderChain>,
    permit: Option<Permit>,
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
    /// They are so easy that they wait until the headers below the start are known.
    Unseen,
}

impl HeaderExchange {
    pub(super) fn new(peers: Arc<Peers>, validation: Verification) -> Self {
        Self { peers, validation }
    }

    /// Why no header is of use, if this machine's clock seems to be the reason.
    pub(super) fn clock_error(&self) -> Option<HeaderDownloadError> {
        self.peers.any_ahead().then(|| HeaderDownloadError::Clock { peers_ahead: self.peers.clock_ahead() })
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
            Some(completed) => (peer, self.decode(completed)),
            None => (peer, None),
        }
    }

    /// Asks some peer; `None` when it brought nothing that can be decoded, which is on the peer's record then.
    pub(super) async fn ask(&self, request: Request, exclude: BTreeSet<SocketAddr>) -> Option<Batch> {
        let executed: Executed = self.peers.ask_somebody_for_headers(request, exclude).await;
        self.decode(executed.ok()?)
    }

    /// Waits a while and begins another round, if all peers that are there were tried.
    pub(super) async fn next_round(&self, tried: &mut BTreeSet<SocketAddr>) {
        if self.peers.greeted().iter().all(|peer| tried.contains(peer)) {
            tried.clear();
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    fn decode(&self, completed: Completed<SocketAddr, Answer>) -> Option<Batch> {
        let Completed { peer, response, permit, .. } = completed;
        match response.headers() {
            Ok(answered) => Some(Batch { peer, answered, permit: Some(permit) }),
            Err(error) => {
                permit.reject();
                self.reject(peer, &error.into());
                None
            }
        }
    }

    /// Validates a batch that continues one of these chains, off the runtime, and puts the outcome on the peer's record.
    pub(super) async fn judge(&self, chains: &[Arc<HeaderChain>], batch: Batch) -> Judged {
        match place(chains, batch) {
            Ok(placed) => match self.hash(placed).await {
                Ok(hashed) => self.validate(chains, None, hashed).await,
                Err(judged) => judged,
            },
            Err(judged) => judged,
        }
    }

    /// Finds the hash of the last header: off the runtime, where it takes those of all others.
    pub(super) async fn hash(&self, placed: Placed) -> Result<Hashed, Judged> {
        let Placed { peer, new, last_hash, base, permit } = placed;
        let hashed = match last_hash {
            Some(_) => Ok(new.into_headers()),
            None => self.validation.offload(move || new.into_headers()).await,
        };
        let (headers, hashes) = hashed.map_err(|error| panicked(peer, &error))?;
        let last_of_all = hashes.as_ref().and_then(|hashes| hashes.last().copied());
        let last_hash = last_hash.or(last_of_all).unwrap_or_else(|| base.tip_hash());
        Ok(Hashed { peer, headers, hashes, last_hash, base, permit })
    }

    /// Validates headers, off the runtime, and puts the outcome on the peer's record. They earn something if no chain of
    /// `chains` has as much work. `start` brings the headers below the chain's start, if they are known.
    pub(super) async fn validate(
        &self,
        chains: &[Arc<HeaderChain>],
        start: Option<Arc<HeaderChain>>,
        hashed: Hashed,
    ) -> Judged {
        let Hashed { peer, headers, hashes, base, permit, .. } = hashed;
        let extended = self.validation.offload(move || {
            let mut chain = Arc::unwrap_or_clone(base);
            if let Some(start) = start {
                chain.adopt_ancestry(&start)?;
            }
            let hashes = hashes.unwrap_or_else(|| hash_all(&headers));
            chain.extend(&headers, &hashes, clock::unix_seconds()).map(|()| chain)
        });
        match extended.await {
            Ok(Ok(extended)) => {
                // A lighter branch costs nothing to send and earns nothing.
                if chains.iter().all(|chain| extended.work() > chain.work()) {
                    permit.into_iter().for_each(Permit::accept);
                    self.peers.record(peer, Outcome::Accepted(RequestKind::GetHeaders));
                }
                Judged::New(Arc::new(extended))
            }
            Ok(Err(error @ HeaderError::TimeTooNew { .. })) => {
                self.peers.tell_of_wrong_answer(peer, "headers from the future", &error);
                self.peers.heard_future(peer);
                Judged::Future
            }
            Ok(Err(HeaderError::AwaitsAncestry { .. })) => Judged::Unseen,
            Ok(Err(error)) => {
                permit.into_iter().for_each(Permit::reject);
                self.reject(peer, &error.into());
                Judged::Invalid
            }
            Err(error) => panicked(peer, &error),
        }
    }

    pub(super) fn reject(&self, peer: SocketAddr, error: &BatchError) {
        self.peers.tell_of_wrong_answer(peer, RequestKind::GetHeaders.as_str(), error);
        self.peers.record(peer, Outcome::Invalid(RequestKind::GetHeaders));
    }
}

/// Finds the known chain that a batch continues. Headers that are known cost no more than the hash of the last, and none
/// if they are compressed.
///
/// # Errors
/// The verdict, where no header has to be validated for it.
pub(super) fn place(chains: &[Arc<HeaderChain>], batch: Batch) -> Result<Placed, Judged> {
    let Batch { peer, answered: mut new, permit } = batch;
    if new.len() == 0 {
        return Err(Judged::Empty);
    }
    let last_hash = new.last_hash();
    if let Some(known) = last_hash.and_then(|last_hash| up_to(chains, last_hash)) {
        return Err(Judged::Known(known));
    }
    let Some((base, skip)) = base_of(chains, &new) else { return Err(Judged::Unconnected) };
    if skip == new.len() {
        return Err(Judged::Known(base));
    }
    new.skip(skip, base.tip_hash());
    Ok(Placed { peer, new, last_hash, base, permit })
}

/// A panic while headers are hashed or validated is not the peer's doing as far as anybody knows; they are not used.
fn panicked(peer: SocketAddr, error: &Panicked) -> Judged {
    tracing::error!(%peer, %error, "validating headers failed");
    Judged::Invalid
}

/// The part of one of these chains that ends with this block.
pub(super) fn up_to(chains: &[Arc<HeaderChain>], hash: BlockHash) -> Option<Arc<HeaderChain>> {
    if let Some(chain) = chains.iter().find(|chain| chain.tip_hash() == hash) {
        return Some(chain.clone());
    }
    let known = chains.iter().find_map(|chain| Some((chain, chain.height_of(&hash)?)));
    known.and_then(|(chain, height)| cut(chain, height))
}

/// A chain up to this height.
fn cut(chain: &Arc<HeaderChain>, height: u32) -> Option<Arc<HeaderChain>> {
    if chain.tip_height() == height { Some(chain.clone()) } else { chain.truncated(height).map(Arc::new) }
}

/// The known chain that headers continue, and how many of them it has already.
fn base_of(chains: &[Arc<HeaderChain>], answered: &AnsweredHeaders) -> Option<(Arc<HeaderChain>, usize)> {
    let parent = answered.parent()?;
    let branches = chains.iter().filter_map(|chain| {
        let fork = chain.height_of(&parent)?;
        let continued = (fork + 1..).map_while(|height| chain.header(height));
        Some((chain, fork, answered.count_equal(continued)))
    });
    let (chain, fork, skip) = branches.max_by_key(|(_, _, skip)| *skip)?;
    Some((cut(chain, fork + u32::try_from(skip).ok()?)?, skip))
}

pub(super) fn headers_after(locator: Vec<BlockHash>) -> Request {
    Request::Headers(GetHeadersMessage {
        version: 1,
        locator_hashes: locator,
        stop_hash: BlockHash::all_zeros(),
    })
}

#[cfg(test)]
mod tests;
