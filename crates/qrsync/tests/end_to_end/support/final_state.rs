use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dashcore::{BlockHash, ChainParams, ProTxHash};
use spv_integration::store::Store;
use spv_masternodes::ProvenState;
use spv_simnet::World;

/// Everything that a store says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FinalState {
    pub(crate) tip: Option<(u32, BlockHash)>,
    pub(crate) headers: u64,
    pub(crate) states: BTreeMap<u32, Arc<ProvenState>>,
    pub(crate) evo_nodes: BTreeSet<ProTxHash>,
}

impl FinalState {
    pub(crate) fn read(store: &Store, params: &ChainParams) -> Self {
        let states = store.lists().unwrap().into_iter().map(|(height, hash)| {
            let state = store.state(params, height).unwrap().unwrap();
            assert_eq!((state.height(), state.block_hash()), (height, hash));
            (height, state)
        });
        let tip = store.tip().unwrap();
        Self {
            tip,
            headers: store.header_count().unwrap(),
            states: states.collect(),
            evo_nodes: store.evo_nodes(tip.map_or(0, |(height, _)| height)).unwrap(),
        }
    }

    pub(crate) fn heights(&self) -> Vec<u32> {
        self.states.keys().copied().collect()
    }

    /// Equal but for ChainLock signatures of quorums, which no merkle root covers: on whoever altered one, nothing in
    /// the lists gives evidence.
    pub(crate) fn assert_proven_like(&self, other: &Self) {
        assert_eq!((self.tip, self.headers), (other.tip, other.headers));
        assert_eq!(self.heights(), other.heights());
        assert_eq!(self.evo_nodes, other.evo_nodes);
        for (state, other) in self.states.values().zip(other.states.values()) {
            assert_eq!(state.block_hash(), other.block_hash());
            assert_eq!(state.coinbase(), other.coinbase());
            assert_eq!(state.masternodes(), other.masternodes());
            let hashes = |state: &ProvenState| -> Vec<[u8; 32]> {
                state.quorums().iter().map(|quorum| quorum.entry_hash).collect()
            };
            assert_eq!(hashes(state), hashes(other));
        }
    }

    /// Whatever is there is of this chain and as another sync of it found it.
    pub(crate) fn assert_part_of(&self, whole: &Self, world: &World) {
        if let Some((height, hash)) = self.tip {
            assert_eq!(world.block_hash(height), Some(hash));
        }
        for (height, state) in &self.states {
            assert_eq!(whole.states.get(height), Some(state), "height {height}");
        }
    }
}

/// Work blocks of all cycles from block 1 on, and the tip.
pub(crate) fn cycles_and_tip(world: &World) -> Vec<u32> {
    let cycle = world.params().rotated().dkg_interval;
    (1..)
        .map(|index| index * cycle - 8)
        .take_while(|&height| height < world.tip())
        .chain([world.tip()])
        .collect()
}
