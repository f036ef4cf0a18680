//! Headers in compressed form, from asking to the synced tip.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use simulation::surroundings;
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Summary, sync_with};
use spv_integration::store::Store;
use spv_integration::{Config, Settings};
use spv_simnet::{GeneratedSpec, InMemoryNetwork, NetworkConfig, PeerConfig, RequestCounts, World};
use tokio_util::sync::CancellationToken;

/// A little longer than a full compressed answer.
static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| {
    let spec =
        GeneratedSpec { masternodes: 8, cycles: 330, seed: 1, signatures: false, ..GeneratedSpec::default() };
    let world = World::generate(&spec);
    assert!((8_001..9_000).contains(&world.tip()), "{}", world.tip());
    Arc::new(world)
});

/// Syncs the last lists into an empty store from nodes with these faults and that version.
async fn sync(faults: &[&str], protocol_version: i32) -> (Summary, Vec<RequestCounts>) {
    let peer = |faults: &&str| PeerConfig {
        rtt: Duration::from_millis(10),
        faults: faults.parse().unwrap(),
        protocol_version,
        ..PeerConfig::default()
    };
    let config = NetworkConfig { peers: faults.iter().map(peer).collect(), ..NetworkConfig::default() };
    let network = Arc::new(InMemoryNetwork::start(&WORLD, config).unwrap());
    let params = WORLD.params();
    let config = Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        from: Some(WORLD.tip() - 100),
        sync: Settings { verify_quorums: false, ..Settings::default() },
        ..Config::default()
    };
    let store = Arc::new(Store::in_memory(&params.network).unwrap());
    let (environment, progress) = (surroundings(&network, 1), Progress::default());
    let stop = CancellationToken::new();
    let summary = sync_with(&environment, params, &config, store, &progress, &stop).await.unwrap();
    assert_eq!(
        (&summary.state, summary.tip.height, summary.tip.hash),
        (&EndState::Synced, WORLD.tip(), WORLD.block_hash(WORLD.tip()).unwrap()),
        "{:?} {:?}",
        summary.reason,
        summary.peers
    );
    (summary, network.stats().iter().map(|stats| stats.requests).collect())
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_takes_compressed_headers_eight_thousand_at_a_time() {
    let (summary, counts) = sync(&[""], 70_240).await;
    assert_eq!((counts[0].getheaders2, counts[0].getheaders), (2, 0));
    assert_eq!(summary.requests.getheaders, 2, "both forms are counted");
    // Two thousand each between older nodes.
    let (_, counts) = sync(&[""], 70_234).await;
    assert_eq!((counts[0].getheaders2, counts[0].getheaders), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn nodes_that_do_not_offer_them_are_asked_plainly() {
    let (_, counts) = sync(&["no-headers2"], 70_240).await;
    assert_eq!((counts[0].getheaders2, counts[0].getheaders), (0, 5));
    let (_, counts) = sync(&["no-headers2", ""], 70_240).await;
    assert!(counts[0].getheaders2 == 0 && counts[1].getheaders == 0, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn after_undecodable_ones_the_same_chain_comes_plainly() {
    let (summary, counts) = sync(&["bad-headers2=1"], 70_240).await;
    assert_eq!((counts[0].getheaders2, counts[0].getheaders), (1, 5));
    assert_eq!(summary.peers[0].failed, 1, "{:?}", summary.peers);
    let (summary, counts) = sync(&["bad-headers2=1", "bad-headers2=1", ""], 70_240).await;
    assert!(counts.iter().all(|counts| counts.getheaders2 >= 1), "{counts:?}");
    assert_eq!(summary.peers.iter().map(|peer| peer.failed).collect::<Vec<_>>(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn half_a_batch_does_not_end_the_chain() {
    for faults in [&["half-headers=1"][..], &["half-headers=first:2"], &["half-headers=1", ""]] {
        sync(faults, 70_240).await;
    }
}
