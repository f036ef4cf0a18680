//! What a running sync says about itself: health, readiness, status.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::{BlockHash, ChainParams};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use spv_integration::Config;
use spv_integration::fleet::LivePeer;
use spv_integration::progress::{Phase, Progress, Snapshot};
use spv_integration::session::{EndState, Masternodes, Quorums, QuorumsOfType, Step, Tip};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{service_metrics, systemd};

/// What may be missing for this long without the service being taken for unready: a peer, or lists for new headers.
const GRACE: Duration = Duration::from_secs(60);

/// Time between two beats.
const BEAT: Duration = Duration::from_secs(1);

/// Without a beat for this long the loop of the sync hangs.
const HUNG_AFTER: Duration = Duration::from_secs(10);

/// Where work is outstanding and nothing of it moves for this long, nothing will: every request has ended by then, every wait
/// between two attempts is over, and no batch of quorums takes as long. Longer where requests may take longer.
const STALLED_AFTER: Duration = Duration::from_secs(300);

/// Beats that rates are computed over.
const RATE_BEATS: usize = 10;

/// A sync as it is now, to be looked at from anywhere.
#[derive(Debug)]
pub(crate) struct Live {
    network: String,
    max_tip_age: Option<Duration>,
    stalled_after: Duration,
    progress: Progress,
    cancel: CancellationToken,
    started: Instant,
    heartbeat: Mutex<Heartbeat>,
    reached: Mutex<Option<LastResult>>,
    chain_locks: watch::Receiver<Option<ChainLock>>,
    /// The highest ChainLock that was seen, and since when.
    locked: Mutex<Option<(u32, Instant)>>,
}

/// Why the service is not ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    #[error("stopping")]
    Stopping,
    #[error("the sync has ended")]
    Ended,
    #[error("no tip was reached yet; the phase is {0}")]
    NoTip(&'static str),
    #[error("not synced: {0}")]
    NotSynced(String),
    #[error("no peer can be asked, for {} s", .0.as_secs())]
    NoPeer(Duration),
    #[error("lists are behind the headers, for {} s", .0.as_secs())]
    Behind(Duration),
    #[error("the tip is stale: its block was made {} s ago, at most {} s are expected", age.as_secs(), limit.as_secs())]
    Stale { age: Duration, limit: Duration },
}

/// What `GET /status` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    version: &'static str,
    network: String,
    uptime_seconds: f64,
    phase: &'static str,
    ready: bool,
    not_ready: Option<String>,
    /// How the last attempt ended; `null` before the first.
    state: Option<&'static str>,
    reason: Option<String>,
    tip: Option<Tip>,
    tip_age_seconds: Option<u64>,
    /// The highest verified ChainLock; `null` before the first.
    chain_lock: Option<Lock>,
    /// Of the list at the tip; `null` before the first.
    masternodes: Option<Masternodes>,
    /// Active at the tip; `null` before the first.
    quorums: Option<TipQuorums>,
    plan: Extent,
    progress: Extent,
    lists_eta_seconds: Option<f64>,
    received_bytes: u64,
    received_bytes_per_second: f64,
    lists_per_second: f64,
    in_flight: usize,
    peers: Vec<LivePeer>,
}

/// What a follower has reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AtTip {
    pub(crate) height: u32,
    /// Time since its block was made.
    pub(crate) age: Duration,
    /// Height of the highest verified ChainLock.
    pub(crate) locked: Option<u32>,
    /// Why it cannot be relied on.
    pub(crate) not_ready: Option<String>,
}

/// How a service is, in an answer about its data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ServiceState {
    pub(crate) uptime_seconds: f64,
    pub(crate) phase: String,
    pub(crate) ready: bool,
    pub(crate) not_ready: Option<String>,
    /// How the last attempt ended; `null` before the first.
    pub(crate) state: Option<String>,
    pub(crate) reason: Option<String>,
    /// Peers that can be asked now, of how many.
    pub(crate) usable_peers: usize,
    pub(crate) peers: usize,
}

/// A ChainLock.
#[derive(Debug, Serialize)]
struct Lock {
    height: u32,
    hash: BlockHash,
    /// Since no higher one was found.
    unchanged_seconds: f64,
}

