//! A client that is given one address finds its peers by itself, and keeps the good ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use simulation::surroundings;
use spv_integration::discovery::{KnownPeer, Standing, known_peers};
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Summary, sync_with};
use spv_integration::store::BanReason;
use spv_integration::store::Store;
use spv_integration::{Config, Settings};
use spv_simnet::{GeneratedSpec, InMemoryNetwork, NetworkConfig, PeerConfig, World};
use tokio_util::sync::CancellationToken;

/// Connections that are kept, the default.
const TARGET: usize = 8;

/// A chain of which syncing every list takes a while.
fn world(cycles: u32) -> Arc<World> {
    let spec =
        GeneratedSpec { masternodes: 24, cycles, seed: 1, signatures: false, ..GeneratedSpec::default() };
    Arc::new(World::generate(&spec))
}

/// One node in each of so many networks.
fn addresses(count: usize) -> Vec<SocketAddr> {
    let networks = 0..u8::try_from(count).unwrap();
    networks.map(|network| SocketAddr::from(([50, network, 0, 1], 9999))).collect()
}

fn nodes(count: u64) -> Vec<PeerConfig> {
    let node = |seed| PeerConfig {
        rtt: Duration::from_millis(100),
        service_time: Duration::from_millis(40),
        seed,
        ..PeerConfig::default()
    };
    (0..count).map(node).collect()
}

struct Scene {
    world: Arc<World>,
    network: Arc<InMemoryNetwork>,
    addresses: Vec<SocketAddr>,
    store: Arc<Store>,
}

impl Scene {
    fn new(world: Arc<World>, peers: Vec<PeerConfig>) -> Self {
        let addresses = addresses(peers.len());
        let config = NetworkConfig { peers, ..NetworkConfig::default() };
        let network = Arc::new(InMemoryNetwork::start_at(&world, config, addresses.clone()).unwrap());
        let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
        Self { world, network, addresses, store }
    }

    /// Syncs every list, given these peers.
    async fn sync(&self, peers: &[SocketAddr]) -> Summary {
        let config = Config {
            network: "regtest".to_owned(),
            peers: peers.iter().map(ToString::to_string).collect(),
            discover: true,
            from: Some(1),
            sync: Settings { verify_quorums: false, ..Settings::default() },
            ..Config::default()
        };
        self.sync_as(&config).await
    }

    async fn sync_as(&self, config: &Config) -> Summary {
        let environment = surroundings(&self.network, 7);
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let store = self.store.clone();
        sync_with(&environment, self.world.params(), config, store, &progress, &cancel).await.unwrap()
    }

    fn connected(&self) -> usize {
        self.network.stats().iter().filter(|stats| stats.open_connections > 0).count()
    }

