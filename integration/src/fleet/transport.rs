use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use spv_correlation::CorrelationError;
use spv_executor::{Cost, Transport};

use super::book::PeerBook;
use super::request_trace::RequestTrace;
use crate::address::network_group;
use crate::clock::now;
use crate::discovery::Standing;
use crate::net::{Pool, RequestError};
use crate::wire::{Answer, Request, RequestKind};

/// What a `qrinfo` of four cycles is expected to bring; mainnet's, with their lists' small diffs, are of this size.
const EXPECTED_QRINFO_BYTES: u64 = 128 * 1024;

/// Sends requests over the connections of a [`Pool`].
#[derive(Debug, Clone)]
pub(crate) struct PoolTransport {
    pool: Arc<Pool>,
    book: Arc<PeerBook>,
}

impl PoolTransport {
    /// A transport over this pool, to peers that are in this book.
    pub(super) fn new(pool: Arc<Pool>, book: Arc<PeerBook>) -> Self {
        Self { pool, book }
    }
}

/// Tells the book that a request has ended, also when it is given up.
struct EndsInBook<'a>(&'a PeerBook, &'a SocketAddr);

impl Drop for EndsInBook<'_> {
    fn drop(&mut self) {
        self.0.on_ended(self.1, now());
    }
}

impl Transport for PoolTransport {
    type Peer = SocketAddr;
    type Request = Request;
    type Response = Answer;
    type Error = RequestError;

    fn cost(&self, request: &Request) -> Cost {
        let kind = request.kind();
        let bytes = match kind {
            RequestKind::QrInfo => EXPECTED_QRINFO_BYTES,
            RequestKind::MnListDiff | RequestKind::GetHeaders => 0,
        };
        Cost { kind: kind.as_str(), bytes }
    }

    fn size(&self, answer: &Answer) -> u64 {
        answer.payload.len() as u64
    }

    /// Answers for lists say nothing of the asker, so any peer's copy will do. Headers are asked of particular peers.
    fn duplicate(&self, request: &Request) -> Option<Request> {
        (request.kind() != RequestKind::GetHeaders).then(|| request.clone())
    }

    fn group(&self, peer: &SocketAddr) -> u64 {
        network_group(*peer)
    }

    fn rtt(&self, peer: &SocketAddr) -> Option<Duration> {
        self.pool.monitor().health(peer)?.srtt
    }

    /// Our own rate limit is none of the peer's time, nor is what we wait for its.
    async fn admit(&self, peer: &SocketAddr) {
        self.pool.turn(peer).await;
        while let Err(next) = self.book.take_turn(peer, now()) {
            tokio::time::sleep_until(next.into()).await;
        }
    }

    fn blames_peer(&self, error: &RequestError) -> bool {
        error.blames_peer()
    }

    async fn send(&self, peer: &SocketAddr, request: Request) -> Result<Answer, RequestError> {
        let kind = request.kind();
        let list_of = match &request {
            Request::ListDiff(names) => Some(names.block_hash),
            _ => None,
        };
        let _ended = EndsInBook(&self.book, peer);
        // It may have refused once more while this request waited for its turn.
        if self.book.standing(peer, now()) == Standing::Spent {
            return Err(RequestError::CreditSpent);
        }
        let connection = self.pool.connection(peer).ok_or(RequestError::Disconnected)?;
        let trace = RequestTrace::start(*peer, kind);
        let result = connection.request(request).await;
        match &result {
            Ok(answer) => trace.end("answered", answer.payload.len()),
            Err(error) => trace.end(error.kind(), 0),
        }
        let now = now();
        match &result {
            Ok(_) if list_of.is_some() => self.book.on_list(*peer, now),
            Ok(_) => {}
            Err(RequestError::Correlation(CorrelationError::Refused { .. })) => {
                if let Some(block) = list_of {
                    self.book.on_list_silence(*peer, &block, now);
                }
                self.pool.monitor().on_refusal(peer, &kind, now);
            }
            Err(error) if !error.blames_peer() => {}
            Err(_) => self.pool.monitor().on_failure(peer, &kind, now),
        }
        result
    }
}
