//! Days at the tip of a chain that grows, forks and is sometimes out of reach.

mod chain;
mod compare;
mod miner;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use spv_integration::Config;
use spv_integration::progress::Progress;
use spv_integration::session::{
    EndState, Environment, QuorumsOfType, Step, Summary, SyncError, Tip, follow_with, sync_with,
};
use spv_integration::store::Store;
use spv_simnet::{Faults, InMemoryNetwork, NetworkConfig, PeerConfig};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

pub use chain::BLOCKS_PER_DAY;
use chain::{Chains, START};
use compare::compare;

use crate::surroundings::surroundings;

/// Blocks between two comparisons with a fresh sync, which also the end brings: a third of a day.
const CHECKED_EVERY: u32 = 192;

const HONEST_NODES: usize = 5;

/// A new tip that is not synced after this long, with peers that can be reached, is a failure.
const PATIENCE: Duration = Duration::from_secs(600);

/// What following for a while came to.
#[derive(Debug, Clone, Default)]
pub struct Followed {
    /// Blocks that were mined.
    pub blocks: u32,
    /// Tips whose lists and quorums were proven.
    pub steps: u64,
    /// Steps that ended otherwise; the network was away at times.
    pub failed_steps: u64,
    /// Blocks that each reorganisation replaced.
    pub rolled_back: Vec<u32>,
    /// Requests for lists and rotation info.
    pub requests: u64,
    /// What was seen at each height where the state was compared with a fresh sync's.
    pub checks: Vec<Check>,
}

impl fmt::Display for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blocks, steps, failed_steps, rolled_back, requests, checks } = self;
        writeln!(
            f,
            "{blocks} blocks, {steps} tips synced, {failed_steps} not, {requests} requests for lists"
        )?;
        writeln!(f, "blocks replaced by each reorganisation: {rolled_back:?}")?;
        write!(f, "height   behind  compared  lists  tasks  allocated")?;
        for Check { height, delay, compared, lists, tasks, allocated } in checks {
            let (delay, kib) = (delay.as_secs_f64(), allocated / 1024);
            write!(f, "\n{height:>6}  {delay:>6.2}s  {compared:>8}  {lists:>5}  {tasks:>5}  {kib:>6} KiB")?;
        }
        Ok(())
    }
}

/// Held while the client follows, at one height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Height of the tip.
    pub height: u32,
    /// From the tip's last block being mined to its lists being proven.
    pub delay: Duration,
    /// Lists that were compared.
    pub compared: usize,
    /// Lists in the store.
    pub lists: usize,
    /// Tasks that were alive, those of the simulated peers included.
    pub tasks: usize,
    /// Bytes allocated by everything, the simulated network included.
    pub allocated: u64,
}

/// Why following counts as failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowFailure {
    /// It ended by itself.
    Ended(String),
    /// A tip was not reached in time.
    Behind {
        /// The tip.
        height: u32,
        /// The last one that was.
        reached: u32,
    },
    /// A fresh sync failed, so that there is nothing to compare with.
    FreshSync {
        /// At which tip.
        height: u32,
        /// How it ended.
        state: String,
    },
    /// Not the same quorums are proven as a fresh sync proves.
    OtherQuorums {
        /// The tip.
        height: u32,
    },
    /// A list is missing or not what a fresh sync finds.
    Differs {
        /// The tip.
        tip: u32,
        /// Height of the list.
        height: u32,
    },
}

/// What is followed.
#[derive(Debug, Clone)]
pub struct Days<'a> {
    /// Blocks that are mined, one every two and a half minutes of virtual time on average.
    pub blocks: u32,
    /// Equal seeds give equal runs.
    pub seed: u64,
    /// Beside the five honest nodes there is a quicker one for each of these faults.
    pub hostile: &'a [Faults],
    /// Blocks since the start during which there is no network. By default those of the fourth day.
    pub outage: Range<u32>,
    /// When the first block that is followed was made, in seconds since 1970. By default long ago.
    pub start_time: Option<u32>,
}

impl Days<'_> {
    /// So many blocks without anybody hostile.
    pub const fn new(blocks: u32, seed: u64) -> Self {
        let outage = 3 * BLOCKS_PER_DAY..4 * BLOCKS_PER_DAY;
        Self { blocks, seed, hostile: &[], outage, start_time: None }
    }
}

/// Follows a chain while blocks are mined, with reorganisations, and peers that come and go. `allocated` tells how many
/// bytes are allocated now.
///
/// # Errors
/// The first thing that must not happen.
///
/// # Panics
/// When no runtime can be made.
pub fn follow(days: &Days<'_>, allocated: fn() -> u64) -> Result<Followed, FollowFailure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing from the system");
    runtime.block_on(simulate(days, allocated))
}

