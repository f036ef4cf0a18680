use std::net::SocketAddr;

use tokio::time::Instant;

use crate::trace::{TRACE_TARGET, microseconds};
use crate::wire::RequestKind;

/// A request that was sent. Reported when dropped, so that one that is given up is too.
#[derive(Debug)]
#[must_use]
pub(super) struct RequestTrace {
    peer: SocketAddr,
    kind: RequestKind,
    started: Instant,
    outcome: &'static str,
    bytes: usize,
}

impl RequestTrace {
    pub(super) fn start(peer: SocketAddr, kind: RequestKind) -> Self {
        Self { peer, kind, started: Instant::now(), outcome: "abandoned", bytes: 0 }
    }

    /// Says how the request ended: answered with this many bytes, or failed in this way.
    pub(super) fn end(mut self, outcome: &'static str, bytes: usize) {
        (self.outcome, self.bytes) = (outcome, bytes);
    }
}

impl Drop for RequestTrace {
    fn drop(&mut self) {
        tracing::trace!(
            target: TRACE_TARGET,
            event = "request",
            peer = %self.peer,
            kind = self.kind.as_str(),
            outcome = self.outcome,
            bytes = self.bytes,
            elapsed_us = microseconds(self.started.elapsed()),
        );
    }
}
