//! Policies of other clients, each by its published rules, over the client that they share.

mod brief;
mod dash_spv;
mod neutrino;
mod sequential;
mod tower_stack;
mod unordered;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use spv_integration::plan::Work;
use spv_integration::verify::Prover;

use crate::client::Client;

pub(crate) use brief::Brief;
pub(crate) use dash_spv::DashSpv;
pub(crate) use neutrino::Neutrino;
pub(crate) use sequential::Sequential;
pub(crate) use tower_stack::TowerStack;
pub(crate) use unordered::Unordered;

/// Who is asked what, when, and how long is waited. What it learnt stays from one fetch to the next.
pub(crate) trait Policy: Send {
    /// Fetches and proves all of it.
    fn fetch<'a>(&'a mut self, works: &'a [Arc<Work>]) -> BoxFuture<'a, Result<(), GaveUp>>;
}

/// The policy has no try left for some request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no try left")]
pub(crate) struct GaveUp;

/// What every policy works with.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The connections.
    pub(crate) client: Arc<Client>,
    /// Verification, the same for all.
    pub(crate) prover: Arc<Prover>,
    /// Seed of what the policy draws.
    pub(crate) seed: u64,
}

impl Surroundings {
    /// Whether an answer is proven right. Waits for the list that it is based on.
    async fn proves(&self, work: &Arc<Work>, payload: Bytes) -> bool {
        self.prover.prove(work.clone(), payload).await.is_ok()
    }
}

/// Which rival, with the numbers that its documents leave open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "policy")]
pub(crate) enum Rival {
    /// One request at a time, to one peer, with dash-spv's ladder of timeouts.
    Sequential,
    /// One request at a time, each to the next peer.
    SequentialRotating,
    /// A bound on all requests together, round robin, a timeout and retries.
    Unordered {
        /// Seconds.
        timeout: f64,
    },
    /// The executor of the project's first sketch: a semaphore and a `JoinSet`, then rounds of retries.
    Brief {
        /// Seconds.
        timeout: f64,
    },
    /// Tower: limits, timeouts, peak EWMA with two choices, retries with a budget, hedging.
    TowerStack {
        /// Seconds.
        timeout: f64,
        /// Hedge what is slower than this share of all; none: no hedging.
        hedge: Option<f32>,
    },
    /// Neutrino's: the best-ranked free peer, timeouts that double.
    Neutrino {
        /// Requests per peer.
        per_peer: usize,
        /// Seconds, of the first try.
        timeout: f64,
    },
    /// dash-spv of May 2026.
    DashSpv,
}

impl Rival {
    /// The policy, at its beginning.
    pub(crate) fn policy(&self, surroundings: Surroundings) -> Box<dyn Policy> {
        match *self {
            Self::Sequential => Box::new(Sequential::new(surroundings, false)),
            Self::SequentialRotating => Box::new(Sequential::new(surroundings, true)),
            Self::Unordered { timeout } => Box::new(Unordered::new(surroundings, seconds(timeout))),
            Self::Brief { timeout } => Box::new(Brief::new(surroundings, seconds(timeout))),
            Self::TowerStack { timeout, hedge } => {
                Box::new(TowerStack::new(surroundings, seconds(timeout), hedge))
            }
            Self::Neutrino { per_peer, timeout } => {
                Box::new(Neutrino::new(surroundings, per_peer, seconds(timeout)))
            }
            Self::DashSpv => Box::new(DashSpv::new(surroundings)),
        }
    }
}

/// Requests per peer, the same for all who go by peers.
pub(crate) const PER_PEER: usize = 3;
/// Tries of one request, the same for all who count them; our client's default.
const MAX_ATTEMPTS: u32 = 20;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
