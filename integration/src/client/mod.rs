//! What a wallet asks: lists, masternodes, quorums, and who signs what.

mod chain_lock;
mod error;
mod instant_lock;
mod lists;
mod lookups;
pub(crate) mod metrics;
mod quorum;
mod retired;
mod signers;
mod tips;

use std::fmt;
use std::sync::Arc;

use dashcore::ChainParams;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

pub use chain_lock::{LockedBlock, VerifiedLock};
pub use error::{LockError, LookupError, OpenError};
pub use instant_lock::VerifiedInstantLock;
pub use lookups::{At, Masternode};
pub use quorum::{Quorum, QuorumProof, Signer};

pub use crate::plan::RETIRED_INTERVALS;

use crate::config::{Config, ConfigError};
use crate::progress::Progress;
use crate::session::{Environment, Judge, Step, Summary, SyncError, follow_and_judge, sync_with};
use crate::store::Store;
use crate::verification::Verification;
use lists::Lists;

/// A handle to a store and its configuration. It syncs the store and answers lookups from the stored data, also while a
/// sync runs. It is cheap to clone; clones share everything.
///
/// Whatever comes back says how far it is proven. Lists and masternodes are always proven by both merkle roots of a
/// coinbase in the verified header chain. Quorums are proven to be active in the same way, and [`Quorum::proof`] says
/// whether their signatures verify too. A [`Signer`] is only ever a quorum of which both signatures verify.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    /// Where lookups read the store.
    place: Verification,
}

struct Shared {
    config: Config,
    params: ChainParams,
    store: Arc<Store>,
    lists: Lists,
    syncing: Semaphore,
    /// Of the sync that was started last.
    progress: Mutex<Option<Progress>>,
    instant_locks: broadcast::Sender<Arc<VerifiedInstantLock>>,
}

/// InstantSend locks that a receiver may be behind.
const INSTANT_LOCKS_KEPT: usize = 256;

impl Client {
    /// Opens the store in the configured data directory, or creates it. A damaged file is set aside under another name.
    /// This blocks until the store is open.
    ///
    /// # Errors
    /// When the configuration or the database cannot be used.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let params = config.chain_params()?;
        let store = Store::create_or_replace(&config.data_dir()?, &params.network)?;
        Ok(Self::new(params, config, Arc::new(store))?)
    }

    /// Creates a handle to an open store. `params` are those of the store's network; the network in `config` is
    /// ignored.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(params: ChainParams, config: Config, store: Arc<Store>) -> Result<Self, ConfigError> {
        let lists = Lists::new(&config.client, store.clone(), params.clone())?;
        let syncing = Semaphore::new(1);
        let instant_locks = broadcast::Sender::new(INSTANT_LOCKS_KEPT);
        let progress = Mutex::default();
        let shared = Arc::new(Shared { config, params, store, lists, syncing, progress, instant_locks });
        Ok(Self { shared, place: Verification::Threads })
    }

    /// Returns a handle whose lookups read the store on the thread that polls them, which blocks it. For callers that are
    /// on a thread of their own, it saves a change of threads for each of the reads that a lookup consists of.
    pub fn inline(&self) -> Self {
        Self { shared: self.shared.clone(), place: Verification::Inline }
    }

    /// Syncs the store to the state that the configuration requests. A second sync waits for the first, and for
    /// [`follow`](Self::follow) to end.
    ///
    /// # Errors
    /// As for [`sync`](crate::session::sync()).
    ///
    /// # Cancel safety
    /// Everything stored so far stays; connections are dropped. Cancel through `cancel` to have them closed in order.
    pub async fn sync(&self, progress: &Progress, cancel: &CancellationToken) -> Result<Summary, SyncError> {
        self.sync_with(&Environment::default(), progress, cancel).await
    }

    /// Like [`sync`](Self::sync), with an environment of the caller, for example a simulation.
    ///
    /// # Errors
    /// As for [`sync`](crate::session::sync()).
    ///
    /// # Cancel safety
    /// As for [`sync`](Self::sync).
    pub async fn sync_with(
        &self,
        environment: &Environment,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Summary, SyncError> {
        let Shared { config, params, store, syncing, .. } = &*self.shared;
        let _alone = tokio::select! {
            biased;
            permit = syncing.acquire() => permit,
            () = cancel.cancelled() => return Err(SyncError::Interrupted),
        };
        *self.shared.progress.lock() = Some(progress.clone());
        sync_with(environment, params, config, store.clone(), progress, cancel).await
    }

    /// Syncs, and then stays at the tip until it is cancelled. `on_step` gets the result for each tip. It waits for a
    /// running sync, and no other sync can start meanwhile.
    ///
    /// # Errors
    /// As for [`session::follow_with`](crate::session::follow_with).
    ///
    /// # Cancel safety
    /// As for [`sync`](Self::sync).
    pub async fn follow(
        &self,
        progress: &Progress,
        on_step: impl FnMut(&Step),
        cancel: &CancellationToken,
    ) -> Result<(), SyncError> {
        self.follow_with(&Environment::default(), progress, on_step, cancel).await
    }

    /// Like [`follow`](Self::follow), with an environment of the caller, for example a simulation.
    ///
    /// # Errors
    /// As for [`session::follow_with`](crate::session::follow_with).
    ///
    /// # Cancel safety
    /// As for [`sync`](Self::sync).
    pub async fn follow_with(
        &self,
        environment: &Environment,
        progress: &Progress,
        on_step: impl FnMut(&Step),
        cancel: &CancellationToken,
    ) -> Result<(), SyncError> {
        let Shared { config, params, store, syncing, .. } = &*self.shared;
        let _alone = tokio::select! {
            biased;
            permit = syncing.acquire() => permit,
            () = cancel.cancelled() => return Ok(()),
        };
        *self.shared.progress.lock() = Some(progress.clone());
        let judge = config.sync.instant_locks.then(|| Arc::new(self.clone()) as Arc<dyn Judge>);
        follow_and_judge(environment, params, config, store.clone(), progress, on_step, cancel, judge).await
    }

    /// Returns the parameters of the network.
    pub fn params(&self) -> &ChainParams {
        &self.shared.params
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The store.
    pub fn store(&self) -> &Arc<Store> {
        &self.shared.store
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("store", &self.shared.store).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
