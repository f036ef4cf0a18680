use dashcore::ChainParams;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use spv_masternodes::chain_lock::{BestLock, quorums_height, verify_chain_lock};

use crate::headers::HeaderChain;
use crate::store::{Store, StoreError};
use crate::sync::TipLock;

/// Checks the best ChainLock that the tip's coinbase carries; `None` when it carries none.
///
/// # Errors
/// When the store fails.
pub(crate) fn verify_tip_lock(
    store: &Store,
    params: &ChainParams,
    chain: &HeaderChain,
) -> Result<Option<TipLock>, StoreError> {
    let Some(tip) = store.state(params, chain.tip_height())? else { return Ok(None) };
    let Some(best) = tip.coinbase().map(BestLock::of_coinbase) else { return Ok(None) };
    let lock = match best {
        Ok(None) => return Ok(None),
        Ok(Some(lock)) => lock,
        Err(error) => {
            let height = chain.tip_height();
            return Ok(Some(TipLock { height, verified: false, reason: Some(error.to_string()) }));
        }
    };
    let height = lock.block_height;
    let quorums = store.state(params, quorums_height(height))?;
    let outcome = match (quorums, chain.hash(height)) {
        (Some(state), Some(block_hash)) => {
            let lock = ChainLock { block_height: height, block_hash, signature: lock.signature };
            verify_chain_lock(&lock, state.quorums(), params).map(|_| ()).map_err(|error| error.to_string())
        }
        _ => Err("the quorums that may have signed it are not known".to_owned()),
    };
    Ok(Some(TipLock { height, verified: outcome.is_ok(), reason: outcome.err() }))
}
