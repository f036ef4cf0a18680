use std::sync::Arc;

use dashcore::ChainParams;

use super::{Store, StoreError};

/// Uses the store where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    store: &Arc<Store>,
    params: &ChainParams,
    work: impl FnOnce(&Store, &ChainParams) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (store, params) = (store.clone(), params.clone());
    match tokio::task::spawn_blocking(move || work(&store, &params)).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
