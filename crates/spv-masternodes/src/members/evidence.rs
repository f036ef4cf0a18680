use std::collections::{BTreeMap, BTreeSet};

use dashcore::ProTxHash;
use dashcore::network::message_qrinfo::QuorumSnapshot;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;

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
    evo_nodes: BTreeSet<ProTxHash>,
}

impl Evidence {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the state at its height. All states have to be of one chain.
    ///
    /// Whoever is an EvoNode in it counts as one in every list: the type belongs to the masternode for ever, and an entry of
    /// version 1 does not say it.
    pub fn add_state(&mut self, state: ProvenState) {
        self.add_evo_nodes(
            state.masternodes().iter().filter(|entry| entry.is_evo()).map(|entry| entry.pro_reg_tx_hash),
        );
        self.states.insert(state.height(), state);
    }

    /// Adds the snapshot of the cycle with its base block at height `cycle_base`.
    pub fn add_snapshot(&mut self, cycle_base: u32, snapshot: QuorumSnapshot) {
        self.snapshots.insert(cycle_base, snapshot);
    }

    /// Adds masternodes that some proven list, of whatever height, shows as EvoNodes.
    pub fn add_evo_nodes(&mut self, names: impl IntoIterator<Item = ProTxHash>) {
        self.evo_nodes.extend(names);
    }

    /// Whether a masternode is an EvoNode, as far as any list that was added or its own entry tells.
    pub(super) fn is_evo(&self, entry: &MasternodeListEntry) -> bool {
        entry.is_evo() || self.evo_nodes.contains(&entry.pro_reg_tx_hash)
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
