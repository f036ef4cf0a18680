use std::sync::Arc;

use dashcore::ChainParams;

use crate::chain::HeaderChain;
use crate::store::{Store, StoreError, blocking};
use crate::verification::Verification;

/// Stores validated headers before their lists are proven, so that a download that is cut off goes on where it was.
#[derive(Debug)]
pub(super) struct Ahead {
    store: Arc<Store>,
    params: ChainParams,
    place: Verification,
}

impl Ahead {
    /// Stores them in this database.
    pub(super) fn new(store: Arc<Store>, params: &ChainParams, place: Verification) -> Self {
        Self { store, params: params.clone(), place }
    }

    /// `chain`, continued by the stored headers above it.
    pub(super) async fn on_top_of(&self, chain: HeaderChain) -> HeaderChain {
        let fallback = chain.clone();
        self.use_store(|store| store.with_ahead(chain)).await.unwrap_or(fallback)
    }

    /// Stores the headers of a chain.
    ///
    /// # Cancel safety
    /// What has begun is finished in the background.
    pub(super) async fn save(&self, chain: Arc<HeaderChain>) {
        self.use_store(move |store| store.save_ahead(&chain)).await;
    }

    /// Stores the headers below the start of a chain.
    ///
    /// # Cancel safety
    /// As for [`save`](Self::save).
    pub(super) async fn save_start(&self, chain: Arc<HeaderChain>) {
        self.use_store(move |store| store.save_ancestry(&chain)).await;
    }

    /// That headers may have to be downloaded again is no reason to end: a store that fails does so again where it matters.
    async fn use_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Option<T> {
        let done = blocking(self.place, &self.store, &self.params, |store, _| work(store)).await;
        done.inspect_err(
            |error| tracing::warn!(%error, "headers cannot be stored; they will be downloaded again"),
        )
        .ok()
    }
}
