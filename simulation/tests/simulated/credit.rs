//! What we cost a node's patience.

use std::sync::Arc;
use std::time::Duration;

use simulation::surroundings;
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, sync_with};
use spv_integration::store::Store;
use spv_integration::{Config, Settings};
use spv_simnet::{GeneratedSpec, InMemoryNetwork, NetworkConfig, PeerConfig, World};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Refusals that may be caused on one connection.
const CREDIT: u32 = 4;

#[tokio::test(start_paused = true)]
async fn the_only_peer_is_connected_anew_at_once_when_its_credit_is_spent_and_loses_nothing() {
    let world = Arc::new(World::generate(&GeneratedSpec {
        masternodes: 24,
        cycles: 60,
        seed: 1,
        ..GeneratedSpec::default()
    }));
    let rtt = Duration::from_millis(100);
    let faults = "refuse=0.4".parse().unwrap();
    let peer = PeerConfig { rtt, faults, seed: 3, ..PeerConfig::default() };
    let config = NetworkConfig { peers: vec![peer], ..NetworkConfig::default() };
    let network = Arc::new(InMemoryNetwork::start(&world, config).unwrap());
    let mut sync = Settings { verify_quorums: false, ..Settings::default() };
    sync.recovery.ledger_limit = CREDIT;
    // So that a wait for anything but the connection shows.
    (sync.reconnect_base, sync.reconnect_cap) = (Duration::from_secs(60), Duration::from_secs(60));
    let peers = network.addresses().iter().map(ToString::to_string).collect();
    let config = Config { network: "regtest".to_owned(), peers, from: Some(0), sync, ..Config::default() };
    let params = world.params();
    let store = Arc::new(Store::in_memory(&params.network).unwrap());
    let environment = surroundings(&network, 1);
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let started = Instant::now();
    let summary = sync_with(&environment, params, &config, store, &progress, &cancel).await.unwrap();
    assert_eq!(summary.state, EndState::Synced);
    let refused: u64 = summary.peers.iter().map(|peer| peer.refused).sum();
    assert!(refused > 3 * u64::from(CREDIT), "several connections were needed: {refused} refusals");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    // What was in flight when the credit was spent may be refused too.
    let score = network.stats().iter().map(|peer| peer.max_misbehaviour).max();
    assert!(score <= Some(CREDIT + 2), "{score:?}");
    let lost: u64 = summary.peers.iter().map(|peer| peer.failed).sum();
    assert_eq!(lost, 0, "what was in flight was waited for");
}
