//! What a trace of a run is made of: `tracing` events of one target, which cost nothing while nobody collects them.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::peer::RequestKind;
use crate::stages::Stage;
use crate::sync::Phase;

/// Target of the events that a waterfall is drawn from, all at level trace and emitted when something has ended.
/// `event` says which it is, and `elapsed_us` how long it took, in microseconds:
/// `request` (`peer`, `kind`, `outcome`, `bytes`), `stage` (`stage`, `count`), and `phase` (`phase`), which has just begun.
pub const TRACE_TARGET: &str = "qrsync::waterfall";

/// A request that was sent. Reported when dropped, so that one that is given up is too.
#[derive(Debug)]
#[must_use]
pub(crate) struct RequestTrace {
    peer: SocketAddr,
    kind: RequestKind,
    started: Instant,
    outcome: &'static str,
    bytes: usize,
}

impl RequestTrace {
    pub(crate) fn start(peer: SocketAddr, kind: RequestKind) -> Self {
        Self { peer, kind, started: Instant::now(), outcome: "abandoned", bytes: 0 }
    }

    /// It was answered with so many bytes, or failed in this way.
    pub(crate) fn end(mut self, outcome: &'static str, bytes: usize) {
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

/// A stage of verification has ended.
pub(crate) fn stage(stage: Stage, count: usize, elapsed: Duration) {
    let elapsed_us = microseconds(elapsed);
    tracing::trace!(target: TRACE_TARGET, event = "stage", stage = stage.as_str(), count, elapsed_us);
}

/// A phase has begun.
pub(crate) fn phase(phase: Phase) {
    tracing::trace!(target: TRACE_TARGET, event = "phase", phase = phase.as_str());
}

fn microseconds(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}
