use std::collections::BTreeSet;

use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::{ChainParams, QuorumHash};
use serde::Serialize;
use spv_masternodes::chain_lock::{BestLock, quorums_height, verify_chain_lock};
use spv_masternodes::{ProvenState, QuorumSet};

use super::sessions::sessions_between;
use super::states::States;
use crate::chain::HeaderChain;
use crate::store::{Store, StoreError};

/// A ChainLock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TipLock {
    /// Height of the locked block.
    pub height: u32,
    /// Whether the quorum that had to sign it did.
    pub verified: bool,
    /// Why it is not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Checks the best ChainLock that the tip's coinbase carries; `None` when it carries none. `proven` are the heights of
/// all lists that are stored.
///
/// # Errors
/// When the store fails.
pub(crate) fn verify_tip_lock(
    store: &Store,
    params: &ChainParams,
    chain: &HeaderChain,
    proven: &BTreeSet<u32>,
) -> Result<Option<TipLock>, StoreError> {
    let mut states = States::new(store, params, chain);
    let Some(tip) = states.get(chain.tip_height())? else { return Ok(None) };
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
    let quorums = locking_quorums(&mut states, params, chain, proven, height)?;
    let outcome = match (quorums, chain.hash(height)) {
        (Some(state), Some(block_hash)) => {
            let lock = ChainLock { block_height: height, block_hash, signature: lock.signature };
            verify_chain_lock(&lock, state.quorums(), params).map(|_| ()).map_err(|error| error.to_string())
        }
        _ => Err("the quorums that may have signed it are not known".to_owned()),
    };
    Ok(Some(TipLock { height, verified: outcome.is_ok(), reason: outcome.err() }))
}

/// A stored state with the quorums that may lock the block at `locked`: that of the height at which they are chosen, or
/// one next to it since or before which no other can have been mined.
pub(super) fn locking_quorums(
    states: &mut States<'_>,
    params: &ChainParams,
    chain: &HeaderChain,
    proven: &BTreeSet<u32>,
    locked: u32,
) -> Result<Option<ProvenState>, StoreError> {
    let wanted = quorums_height(locked);
    let neighbours = [proven.range(..=wanted).next_back(), proven.range(wanted..).next()];
    for &height in neighbours.into_iter().flatten() {
        if let Some(state) = states.get(height)?
            && same_locking_quorums(state.quorums(), height, wanted, params, chain)
        {
            return Ok(Some(state));
        }
    }
    Ok(None)
}

/// Whether the quorums that sign ChainLocks must be the same at `wanted` as at `height`, which `quorums` are of: blocks
/// carry commitments only in a session's mining window, so only sessions count whose window lies between.
fn same_locking_quorums(
    quorums: &QuorumSet,
    height: u32,
    wanted: u32,
    params: &ChainParams,
    chain: &HeaderChain,
) -> bool {
    let Some(llmq) = params.llmq(params.chain_locks_llmq).filter(|llmq| !llmq.rotated) else {
        return height == wanted;
    };
    let (after, until) = (height.min(wanted), height.max(wanted));
    // What was there at the beginning is not mined again; what is not there at the end was not mined.
    let expected = height == after;
    sessions_between(llmq, after, until).all(|base| {
        chain
            .hash(base)
            .is_some_and(|hash| quorums.get(llmq.llmq_type, QuorumHash::from(hash)).is_some() == expected)
    })
}

#[cfg(test)]
mod tests {
    use dashcore::network::message_sml::GetMnListDiff;
    use spv_masternodes::{BlockRef, CheckedDiff};
    use spv_simnet::{GeneratedSpec, World};

    use super::*;

    #[test]
    fn no_other_quorums_than_those_taken_for_the_same_can_lock() {
        let world = std::sync::Arc::new(World::generate(&GeneratedSpec {
            masternodes: 8,
            cycles: 12,
            seed: 3,
            ..GeneratedSpec::default()
        }));
        let params = world.params();
        let mut chain = HeaderChain::starting_at_or_below(params, 0);
        let headers = (1..=world.tip())
            .map(|height| (*world.header(height).unwrap(), world.block_hash(height).unwrap()));
        let (headers, hashes): (Vec<_>, Vec<_>) = headers.unzip();
        chain.extend(&headers, &hashes, u32::MAX).unwrap();
        let active = world.active_chain();
        let genesis = ProvenState::genesis(params.genesis_hash);
        let states: Vec<(u32, ProvenState)> = (world.tip() - 100..=world.tip())
            .map(|height| {
                let hash = world.block_hash(height).unwrap();
                let request = GetMnListDiff { base_block_hash: params.genesis_hash, block_hash: hash };
                let block = BlockRef { hash, header: world.header(height).unwrap(), height };
                let diff = CheckedDiff::check(active.mn_list_diff(&request).unwrap(), block).unwrap();
                (height, genesis.advance(&diff).unwrap())
            })
            .collect();
        let locking = |state: &ProvenState| {
            let quorums = state.quorums().of_type(params.chain_locks_llmq);
            quorums.map(|quorum| quorum.entry.quorum_hash).collect::<Vec<_>>()
        };
        let (mut same, mut unknown) = (0, 0);
        for (height, state) in &states {
            for (wanted, other) in &states {
                if same_locking_quorums(state.quorums(), *height, *wanted, params, &chain) {
                    assert_eq!(locking(state), locking(other), "{height} for {wanted}");
                    same += 1;
                } else if locking(state) == locking(other) {
                    unknown += 1;
                }
            }
        }
        assert!(same > unknown, "{same} found to be the same, {unknown} not");
    }
}
