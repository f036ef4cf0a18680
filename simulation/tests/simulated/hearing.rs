//! Which tip a sync ends at when headers come slowly, are lost, or come from a peer that is gone by the end.

use std::num::NonZeroU64;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use simulation::surroundings;
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Summary, sync_with};
use spv_integration::store::Store;
use spv_integration::{Config, Settings};
use spv_simnet::{GeneratedSpec, InMemoryNetwork, NetworkConfig, PeerConfig, World};
use tokio_util::sync::CancellationToken;

/// Longer than two full answers.
static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| {
    let spec =
        GeneratedSpec { masternodes: 8, cycles: 200, seed: 1, signatures: false, ..GeneratedSpec::default() };
    Arc::new(World::generate(&spec))
});

fn near(faults: &str) -> PeerConfig {
    PeerConfig { rtt: Duration::from_millis(10), faults: faults.parse().unwrap(), ..PeerConfig::default() }
}

/// A node behind a line on which a full answer takes as many seconds.
fn narrow(seconds: u64) -> PeerConfig {
    PeerConfig {
        rtt: Duration::from_millis(100),
        bandwidth: NonZeroU64::new(2_000 * 81 / seconds),
        ..PeerConfig::default()
    }
}

fn start(peers: Vec<PeerConfig>) -> Arc<InMemoryNetwork> {
    let config = NetworkConfig { peers, ..NetworkConfig::default() };
    Arc::new(InMemoryNetwork::start(&WORLD, config).unwrap())
}

/// Syncs the last lists into an empty store.
async fn sync(network: &Arc<InMemoryNetwork>) -> Summary {
    sync_watched(network, &Progress::default()).await
}

async fn sync_watched(network: &Arc<InMemoryNetwork>, progress: &Progress) -> Summary {
    let params = WORLD.params();
    let config = Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        from: Some(WORLD.tip() - 100),
        sync: Settings { verify_quorums: false, ..Settings::default() },
        ..Config::default()
    };
    let store = Arc::new(Store::in_memory(&params.network).unwrap());
    let environment = surroundings(network, 1);
    sync_with(&environment, params, &config, store, progress, &CancellationToken::new()).await.unwrap()
}

fn assert_at_tip(summary: &Summary) {
    assert_eq!(
        (&summary.state, summary.tip.height),
        (&EndState::Synced, WORLD.tip()),
        "{:?} {:?}",
        summary.reason,
        summary.peers
    );
}

#[tokio::test(start_paused = true)]
async fn a_narrow_line_is_waited_for_while_its_headers_come() {
    for seconds in [2, 4, 8] {
        assert_at_tip(&sync(&start(vec![narrow(seconds)])).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_quick_node_that_is_stuck_does_not_end_a_download_over_a_narrow_line() {
    // Without a byte for longer than that, nobody could know that its first answer is coming.
    for seconds in [2, 4] {
        assert_at_tip(&sync(&start(vec![near("behind=300"), narrow(seconds)])).await);
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_peer_is_asked_again_when_headers_of_a_long_stretch_are_lost() {
    for faults in ["headers,drop=every:2", "headers,stall=every:2", "disconnect=every:3"] {
        assert_at_tip(&sync(&start(vec![near(faults)])).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tip_counts_also_when_the_peer_that_told_it_is_gone() {
    let network = start(vec![near(""), near("silent")]);
    let progress = Progress::default();
    let mut watch = progress.watch();
    let leave = async {
        let is_all_proven = |planned, proven| planned > 0 && planned == proven;
        watch.wait_for(|state| is_all_proven(state.planned_lists, state.proven_lists)).await.unwrap();
        network.take_down(network.addresses()[0]);
    };
    let (summary, ()) = tokio::join!(sync_watched(&network, &progress), leave);
    assert_at_tip(&summary);
}

#[tokio::test(start_paused = true)]
async fn nodes_that_are_all_away_for_a_minute_in_the_middle_of_the_headers_are_waited_for() {
    let network = start(vec![narrow(8), narrow(8)]);
    let outage = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        network.addresses().iter().for_each(|&address| network.take_down(address));
        tokio::time::sleep(Duration::from_secs(60)).await;
        network.addresses().iter().for_each(|&address| network.bring_up(address));
    };
    let (summary, ()) = tokio::join!(sync(&network), outage);
    assert_at_tip(&summary);
}
