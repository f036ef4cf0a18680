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
    best: watch::Sender<Option<ChainLock>>,
}

impl ChainLocks {
    /// Begins with the one that is stored.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn open(
        store: Arc<Store>,
        params: &ChainParams,
        place: Verification,
    ) -> Result<Self, StoreError> {
        let best = store.chain_lock()?;
        if let Some(best) = &best {
            metrics::locked(best.block_height);
        }
        Ok(Self { store, params: params.clone(), place, best: watch::Sender::new(best) })
    }

    /// The highest, as far as is known now.
    pub(crate) fn best(&self) -> Option<ChainLock> {
        self.best.borrow().clone()
    }

    /// Notified of every higher one.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<ChainLock>> {
        self.best.subscribe()
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
        let is_higher = self.best.send_if_modified(|best| {
            let is_higher = best.as_ref().is_none_or(|best| best.block_height < lock.block_height);
            if is_higher {
                *best = Some(lock.clone());
            }
            is_higher
        });
        if !is_higher {
            return Ok(());
        }
        metrics::locked(lock.block_height);
        tracing::debug!(height = lock.block_height, hash = %lock.block_hash, "ChainLock");
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
