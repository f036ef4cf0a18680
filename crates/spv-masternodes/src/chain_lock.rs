//! ChainLocks: blocks that a quorum declared final.

use dashcore::ChainParams;
use dashcore::blockdata::transaction::special_transaction::coinbase::CoinbasePayload;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::ephemerealdata::chain_lock::ChainLock;

use crate::bls::BlsScheme;
use crate::quorum_set::{ActiveQuorum, QuorumSet};
use crate::signing::{SignatureError, signing_quorum, verify_signature};

/// The best ChainLock that a coinbase carries, but for the locked block's hash, which the caller's header chain knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BestLock {
    /// Height of the locked block.
    pub block_height: u32,
    /// The ChainLock's signature.
    pub signature: BLSSignature,
}

impl BestLock {
    /// The lock in this coinbase; `None` if it has none, as before v20 and on networks without ChainLocks.
    ///
    /// # Errors
    /// When the coinbase says that it has none, but of some height, or when the height is below genesis.
    pub fn of_coinbase(coinbase: &CoinbasePayload) -> Result<Option<Self>, ChainLockError> {
        let Some(lock) = &coinbase.chain_lock else { return Ok(None) };
        let (height, height_diff) = (coinbase.height, lock.best_cl_height_diff);
        let out_of_range = ChainLockError::HeightOutOfRange { height, height_diff };
        if lock.best_cl_signature.is_zeroed() {
            return if height_diff == 0 { Ok(None) } else { Err(out_of_range) };
        }
        let below = u32::try_from(height).ok().and_then(|height| height.checked_sub(1));
        let block_height =
            below.zip(u32::try_from(height_diff).ok()).and_then(|(below, diff)| below.checked_sub(diff));
        match block_height {
            Some(block_height) => Ok(Some(Self { block_height, signature: lock.best_cl_signature })),
            None => Err(out_of_range),
        }
    }
}

/// A ChainLock that the quorum signed which had to. Only [`verify_chain_lock`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedChainLock {
    lock: ChainLock,
    quorum: ActiveQuorum,
}

impl VerifiedChainLock {
    /// The lock.
    pub fn lock(&self) -> &ChainLock {
        &self.lock
    }

    /// The quorum that signed it.
    pub fn quorum(&self) -> &ActiveQuorum {
        &self.quorum
    }
}

/// Height at which the quorums have to be known that may lock the block at `block_height`.
pub fn quorums_height(block_height: u32) -> u32 {
    block_height.saturating_sub(SIGNING_DEPTH)
}

/// Checks that the quorum which had to sign a ChainLock did. `quorums` are those active at [`quorums_height`] of the
/// lock's block.
///
/// It proves the block to whoever trusts the quorum's key: the roots of the state that `quorums` is from vouch for
/// it, and if the quorum is verified, its members too.
///
/// # Errors
/// When there is no quorum that could sign, its key is none, or the signature is malformed or wrong.
pub fn verify_chain_lock(
    lock: &ChainLock,
    quorums: &QuorumSet,
    params: &ChainParams,
) -> Result<VerifiedChainLock, ChainLockError> {
    let block_height = lock.block_height;
    let request_id = ChainLock::request_id(block_height);
    let quorum = params
        .llmq(params.chain_locks_llmq)
        .and_then(|llmq| signing_quorum(quorums, llmq, &request_id))
        .ok_or(ChainLockError::NoQuorum { block_height })?;
    let message_hash = lock.block_hash.as_byte_array();
    let scheme = BlsScheme::after(block_height, params);
    verify_signature(&quorum.entry, &request_id, message_hash, &lock.signature, scheme)
        .map_err(|source| ChainLockError::Signature { block_height, source })?;
    Ok(VerifiedChainLock { lock: lock.clone(), quorum: quorum.clone() })
}

/// Why a ChainLock is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainLockError {
    /// A coinbase puts its ChainLock where there is no block, or a missing one anywhere.
    #[error("the coinbase at height {height} has a chainlock {height_diff} blocks below the block before")]
    HeightOutOfRange {
        /// Height of the coinbase.
        height: i32,
        /// Blocks between the block before and the locked one.
        height_diff: u64,
    },
    /// No quorum is active that could lock this block.
    #[error("no quorum is active that could lock the block at height {block_height}")]
    NoQuorum {
        /// Height of the block.
        block_height: u32,
    },
    /// The signature is not the quorum's, or the quorum has no key.
    #[error("chainlock of the block at height {block_height}")]
    Signature {
        /// Height of the block.
        block_height: u32,
        /// What is wrong with it.
        source: SignatureError,
    },
}

/// Blocks that a quorum has to be old before it signs for a block, so that all nodes agree which quorums there are.
const SIGNING_DEPTH: u32 = 8;

#[cfg(test)]
mod tests {
    use dashcore::blockdata::transaction::special_transaction::coinbase::BestChainLock;

    use super::*;

    fn best_lock(height: i32, height_diff: u64, signature: u8) -> Result<Option<u32>, ChainLockError> {
        let coinbase = CoinbasePayload {
            version: 3,
            height,
            merkle_root_masternode_list: Default::default(),
            merkle_root_quorums: None,
            chain_lock: Some(BestChainLock {
                best_cl_height_diff: height_diff,
                best_cl_signature: BLSSignature::from_bytes([signature; 96]),
                asset_locked_amount: 0,
            }),
            merkle_root_asset_unlocks: None,
            unknown: Vec::new(),
        };
        Ok(BestLock::of_coinbase(&coinbase)?.map(|lock| lock.block_height))
    }

    #[test]
    fn the_locked_height_counts_from_the_block_before() {
        assert_eq!(best_lock(100, 0, 1), Ok(Some(99)));
        assert_eq!(best_lock(100, 99, 1), Ok(Some(0)));
        assert_eq!(best_lock(100, 0, 0), Ok(None));
    }

    #[test]
    fn a_height_that_cannot_be_is_refused() {
        for (height, height_diff, signature) in
            [(100, 100, 1), (100, u64::MAX, 1), (0, 0, 1), (-1, 0, 1), (100, 1, 0)]
        {
            let error = ChainLockError::HeightOutOfRange { height, height_diff };
            assert_eq!(best_lock(height, height_diff, signature), Err(error));
        }
    }
}
