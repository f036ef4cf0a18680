use std::sync::Arc;

use dashcore::ChainParams;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use spv_masternodes::chain_lock::VerifiedChainLock;
use tokio::sync::watch;

use super::chain_lock::{LockVerdict, judge_lock};
use super::metrics;
use crate::chain::HeaderChain;
use crate::store::{Store, StoreError, blocking};
use crate::verification::Verification;

/// The highest ChainLock that a verified quorum signed: no chain with another block at its height is followed, however much
/// work it has (Dash Core `CChainLocksHandler`, chainlock/chainlock.cpp).
#[derive(Debug)]
pub(crate) struct ChainLocks {
    store: Arc<Store>,
    params: ChainParams,
    place: Verification,
    best: watch::Receiver<Option<ChainLock>>,
}

impl ChainLocks {
    /// `best` is the highest that the store [has](Store::watch_chain_lock).
    pub(crate) fn new(
        store: Arc<Store>,
        params: &ChainParams,
        place: Verification,
        best: watch::Receiver<Option<ChainLock>>,
    ) -> Self {
        if let Some(best) = &*best.borrow() {
            metrics::locked(best.block_height);
        }
        Self { store, params: params.clone(), place, best }
    }

    /// The highest, as far as is known now.
    pub(crate) fn best(&self) -> Option<ChainLock> {
        self.best.borrow().clone()
    }

    /// Notified of every higher one.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<ChainLock>> {
        self.best.clone()
    }

    /// Takes note of a lock and stores it, if it is the highest.
    ///
    /// # Errors
    /// When the store fails; the lock counts nevertheless.
    ///
    /// # Cancel safety
    /// The lock counts; whether it is stored is not known.
    pub(crate) async fn raise(&self, verified: VerifiedChainLock) -> Result<(), StoreError> {
        let lock = verified.lock();
        if self.store.tell_chain_lock(lock) {
            metrics::locked(lock.block_height);
            tracing::debug!(height = lock.block_height, hash = %lock.block_hash, "ChainLock");
        } else if self.best().as_ref() != Some(lock) {
            return Ok(());
        }
        // Also one that is known already: it may not have been stored, because the disk was full.
        blocking(self.place, &self.store, &self.params, move |store, _| store.save_chain_lock(&verified))
            .await
    }

    /// What the ChainLock of a block of this chain is worth, by what is stored.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn judge(
        &self,
        chain: Arc<HeaderChain>,
        lock: ChainLock,
    ) -> Result<LockVerdict, StoreError> {
        blocking(self.place, &self.store, &self.params, move |store, params| {
            judge_lock(store, params, &chain, &lock)
        })
        .await
    }
}