/// Quorums that are active at a tip.
#[derive(Debug, Clone, Serialize)]
struct TipQuorums {
    active: u64,
    verified: u64,
    /// Quorums whose signatures are wrong.
    failed: u64,
    /// Of all quorums that were looked at, by the reason why they are not verified.
    not_verified: BTreeMap<&'static str, u64>,
}

impl TipQuorums {
    fn of(quorums: &Quorums) -> Self {
        let sum = |count: fn(&QuorumsOfType) -> u64| quorums.by_type.values().map(count).sum();
        Self {
            active: sum(|of_type| of_type.proven),
            verified: sum(|of_type| of_type.verified),
            failed: sum(|of_type| of_type.failed),
            not_verified: quorums.not_verified.clone(),
        }
    }
}

/// How much of everything.
#[derive(Debug, Serialize)]
struct Extent {
    /// Height of the header chain: what peers claim, and what is verified.
    headers: u32,
    lists: u64,
    quorums: u64,
}

/// How the last attempt ended.
#[derive(Debug)]
struct LastResult {
    state: EndState,
    reason: Option<String>,
    tip: Tip,
    masternodes: Option<Masternodes>,
    quorums: TipQuorums,
}

/// The latest beats, and since when what they showed holds.
#[derive(Debug)]
struct Heartbeat {
    last: Instant,
    samples: VecDeque<Sample>,
    /// Since when there is nobody to ask.
    deserted: Option<Instant>,
    /// Since when there are headers without their lists.
    behind: Option<Instant>,
    /// The work that was outstanding at the latest beat, and since when it is the same.
    activity: Option<Activity>,
    stirred: Instant,
}

/// What changes for as long as outstanding work goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Activity {
    state: Snapshot,
    /// Requests sent, refused and failed, over all peers.
    requests: [u64; 3],
    peers: usize,
}

impl Activity {
    /// `None` where there is no work, but peers or blocks are waited for.
    fn of(state: Snapshot, peers: &[LivePeer]) -> Option<Self> {
        let works = match state.phase {
            Phase::Headers | Phase::Lists | Phase::Quorums => true,
            Phase::Connecting | Phase::Following | Phase::Done => false,
        };
        let sum = |of: fn(&LivePeer) -> u64| peers.iter().map(of).sum();
        let requests =
            [sum(|peer| peer.peer.requests), sum(|peer| peer.peer.refused), sum(|peer| peer.peer.failed)];
        works.then_some(Self { state, requests, peers: peers.len() })
    }
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    bytes: u64,
    lists: u64,
}

impl Live {
    pub(crate) fn new(
        config: &Config,
        params: &ChainParams,
        progress: Progress,
        chain_locks: watch::Receiver<Option<ChainLock>>,
        cancel: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        Self {
            network: config.network.clone(),
            max_tip_age: config.max_tip_age(params),
            stalled_after: STALLED_AFTER.max(config.sync.executor.hard_timeout * 2),
            progress,
            cancel,
            started: now,
            heartbeat: Mutex::new(Heartbeat {
                last: now,
                samples: VecDeque::new(),
                deserted: None,
                behind: None,
                activity: None,
                stirred: now,
            }),
            reached: Mutex::new(None),
            chain_locks,
            locked: Mutex::new(None),
        }
    }

    /// Beats for as long as it is polled, which has to be in the task of the sync: a sync that hangs stops it. The service
    /// manager is told of every beat.
    pub(crate) async fn beat(&self) -> std::convert::Infallible {
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut was_stalled = false;
        loop {
            let now = beats.tick().await;
            self.sample(now);
            service_metrics::ready(self.readiness().is_ok());
            let is_stalled = self.is_stalled();
            if is_stalled && !was_stalled {
                let phase = self.progress.watch().borrow().phase.as_str();
                let minutes = self.stalled_after.as_secs() / 60;
                tracing::error!(%phase, minutes, "outstanding work makes no progress; please report this");
            }
            was_stalled = is_stalled;
            // The service manager restarts a service that has stopped reporting.
            if !is_stalled {
                systemd::alive(&self.describe());
            }
        }
    }

