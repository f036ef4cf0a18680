use tokio::sync::watch;

use crate::metrics;

/// What a sync is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Waiting for the first peer.
    #[default]
    Connecting,
    /// Bringing the header chain to the tip.
    Headers,
    /// Downloading and proving lists, while other peers are still being asked for headers.
    Lists,
    /// Proving quorums by their signatures, and downloading what that needs.
    Quorums,
    /// Finished, well or not.
    Done,
}

impl Phase {
    pub(crate) const ALL: [Self; 5] =
        [Self::Connecting, Self::Headers, Self::Lists, Self::Quorums, Self::Done];

    /// Name as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Headers => "headers",
            Self::Lists => "lists",
            Self::Quorums => "quorums",
            Self::Done => "done",
        }
    }
}

/// How far a sync is. Within a phase the numbers never go backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// What it is doing.
    pub phase: Phase,
    /// Height of the verified header chain.
    pub header_height: u32,
    /// Greatest height that a peer claimed; not verified.
    pub claimed_height: u32,
    /// Lists in the range.
    pub planned_lists: u64,
    /// Lists in the range that are proven and stored.
    pub proven_lists: u64,
    /// Quorums whose signatures are to be checked.
    pub planned_quorums: u64,
    /// Quorums of them that were judged, well or not.
    pub judged_quorums: u64,
}

/// Progress of a sync: the sync writes it, anybody may watch it.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    state: watch::Sender<Snapshot>,
}

impl Progress {
    /// The present state and every later one.
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.state.subscribe()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        metrics::phase(phase);
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
        self.state.send_modify(|state| {
            state.planned_lists = planned;
            state.proven_lists = proven_before;
        });
    }

    /// `count` more lists are wanted.
    pub(crate) fn more_planned(&self, count: u64) {
        self.state.send_modify(|state| {
            state.planned_lists += count;
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

    /// `count` more lists are proven.
    pub(crate) fn lists_proven(&self, count: u64) {
        self.state.send_modify(|state| {
            state.proven_lists += count;
            metrics::lists(state.proven_lists, state.planned_lists);
        });
    }
}

struct DoneOnDrop<'a>(&'a Progress);

impl Drop for DoneOnDrop<'_> {
    fn drop(&mut self) {
        self.0.enter(Phase::Done);
    }
}
