use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::failure::DownloadFailure;

/// What the download of lists came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Lists proven and stored.
    pub(crate) lists: u64,
    /// Attempts that were made again.
    pub(crate) retried: u64,
    /// Answers that came after their soft timeout.
    pub(crate) late: u64,
    /// Works that failed at least once and were proven in the end, ...
    pub(crate) recovered: u64,
    /// ... and those of them that needed no other strategy than the first that was chosen.
    pub(crate) recovered_by_first_strategy: u64,
    /// Bytes of answers that were not used.
    pub(crate) wasted_bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.lists += other.lists;
        self.retried += other.retried;
        self.late += other.late;
        self.recovered += other.recovered;
        self.recovered_by_first_strategy += other.recovered_by_first_strategy;
        self.wasted_bytes += other.wasted_bytes;
    }
}

/// A download that could not bring everything.
#[derive(Debug)]
pub(crate) struct GaveUp {
    /// Why.
    pub(crate) failure: DownloadFailure,
    /// Time to wait before the next attempt; `None` if only another peer can help.
    pub(crate) next_retry: Option<Duration>,
}

/// How a download ended.
pub(crate) struct Downloaded {
    pub(crate) tally: Tally,
    /// Whether everything was brought; if not, why.
    pub(crate) outcome: Result<(), GaveUp>,
    /// Base heights of cycles to the peer that served the cycle's snapshot last.
    pub(crate) snapshots_from: BTreeMap<u32, SocketAddr>,
}