    /// The most connections there ever are.
    async fn watch_connections(&self, most: &mut usize) {
        loop {
            *most = self.connected().max(*most);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn known(&self, index: usize) -> KnownPeer {
        let known = known_peers(&self.store).unwrap();
        known.into_iter().find(|peer| peer.address == self.addresses[index]).unwrap()
    }
}

fn ban(known: &KnownPeer) -> Option<BanReason> {
    match known.standing {
        Standing::Banned { reason, .. } => Some(reason),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn peers_are_found_by_gossip_up_to_the_target_and_remembered() {
    let scene = Scene::new(world(150), nodes(20));
    let mut most = 0;
    let summary = tokio::select! {
        summary = scene.sync(&scene.addresses[..1]) => summary,
        () = scene.watch_connections(&mut most) => unreachable!(),
    };
    assert_eq!(summary.state, EndState::Synced);
    assert_eq!(most, TARGET);
    assert!(summary.peers.iter().filter(|peer| peer.requests > 0).count() >= TARGET, "{:?}", summary.peers);
    let known = known_peers(&scene.store).unwrap();
    assert_eq!(known.len(), 20);
    let answered = known.iter().filter(|peer| peer.record.succeeded.is_some());
    assert_eq!(answered.count(), TARGET);
    // Some came when there was hardly anything left to do.
    let serving = known.iter().filter(|peer| peer.record.served > 0 && peer.score > 0.5);
    assert!(serving.count() > TARGET / 2, "{known:#?}");
}

#[tokio::test(start_paused = true)]
async fn liars_refusers_and_laggards_are_replaced_and_a_restart_remembers_them() {
    let world = world(500);
    let (liar, refuser, laggard) = (7, 8, 9);
    let mut peers = nodes(10);
    peers[liar].faults = "corrupt=1".parse().unwrap();
    peers[refuser].faults.refuse_all = true;
    peers[laggard].tip = Some(world.tip() - 200);
    let scene = Scene::new(world, peers);

    let summary = scene.sync(&scene.addresses[..1]).await;
    assert_eq!(summary.state, EndState::Synced);
    for (index, reason) in
        [(liar, BanReason::Lied), (refuser, BanReason::Refuses), (laggard, BanReason::Behind)]
    {
        let known = scene.known(index);
        assert_eq!(ban(&known), Some(reason), "{known:?}");
        assert_eq!(scene.network.stats()[index].connections, 1, "{known:?}");
    }
    assert!((1..7).all(|index| ban(&scene.known(index)).is_none()));

    // Nobody is given, and there are no seeds: whoever is asked now was remembered.
    let before = scene.network.stats();
    let again = scene.sync(&[]).await;
    assert_eq!(again.state, EndState::Synced);
    let connected: Vec<u64> = scene
        .network
        .stats()
        .iter()
        .zip(before)
        .map(|(now, before)| now.connections - before.connections)
        .collect();
    // Masternodes of the proven list have a chance as well, though nobody is there.
    assert!(connected[..7].iter().all(|&connections| connections <= 1), "{connected:?}");
    assert!(connected[..7].iter().sum::<u64>() >= TARGET as u64 / 2, "{connected:?}");
    assert_eq!(connected[7..], [0, 0, 0], "banned");
}

#[tokio::test(start_paused = true)]
async fn nodes_that_come_and_go_are_replaced() {
    let scene = Scene::new(world(150), nodes(20));
    let mut rng = Rng::with_seed(3);
    let churn = async {
        loop {
            tokio::time::sleep(Duration::from_millis(rng.u64(50..400))).await;
            let address = scene.addresses[rng.usize(1..20)];
            if scene.network.is_up(address) {
                scene.network.take_down(address);
            } else {
                scene.network.bring_up(address);
            }
        }
    };
    let mut most = 0;
    let summary = tokio::select! {
        summary = scene.sync(&scene.addresses[..1]) => summary,
        () = churn => unreachable!(),
        () = scene.watch_connections(&mut most) => unreachable!(),
    };
    assert_eq!(summary.state, EndState::Synced);
    assert_eq!(most, TARGET);
    let used = summary.peers.iter().filter(|peer| peer.requests > 0).count();
    assert!(used > TARGET, "only {used} were ever used");
}

#[tokio::test(start_paused = true)]
async fn without_discovery_only_those_that_are_given_are_talked_to() {
    let scene = Scene::new(world(150), nodes(4));
    let config = Config {
        network: "regtest".to_owned(),
        peers: scene.addresses[..2].iter().map(ToString::to_string).collect(),
        sync: Settings { verify_quorums: false, ..Settings::default() },
        ..Config::default()
    };
    assert_eq!(scene.sync_as(&config).await.state, EndState::Synced);
    let connections: Vec<u64> = scene.network.stats().iter().map(|stats| stats.connections).collect();
    assert_eq!(connections, [1, 1, 0, 0]);
    assert_eq!(known_peers(&scene.store).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_is_dropped_leaves_no_connection_and_no_use_of_the_store() {
    let scene = Scene::new(world(150), nodes(20));
    let unfinished = tokio::time::timeout(Duration::from_secs(1), scene.sync(&scene.addresses[..1])).await;
    assert!(unfinished.is_err() && scene.connected() > 1, "{} connected", scene.connected());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((scene.connected(), Arc::strong_count(&scene.store)), (0, 1));
}
