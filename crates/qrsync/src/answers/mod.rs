//! Questions and their answers, for the command line and the service alike: what can be asked, how it is filtered and
//! sorted, and the shapes of the answers. `schemas/` describes these.

mod block;
mod chain_lock;
mod diff;
mod masternode;
mod masternodes;
mod peers;
pub(crate) mod problem;
mod quorums;
mod signer;
mod sort;
mod status;
mod verify;

use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use spv_integration::Client;
use spv_integration::store::{Store, StoreError};

use crate::live::Live;

pub(crate) use chain_lock::AskChainLock;
pub(crate) use diff::{AskDiff, DiffQuery};
pub(crate) use masternode::{Masternode, Platform};
pub(crate) use masternodes::{AskMasternode, AskMasternodes, AtHeight, MasternodesQuery};
pub(crate) use peers::AskPeers;
pub(crate) use problem::Problem;
pub(crate) use quorums::{AskQuorum, AskQuorums, Quorum, QuorumsQuery};
pub(crate) use signer::{
    AskChainLockSigner, AskInstantLockSigner, AskPlatformSigner, ChainLockQuery, InstantLockQuery,
    PlatformQuery,
};
pub(crate) use status::{AskStatus, StatusAnswer};
pub(crate) use verify::{AskVerify, Lock, SignedLock};

/// Something that can be asked of data, here or of a service that has it.
pub(crate) trait Question: Sync {
    /// What stands behind the `?`.
    type Query: Serialize + DeserializeOwned + Sync;
    type Answer: Serialize + DeserializeOwned + Send + 'static;

    /// Path at the service.
    fn path(&self) -> String;

    fn query(&self) -> &Self::Query;

    /// What is sent along, as JSON; then it is a POST.
    fn body(&self) -> Option<String> {
        None
    }

    fn answer(&self, data: &Data) -> impl Future<Output = Result<Self::Answer, Problem>> + Send;
}

/// No keys behind the `?`.
#[derive(Debug, Clone, Copy, Default, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

/// What questions are answered from.
#[derive(Clone)]
pub(crate) struct Data {
    pub(crate) client: Client,
    /// The service, if one has the data.
    pub(crate) service: Option<Arc<Live>>,
}

impl Data {
    /// Uses the store off the runtime.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let store = self.client.store().clone();
        let done = tokio::task::spawn_blocking(move || read(&store)).await;
        let done = done.map_err(|error| Problem::new("internal", format!("internal error: {error}")))?;
        Ok(done?)
    }

    /// The answer to a question as bytes of JSON.
    pub(crate) async fn answer_as_json<Q: Question>(&self, question: &Q) -> Result<Vec<u8>, Problem> {
        let answer = question.answer(self).await?;
        let json = self.work(move || serde_json::to_vec(&answer)).await?;
        json.map_err(|error| Problem::new("internal", format!("internal error: {error}")))
    }

    /// Works off the runtime.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Problem::new("internal", format!("internal error: {error}")))
    }
}
