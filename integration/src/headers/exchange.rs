use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use dashcore::consensus::{DecodeError, deserialize};
use dashcore::network::message_blockdata::{GetHeadersMessage, HeadersMessage, MAX_HEADERS};
use dashcore::{BlockHash, Header};
use spv_executor::{Completed, Permit};

use crate::chain::{HeaderChain, HeaderError, hash_all};
use crate::clock;
use crate::fleet::{Executed, Outcome, Peers};
use crate::wire::{Request, RequestKind};

/// Asks peers for headers, validates what they send, and puts the outcome on their records.
#[derive(Debug)]
pub(super) struct HeaderExchange {
    pub(super) peers: Arc<Peers>,
}

/// Why headers that a peer sent are of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BatchError {
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("the headers follow no block of our chain")]
    Unconnected,
}

/// Headers that a peer sent.
pub(super) struct Batch {
    pub(super) peer: SocketAddr,
    pub(super) headers: Vec<Header>,
    /// Takes the verdict to the executor; absent for headers that nobody asked for.
    pub(super) permit: Option<Permit>,
}

impl HeaderExchange {
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
    pub(super) async fn ask(&self, locator: Vec<BlockHash>, exclude: BTreeSet<SocketAddr>) -> Option<Batch> {
        self.decode(self.peers.ask_somebody_for_headers(headers_after(locator), exclude).await)
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
    chain.extend(headers, &hash_all(headers), clock::unix_seconds())?;
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Scene;

    #[tokio::test(start_paused = true)]
    async fn headers_earn_something_when_they_add_work_and_nothing_when_they_are_known() {
        let scene = Scene::with("", |_| {}).await;
        let exchange = HeaderExchange { peers: scene.peers.clone() };
        let headers = |heights: std::ops::RangeInclusive<u32>| Batch {
            peer: scene.peer,
            headers: heights.filter_map(|height| scene.world.header(height).copied()).collect(),
            permit: None,
        };
        let start = HeaderChain::starting_at_or_below(scene.world.params(), 0);
        let chain = exchange.judge(&start, headers(1..=5)).await.unwrap();
        assert_eq!((chain.tip_height(), scene.accepted(RequestKind::GetHeaders)), (5, 1));
        for known in [headers(1..=5), headers(2..=4)] {
            assert!(exchange.judge(&chain, known).await.is_some_and(|same| same.work() <= chain.work()));
        }
        assert_eq!(scene.accepted(RequestKind::GetHeaders), 1, "what is known earns nothing");
    }
}
