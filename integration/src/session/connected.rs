use std::sync::Arc;

use dashcore::ChainParams;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::contacts::find_contacts;
use super::io::Io;
use super::run::{Run, SyncError};
use crate::config::{Config, REPLACEMENTS};
use crate::fleet::Peers;
use crate::net::Announcement;
use crate::progress::Progress;
use crate::store::{Store, StoreError, blocking};
use crate::verify::{Verification, Verifier};

/// What lasts longer than one run: connections and the store.
pub(super) struct Connected<'a> {
    pub(super) config: &'a Config,
    pub(super) params: ChainParams,
    pub(super) store: Arc<Store>,
    pub(super) progress: &'a Progress,
    pub(super) peers: Arc<Peers>,
    pub(super) verification: Verification,
}

impl<'a> Connected<'a> {
    /// Finds peers and starts connecting to them. The returned future follows the connections and has to be polled for
    /// as long as they are used.
    ///
    /// # Errors
    /// When the configuration or the store cannot be used, or there is nobody to turn to.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub(super) async fn start(
        io: &Io,
        params: &ChainParams,
        config: &'a Config,
        store: Arc<Store>,
        progress: &'a Progress,
        announcements: Option<mpsc::Sender<Announcement>>,
    ) -> Result<(Self, impl Future<Output = ()> + use<>), SyncError> {
        config.sync.validate()?;
        let contacts = find_contacts(config, params, &store, io).await?;
        let start_height = store.tip()?.map_or(0, |(height, _)| height);
        let (peers, keep_up) = Peers::start(
            params,
            contacts,
            start_height,
            &config.sync,
            &io.connector,
            io.rng(),
            announcements,
        )?;
        progress.show(&peers);
        let (params, verification) = (params.clone(), io.verification);
        Ok((Self { config, params, store, progress, peers, verification }, keep_up))
    }

    /// Uses the store where blocking is allowed.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store, &ChainParams) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        blocking(&self.store, &self.params, work).await
    }

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
        let run = Run { connected: self, verifier: verifier.clone(), started: Instant::now() };
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
