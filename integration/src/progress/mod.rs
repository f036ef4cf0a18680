//! How far a sync is: the sync writes it, anybody may watch it.

pub(crate) mod metrics;

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use spv_executor::CompletionRate;
use tokio::sync::watch;

use crate::clock;
use crate::fleet::{LivePeer, Peers};
use crate::trace::TRACE_TARGET;

/// Phase of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Waiting for the first peer.
    #[default]
    Connecting,
    /// Downloading the header chain up to the tip.
    Headers,
    /// Downloading and proving lists, while other peers are still being asked for headers.
    Lists,
    /// Checking the signatures of quorums, and downloading the data that this needs.
    Quorums,
    /// At the tip, until there is a new block.
    Following,
    /// The sync has ended, successfully or not.
    Done,
}

impl Phase {
    pub(crate) const ALL: [Self; 6] =
        [Self::Connecting, Self::Headers, Self::Lists, Self::Quorums, Self::Following, Self::Done];

    /// Name as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Headers => "headers",
            Self::Lists => "lists",
            Self::Quorums => "quorums",
            Self::Following => "following",
            Self::Done => "done",
        }
    }
}

/// Progress of a sync at one moment. Within a phase the numbers never decrease, but for `arrived_lists` when an answer
/// proves to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The current phase.
    pub phase: Phase,
    /// Height of the verified header chain.
    pub header_height: u32,
    /// Greatest height that a peer claimed; not verified.
    pub claimed_height: u32,
    /// Lists in the range.
    pub planned_lists: u64,
    /// Lists in the range that are proven and stored.
    pub proven_lists: u64,
    /// Lists in the range that are proven, or whose answer has arrived. An answer may wait for the list at its base, so many
    /// lists may become proven at one moment.
    pub arrived_lists: u64,
    /// Estimated time until the missing lists have arrived, at the recent rate, counted from the latest change. `None` until
    /// one has, zero when none is missing.
    pub lists_eta: Option<Duration>,
    /// Quorums whose signatures are to be checked.
    pub planned_quorums: u64,
    /// Quorums of these that were checked, with any result.
    pub judged_quorums: u64,
}

/// Progress of a sync. The sync updates it, and any task may watch it.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    state: watch::Sender<Snapshot>,
    pace: Arc<Mutex<CompletionRate>>,
    peers: Arc<Mutex<Weak<Peers>>>,
}

