use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ChainParams;
use futures::FutureExt;
use futures::future::Fuse;
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use super::connected::{connect, start_verifier};
use super::end_state::EndState;
use super::environment::Environment;
use super::error::SyncError;
use crate::config::Settings;
use crate::fleet::{PeerSources, Peers};
use crate::lists::{Downloaded, ListDownload};
use crate::panicked::contained_future;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::store::{Store, StoreError};
use crate::verify::Verifier;

/// The engine of a sync without what comes before and after: connections that stay, over which lists of plans that were
/// made elsewhere are downloaded, proven and stored. For measuring it, and for programs that follow headers themselves.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    peers: Arc<Peers>,
    verifier: Arc<Verifier>,
    store_failed: Fuse<oneshot::Receiver<StoreError>>,
    follower: Fuse<AbortOnDropHandle<SyncError>>,
}

/// What a download came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Download {
    /// How the sync ended.
    pub state: EndState,
    /// Lists proven and stored.
    pub lists: u64,
    /// Attempts that were made again after a failure.
    pub retried: u64,
    /// Answers that came after their soft timeout.
    pub late: u64,
    /// Copies that were sent to a second peer, since the session was opened.
    pub hedged: u64,
    /// Longest time from a request to knowing that it was refused, since the session was opened.
    pub slowest_refusal: Option<Duration>,
}

impl Session {
    /// Connects to all addresses, and waits until one can be asked and the others had their chance.
    ///
    /// # Errors
    /// When a setting is out of range.
    ///
    /// # Cancel safety
    /// Connections are dropped.
    pub async fn open(
        environment: &Environment,
        params: &ChainParams,
        addresses: &[SocketAddr],
        store: Arc<Store>,
        settings: Settings,
    ) -> Result<Self, SyncError> {
        let sources = PeerSources::of(addresses.to_vec());
        let (peers, follow) = connect(environment, params, sources, 0, &settings, None)?;
        let (verifier, store_failed) = start_verifier(params, store, &settings, environment.verification)?;
        let session = Self {
            settings,
            peers,
            verifier: Arc::new(verifier),
            store_failed: store_failed.fuse(),
            follower: AbortOnDropHandle::new(tokio::spawn(follow)).fuse(),
        };
        // Without anybody to ask, the first download says so.
        if session.peers.ready().await {
            session.peers.gathered().await;
        }
        Ok(session)
    }

    /// Downloads the lists of a plan.
    ///
    /// # Errors
    /// When the store fails. Failures of peers are no errors of this kind: they end in the download's state.
    ///
    /// # Cancel safety
    /// Lists that were stored stay; all else is lost.
    pub async fn download(&mut self, plan: Plan, progress: &Progress) -> Result<Download, SyncError> {
        progress.planned(plan.heights.len() as u64, 0);
        let download = ListDownload::new(self.peers.clone(), &self.verifier, plan, &self.settings, progress)?;
        let Downloaded { tally, outcome, .. } = tokio::select! {
            biased;
            downloaded = contained_future(download.run()) => {
                downloaded.map_err(|panic| SyncError::panicked("the download", &panic))?
            }
            failed = &mut self.follower => {
                let panicked = |error: JoinError| SyncError::panicked("a task of peers", &error.into());
                return Err(failed.unwrap_or_else(panicked));
            }
            Ok(error) = &mut self.store_failed => return Err(error.into()),
        };
        Ok(Download {
            state: outcome.into(),
            lists: tally.lists,
            retried: tally.retried,
            late: tally.late,
            hedged: self.peers.hedged(),
            slowest_refusal: self.peers.reports().values().filter_map(|report| report.slowest_refusal).max(),
        })
    }

    /// Ends all connections and waits until every task has ended.
    ///
    /// # Cancel safety
    /// Closing goes on when the future is dropped.
    pub async fn close(self) {
        self.peers.stop().await;
        drop(self.follower);
        if let Some(verifier) = Arc::into_inner(self.verifier) {
            verifier.stop().await;
        }
    }
}
