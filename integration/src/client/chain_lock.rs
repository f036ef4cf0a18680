use dashcore::BlockHash;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use tokio::sync::watch;

use super::Client;
use super::error::{LockError, LookupError};
use super::quorum::{Signer, first_that_signed};
use crate::store::{Store, StoreError};

/// A ChainLock whose signature by the required quorum was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedLock {
    /// The quorum.
    pub signer: Signer,
    /// Where the locked block is.
    pub block: LockedBlock,
}

/// Relation of the block of a ChainLock to the stored chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockedBlock {
    /// The block is in the stored chain.
    Stored,
    /// The stored chain has another block at that height. So the stored chain is not the network's, and the next sync
    /// leaves it.
    OtherBranch {
        /// The stored block.
        stored: BlockHash,
    },
    /// The block is below the stored headers, or above the stored tip.
    Unknown,
}

impl Client {
    /// Checks a ChainLock, and returns the quorum that signed it and whether the stored chain has its block.
    ///
    /// # Errors
    /// When the lock is wrong, contradicts one that is verified already, or it cannot be told from what is stored who has
    /// to sign it.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn verify_chain_lock(&self, lock: &ChainLock) -> Result<VerifiedLock, LockError> {
        let (height, hash) = (lock.block_height, lock.block_hash);
        let read = self.read(move |store| Ok((store.block_hash(height)?, is_locked(store, height)?)));
        let (stored, is_locked) = read.await?;
        let other = stored.filter(|stored| *stored != hash);
        if let Some(locked) = other.filter(|_| is_locked) {
            return Err(LockError::Abandoned { height, locked });
        }
        let (signers, error) = self.chain_lock_candidates(height).await?;
        let request_id = ChainLock::request_id(height);
        let signature = lock.signature;
        // Off the runtime: a pairing takes milliseconds.
        let check =
            self.read(move |_| Ok(first_that_signed(signers, &request_id, hash.as_byte_array(), &signature)));
        let signer = match (check.await?, error) {
            (Ok(signer), _) => signer,
            // As long as one of those who may have signed is not known, nothing is wrong.
            (Err(_), Some(error)) => return Err(error.into()),
            (Err(wrong), None) => return Err(wrong.into()),
        };
        let block = match (stored, other) {
            (_, Some(stored)) => LockedBlock::OtherBranch { stored },
            (Some(_), None) => LockedBlock::Stored,
            (None, None) => LockedBlock::Unknown,
        };
        Ok(VerifiedLock { signer, block })
    }

    /// Tells whether the block of the stored chain at this height is at or below a block that a verified ChainLock locks,
    /// so that no reorganisation replaces it.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn is_chain_locked(&self, height: u32) -> Result<bool, LookupError> {
        self.read(move |store| is_locked(store, height)).await
    }

    /// Returns a receiver of the highest verified ChainLock, now and whenever a sync or a follower finds a higher one.
    /// A slow receiver sees only the newest one. The lock that is there already counts as a change, so a loop over
    /// `changed` begins with it.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn chain_locks(&self) -> Result<watch::Receiver<Option<ChainLock>>, LookupError> {
        let mut locks = self.read(|store| store.watch_chain_lock()).await?;
        if locks.borrow().is_some() {
            locks.mark_changed();
        }
        Ok(locks)
    }
}

/// What lies below a locked block is locked with it.
fn is_locked(store: &Store, height: u32) -> Result<bool, StoreError> {
    let best = store.chain_lock()?.filter(|best| height <= best.block_height);
    Ok(match best {
        Some(best) => store.block_hash(best.block_height)? == Some(best.block_hash),
        None => false,
    })
}
