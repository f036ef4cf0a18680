use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bitcoin_hashes::sha256;
use fastrand::Rng;
use futures::TryFutureExt;
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Summary, SyncError, sync_with};
use spv_integration::store::Store;
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

async fn simulate(scenario: &Scenario, seed: u64, gauges: &Gauges) -> Result<Run, Failure> {
    let mut rng = Rng::with_seed(seed);
    let peers = scenario.draw(&mut rng);
    let config = NetworkConfig { peers: peers.clone(), ..NetworkConfig::default() };
    let world = scenario.chain.world();
    let network = InMemoryNetwork::start(world, config).map_err(|error| Failure::Error(error.to_string()))?;
    let network = Arc::new(network);
    let started = Instant::now();

    let addresses = network.addresses();
    let honest: Vec<(SocketAddr, PeerConfig)> =
        addresses.iter().copied().zip(peers.clone()).filter(|(_, peer)| (scenario.honest)(peer)).collect();
    let (honest_addresses, honest): (Vec<SocketAddr>, Vec<PeerConfig>) = honest.into_iter().unzip();
    let store =
        Store::in_memory(&world.params().network).map_err(|error| Failure::Error(error.to_string()))?;
    let store = Arc::new(store);
    let progress = Progress::default();
    // Quorums of generated worlds never signed anything.
    let defaults = Settings { verify_quorums: false, ..Settings::default() };
    let settings = Settings { window: scenario.window.unwrap_or(defaults.window), ..defaults };
    let observer = Observer {
        network: &network,
        honest: &honest_addresses,
        gauges,
        store: &store,
        settings: &settings,
        has_junk: peers.iter().any(|peer| peer.faults.junk_chain.is_some()),
        started,
    };
    let (from, seed) = (scenario.from, rng.u64(..));
    let client = client(world, &network, settings.clone(), store.clone(), &progress, from, seed)
        .map_err(|error| Failure::Error(error.to_string()));
    let script = async {
        scenario.script.play(&network, &addresses, rng.fork()).await;
        std::future::pending::<()>().await;
    };
    let observed = observer.watch(&progress);
    let (summary, observed) = tokio::select! {
        biased;
        ended = async { tokio::try_join!(client, observed) } => ended?,
        () = script => unreachable!("the script waits for ever"),
        () = tokio::time::sleep(LONGEST) => return Err(Failure::NeverEnded),
    };
    let makespan = started.elapsed();

    if !(scenario.allowed)(&summary.state) {
        return Err(Failure::WrongEnd(summary.state));
    }
    // In every scenario a node with the whole chain can be reached whenever a sync may end well.
    if summary.state == EndState::Synced && summary.tip.height != world.tip() {
        return Err(Failure::LowTip { height: summary.tip.height });
    }
    if scenario.opens_the_pool && summary.recovery.pool_openings == 0 {
        return Err(Failure::PoolStayedClosed);
    }
    checks::lists(world, &store, &summary)?;
    checks::peers(&network.stats(), &peers)?;
    checks::requests(gauges, &network.stats(), &peers)?;
    let trace = trace(&network, started);
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

async fn client(
    world: &World,
    network: &Arc<InMemoryNetwork>,
    settings: Settings,
    store: Arc<Store>,
    progress: &Progress,
    from: u32,
    seed: u64,
) -> Result<Summary, SyncError> {
    let config = Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        from: Some(from),
        sync: settings,
        ..Config::default()
    };
    let environment = surroundings(network, seed);
    sync_with(&environment, world.params(), &config, store, progress, &CancellationToken::new()).await
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
