//! A download of headers that is cut off again and again gets there nevertheless.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use simulation::surroundings;
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, sync_with};
use spv_integration::store::Store;
use spv_integration::{Config, Settings};
use spv_simnet::{GeneratedSpec, InMemoryNetwork, NetworkConfig, PeerConfig, World};
use tokio_util::sync::CancellationToken;

const RTT: Duration = Duration::from_millis(200);

/// Some full answers long.
static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| {
    let spec = GeneratedSpec {
        masternodes: 8,
        cycles: 12,
        seed: 1,
        signatures: false,
        quiet: 25_000,
        ..GeneratedSpec::default()
    };
    Arc::new(World::generate(&spec))
});

/// Syncs, each time for no longer than `limit`, until that succeeds. How often it took, and what the nodes sent.
async fn sync(store: &Arc<Store>, limit: Duration) -> (u32, u64) {
    let peer = || PeerConfig { rtt: RTT, ..PeerConfig::default() };
    let config = NetworkConfig { peers: (0..5).map(|_| peer()).collect(), ..NetworkConfig::default() };
    let network = Arc::new(InMemoryNetwork::start(&WORLD, config).unwrap());
    let config = Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        sync: Settings { verify_quorums: false, ..Settings::default() },
        ..Config::default()
    };
    for tries in 1..100 {
        let (environment, progress) = (surroundings(&network, u64::from(tries)), Progress::default());
        let cancel = CancellationToken::new();
        let synced = sync_with(&environment, WORLD.params(), &config, store.clone(), &progress, &cancel);
        if let Ok(summary) = tokio::time::timeout(limit, synced).await {
            let summary = summary.unwrap();
            assert_eq!((summary.state, summary.tip.height), (EndState::Synced, WORLD.tip()));
            return (tries, network.stats().iter().map(|stats| stats.bytes_sent).sum());
        }
        // Connections are closed in the background.
        tokio::time::sleep(RTT).await;
    }
    panic!("it never gets there");
}

#[tokio::test(start_paused = true)]
async fn headers_that_came_are_not_downloaded_again() {
    let store = || Arc::new(Store::in_memory(&WORLD.params().network).unwrap());
    let (tries, undisturbed) = sync(&store(), Duration::from_secs(60)).await;
    assert_eq!(tries, 1);
    // Connect, greet, and one to three answers.
    for round_trips in [4, 5, 6] {
        let (tries, received) = sync(&store(), RTT * round_trips + RTT / 2).await;
        assert!((2..20).contains(&tries), "{tries} tries");
        assert!(received <= 2 * undisturbed, "{received} beside {undisturbed} bytes, {tries} tries");
    }
}
