use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::stats::PeerStats;

/// What waits on one connection.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) queued_bytes: AtomicUsize,
    /// Changed under the lock of the node's counters only, which count it too.
    in_flight: AtomicU32,
}

impl Load {
    /// How many are in flight on the connection now.
    pub(super) fn started(&self, stats: &mut PeerStats) -> u32 {
        stats.in_flight += 1;
        self.in_flight.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn ended(&self, stats: &mut PeerStats) {
        // Nothing is left of them once the connection has ended.
        if let Some(left) = self.in_flight.load(Ordering::Relaxed).checked_sub(1) {
            self.in_flight.store(left, Ordering::Relaxed);
            stats.in_flight -= 1;
        }
    }

    pub(super) fn ended_all(&self, stats: &mut PeerStats) {
        stats.in_flight -= u64::from(self.in_flight.swap(0, Ordering::Relaxed));
    }
}

/// Answers above which the node stops handling a connection's messages, those that are travelling included. Far above
/// what a client that reads can have on its way.
pub(super) const MAX_QUEUED_BYTES: usize = 32 * 1024 * 1024;