    /// Notes what was reached for a tip.
    pub(crate) fn reached(&self, step: &Step) {
        let summary = &step.summary;
        service_metrics::reached(summary);
        *self.reached.lock() = Some(LastResult {
            state: summary.state.clone(),
            reason: summary.reason.clone(),
            tip: summary.tip,
            masternodes: summary.masternodes,
            quorums: TipQuorums::of(&summary.quorums),
        });
    }

    /// Whether the sync's loop runs, and what is outstanding moves.
    pub(crate) fn is_healthy(&self) -> bool {
        self.heartbeat.lock().last.elapsed() < HUNG_AFTER && !self.is_stalled()
    }

    fn is_stalled(&self) -> bool {
        self.heartbeat.lock().is_stalled(self.stalled_after)
    }

    /// Whether a tip was reached that can be relied on.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn readiness(&self) -> Result<(), NotReady> {
        if self.cancel.is_cancelled() {
            return Err(NotReady::Stopping);
        }
        let phase = self.progress.watch().borrow().phase;
        if phase == Phase::Done {
            return Err(NotReady::Ended);
        }
        let reached = self.reached.lock();
        let Some(LastResult { state, reason, tip, .. }) = &*reached else {
            return Err(NotReady::NoTip(phase.as_str()));
        };
        if *state != EndState::Synced {
            return Err(NotReady::NotSynced(reason.clone().unwrap_or_default()));
        }
        let heartbeat = self.heartbeat.lock();
        let too_long =
            |since: Option<Instant>| since.map(|since| since.elapsed()).filter(|&time| time > GRACE);
        if let Some(time) = too_long(heartbeat.deserted) {
            return Err(NotReady::NoPeer(time));
        }
        if let Some(time) = too_long(heartbeat.behind) {
            return Err(NotReady::Behind(time));
        }
        let age = age(tip.time);
        match self.max_tip_age {
            Some(limit) if age > limit => Err(NotReady::Stale { age, limit }),
            _ => Ok(()),
        }
    }

    /// What was reached last, on a terminal's line; `None` before the first tip.
    pub(crate) fn at_tip(&self) -> Option<AtTip> {
        let not_ready = self.readiness().err().map(|reason| reason.to_string());
        let reached = self.reached.lock();
        let tip = reached.as_ref()?.tip;
        let locked = self.chain_locks.borrow().as_ref().map(|lock| lock.block_height);
        Some(AtTip { height: tip.height, age: age(tip.time), locked, not_ready })
    }

    pub(crate) fn status(&self) -> Status {
        let state = *self.progress.watch().borrow();
        let not_ready = self.readiness().err().map(|reason| reason.to_string());
        let peers = self.progress.peers();
        let (received_bytes_per_second, lists_per_second) = self.heartbeat.lock().rates();
        let reached = self.reached.lock();
        let reached = reached.as_ref();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            network: self.network.clone(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            phase: state.phase.as_str(),
            ready: not_ready.is_none(),
            not_ready,
            state: reached.map(|reached| reached.state.as_str()),
            reason: reached.and_then(|reached| reached.reason.clone()),
            tip: reached.map(|reached| reached.tip),
            tip_age_seconds: reached.map(|reached| age(reached.tip.time).as_secs()),
            chain_lock: self.chain_lock(),
            masternodes: reached.and_then(|reached| reached.masternodes),
            quorums: reached.map(|reached| reached.quorums.clone()),
            plan: Extent {
                headers: state.claimed_height.max(state.header_height),
                lists: state.planned_lists,
                quorums: state.planned_quorums,
            },
            progress: Extent {
                headers: state.header_height,
                lists: state.proven_lists,
                quorums: state.judged_quorums,
            },
            lists_eta_seconds: state.lists_eta.map(|left| left.as_secs_f64()),
            received_bytes: self.progress.bytes_received(),
            received_bytes_per_second,
            lists_per_second,
            in_flight: peers.iter().map(|peer| peer.in_flight).sum(),
            peers,
        }
    }

    pub(crate) fn service_state(&self) -> ServiceState {
        let peers = self.progress.peers();
        let not_ready = self.readiness().err().map(|reason| reason.to_string());
        let reached = self.reached.lock();
        let reached = reached.as_ref();
        ServiceState {
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            phase: self.progress.watch().borrow().phase.as_str().to_owned(),
            ready: not_ready.is_none(),
            not_ready,
            state: reached.map(|reached| reached.state.as_str().to_owned()),
            reason: reached.and_then(|reached| reached.reason.clone()),
            usable_peers: peers.iter().filter(|peer| peer.slots > 0).count(),
            peers: peers.len(),
        }
    }

    fn chain_lock(&self) -> Option<Lock> {
        let lock = self.chain_locks.borrow().clone()?;
        let since = self.locked.lock().filter(|(height, _)| *height == lock.block_height);
        let unchanged = since.map_or(Duration::ZERO, |(_, since)| since.elapsed());
        Some(Lock {
            height: lock.block_height,
            hash: lock.block_hash,
            unchanged_seconds: unchanged.as_secs_f64(),
        })
    }

    fn sample(&self, now: Instant) {
        let height = self.chain_locks.borrow().as_ref().map(|lock| lock.block_height);
        let mut locked = self.locked.lock();
        if height != locked.map(|(height, _)| height) {
            *locked = height.map(|height| (height, now));
            service_metrics::locked(unix_now());
        }
        drop(locked);
        let state = *self.progress.watch().borrow();
        let peers = self.progress.peers();
        let deserted = !peers.iter().any(|peer| peer.slots > 0);
        let reached = self.reached.lock().as_ref().map(|reached| reached.tip.height);
        let behind = reached.is_some_and(|height| state.header_height > height);
        let sample = Sample { at: now, bytes: self.progress.bytes_received(), lists: state.proven_lists };
        let mut heartbeat = self.heartbeat.lock();
        heartbeat.record(sample, deserted, behind);
        heartbeat.work(Activity::of(state, &peers), now);
    }

    /// A line for the service manager.
    fn describe(&self) -> String {
        let phase = self.progress.watch().borrow().phase.as_str();
        let tip = self.reached.lock().as_ref().map(|reached| (reached.state.in_words(), reached.tip.height));
        tip.map_or_else(|| phase.to_owned(), |(state, height)| format!("{phase}; {state} at height {height}"))
    }
}

