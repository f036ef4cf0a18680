use std::collections::BTreeMap;

use dashcore::network::message_qrinfo::QuorumSnapshot;

use super::error::MembersError;
use crate::proven_state::ProvenState;

/// Proven states and served snapshots of one chain, by height: what members are computed from.
///
/// Snapshots are the word of whoever sent them. A wrong one makes wrong members, for which no commitment verifies;
/// where the three cycles before are there too, [`check_snapshot`](Self::check_snapshot) finds it out directly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    states: BTreeMap<u32, ProvenState>,
    snapshots: BTreeMap<u32, QuorumSnapshot>,
}

impl Evidence {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the state at its height. All states have to be of one chain.
    pub fn add_state(&mut self, state: ProvenState) {
        self.states.insert(state.height(), state);
    }

    /// Adds the snapshot of the cycle with its base block at height `cycle_base`.
    pub fn add_snapshot(&mut self, cycle_base: u32, snapshot: QuorumSnapshot) {
        self.snapshots.insert(cycle_base, snapshot);
    }

    /// The state at a height.
    pub fn state(&self, height: u32) -> Option<&ProvenState> {
        self.states.get(&height)
    }

    /// The snapshot of the cycle with its base block at this height.
    pub fn snapshot(&self, cycle_base: u32) -> Option<&QuorumSnapshot> {
        self.snapshots.get(&cycle_base)
    }

    /// Drops all states and snapshots below a height. This is what keeps evidence bounded: its owner calls it when
    /// quorums and cycles have been dealt with.
    pub fn forget_below(&mut self, height: u32) {
        self.states = self.states.split_off(&height);
        self.snapshots = self.snapshots.split_off(&height);
    }

    pub(super) fn require_state(&self, height: u32) -> Result<&ProvenState, MembersError> {
        self.state(height).ok_or(MembersError::MissingList { height })
    }
}
