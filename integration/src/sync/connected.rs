use std::sync::Arc;

use dashcore::ChainParams;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::download::REPLACEMENTS;
use super::io::Verification;
use super::peers::Peers;
use super::progress::Progress;
use super::run::{Run, SyncError};
use crate::config::Config;
use crate::store::Store;
use crate::verify::Verifier;

/// What lasts longer than one run: connections and the store.
pub(super) struct Connected<'a> {
    pub(super) config: &'a Config,
    pub(super) params: ChainParams,
    pub(super) store: Arc<Store>,
    pub(super) progress: &'a Progress,
    pub(super) peers: Arc<Peers>,
    pub(super) verification: Verification,
}

impl Connected<'_> {
    /// Carries out one piece of work with verification of its own, of which nothing is left afterwards.
    ///
    /// # Errors
    /// Those of the work and of the store, and [`SyncError::Interrupted`] when it was cancelled.
    ///
    /// # Cancel safety
    /// Through `cancel`, everything proven so far is stored before this returns. Dropped, it may be stored later.
    pub(super) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&Run<'_>) -> Result<T, SyncError>,
        cancel: &CancellationToken,
    ) -> Result<T, SyncError> {
        let capacity = self.config.sync.window + REPLACEMENTS;
        let (verifier, store_failed) =
            Verifier::start(&self.params, self.store.clone(), capacity, self.verification);
        let verifier = Arc::new(verifier);
        let run = Run {
            config: self.config,
            params: self.params.clone(),
            store: self.store.clone(),
            progress: self.progress,
            peers: self.peers.clone(),
            verifier: verifier.clone(),
            verification: self.verification,
            started: Instant::now(),
        };
        let result = tokio::select! {
            biased;
            result = work(&run) => result,
            Ok(error) = store_failed => Err(error.into()),
            () = cancel.cancelled() => Err(SyncError::Interrupted),
        };
        drop(run);
        if let Some(verifier) = Arc::into_inner(verifier) {
            verifier.stop().await;
        }
        result
    }
}