impl Heartbeat {
    fn record(&mut self, sample: Sample, deserted: bool, behind: bool) {
        self.last = sample.at;
        let since = |before: Option<Instant>, now: bool| now.then(|| before.unwrap_or(sample.at));
        self.deserted = since(self.deserted, deserted);
        self.behind = since(self.behind, behind);
        if self.samples.len() > RATE_BEATS {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// Notes how outstanding work stands.
    fn work(&mut self, activity: Option<Activity>, now: Instant) {
        if activity.is_none() || self.activity != activity {
            (self.activity, self.stirred) = (activity, now);
        }
    }

    fn is_stalled(&self, limit: Duration) -> bool {
        self.activity.is_some() && self.last.duration_since(self.stirred) >= limit
    }

    /// Bytes and lists per second over the latest beats.
    #[expect(clippy::cast_precision_loss, reason = "rates are rough")]
    fn rates(&self) -> (f64, f64) {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return (0.0, 0.0);
        };
        let seconds = (last.at - first.at).as_secs_f64();
        // A sync that begins anew counts from zero.
        let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
        if seconds > 0.0 {
            (rate(first.bytes, last.bytes), rate(first.lists, last.lists))
        } else {
            (0.0, 0.0)
        }
    }
}

/// Time since a block was made; none where its clock is ahead of ours.
pub(crate) fn age(time: u32) -> Duration {
    unix_now().saturating_sub(Duration::from_secs(time.into()))
}

#[expect(clippy::disallowed_methods, reason = "blocks are dated by the wall clock")]
fn unix_now() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(config: &Config) -> Live {
        let params = config.chain_params().unwrap();
        Live::new(config, &params, Progress::default(), watch::channel(None).1, CancellationToken::new())
    }

    fn reach(live: &Live, state: EndState, tip_time: u32) {
        let tip = Tip { height: 7, hash: "00".repeat(32).parse().unwrap(), time: tip_time };
        let reason = state.explanation();
        let quorums = TipQuorums::of(&Quorums::default());
        let reached = LastResult { state, reason, tip, masternodes: None, quorums };
        *live.reached.lock() = Some(reached);
    }