async fn simulate(days: &Days<'_>, allocated: fn() -> u64) -> Result<Followed, FollowFailure> {
    let mut rng = Rng::with_seed(days.seed);
    let chains = Chains::new(days);
    let honest = (0..HONEST_NODES).map(|_| PeerConfig {
        rtt: Duration::from_millis(rng.u64(20..300)),
        service_time: Duration::from_millis(rng.u64(1..20)),
        seed: rng.u64(..),
        tip: Some(START),
        ..PeerConfig::default()
    });
    let hostile = days.hostile.iter().map(|faults| PeerConfig {
        rtt: Duration::from_millis(1),
        tip: Some(START),
        faults: faults.clone(),
        ..PeerConfig::default()
    });
    let peers = honest.collect::<Vec<_>>().into_iter().chain(hostile);
    let config = NetworkConfig { peers: peers.collect(), ..NetworkConfig::default() };
    let network = InMemoryNetwork::start(chains.main(), config).expect("the configuration is valid");
    let subject = Subject::new(Arc::new(network), chains.params().clone(), rng.u64(..));
    let log = Arc::new(Mutex::new(Log::default()));
    let cancel = CancellationToken::new();
    let following = subject.follow(&log, &cancel);
    let mining = async {
        let mined = miner::mine(days, &chains, &subject, &log, &mut rng, allocated).await;
        cancel.cancel();
        mined
    };
    let (followed, mined) = tokio::join!(following, mining);
    followed.map_err(|error| FollowFailure::Ended(error.to_string()))?;
    mined
}

/// What the client reported.
#[derive(Debug, Default)]
struct Log {
    /// The last tip that was synced, and when.
    reached: Option<Reached>,
    steps: u64,
    failed_steps: u64,
    rolled_back: Vec<u32>,
    requests: u64,
    tip_before: u32,
}

impl Log {
    fn add(&mut self, step: &Step) {
        let tip = step.summary.tip;
        if let Some(common) = step.rolled_back_to {
            self.rolled_back.push(self.tip_before - common);
        }
        self.tip_before = tip.height;
        self.requests = step.summary.requests.qrinfo + step.summary.requests.mnlistdiff;
        if step.summary.state == EndState::Synced && step.summary.quorums.failed == 0 {
            self.steps += 1;
            let quorums = step.summary.quorums.by_type.clone();
            self.reached = Some(Reached { tip, quorums, at: Instant::now() });
        } else {
            self.failed_steps += 1;
        }
    }
}

/// A tip that was synced.
#[derive(Debug, Clone)]
struct Reached {
    tip: Tip,
    /// What was found of its quorums, by type.
    quorums: BTreeMap<u8, QuorumsOfType>,
    at: Instant,
}

/// The client under test and the network that it lives in.
struct Subject {
    network: Arc<InMemoryNetwork>,
    addresses: Vec<SocketAddr>,
    params: dashcore::ChainParams,
    store: Arc<Store>,
    config: Config,
    seed: u64,
}

impl Subject {
    fn new(network: Arc<InMemoryNetwork>, params: dashcore::ChainParams, seed: u64) -> Self {
        let addresses = network.addresses();
        let config = Config {
            network: "regtest".to_owned(),
            peers: addresses.iter().map(ToString::to_string).collect(),
            ..Config::default()
        };
        let store = Arc::new(Store::in_memory(&params.network).expect("memory can be written"));
        Self { network, addresses, params, store, config, seed }
    }

    fn environment(&self) -> Environment {
        surroundings(&self.network, self.seed)
    }

    async fn follow(&self, log: &Arc<Mutex<Log>>, cancel: &CancellationToken) -> Result<(), SyncError> {
        let progress = Progress::default();
        let on_step = |step: &Step| log.lock().add(step);
        let (environment, store) = (self.environment(), self.store.clone());
        follow_with(&environment, &self.params, &self.config, store, &progress, on_step, cancel).await
    }

    /// What somebody finds who starts now, from nothing.
    async fn fresh_sync(&self) -> Result<(Arc<Store>, Summary), SyncError> {
        let store = Arc::new(Store::in_memory(&self.params.network)?);
        let (environment, progress, cancel) =
            (self.environment(), Progress::default(), CancellationToken::new());
        let synced = sync_with(&environment, &self.params, &self.config, store.clone(), &progress, &cancel);
        // What is logged is what the client that follows has to say.
        Ok((store, synced.with_subscriber(NoSubscriber::default()).await?))
    }

    /// Compares the client's state with a fresh sync's once it has reached this tip, mined at `mined`.
    async fn check(
        &self,
        tip: (u32, dashcore::BlockHash),
        mined: Instant,
        log: &Mutex<Log>,
        allocated: fn() -> u64,
    ) -> Result<Check, FollowFailure> {
        let (height, hash) = tip;
        let reached = loop {
            let reached = log.lock().reached.clone();
            match reached {
                Some(reached) if reached.tip.hash == hash => break reached,
                reached if mined.elapsed() > PATIENCE => {
                    let reached = reached.map_or(0, |reached| reached.tip.height);
                    return Err(FollowFailure::Behind { height, reached });
                }
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        // Before the fresh sync, which has tasks and memory of its own.
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let allocated = allocated();
        let failed = |state: &dyn ToString| FollowFailure::FreshSync { height, state: state.to_string() };
        let (fresh, summary) = self.fresh_sync().await.map_err(|error| failed(&error))?;
        if summary.state != EndState::Synced {
            return Err(failed(&format!("{:?}", summary.state)));
        }
        if summary.quorums.by_type != reached.quorums {
            return Err(FollowFailure::OtherQuorums { height });
        }
        let compared = compare(&self.store, &fresh, &self.params)
            .map_err(|differs| FollowFailure::Differs { tip: height, height: differs })?;
        let lists = self.store.lists().map_or(0, |lists| lists.len());
        Ok(Check { height, delay: reached.at - mined, compared, lists, tasks, allocated })
    }
}
