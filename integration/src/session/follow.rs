use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ChainParams;
use serde::Serialize;
use spv_recovery::Backoff;
use tokio_util::sync::CancellationToken;

use super::connected::Connected;
use super::damage::Damage;
use super::end_state::EndState;
use super::environment::Environment;
use super::error::SyncError;
use super::instant_locks::{InstantLocks, Judge};
use super::summary::Summary;
use super::telling::{self, Ends};
use crate::chain::HeaderChain;
use crate::config::Config;
use crate::fleet::Peers;
use crate::headers::{HeaderDownload, Tips};
use crate::log::Span;
use crate::net::{self, LockInbox};
use crate::panicked::{contained, contained_future};
use crate::progress::{Phase, Progress};
use crate::store::Store;

/// Lists of this many blocks below the tip are kept whether members of quorums follow from them or not: reorganisations
/// come back to them, and ChainLocks are checked against the quorums of a few blocks before.
const RECENT_BLOCKS: u32 = 64;

/// Largest wait before something that failed is tried again, the first time; doubles with each failure.
const RETRY_BASE: Duration = Duration::from_secs(2);

/// Largest wait at all.
const RETRY_CAP: Duration = Duration::from_secs(300);

/// Result for one tip. It serialises to the object of the summary with one more field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The summary; its counts of requests, bytes and peers are those since following began.
    #[serde(flatten)]
    pub summary: Summary,
    /// Height of the last block that the chain before shares with this one; absent when no blocks were replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<u32>,
}

/// Syncs like [`sync_with`](super::sync_with), and then follows the tip block by block, through reorganisations and
/// losses of all peers, until it is cancelled. `on_step` gets the result for each tip. A tip whose lists could not be
/// downloaded is tried again.
///
/// A store that turns out to be damaged is set aside and filled anew, unless that happens again within an hour.
///
/// Of the blocks that it passes, the lists of work blocks stay; others are forgotten after a few dozen blocks.
///
/// # Errors
/// See [`SyncError`]; being cancelled is none, it is how following ends. Nor is it one that no name can be looked up: the
/// network is waited for. Where `on_step` panics, following ends with [`SyncError::Panicked`].
///
/// # Cancel safety
/// Everything stored so far stays; connections are dropped. Cancel through `cancel` to have them closed in order.
pub async fn follow_with(
    environment: &Environment,
    params: &ChainParams,
    config: &Config,
    store: Arc<Store>,
    progress: &Progress,
    on_step: impl FnMut(&Step),
    cancel: &CancellationToken,
) -> Result<(), SyncError> {
    follow_and_judge(environment, params, config, store, progress, on_step, cancel, None).await
}

/// Like [`follow_with`], and has the InstantSend locks judged that peers send, if there is a judge.
///
/// # Errors
/// As for [`follow_with`].
///
/// # Cancel safety
/// As for [`follow_with`].
#[expect(clippy::too_many_arguments, reason = "those of follow_with and the judge")]
pub(crate) async fn follow_and_judge(
    environment: &Environment,
    params: &ChainParams,
    config: &Config,
    store: Arc<Store>,
    progress: &Progress,
    on_step: impl FnMut(&Step),
    cancel: &CancellationToken,
    judge: Option<Arc<dyn Judge>>,
) -> Result<(), SyncError> {
    let _done = progress.done_on_drop();
    let followed = contained_future(async {
        let (mut on_step, mut damage) = (on_step, Damage::default());
        loop {
            let locks = judge.clone().map(|judge| InstantLocks { inbox: LockInbox::default(), judge });
            let followed =
                follow_store(environment, params, config, &store, progress, &mut on_step, cancel, locks)
                    .await;
            match followed {
                Err(SyncError::Interrupted) | Ok(()) => return Ok(()),
                Err(failed) => damage.mend(failed, environment, params, &store).await?,
            }
        }
    });
    followed.await.unwrap_or_else(|panic| Err(SyncError::panicked("the sync", &panic)))
}

/// Follows for as long as the store holds out.
#[expect(clippy::too_many_arguments, reason = "one call, which would only be wrapped")]
async fn follow_store(
    environment: &Environment,
    params: &ChainParams,
    config: &Config,
    store: &Arc<Store>,
    progress: &Progress,
    on_step: impl FnMut(&Step),
    cancel: &CancellationToken,
    instant_locks: Option<InstantLocks>,
) -> Result<(), SyncError> {
    let (announcer, news) = net::announcements(instant_locks.as_ref().map(|locks| locks.inbox.clone()));
    telling::starting(environment, params, store).await?;
    let start =
        || Connected::start(environment, params, config, store.clone(), progress, Some(announcer.clone()));
    let (connected, keep_up) = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ok(()),
        started = once_online(start) => started?,
    };
    let peers = connected.peers.clone();
    let mut follower = Follower {
        connected,
        on_step,
        cancel,
        rng: environment.rng(),
        failures: 0,
        pruned_to: 0,
        retry_after: Duration::ZERO,
        reported: None,
        ends: Ends::default(),
    };
    let followed = tokio::select! {
        biased;
        followed = follower.follow(news) => followed,
        failed = keep_up => Err(failed),
        never = judge_locks(instant_locks, &peers, progress) => match never {},
    };
    peers.stop().await;
    followed
}

async fn judge_locks(locks: Option<InstantLocks>, peers: &Peers, progress: &Progress) -> Infallible {
    match locks {
        Some(locks) => locks.run(peers, progress).await,
        None => std::future::pending().await,
    }
}

