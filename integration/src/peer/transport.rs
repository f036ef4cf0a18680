use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use spv_correlation::{CorrelationError, RegisterError};
use spv_executor::{Cost, Transport};
use spv_recovery::{Classify, FailureKind};
use tokio::time::Instant;

use super::pool::Pool;
use super::request::{Answer, Request, RequestKind};
use crate::blame::network_group;
use crate::trace::RequestTrace;

/// Why a request brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RequestError {
    /// There is no connection to the peer, or it ended.
    #[error("not connected")]
    Disconnected,
    /// The peer has refused as many requests as it may be made to on one connection.
    #[error("not sent: the peer has refused too many requests on this connection")]
    CreditSpent,
    /// The connection's table of requests has no place.
    #[error("cannot be sent now: {0}")]
    Register(#[from] RegisterError),
    /// The peer refused, or answered something else.
    #[error("{0}")]
    Correlation(#[from] CorrelationError),
}

impl RequestError {
    /// Name in a trace.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Disconnected | Self::Correlation(CorrelationError::Disconnected) => "disconnected",
            Self::Register(_) | Self::CreditSpent => "not_sent",
            Self::Correlation(CorrelationError::Refused { .. }) => "refused",
            Self::Correlation(CorrelationError::Expired { .. }) => "expired",
            Self::Correlation(_) => "mismatched",
        }
    }
}

impl RequestError {
    /// Whether it says something of the peer; it does not where our own bookkeeping had no place for the request.
    const fn blames_peer(&self) -> bool {
        match self {
            Self::CreditSpent => false,
            Self::Register(error) => matches!(error, RegisterError::Closed),
            Self::Disconnected | Self::Correlation(_) => true,
        }
    }
}

impl Classify for RequestError {
    fn failure_kind(&self) -> FailureKind {
        match self {
            Self::Disconnected
            | Self::Register(RegisterError::Closed)
            | Self::Correlation(CorrelationError::Disconnected) => FailureKind::Disconnected,
            Self::Correlation(CorrelationError::Refused { .. }) => FailureKind::Refused,
            Self::Correlation(CorrelationError::Expired { .. }) => FailureKind::Timeout,
            Self::Correlation(_) => FailureKind::Invalid,
            // Nothing was attempted: the peer is busier than it looked, or is not to be asked any more.
            Self::Register(_) | Self::CreditSpent => FailureKind::NoPeer,
        }
    }
}

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

    /// Our own rate limit is none of the peer's time.
    async fn admit(&self, peer: &SocketAddr) {
        self.pool.turn(peer).await;
    }

    fn blames_peer(&self, error: &RequestError) -> bool {
        error.blames_peer()
    }

    async fn send(&self, peer: &SocketAddr, request: Request) -> Result<Answer, RequestError> {
        let kind = request.kind();
        let connection = self.pool.connection(peer).ok_or(RequestError::Disconnected)?;
        let trace = RequestTrace::start(*peer, kind);
        let result = connection.request(request).await;
        match &result {
            Ok(answer) => trace.end("answered", answer.payload.len()),
            Err(error) => trace.end(error.kind(), 0),
        }
        let now = Instant::now().into_std();
        match &result {
            Ok(_) => {}
            Err(RequestError::Correlation(CorrelationError::Refused { .. })) => {
                self.pool.monitor().on_refusal(peer, &kind, now);
            }
            Err(error) if !error.blames_peer() => {}
            Err(_) => self.pool.monitor().on_failure(peer, &kind, now),
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_had_no_place_for_blames_nobody() {
        let refused = CorrelationError::Refused { after: Duration::ZERO };
        for (error, blames) in [
            (RequestError::CreditSpent, false),
            (RegisterError::Full { limit: 3 }.into(), false),
            (RegisterError::Closed.into(), true),
            (RequestError::Disconnected, true),
            (refused.into(), true),
        ] {
            assert_eq!(error.blames_peer(), blames, "{error}");
        }
    }
}
