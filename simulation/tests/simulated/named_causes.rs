//! Where a sync cannot end well, it ends soon, and its message names the cause.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use simulation::{nodes, surroundings};
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Shortfall, Summary, sync_with};
use spv_integration::store::Store;
use spv_integration::{Config, Settings};
use spv_simnet::{GeneratedSpec, InMemoryNetwork, World};
use tokio_util::sync::CancellationToken;

const HOURS: i64 = 60 * 60;

/// A chain whose last block was made now by a clock that is this many seconds ahead of ours.
fn world(clock_ahead: i64) -> Arc<World> {
    let tip_time = unix_seconds().checked_add_signed(clock_ahead).and_then(|time| u32::try_from(time).ok());
    let spec = GeneratedSpec { masternodes: 8, cycles: 2, signatures: false, tip_time, ..Default::default() };
    Arc::new(World::generate(&spec))
}

#[expect(clippy::disallowed_methods, reason = "headers are dated by the wall clock")]
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn start(world: &Arc<World>, faults: &[&str]) -> Arc<InMemoryNetwork> {
    nodes(world, Duration::from_millis(50), faults)
}

async fn sync(world: &World, network: &Arc<InMemoryNetwork>, store: &Arc<Store>) -> Summary {
    let config = Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        max_tip_age: Some(Duration::from_secs(3_600)),
        sync: Settings { verify_quorums: false, ..Settings::default() },
        ..Config::default()
    };
    let (environment, progress) = (surroundings(network, 1), Progress::default());
    let cancel = CancellationToken::new();
    sync_with(&environment, world.params(), &config, store.clone(), &progress, &cancel).await.unwrap()
}

fn new_store(world: &World) -> Arc<Store> {
    Arc::new(Store::in_memory(&world.params().network).unwrap())
}

fn shortfall(summary: &Summary) -> &Shortfall {
    let EndState::Degraded { reason, .. } = &summary.state else { panic!("{summary:?}") };
    reason
}

/// Every node is as it should be, so nothing stands against any of them.
fn assert_nobody_is_blamed(summary: &Summary) {
    assert!(summary.seconds.total < 25.0, "{summary:?}");
    for peer in &summary.peers {
        assert_eq!((peer.failed, peer.invalid, peer.refused, &peer.remark), (0, 0, 0, &None), "{peer:?}");
        assert!(peer.requests <= 10, "{peer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_slow_is_named_and_no_peer_is_blamed() {
    let world = world(6 * HOURS);
    let summary = sync(&world, &start(&world, &["clock=6h", "clock=6h", ""]), &new_store(&world)).await;
    assert_nobody_is_blamed(&summary);
    assert!(summary.seconds.total < 6.0, "everybody has said so: {:?}", summary.seconds);
    let reason = shortfall(&summary).to_string();
    assert!(reason.contains("this machine's clock is wrong, 360 min behind those of most peers"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_fast_is_named_where_the_tip_seems_old() {
    let world = world(-6 * HOURS);
    let summary = sync(&world, &start(&world, &["clock=-6h", "clock=-6h", ""]), &new_store(&world)).await;
    assert_nobody_is_blamed(&summary);
    let reason = shortfall(&summary).to_string();
    assert!(reason.contains("360 min ahead of those of most peers"), "{reason}");
    assert_eq!(summary.tip.height, world.tip());
}

#[tokio::test(start_paused = true)]
async fn peers_on_a_shorter_chain_are_named_with_both_tips() {
    let world = world(0);
    let store = new_store(&world);
    let summary = sync(&world, &start(&world, &["", ""]), &store).await;
    assert_eq!((&summary.state, summary.tip.height), (&EndState::Synced, world.tip()));

    let fork_at = world.tip() - 50;
    let junk = format!("junk-chain=10:{fork_at}");
    let summary = sync(&world, &start(&world, &[&junk, &junk]), &store).await;
    let Shortfall::OtherChain { height, hash, their_height, fork, peers, .. } = *shortfall(&summary) else {
        panic!("{summary:?}");
    };
    assert_eq!((height, Some(hash), fork), (world.tip(), world.block_hash(world.tip()), fork_at));
    assert_eq!((their_height, peers), (fork_at + 10, 2));
    assert!(summary.requests.getheaders <= 6, "{:?}", summary.requests);
    assert_eq!(summary.tip.height, world.tip());
    assert!(summary.peers.iter().all(|peer| peer.remark.as_ref().unwrap().contains("less work")));

    // It is still what everybody else has.
    let summary = sync(&world, &start(&world, &["", &junk]), &store).await;
    assert_eq!((&summary.state, summary.tip.height), (&EndState::Synced, world.tip()));
}
