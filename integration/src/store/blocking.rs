use std::sync::Arc;

use dashcore::ChainParams;

use super::{Store, StoreError};
use crate::verification::Verification;

/// Uses the store where blocking is allowed.
///
/// # Errors
/// Those of `work`, and [`StoreError::Panicked`] where that panics: a damaged file can make the database do so.
pub(crate) async fn blocking<T: Send + 'static>(
    place: Verification,
    store: &Arc<Store>,
    params: &ChainParams,
    work: impl FnOnce(&Store, &ChainParams) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (used, params) = (store.clone(), params.clone());
    let done = place.offload(move || work(&used, &params)).await;
    done.unwrap_or_else(|panicked| Err(store.panicked(&panicked)))
}