/// Tries until some name can be looked up; a service that is started before the network is there waits for it. The waits
/// are not random: it is the system's own resolver that is asked.
async fn once_online<T, F>(start: impl Fn() -> F) -> Result<T, SyncError>
where
    F: Future<Output = Result<T, SyncError>>,
{
    let mut failures = 0;
    loop {
        let error = match start().await {
            Err(error @ SyncError::Lookup { .. }) => error,
            started => return started,
        };
        let wait = Backoff::new(RETRY_BASE, RETRY_CAP).ceiling(failures);
        failures += 1;
        tracing::warn!(wait = %Span(wait), %error, "waiting for the network");
        tokio::time::sleep(wait).await;
    }
}

struct Follower<'a, F> {
    connected: Connected<'a>,
    on_step: F,
    cancel: &'a CancellationToken,
    rng: fastrand::Rng,
    /// Steps in a row that did not end well.
    failures: u32,
    /// All lists below that can be forgotten are.
    pruned_to: u32,
    /// How long the last step would wait before it is tried again.
    retry_after: Duration,
    /// The chain that was reported last.
    reported: Option<Arc<HeaderChain>>,
    ends: Ends,
}

impl<F: FnMut(&Step)> Follower<'_, F> {
    async fn follow(&mut self, mut news: net::Announcements) -> Result<(), SyncError> {
        let start = self.catch_up().await?;
        let tips = Tips::new();
        tips.offer_own(start.clone());
        // Whatever is known is to be worked on at once.
        tips.settle(Ok(()));
        let Connected { params, peers, progress, .. } = &self.connected;
        let download = HeaderDownload::new(
            params,
            peers.clone(),
            self.connected.store.clone(),
            self.connected.locks.clone(),
            self.connected.patience(),
            self.connected.verification,
        );
        let progress = *progress;
        let on_progress = |height| progress.header_height(height);
        tokio::select! {
            biased;
            followed = self.follow_tips(start.clone(), &tips) => followed,
            _ = download.run(start.clone(), &tips, Some(&mut news), on_progress, |_| None) => {
                unreachable!("no lower chain is asked for")
            }
        }
    }

    /// Syncs until there is a chain to follow, however that ends otherwise.
    async fn catch_up(&mut self) -> Result<Arc<HeaderChain>, SyncError> {
        loop {
            let summary = self.connected.run(async |run| run.run(None).await, self.cancel).await?;
            let stored = self.connected.blocking(|store, params| store.proven_chain(params)).await?;
            let has_begun = summary.state != EndState::NoCapablePeer;
            let chain = stored.map(Arc::new).filter(|_| has_begun);
            self.ended(summary, chain.clone()).await?;
            match chain {
                Some(chain) => return Ok(chain),
                None => self.wait_to_retry().await?,
            }
        }
    }

    /// Brings lists and quorums to each tip that comes after `stored`.
    async fn follow_tips(&mut self, mut stored: Arc<HeaderChain>, tips: &Tips) -> Result<(), SyncError> {
        loop {
            self.connected.progress.enter(Phase::Following);
            let failed = self.failures > 0;
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(SyncError::Interrupted),
                () = tips.other_than(&stored) => {}
                waited = self.wait_to_retry(), if failed => waited?,
            }
            let before = stored.clone();
            let step = self.connected.run(async |run| run.to_tip(before, tips).await, self.cancel);
            let (summary, chain) = step.await?;
            stored = chain.clone();
            self.ended(summary, Some(chain)).await?;
        }
    }

    /// Reports how it ended, and tidies up behind.
    async fn ended(&mut self, summary: Summary, chain: Option<Arc<HeaderChain>>) -> Result<(), SyncError> {
        let synced = summary.state == EndState::Synced;
        self.failures = if synced { 0 } else { self.failures + 1 };
        self.retry_after = summary.next_retry_seconds.map_or(Duration::ZERO, Duration::from_secs_f64);
        let reported = std::mem::replace(&mut self.reported, chain.clone());
        let before = reported.as_ref().map(|reported| reported.tip_height());
        let rolled_back_to = reported.zip(chain).and_then(|(before, chain)| {
            chain.last_common(&before).filter(|&common| common < before.tip_height())
        });
        if synced {
            self.prune(summary.tip.height).await?;
        }
        self.ends.tell(&summary, before, rolled_back_to);
        let step = Step { summary, rolled_back_to };
        contained(|| (self.on_step)(&step))
            .map_err(|panic| SyncError::panicked("the callback for steps", &panic))
    }

    /// Forgets lists that nothing will be based on.
    async fn prune(&mut self, tip: u32) -> Result<(), SyncError> {
        let heights = self.pruned_to..tip.saturating_sub(RECENT_BLOCKS);
        self.pruned_to = heights.end;
        let pruned = self.connected.blocking(move |store, params| {
            let lists = store.lists()?.into_iter().map(|(height, _)| height);
            let passed = lists.filter(|height| heights.contains(height) && !params.is_work_block(*height));
            store.drop_lists(&passed.collect())
        });
        Ok(pruned.await?)
    }

    /// Waits until another try may do better.
    async fn wait_to_retry(&mut self) -> Result<(), SyncError> {
        let backoff = Backoff::new(RETRY_BASE, RETRY_CAP).delay(self.failures, &mut self.rng);
        let wait = backoff.max(self.retry_after);
        let mut usable = self.connected.peers.changes();
        let deserted = *usable.borrow_and_update() == 0;
        let somebody = async {
            if !deserted || usable.wait_for(|&usable| usable > 0).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(SyncError::Interrupted),
            () = somebody => Ok(()),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }
}
