use std::sync::Arc;
use std::time::Duration;

use dashcore::ChainParams;
use tokio::time::Instant;

use super::environment::Environment;
use super::error::SyncError;
use crate::store::{Store, StoreError, blocking};

/// A database that is damaged again this soon is damaged by what does not end by beginning anew.
const SOON: Duration = Duration::from_secs(3_600);

/// What is done about a store that turns out to be damaged while it is used: what it holds are public data, which can be
/// had again.
#[derive(Debug, Default)]
pub(super) struct Damage {
    last: Option<Instant>,
}

impl Damage {
    /// Sets a damaged store aside, so that there is an empty one and it makes sense to begin anew.
    ///
    /// # Errors
    /// `failed` itself where it is about something else, or the store was damaged not long ago.
    pub(super) async fn mend(
        &mut self,
        failed: SyncError,
        environment: &Environment,
        params: &ChainParams,
        store: &Arc<Store>,
    ) -> Result<(), SyncError> {
        let reason = match failed {
            SyncError::Store(reason) if reason.is_damage() && !self.is_recent() => reason,
            failed => return Err(failed),
        };
        self.last = Some(Instant::now());
        let start_anew =
            move |store: &Store, _: &ChainParams| -> Result<(), StoreError> { store.start_anew(&reason) };
        Ok(blocking(environment.verification, store, params, start_anew).await?)
    }

    fn is_recent(&self) -> bool {
        self.last.is_some_and(|last| last.elapsed() < SOON)
    }
}
