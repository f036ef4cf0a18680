use std::collections::BTreeMap;

use dashcore::ChainParams;
use spv_masternodes::ProvenState;

use crate::store::{Store, StoreError};

/// States kept: neighbours are often each other's base.
const KEPT_STATES: usize = 16;

/// Reads proven states from the store, best in ascending order.
pub(super) struct States<'a> {
    store: &'a Store,
    params: &'a ChainParams,
    recent: BTreeMap<u32, ProvenState>,
}

impl<'a> States<'a> {
    pub(super) fn new(store: &'a Store, params: &'a ChainParams) -> Self {
        Self { store, params, recent: BTreeMap::new() }
    }

    /// The state at a height; `None` when it is not stored.
    pub(super) fn get(&mut self, height: u32) -> Result<Option<ProvenState>, StoreError> {
        if let Some(state) = self.recent.get(&height) {
            return Ok(Some(state.clone()));
        }
        let known = |height| self.recent.get(&height).cloned();
        let state = self.store.state_above(self.params, height, known)?;
        if let Some(state) = &state {
            self.recent.insert(height, state.clone());
            while self.recent.len() > KEPT_STATES {
                self.recent.pop_first();
            }
        }
        Ok(state)
    }
}
