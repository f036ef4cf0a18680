use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bitcoin_hashes::sha256;
use fastrand::Rng;
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Environment, Summary, sync_with};
use spv_integration::store::Store;
use spv_integration::verify::Verification;
use spv_integration::{Config, Settings};
use spv_simnet::{InMemoryNetwork, NetworkConfig, PeerConfig, World};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::accuracy::Accuracy;
use crate::bound::lower_bound;
use crate::checks;
use crate::failure::Failure;
use crate::gauges::Gauges;
use crate::observer::{Observed, Observer, Peaks};
use crate::scenario::Scenario;
use crate::surroundings::surroundings;

/// No sync takes this long, in virtual time: one that does has stopped working.
const LONGEST: Duration = Duration::from_secs(3_600);

/// The same in real time.
const LONGEST_WITH_THREADS: Duration = Duration::from_secs(120);

/// A finished run.
#[derive(Debug, Clone)]
pub struct Run {
    /// What the client says.
    pub summary: Summary,
    /// Virtual time from start to end.
    pub makespan: Duration,
    /// What no client can beat, where all nodes stay up.
    pub bound: Option<Duration>,
    /// How true the progress was; empty where the sync did not end as [`EndState::Synced`].
    pub accuracy: Accuracy,
    /// The most there ever was in the client's tables and queues.
    pub peaks: Peaks,
    /// Longest time without a request in flight although an honest node could be asked.
    pub longest_idle: Duration,
    /// Digest over every request as the nodes saw it; equal for equal seeds.
    pub trace: [u8; 32],
}

/// Runs a scenario with a seed.
///
/// # Errors
/// The first thing that must not happen.
///
/// # Panics
/// When no runtime can be made.
pub fn run(scenario: &Scenario, seed: u64) -> Result<Run, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing from the system");
    let gauges = Gauges::default();
    metrics::with_local_recorder(&gauges, || runtime.block_on(simulate(scenario, seed, &gauges)))
}

/// Runs a scenario in real time, verifying on threads as the product does. Nothing is observed meanwhile, and equal seeds
/// give equal nodes only.
///
/// # Errors
/// When it ends wrongly, or not at all.
///
/// # Panics
/// When no runtime can be made.
pub fn run_with_threads(scenario: &Scenario, seed: u64) -> Result<Summary, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without I/O needs nothing from the system");
    runtime.block_on(async {
        let mut rng = Rng::with_seed(seed);
        let scene = Scene::new(scenario, &mut rng)?;
        let progress = Progress::default();
        let script = scene.play(rng.fork());
        let summary = tokio::select! {
            summary = scene.client(&progress, Verification::Threads, rng.u64(..)) => summary?,
            never = script => match never {},
            () = tokio::time::sleep(LONGEST_WITH_THREADS) => return Err(Failure::NeverEnded),
        };
        scene.check_end(&summary)?;
        Ok(summary)
    })
}

async fn simulate(scenario: &Scenario, seed: u64, gauges: &Gauges) -> Result<Run, Failure> {
    let mut rng = Rng::with_seed(seed);
    let scene = Scene::new(scenario, &mut rng)?;
    let Scene { network, peers, .. } = &scene;
    let started = Instant::now();
    let (honest_addresses, honest): (Vec<SocketAddr>, Vec<PeerConfig>) = network
        .addresses()
        .into_iter()
        .zip(peers.clone())
        .filter(|(_, peer)| (scenario.honest)(peer))
        .unzip();
    let progress = Progress::default();
    let observer = Observer {
        network,
        honest: &honest_addresses,
        gauges,
        store: &scene.store,
        settings: &scene.settings,
        has_junk: peers.iter().any(|peer| peer.faults.junk_chain.is_some()),
        started,
    };
    let client = scene.client(&progress, Verification::Inline, rng.u64(..));
    let script = scene.play(rng.fork());
    let observed = observer.watch(&progress);
    let (summary, observed) = tokio::select! {
        biased;
        ended = async { tokio::try_join!(client, observed) } => ended?,
        never = script => match never {},
        () = tokio::time::sleep(LONGEST) => return Err(Failure::NeverEnded),
    };
    let makespan = started.elapsed();

    scene.check_end(&summary)?;
    if scenario.opens_the_pool && summary.recovery.pool_openings == 0 {
        return Err(Failure::PoolStayedClosed);
    }
    checks::peers(&network.stats(), peers)?;
    checks::requests(gauges, &network.stats(), peers)?;
    let trace = trace(network, started);
    let useful = summary.requests.qrinfo + summary.requests.mnlistdiff
        - summary.requests.retried.min(summary.requests.qrinfo + summary.requests.mnlistdiff);
    let bound = lower_bound(&honest, useful, Config::default().sync.depth.get());
    let Observed { samples, lists_phase, peaks, longest_idle } = observed;
    let accuracy = match lists_phase.filter(|_| summary.state == EndState::Synced) {
        Some((began, ended)) => Accuracy::new(&samples, began, ended, summary.lists.verified),
        None => Accuracy::default(),
    };
    Ok(Run { summary, makespan, bound, accuracy, peaks, longest_idle, trace })
}

