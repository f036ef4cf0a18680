use std::collections::BTreeMap;

use dashcore::ChainParams;
use spv_masternodes::ProvenState;

use crate::chain::{BlockId, HeaderChain};
use crate::store::{Store, StoreError};

/// States kept: neighbours are often each other's base.
const KEPT_STATES: usize = 16;

/// Reads proven states of one chain's blocks from the store, best in ascending order.
pub(super) struct States<'a> {
    store: &'a Store,
    params: &'a ChainParams,
    chain: &'a HeaderChain,
    recent: BTreeMap<u32, ProvenState>,
}

impl<'a> States<'a> {
    pub(super) fn new(store: &'a Store, params: &'a ChainParams, chain: &'a HeaderChain) -> Self {
        Self { store, params, chain, recent: BTreeMap::new() }
    }

    /// The state at the chain's block of this height; `None` when it is not stored.
    pub(super) fn get(&mut self, height: u32) -> Result<Option<ProvenState>, StoreError> {
        if let Some(state) = self.recent.get(&height) {
            return Ok(Some(state.clone()));
        }
        let Some(hash) = self.chain.hash(height) else { return Ok(None) };
        let known = |block: BlockId| {
            self.recent.get(&block.height).filter(|state| state.block_hash() == block.hash).cloned()
        };
        let state = self.store.state_above(self.params, BlockId { height, hash }, known)?;
        if let Some(state) = &state {
            self.recent.insert(height, state.clone());
            while self.recent.len() > KEPT_STATES {
                self.recent.pop_first();
            }
        }
        Ok(state)
    }
}
