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
use tokio::runtime::Handle;

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

    /// The body of the request, as JSON. A question with a body is a POST.
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
    /// Whether the thread may be blocked.
    is_inline: bool,
}

impl Data {
    pub(crate) const fn new(client: Client, service: Option<Arc<Live>>) -> Self {
        Self { client, service, is_inline: false }
    }

    /// The answer to a question as bytes of JSON. All of it is done on one thread off the runtime.
    pub(crate) async fn answer_as_json<Q: Question + Send + 'static>(
        &self,
        question: Q,
    ) -> Result<Vec<u8>, Problem> {
        let data = Self { client: self.client.inline(), service: self.service.clone(), is_inline: true };
        let runtime = Handle::current();
        let answer = move || {
            let answer = runtime.block_on(question.answer(&data))?;
            serde_json::to_vec(&answer).map_err(|error| internal(&error))
        };
        tokio::task::spawn_blocking(answer).await.unwrap_or_else(|error| Err(internal(&error)))
    }

    /// Uses the store off the runtime.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let store = self.client.store().clone();
        Ok(self.work(move || read(&store)).await??)
    }

    /// Works off the runtime.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        if self.is_inline {
            return Ok(work());
        }
        tokio::task::spawn_blocking(work).await.map_err(|error| internal(&error))
    }
}

fn internal(error: &dyn std::fmt::Display) -> Problem {
    Problem::new("internal", format!("internal error: {error}"))
}
