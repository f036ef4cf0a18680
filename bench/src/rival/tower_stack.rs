use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use futures::stream::{self, Stream, StreamExt};
use spv_integration::plan::Work;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::Change;
use tower::hedge::Hedge;
use tower::limit::ConcurrencyLimit;
use tower::load::{CompleteOnResponse, PeakEwma};
use tower::retry::Retry;
use tower::retry::budget::{Budget, TpsBudget};
use tower::timeout::Timeout;
use tower::util::BoxCloneSyncService;
use tower::util::rng::HasherRng;
use tower::{BoxError, Service, ServiceExt};

use super::{GaveUp, MAX_ATTEMPTS, PER_PEER, Policy, Surroundings};
use crate::client::Client;

/// A client made of tower's parts, put together as Zebra does: per peer a concurrency limit, a timeout and a load
/// measured by peak EWMA; over them a balancer with the power of two choices, retries with a budget, and hedging
/// outside.
pub(crate) struct TowerStack {
    surroundings: Surroundings,
    service: BoxCloneSyncService<Arc<Work>, Bytes, BoxError>,
    _followers: Vec<AbortOnDropHandle<()>>,
}

/// Zebra's, as far as it names them.
const EWMA_DECAY: Duration = Duration::from_secs(200);
const MIN_HEDGE_SAMPLES: u64 = 20;
const HEDGE_PERIOD: Duration = Duration::from_secs(10);
/// A retry for every answer, and ten per second at any rate: enough for half of all answers to fail.
const RETRY_BUDGET: (Duration, u32, f32) = (Duration::from_secs(10), 10, 1.0);

impl TowerStack {
    pub(super) fn new(surroundings: Surroundings, timeout: Duration, hedge: Option<f32>) -> Self {
        let client = &surroundings.client;
        let (changes, discovered) = mpsc::unbounded_channel();
        let follow = |peer| follow(client.clone(), peer, timeout, changes.clone());
        let followers =
            (0..client.peers()).map(|peer| AbortOnDropHandle::new(tokio::spawn(follow(peer)))).collect();
        let rng = HasherRng::with_hasher(BuildHasherDefault::<DefaultHasher>::new());
        let balance = Balance::from_rng(Box::pin(discover(discovered)), rng);
        let buffer = Buffer::new(balance, client.peers() * PER_PEER);
        let (ttl, min_per_second, share) = RETRY_BUDGET;
        let policy =
            Attempts { left: MAX_ATTEMPTS, budget: Arc::new(TpsBudget::new(ttl, min_per_second, share)) };
        let retry = Retry::new(policy, buffer);
        let service = match hedge {
            Some(percentile) => {
                let hedge =
                    move || Hedge::new(retry.clone(), Always, MIN_HEDGE_SAMPLES, percentile, HEDGE_PERIOD);
                // A hedge shares its measurements between requests but cannot be cloned, so one worker owns it.
                BoxCloneSyncService::new(Buffer::new(hedge(), client.peers() * PER_PEER))
            }
            None => BoxCloneSyncService::new(retry),
        };
        Self { surroundings, service, _followers: followers }
    }

    async fn fetch_one(&self, work: &Arc<Work>) -> Result<(), GaveUp> {
        for _ in 0..MAX_ATTEMPTS {
            let answer = self.service.clone().oneshot(work.clone()).await;
            let payload = answer.map_err(|_| GaveUp)?;
            if self.surroundings.proves(work, payload).await {
                return Ok(());
            }
        }
        Err(GaveUp)
    }
}

impl Policy for TowerStack {
    fn fetch<'a>(&'a mut self, works: &'a [Arc<Work>]) -> BoxFuture<'a, Result<(), GaveUp>> {
        let this = &*self;
        async move { try_join_all(works.iter().map(|work| this.fetch_one(work))).await.map(drop) }.boxed()
    }
}

type Endpoint = PeakEwma<Timeout<ConcurrencyLimit<PeerService>>, CompleteOnResponse>;

/// One peer.
#[derive(Debug, Clone)]
struct PeerService {
    client: Arc<Client>,
    peer: usize,
}

impl Service<Arc<Work>> for PeerService {
    type Response = Bytes;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Bytes, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, work: Arc<Work>) -> Self::Future {
        let (client, peer) = (self.client.clone(), self.peer);
        async move { Ok(client.ask(peer, &work).await?) }.boxed()
    }
}

/// Tells the balancer when a peer comes and goes.
async fn follow(
    client: Arc<Client>,
    peer: usize,
    timeout: Duration,
    changes: mpsc::UnboundedSender<Change<usize, Endpoint>>,
) {
    loop {
        client.until_connected(peer, true).await;
        let service = PeerService { client: client.clone(), peer };
        let service = Timeout::new(ConcurrencyLimit::new(service, PER_PEER), timeout);
        #[expect(clippy::cast_precision_loss, reason = "a decay need not be exact")]
        let decay_ns = EWMA_DECAY.as_nanos() as f64;
        let default_rtt = timeout + Duration::from_secs(1);
        let endpoint = PeakEwma::new(service, default_rtt, decay_ns, CompleteOnResponse::default());
        if changes.send(Change::Insert(peer, endpoint)).is_err() {
            return;
        }
        client.until_connected(peer, false).await;
        if changes.send(Change::Remove(peer)).is_err() {
            return;
        }
    }
}

fn discover(
    changes: mpsc::UnboundedReceiver<Change<usize, Endpoint>>,
) -> impl Stream<Item = Result<Change<usize, Endpoint>, BoxError>> + Send {
    stream::unfold(changes, |mut changes| async { changes.recv().await.map(|change| (Ok(change), changes)) })
        .fuse()
}

/// Retries what failed as long as the budget lasts.
#[derive(Debug, Clone)]
struct Attempts {
    left: u32,
    budget: Arc<TpsBudget>,
}

impl tower::retry::Policy<Arc<Work>, Bytes, BoxError> for Attempts {
    type Future = BoxFuture<'static, ()>;

    fn retry(&mut self, _: &mut Arc<Work>, result: &mut Result<Bytes, BoxError>) -> Option<Self::Future> {
        if result.is_ok() {
            self.budget.deposit();
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        // Without budget, a caller who must have the answer has to wait for it.
        let budget = self.budget.clone();
        Some(
            async move {
                while !budget.withdraw() {
                    tokio::time::sleep(BUDGET_RECHECK).await;
                }
            }
            .boxed(),
        )
    }

    fn clone_request(&mut self, work: &Arc<Work>) -> Option<Arc<Work>> {
        Some(work.clone())
    }
}

const BUDGET_RECHECK: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
struct Always;

impl tower::hedge::Policy<Arc<Work>> for Always {
    fn clone_request(&self, work: &Arc<Work>) -> Option<Arc<Work>> {
        Some(work.clone())
    }

    fn can_retry(&self, _: &Arc<Work>) -> bool {
        true
    }
}
