use std::sync::Arc;

use dashcore::ChainParams;

use super::{Store, StoreError};
use crate::verification::Verification;

/// Uses the store where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    place: Verification,
    store: &Arc<Store>,
    params: &ChainParams,
    work: impl FnOnce(&Store, &ChainParams) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (store, params) = (store.clone(), params.clone());
    place.offload(move || work(&store, &params)).await.unwrap_or_else(|panicked| panicked.resume())
}
