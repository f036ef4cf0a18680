//! Starts from checkpoints: the headers below them are found, and what was taken before they were known is checked.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dash_num::Arith256;
use dashcore::params::Retargeting;
use dashcore::{ChainParams, Checkpoint, Header};
use simulation::{nodes, surroundings};
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Summary, sync_with};
use spv_integration::store::Store;
use spv_integration::{Config, Settings};
use spv_simnet::{GeneratedSpec, InMemoryNetwork, World};
use tokio_util::sync::CancellationToken;

const NEWEST: u32 = 500;

static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| {
    let spec =
        GeneratedSpec { masternodes: 8, cycles: 40, seed: 1, signatures: false, ..GeneratedSpec::default() };
    Arc::new(World::generate(&spec))
});

/// A network with DarkGravityWave, were it not for easy blocks, and with two checkpoints, the higher of which is known by its
/// hash alone.
fn params() -> ChainParams {
    let checkpoint = |height: u32| Checkpoint {
        height,
        hash: WORLD.block_hash(height).unwrap(),
        header: WORLD.header(height).copied().filter(|_| height < NEWEST),
        chain_work: Arith256::from_u64(2 * u64::from(height)),
        is_work_assumed: height == NEWEST,
        below: Vec::new(),
    };
    ChainParams {
        retargeting: Retargeting::DarkGravityWave { from: 300, exact_from: 300, allow_min_difficulty: false },
        minimum_difficulty_blocks: u32::MAX,
        checkpoints: vec![checkpoint(250), checkpoint(NEWEST)],
        ..WORLD.params().clone()
    }
}

async fn sync(network: &Arc<InMemoryNetwork>, params: &ChainParams, store: &Arc<Store>) -> Summary {
    let config = Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        sync: Settings { verify_quorums: false, ..Settings::default() },
        ..Config::default()
    };
    let (environment, progress, cancel) =
        (surroundings(network, 1), Progress::default(), CancellationToken::new());
    sync_with(&environment, params, &config, store.clone(), &progress, &cancel).await.unwrap()
}

fn two_nodes(faults: &str) -> Arc<InMemoryNetwork> {
    network(&WORLD, &[faults; 2])
}

fn network(world: &Arc<World>, faults: &[&str]) -> Arc<InMemoryNetwork> {
    nodes(world, Duration::from_millis(50), faults)
}

/// Requests for headers that all nodes had.
fn asked(network: &InMemoryNetwork) -> u64 {
    let counts = network.stats().into_iter().map(|stats| stats.requests);
    counts.map(|requests| requests.getheaders + requests.getheaders2).sum()
}

#[tokio::test(start_paused = true)]
async fn the_headers_below_a_checkpoint_are_found_once_and_kept() {
    let (network, params) = (two_nodes(""), params());
    let store = Arc::new(Store::in_memory(&params.network).unwrap());
    let summary = sync(&network, &params, &store).await;
    assert_eq!((summary.state, summary.tip.height), (EndState::Synced, WORLD.tip()));
    let chain = store.chain(&params).unwrap().unwrap();
    assert_eq!((chain.start_height(), chain.below().count()), (NEWEST, 24));
    let first = asked(&network);
    assert!(first >= 1 + 24 + 2, "the checkpoint, those below it, and the tip of two: {first}");
    let summary = sync(&network, &params, &store).await;
    assert_eq!((summary.state, summary.tip.height), (EndState::Synced, WORLD.tip()));
    assert!(asked(&network) - first <= 4, "{} after {first}", asked(&network));
}

#[tokio::test(start_paused = true)]
async fn nodes_that_serve_no_headers_do_not_hold_up_the_end() {
    for faults in ["silent", "headers,drop=1", "headers,stall=1", "headers,refuse=1", "headers,corrupt=1"] {
        let (network, params) = (two_nodes(faults), params());
        let store = Arc::new(Store::in_memory(&params.network).unwrap());
        let began = tokio::time::Instant::now();
        let summary = sync(&network, &params, &store).await;
        assert_eq!(summary.state, EndState::NoCapablePeer, "{faults}: {:?}", summary.reason);
        assert!(began.elapsed() < Duration::from_secs(60), "{faults}: {:?}", began.elapsed());
    }
}

/// A chain whose difficulty is sixteen times the least there is, with a checkpoint, below which `below` says what is known.
fn hard(below: impl Fn(&World) -> Vec<Header>) -> (Arc<World>, ChainParams) {
    let spec = GeneratedSpec {
        masternodes: 8,
        cycles: 20,
        signatures: false,
        retargets: true,
        ..GeneratedSpec::default()
    };
    let world = Arc::new(World::generate(&spec));
    let checkpoint = Checkpoint {
        height: 250,
        hash: world.block_hash(250).unwrap(),
        header: world.header(250).copied(),
        chain_work: Arith256::from_u64(2 * 250),
        is_work_assumed: false,
        below: below(&world),
    };
    let params = ChainParams { checkpoints: vec![checkpoint], ..world.params().clone() };
    (world, params)
}

#[tokio::test(start_paused = true)]
async fn an_honest_chain_is_synced_from_a_checkpoint_by_its_difficulty() {
    let (world, params) = hard(|_| Vec::new());
    let store = Arc::new(Store::in_memory(&params.network).unwrap());
    let summary = sync(&network(&world, &["", "junk-chain=500:250", ""]), &params, &store).await;
    assert_eq!(
        (&summary.state, summary.tip.height),
        (&EndState::Synced, world.tip()),
        "{:?}",
        summary.reason
    );
    let chain = store.chain(&params).unwrap().unwrap();
    assert_eq!((chain.start_height(), chain.below().count()), (250, 24));
}

/// Once all peers have are headers at the least difficulty, none of them is taken: neither before the headers below the
/// checkpoint are known, nor after.
#[tokio::test(start_paused = true)]
async fn easy_headers_on_a_checkpoint_are_not_taken_whoever_serves_them() {
    let known = |world: &World| (226..250).rev().map(|height| *world.header(height).unwrap()).collect();
    for below in [&(|_: &World| Vec::new()) as &dyn Fn(&World) -> Vec<Header>, &known] {
        let (world, params) = hard(below);
        for junk in ["junk-chain=1:250", "junk-chain=300:250"] {
            let store = Arc::new(Store::in_memory(&params.network).unwrap());
            let hostile = network(&world, &[junk; 4]);
            let summary = sync(&hostile, &params, &store).await;
            assert_ne!(summary.state, EndState::Synced);
            assert_eq!((summary.tip.height, summary.lists.verified), (250, 0), "{:?}", summary.reason);
            assert!(summary.seconds.total < 60.0, "{:?}", summary.seconds);
            let is_named = |remark: &str| remark.contains("has shown no valid headers");
            let named = summary.peers.iter().filter(|peer| peer.remark.as_deref().is_some_and(is_named));
            assert_eq!(named.count(), 4, "{:?}", summary.peers);
            assert!(store.header_count().unwrap() <= 25, "{junk}");
            assert!((251..5_250).all(|height| store.block_hash(height).unwrap().is_none()), "{junk}");
        }
    }
}
