//! Simulated networks, syncs from them, and what is left in the store afterwards.

pub(crate) mod final_state;
pub(crate) mod flip;
pub(crate) mod process;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use spv_integration::net::{Connector, Resolver};
use spv_integration::progress::Progress;
use spv_integration::session::{Environment, Summary, sync, sync_with};
use spv_integration::store::{Store, StoreError};
use spv_integration::verify::Verification;
use spv_integration::{Config, Settings};
use spv_simnet::{GeneratedSpec, InMemoryNetwork, Network, NetworkConfig, PeerConfig, PeerStats, World};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use final_state::FinalState;
use process::wait_until;

/// A folder of recorded data, which is no part of the project. Where it is absent, a test says so and passes, except on
/// CI, where it has to be there.
pub(crate) fn recorded(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "the recorded data {} is missing", path.display());
    eprintln!("SKIPPED: the recorded data {} is not there", path.display());
    None
}

/// The recorded chain: 862 blocks of a real node.
pub(crate) fn recorded_world() -> Option<Arc<World>> {
    static WORLD: LazyLock<Option<Arc<World>>> =
        LazyLock::new(|| recorded("regtest-862").map(|folder| Arc::new(World::load(&folder).unwrap())));
    if WORLD.is_none() {
        // Once more for this test.
        recorded("regtest-862");
    }
    WORLD.clone()
}

/// A generated chain of 503 blocks.
pub(crate) fn generated_world() -> Arc<World> {
    static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| generate(12, 3));
    WORLD.clone()
}

pub(crate) fn generate(cycles: u32, seed: u64) -> Arc<World> {
    Arc::new(World::generate(&GeneratedSpec { masternodes: 12, cycles, seed, ..GeneratedSpec::default() }))
}

/// A generated chain whose quorums never signed anything.
pub(crate) fn unsigned_world() -> Arc<World> {
    let spec =
        GeneratedSpec { masternodes: 12, cycles: 3, seed: 3, signatures: false, ..GeneratedSpec::DEFAULT };
    Arc::new(World::generate(&spec))
}

/// As many honest peers, each with a seed of its own.
pub(crate) fn honest(count: u64) -> Vec<PeerConfig> {
    (0..count).map(|seed| PeerConfig { seed, ..PeerConfig::default() }).collect()
}

pub(crate) fn faulty(faults: &str, seed: u64) -> PeerConfig {
    PeerConfig { faults: faults.parse().unwrap(), seed, ..PeerConfig::default() }
}

/// As many peers with the same faults, but each in other places.
pub(crate) fn all_faulty(count: u64, faults: &str, seed: u64) -> Vec<PeerConfig> {
    (0..count).map(|index| faulty(faults, seed * 100 + index)).collect()
}

/// So slow that one peer does not do all the work before the others have any.
pub(crate) fn slow(peer: PeerConfig) -> PeerConfig {
    PeerConfig { rtt: Duration::from_millis(20), service_time: Duration::from_millis(5), ..peer }
}

/// Waits as short as loopback allows, so that what goes wrong costs little time.
pub(crate) fn impatient() -> Settings {
    let mut settings = Settings {
        handshake_timeout: Duration::from_millis(500),
        reconnect_base: Duration::from_millis(5),
        reconnect_cap: Duration::from_millis(50),
        peer_patience: Duration::from_millis(500),
        ..Settings::default()
    };
    settings.executor.soft_timeout = Duration::from_millis(250);
    settings.executor.hard_timeout = Duration::from_millis(500);
    settings.recovery.backoff_base = Duration::from_millis(5);
    settings.recovery.backoff_cap = Duration::from_millis(50);
    settings
}

pub(crate) async fn start(world: &Arc<World>, peers: Vec<PeerConfig>) -> Network {
    Network::start(world.clone(), NetworkConfig { peers, ..NetworkConfig::default() }).await.unwrap()
}

/// Nodes in memory, for tests in paused time: what a client does with them follows from the seeds alone.
pub(crate) struct VirtualNodes {
    networks: Vec<InMemoryNetwork>,
    addresses: Vec<SocketAddr>,
    network_of: BTreeMap<SocketAddr, usize>,
}

/// On a wire that takes no time, a node would have served everything before another one is heard of.
const SHORTEST_RTT: Duration = Duration::from_millis(1);

impl VirtualNodes {
    /// Nodes that serve different chains, of which each kind knows nothing of the others.
    pub(crate) fn start(chains: Vec<(&Arc<World>, Vec<PeerConfig>)>) -> Arc<Self> {
        let mut nodes = Self { networks: Vec::new(), addresses: Vec::new(), network_of: BTreeMap::new() };
        for (index, (world, peers)) in (0..).zip(chains) {
            let localhost = |port| SocketAddr::from(([127, 0, 0, index + 1], port));
            let addresses: Vec<SocketAddr> = (1..).map(localhost).take(peers.len()).collect();
            let peers = peers.into_iter().map(|peer| PeerConfig { rtt: peer.rtt.max(SHORTEST_RTT), ..peer });
            let config = NetworkConfig { peers: peers.collect(), ..NetworkConfig::default() };
            nodes.network_of.extend(addresses.iter().map(|address| (*address, nodes.networks.len())));
            nodes.networks.push(InMemoryNetwork::start_at(world, config, addresses.clone()).unwrap());
            nodes.addresses.extend(addresses);
        }
        Arc::new(nodes)
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.addresses.iter().map(ToString::to_string).collect()
    }

