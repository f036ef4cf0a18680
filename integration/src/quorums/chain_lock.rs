use std::collections::BTreeSet;

use dashcore::blockdata::transaction::special_transaction::coinbase::CoinbasePayload;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::{BlockHash, ChainParams, QuorumHash};
use serde::Serialize;
use spv_masternodes::chain_lock::{
    BestLock, ChainLockError, VerifiedChainLock, quorums_height, verify_chain_lock,
};
use spv_masternodes::signing::signing_quorum;
use spv_masternodes::{ProvenState, QuorumSet};

use super::states::States;
use crate::chain::HeaderChain;
use crate::plan::sessions_between;
use crate::store::{Store, StoreError};

/// A ChainLock, and whether the quorum that had to sign it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BestChainLock {
    /// Height of the locked block.
    pub height: u32,
    /// Hash of the locked block; absent where it is below the headers that are held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<BlockHash>,
    /// Whether the quorum that had to sign it did.
    pub verified: bool,
    /// Why it is not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a ChainLock is worth, by what is stored.
#[derive(Debug)]
pub(crate) enum LockVerdict {
    /// The quorum that had to sign it did, and that quorum is verified.
    Verified(VerifiedChainLock),
    /// That quorum is verified and did not sign it.
    Wrong(ChainLockError),
    /// It cannot be told yet.
    Unknown(UnknownSigner),
}

/// Why it cannot be told whether the right quorum signed a ChainLock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnknownSigner {
    #[error("the quorums that may have signed it are not known")]
    Quorums,
    #[error("the quorum that has to sign it is not verified")]
    Unverified,
}

/// Checks the ChainLock of a block of this chain, with the quorums that lists of the same chain show.
///
/// # Errors
/// When the store fails.
pub(crate) fn judge_lock(
    store: &Store,
    params: &ChainParams,
    chain: &HeaderChain,
    lock: &ChainLock,
) -> Result<LockVerdict, StoreError> {
    let mut states = States::new(store, params, chain);
    let near = lists_near(store, chain, quorums_height(lock.block_height))?;
    let Some(state) = locking_quorums(&mut states, params, chain, &near, lock.block_height)? else {
        return Ok(LockVerdict::Unknown(UnknownSigner::Quorums));
    };
    let request_id = ChainLock::request_id(lock.block_height);
    let llmq = params.llmq(params.chain_locks_llmq);
    if let Some(signer) = llmq.and_then(|llmq| signing_quorum(state.quorums(), llmq, &request_id)) {
        let row = store.quorum(signer.entry.llmq_type, signer.entry.quorum_hash, signer.entry_hash)?;
        if !row.is_some_and(|row| row.finding().is_verified()) {
            return Ok(LockVerdict::Unknown(UnknownSigner::Unverified));
        }
    }
    Ok(match verify_chain_lock(lock, state.quorums(), params) {
        Ok(verified) => LockVerdict::Verified(verified),
        Err(error) => LockVerdict::Wrong(error),
    })
}

/// The ChainLock that a coinbase of this chain carries; `None` when it carries none.
///
/// # Errors
/// When it puts the locked block where there can be none.
pub(crate) fn coinbase_lock(
    coinbase: &CoinbasePayload,
    chain: &HeaderChain,
) -> Result<Option<(BestLock, Option<BlockHash>)>, ChainLockError> {
    Ok(BestLock::of_coinbase(coinbase)?.map(|best| (best, chain.hash(best.block_height))))
}

/// Checks the best ChainLock that the tip's coinbase carries; `None` when it carries none. Also gives it where it is
/// verified.
///
/// # Errors
/// When the store fails.
pub(crate) fn verify_tip_lock(
    store: &Store,
    params: &ChainParams,
    chain: &HeaderChain,
) -> Result<Option<(BestChainLock, Option<VerifiedChainLock>)>, StoreError> {
    let height = chain.tip_height();
    let unverified = |height, hash, reason: String| {
        Some((BestChainLock { height, hash, verified: false, reason: Some(reason) }, None))
    };
    let tip = States::new(store, params, chain).get(height)?;
    let (best, hash) = match tip.as_ref().and_then(ProvenState::coinbase).map(|tip| coinbase_lock(tip, chain))
    {
        None | Some(Ok(None)) => return Ok(None),
        Some(Ok(Some(best))) => best,
        Some(Err(error)) => return Ok(unverified(height, None, error.to_string())),
    };
    let block_height = best.block_height;
    let Some(block_hash) = hash else {
        return Ok(unverified(block_height, None, UnknownSigner::Quorums.to_string()));
    };
    let lock = ChainLock { block_height, block_hash, signature: best.signature };
    Ok(match judge_lock(store, params, chain, &lock)? {
        LockVerdict::Verified(verified) => {
            let lock = BestChainLock { height: block_height, hash, verified: true, reason: None };
            Some((lock, Some(verified)))
        }
        LockVerdict::Wrong(error) => unverified(block_height, hash, error.to_string()),
        LockVerdict::Unknown(why) => unverified(block_height, hash, why.to_string()),
    })
}

/// Heights of the stored lists of this chain that are nearest to `height`, below and above.
fn lists_near(store: &Store, chain: &HeaderChain, height: u32) -> Result<BTreeSet<u32>, StoreError> {
    let is_of_chain = |(height, hash): &(u32, BlockHash)| chain.hash(*height) == Some(*hash);
    let [mut below, above] = store.lists_around(height)?;
    // Lists of another branch may lie in between.
    for _ in 0..MAX_OTHERS {
        match below {
            Some((lower, _)) if !below.as_ref().is_some_and(is_of_chain) && lower > 0 => {
                [below, _] = store.lists_around(lower - 1)?;
            }
            _ => break,
        }
    }
    Ok([below, above].into_iter().flatten().filter(is_of_chain).map(|(height, _)| height).collect())
}

/// Lists of another branch that are passed over in search of one of the right chain.
const MAX_OTHERS: usize = 128;

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
