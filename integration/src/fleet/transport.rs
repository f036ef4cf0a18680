use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use spv_correlation::CorrelationError;
use spv_executor::{Cost, Transport};

use super::request_trace::RequestTrace;
use crate::address::network_group;
use crate::clock;
use crate::net::{Pool, RequestError};
use crate::wire::{Answer, Request, RequestKind};

/// What a `qrinfo` of four cycles is expected to bring; mainnet's, with their lists' small diffs, are of this size.
const EXPECTED_QRINFO_BYTES: u64 = 128 * 1024;

/// Sends requests over the connections of a [`Pool`].
#[derive(Debug, Clone)]
pub(crate) struct PoolTransport {
    pool: Arc<Pool>,
}

impl PoolTransport {
    /// A transport over this pool.
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
        Self { pool }
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

    async fn send(&self, peer: &SocketAddr, request: Request) -> Result<Answer, RequestError> {
        let kind = request.kind();
        let connection = self.pool.connection(peer).ok_or(RequestError::Disconnected)?;
        self.pool.turn(peer).await;
        let trace = RequestTrace::start(*peer, kind);
        let result = connection.request(request).await;
        match &result {
            Ok(answer) => trace.end("answered", answer.payload.len()),
            Err(error) => trace.end(error.kind(), 0),
        }
        let now = clock::now();
        match &result {
            Ok(_) => {}
            Err(RequestError::Correlation(CorrelationError::Refused { .. })) => {
                self.pool.monitor().on_refusal(peer, &kind, now);
            }
            Err(RequestError::CreditSpent) => {}
            Err(_) => self.pool.monitor().on_failure(peer, &kind, now),
        }
        result
    }
}