    fn regtest() -> Config {
        Config { network: "regtest".into(), ..Config::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn ready_is_a_synced_tip_that_is_not_stale() {
        let live = live(&regtest());
        assert_eq!(live.readiness(), Err(NotReady::NoTip("connecting")));
        reach(&live, EndState::NoCapablePeer, 1);
        assert!(
            matches!(live.readiness(), Err(NotReady::NotSynced(reason)) if reason.contains("no usable peer"))
        );
        reach(&live, EndState::Synced, 1);
        assert_eq!(live.readiness(), Ok(()), "regtest's blocks come when somebody wants them");
        live.cancel.cancel();
        assert_eq!(live.readiness(), Err(NotReady::Stopping));

        for config in [Config::default(), Config { max_tip_age: Some(Duration::from_secs(9)), ..regtest() }] {
            let params = config.chain_params().unwrap();
            let (_, locks) = watch::channel(None);
            let live = Live::new(&config, &params, Progress::default(), locks, CancellationToken::new());
            reach(&live, EndState::Synced, 1);
            assert!(matches!(live.readiness(), Err(NotReady::Stale { .. })));
            reach(&live, EndState::Synced, u32::MAX);
            assert_eq!(live.readiness(), Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn being_without_peers_or_behind_for_long_is_not_ready() {
        let live = live(&regtest());
        reach(&live, EndState::Synced, 1);
        let record = |deserted, behind| {
            let sample = Sample { at: Instant::now(), bytes: 0, lists: 0 };
            live.heartbeat.lock().record(sample, deserted, behind);
        };
        record(true, false);
        assert_eq!(live.readiness(), Ok(()));
        tokio::time::advance(GRACE + BEAT).await;
        record(true, false);
        assert_eq!(live.readiness(), Err(NotReady::NoPeer(GRACE + BEAT)));
        record(false, true);
        assert_eq!(live.readiness(), Ok(()));
        tokio::time::advance(GRACE + BEAT).await;
        assert_eq!(live.readiness(), Err(NotReady::Behind(GRACE + BEAT)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sync_whose_loop_hangs_is_not_healthy() {
        let live = live(&regtest());
        tokio::time::timeout(Duration::from_secs(60), live.beat()).await.unwrap_err();
        assert!(live.is_healthy());
        tokio::time::advance(HUNG_AFTER).await;
        assert!(!live.is_healthy());
    }

    #[tokio::test(start_paused = true)]
    async fn a_sync_whose_work_does_not_move_is_not_healthy() {
        let live = live(&regtest());
        let beat = |snapshot: Snapshot| {
            let now = Instant::now();
            let mut heartbeat = live.heartbeat.lock();
            heartbeat.record(Sample { at: now, bytes: 0, lists: 0 }, false, false);
            heartbeat.work(Activity::of(snapshot, &[]), now);
        };
        for phase in [Phase::Headers, Phase::Lists, Phase::Quorums] {
            let mut snapshot = Snapshot { phase, ..Snapshot::default() };
            beat(snapshot);
            tokio::time::advance(STALLED_AFTER - BEAT).await;
            beat(snapshot);
            assert!(live.is_healthy());
            tokio::time::advance(BEAT).await;
            beat(snapshot);
            assert!(!live.is_healthy(), "{phase:?}");
            snapshot.judged_quorums += 1;
            beat(snapshot);
            assert!(live.is_healthy(), "it goes on");
        }
        for phase in [Phase::Connecting, Phase::Following] {
            beat(Snapshot { phase, ..Snapshot::default() });
            tokio::time::advance(STALLED_AFTER * 10).await;
            beat(Snapshot { phase, ..Snapshot::default() });
            assert!(live.is_healthy(), "it waits for others: {phase:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rates_are_those_of_the_latest_beats() {
        let live = live(&regtest());
        assert_eq!(live.heartbeat.lock().rates(), (0.0, 0.0));
        for beat in 0..100 {
            let sample = Sample { at: Instant::now(), bytes: beat * 500, lists: beat * 2 };
            live.heartbeat.lock().record(sample, false, false);
            tokio::time::advance(BEAT).await;
        }
        assert_eq!(live.heartbeat.lock().rates(), (500.0, 2.0));
        assert_eq!(live.heartbeat.lock().samples.len(), RATE_BEATS + 1);
    }
}