impl Progress {
    /// Returns a receiver of the present state and of every later one.
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.state.subscribe()
    }

    /// Returns the peers of the running sync in order of address; none while there is no sync.
    pub fn peers(&self) -> Vec<LivePeer> {
        self.of_peers().map(|peers| peers.live()).unwrap_or_default()
    }

    /// Returns the bytes that the running sync has received over all connections; 0 while there is no sync.
    pub fn bytes_received(&self) -> u64 {
        self.of_peers().map_or(0, |peers| peers.bytes_received())
    }

    fn of_peers(&self) -> Option<Arc<Peers>> {
        self.peers.lock().upgrade()
    }

    /// Shows these peers for as long as they are there.
    pub(crate) fn show(&self, peers: &Arc<Peers>) {
        *self.peers.lock() = Arc::downgrade(peers);
    }

    pub(crate) fn enter(&self, phase: Phase) {
        metrics::phase(phase);
        tracing::trace!(target: TRACE_TARGET, event = "phase", phase = phase.as_str());
        self.state.send_modify(|state| state.phase = phase);
    }

    /// Enters [`Phase::Done`] when the returned value is dropped.
    pub(crate) fn done_on_drop(&self) -> impl Drop + '_ {
        DoneOnDrop(self)
    }

    pub(crate) fn claimed_height(&self, height: u32) {
        self.state.send_modify(|state| state.claimed_height = state.claimed_height.max(height));
    }

    pub(crate) fn header_height(&self, height: u32) {
        metrics::tip_height(height);
        self.state.send_modify(|state| state.header_height = height);
    }

    pub(crate) fn planned(&self, planned: u64, proven_before: u64) {
        metrics::lists(proven_before, planned);
        let mut pace = self.pace.lock();
        *pace = CompletionRate::default();
        pace.set_busy(planned > proven_before, clock::now());
        self.state.send_modify(|state| {
            state.planned_lists = planned;
            state.proven_lists = proven_before;
            state.arrived_lists = proven_before;
            state.lists_eta = eta(&pace, state);
        });
    }

    /// `count` lists are missing now, whatever was planned before.
    pub(crate) fn lists_missing(&self, count: u64) {
        let mut pace = self.pace.lock();
        pace.set_busy(count > 0, clock::now());
        self.state.send_modify(|state| {
            state.planned_lists = state.proven_lists + count;
            state.arrived_lists = state.proven_lists;
            state.lists_eta = eta(&pace, state);
            metrics::lists(state.proven_lists, state.planned_lists);
        });
    }

    /// `count` more quorums are to be judged.
    pub(crate) fn quorums_planned(&self, count: u64) {
        self.state.send_modify(|state| state.planned_quorums += count);
    }

    /// `count` more quorums were judged.
    pub(crate) fn quorums_judged(&self, count: u64) {
        self.state.send_modify(|state| state.judged_quorums += count);
    }

    /// The answer with `count` lists has arrived.
    pub(crate) fn lists_arrived(&self, count: u64) {
        let now = clock::now();
        let mut pace = self.pace.lock();
        (0..count).for_each(|_| pace.completed(now, LISTS_AT_A_TIME));
        self.state.send_modify(|state| {
            state.arrived_lists = (state.arrived_lists + count).min(state.planned_lists);
            state.lists_eta = eta(&pace, state);
            pace.set_busy(state.arrived_lists < state.planned_lists, now);
        });
    }

    /// An answer that had arrived, with `count` lists, was wrong.
    pub(crate) fn lists_lost(&self, count: u64) {
        let mut pace = self.pace.lock();
        self.state.send_modify(|state| {
            state.arrived_lists = state.arrived_lists.saturating_sub(count).max(state.proven_lists);
            state.lists_eta = eta(&pace, state);
            pace.set_busy(state.arrived_lists < state.planned_lists, clock::now());
        });
    }

    /// `count` more lists are proven.
    pub(crate) fn lists_proven(&self, count: u64) {
        let pace = self.pace.lock();
        self.state.send_modify(|state| {
            state.proven_lists += count;
            state.arrived_lists = state.arrived_lists.max(state.proven_lists);
            state.lists_eta = eta(&pace, state);
            metrics::lists(state.proven_lists, state.planned_lists);
        });
    }
}

fn eta(pace: &CompletionRate, state: &Snapshot) -> Option<Duration> {
    let missing = state.planned_lists.saturating_sub(state.arrived_lists);
    pace.eta(usize::try_from(missing).unwrap_or(usize::MAX))
}

/// About as many lists as the requests that are in flight together bring: what comes at once must not count as the pace.
const LISTS_AT_A_TIME: usize = 25;

struct DoneOnDrop<'a>(&'a Progress);

impl Drop for DoneOnDrop<'_> {
    fn drop(&mut self) {
        self.0.enter(Phase::Done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_eta_follows_from_the_lists_that_arrived_and_the_time_they_took() {
        let progress = Progress::default();
        let eta = || progress.watch().borrow().lists_eta;
        progress.planned(200, 0);
        assert_eq!(eta(), None);
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(1)).await;
            progress.lists_arrived(10);
        }
        // Ten a second, and a hundred are missing. That all wait for the list at their base changes nothing.
        let is_ten_seconds =
            || eta().is_some_and(|eta| eta.abs_diff(Duration::from_secs(10)) < Duration::from_millis(1));
        assert!(is_ten_seconds(), "{:?}", eta());
        progress.lists_proven(100);
        assert!(is_ten_seconds(), "{:?}", eta());
        progress.lists_arrived(100);
        assert_eq!(eta(), Some(Duration::ZERO));
        progress.lists_lost(10);
        assert!(eta().is_some_and(|eta| !eta.is_zero()));
        assert_eq!(progress.watch().borrow().arrived_lists, 190);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_stored_before_says_nothing_of_the_pace() {
        let progress = Progress::default();
        progress.planned(100, 90);
        assert_eq!(progress.watch().borrow().lists_eta, None);
        progress.planned(100, 100);
        assert_eq!(progress.watch().borrow().lists_eta, Some(Duration::ZERO));
    }
}