/// What a run consists of.
struct Scene<'a> {
    scenario: &'a Scenario,
    world: &'static Arc<World>,
    peers: Vec<PeerConfig>,
    network: Arc<InMemoryNetwork>,
    store: Arc<Store>,
    settings: Settings,
}

impl<'a> Scene<'a> {
    fn new(scenario: &'a Scenario, rng: &mut Rng) -> Result<Self, Failure> {
        let world = scenario.chain.world();
        let peers = scenario.draw(rng);
        let config = NetworkConfig { peers: peers.clone(), ..NetworkConfig::default() };
        let network =
            InMemoryNetwork::start(world, config).map_err(|error| Failure::Error(error.to_string()))?;
        let store =
            Store::in_memory(&world.params().network).map_err(|error| Failure::Error(error.to_string()))?;
        // Quorums of generated worlds never signed anything.
        let defaults = Settings { verify_quorums: false, ..Settings::default() };
        let settings = Settings { window: scenario.window.unwrap_or(defaults.window), ..defaults };
        Ok(Self { scenario, world, peers, network: Arc::new(network), store: Arc::new(store), settings })
    }

    async fn client(
        &self,
        progress: &Progress,
        verification: Verification,
        seed: u64,
    ) -> Result<Summary, Failure> {
        let config = Config {
            network: "regtest".to_owned(),
            peers: self.network.addresses().iter().map(ToString::to_string).collect(),
            from: Some(self.scenario.from),
            sync: self.settings.clone(),
            ..Config::default()
        };
        let environment = Environment { verification, ..surroundings(&self.network, seed) };
        let (params, store, cancel) = (self.world.params(), self.store.clone(), CancellationToken::new());
        let synced = sync_with(&environment, params, &config, store, progress, &cancel).await;
        synced.map_err(|error| Failure::Error(error.to_string()))
    }

    /// What happens to the nodes meanwhile.
    async fn play(&self, rng: Rng) -> Infallible {
        self.scenario.script.play(&self.network, &self.network.addresses(), rng).await;
        std::future::pending().await
    }

    fn check_end(&self, summary: &Summary) -> Result<(), Failure> {
        if !(self.scenario.allowed)(&summary.state) {
            return Err(Failure::WrongEnd(summary.state.clone()));
        }
        // In every scenario a node with the whole chain can be reached whenever a sync may end well.
        if summary.state == EndState::Synced && summary.tip.height != self.world.tip() {
            return Err(Failure::LowTip { height: summary.tip.height });
        }
        checks::lists(self.world, &self.store, summary)
    }
}

fn trace(network: &InMemoryNetwork, started: Instant) -> [u8; 32] {
    let mut bytes = Vec::new();
    for arrival in network.arrivals(started.into_std()) {
        bytes.extend(arrival.at.as_nanos().to_le_bytes());
        bytes.extend(arrival.peer.port().to_le_bytes());
        bytes.extend(arrival.request.as_bytes());
    }
    sha256::hash(&bytes).to_byte_array()
}