    /// What the nodes counted, in the order in which they were given.
    pub(crate) fn stats(&self) -> Vec<PeerStats> {
        self.networks.iter().flat_map(InMemoryNetwork::stats).collect()
    }

    pub(crate) fn take_all_down(&self) {
        for address in &self.addresses {
            self.networks[self.network_of[address]].take_down(*address);
        }
    }

    fn io(self: &Arc<Self>) -> Environment {
        let nodes = self.clone();
        let connector = Connector::new(move |address| {
            let nodes = nodes.clone();
            async move { nodes.networks[nodes.network_of[&address]].connect(address).await }
        });
        Environment {
            connector,
            resolver: Resolver::none(),
            verification: Verification::Inline,
            seed: Some(1),
        }
    }
}

/// A data directory with what is needed to sync into it.
pub(crate) struct DataDir {
    directory: TempDir,
    pub(crate) settings: Settings,
}

/// Opens a store that a process which was killed, or a sync which was dropped, may still be letting go of.
fn opened(open: impl Fn() -> Result<Store, StoreError>) -> Store {
    let mut store = open();
    wait_until("the store is free", || {
        if matches!(store, Err(StoreError::InUse { .. })) {
            store = open();
        }
        !matches!(store, Err(StoreError::InUse { .. }))
    });
    store.unwrap()
}

/// How a sync from a network ended: as the client says, and as the peers counted.
pub(crate) struct Ended {
    pub(crate) summary: Summary,
    pub(crate) stats: Vec<PeerStats>,
}

impl DataDir {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), settings: Settings::default() }
    }

    pub(crate) fn impatient() -> Self {
        Self { settings: impatient(), ..Self::new() }
    }

    /// For syncs that end with the lists.
    pub(crate) fn lists_only() -> Self {
        Self { settings: Settings { verify_quorums: false, ..Settings::default() }, ..Self::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Syncs from a network that lives as long as that takes.
    pub(crate) async fn sync(&self, world: &Arc<World>, peers: Vec<PeerConfig>, from: u32) -> Ended {
        let network = start(world, peers).await;
        let peers = network.addresses().iter().map(ToString::to_string).collect();
        let summary = self.sync_from(world, peers, from).await;
        Ended { summary, stats: network.shutdown().await }
    }

    /// The same in virtual time, which the caller has to have paused.
    pub(crate) async fn sync_in_virtual_time(
        &self,
        world: &Arc<World>,
        peers: Vec<PeerConfig>,
        from: u32,
    ) -> Ended {
        let nodes = VirtualNodes::start(vec![(world, peers)]);
        let summary = self.sync_from_nodes(world, &nodes, from, &Progress::default()).await;
        Ended { summary, stats: nodes.stats() }
    }

    pub(crate) async fn sync_from_nodes(
        &self,
        world: &World,
        nodes: &Arc<VirtualNodes>,
        from: u32,
        progress: &Progress,
    ) -> Summary {
        let (config, store) = self.prepare(world, nodes.addresses(), Some(from));
        let cancel = CancellationToken::new();
        sync_with(&nodes.io(), world.params(), &config, store, progress, &cancel).await.unwrap()
    }

    pub(crate) async fn sync_from(&self, world: &World, peers: Vec<String>, from: u32) -> Summary {
        self.sync_watched(world, peers, from, &Progress::default()).await
    }

    pub(crate) async fn sync_watched(
        &self,
        world: &World,
        peers: Vec<String>,
        from: u32,
        progress: &Progress,
    ) -> Summary {
        self.sync_range(world, peers, Some(from), progress).await
    }

    /// With `from` `None`, only what the tip needs.
    pub(crate) async fn sync_range(
        &self,
        world: &World,
        peers: Vec<String>,
        from: Option<u32>,
        progress: &Progress,
    ) -> Summary {
        let (config, store) = self.prepare(world, peers, from);
        sync(world.params(), &config, store, progress, &CancellationToken::new()).await.unwrap()
    }

    fn prepare(&self, world: &World, peers: Vec<String>, from: Option<u32>) -> (Config, Arc<Store>) {
        let network = "regtest".to_owned();
        let config = Config { network, peers, from, sync: self.settings.clone(), ..Config::default() };
        let store = opened(|| Store::create_or_open(self.path(), &world.params().network));
        (config, Arc::new(store))
    }

    pub(crate) fn open(&self) -> Store {
        opened(|| Store::open(self.path()))
    }

    pub(crate) fn final_state(&self, world: &World) -> FinalState {
        FinalState::read(&self.open(), world.params())
    }
}

/// What a sync of the whole world from one honest peer leaves behind.
pub(crate) fn reference(world: &Arc<World>) -> FinalState {
    synced_by(DataDir::new(), world)
}

/// The same without the quorum phase, which brings further lists, depending on the tip.
pub(crate) fn reference_of_lists(world: &Arc<World>) -> FinalState {
    synced_by(DataDir::lists_only(), world)
}

/// Runs on a thread with a virtual time of its own, since the caller's may be a real one.
fn synced_by(data: DataDir, world: &Arc<World>) -> FinalState {
    let sync = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let ended = runtime.block_on(data.sync_in_virtual_time(world, honest(1), 1));
        assert_eq!(ended.summary.state.as_str(), "Synced");
        data.final_state(world)
    };
    thread::scope(|scope| scope.spawn(sync).join().unwrap())
}

pub(crate) trait PeerStatsExt {
    fn total_faults(&self) -> u64;
}

impl PeerStatsExt for [PeerStats] {
    fn total_faults(&self) -> u64 {
        self.iter().map(|peer| peer.faults).sum()
    }
}
