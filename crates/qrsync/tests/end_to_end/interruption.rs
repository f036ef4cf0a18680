//! Syncs that go on where others stopped: by plan, by chance, or by force.

use std::sync::Arc;

use spv_integration::progress::Progress;
use spv_simnet::{GeneratedSpec, Network, PeerConfig, Unlocked, World};

use crate::support::process::{Running, sync_command, wait_until};
use crate::support::{
    DataDir, VirtualNodes, faulty, generate, generated_world, honest, reference, reference_of_lists, start,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_low_range_after_a_high_one() {
    let world = generated_world();
    let expected = reference_of_lists(&world);
    let data = DataDir::lists_only();
    let from = world.tip() - 100;
    assert_eq!(data.sync(&world, honest(3), from).await.summary.state.as_str(), "Synced");
    let high = data.final_state(&world);
    // A few more lie below: members of the range's quorums follow from them.
    assert!(high.heights().iter().all(|&height| height + 8 * 24 >= from), "{:?}", high.heights());
    high.assert_part_of(&expected, &world);

    let ended = data.sync(&world, honest(3), 1).await;
    assert_eq!(ended.summary.state.as_str(), "Synced", "{:?}", ended.summary);
    assert_eq!(ended.summary.lists.verified, expected.states.len() as u64);
    assert_eq!(data.final_state(&world), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_grew() {
    let world = generated_world();
    let expected = reference_of_lists(&world);
    let data = DataDir::lists_only();
    let tips = [120, 300, 301, 448];
    for tip in tips {
        let peers = vec![PeerConfig { tip: Some(tip), ..PeerConfig::default() }; 3];
        let ended = data.sync(&world, peers, 1).await;
        assert_eq!(ended.summary.state.as_str(), "Synced", "{:?}", ended.summary);
        assert_eq!(ended.summary.tip.height, tip);
    }
    assert_eq!(data.sync(&world, honest(3), 1).await.summary.state.as_str(), "Synced");
    let mut state = data.final_state(&world);
    // The tips of the way stay; each is a list as good as the others.
    for tip in tips.into_iter().filter(|tip| !expected.states.contains_key(tip)) {
        let stored = state.states.remove(&tip).unwrap();
        assert_eq!(world.block_hash(tip), Some(stored.block_hash()));
    }
    assert_eq!(state, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_done_asks_for_headers_only() {
    let world = generated_world();
    let data = DataDir::lists_only();
    data.sync(&world, honest(2), 1).await;
    let before = data.final_state(&world);
    let ended = data.sync(&world, honest(2), 1).await;
    assert_eq!(ended.summary.state.as_str(), "Synced");
    assert_eq!(ended.summary.lists.for_members, 0);
    for peer in &ended.stats {
        assert_eq!((peer.requests.getqrinfo, peer.requests.getmnlistd), (0, 0));
    }
    assert_eq!(data.final_state(&world), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_with_more_work_replaces_the_stored_one_with_its_lists() {
    let (losing, winning) = (unlocked(6, 1), generate(9, 2));
    assert_ne!(losing.block_hash(1), winning.block_hash(1), "they fork at genesis");
    let expected = reference(&winning);
    let data = DataDir::new();
    assert_eq!(data.sync(&losing, honest(2), 1).await.summary.state.as_str(), "Synced");
    let ended = data.sync(&winning, honest(2), 1).await;
    assert_eq!(ended.summary.state.as_str(), "Synced", "{:?}", ended.summary);
    assert_eq!(ended.summary.tip.height, winning.tip());
    let state = data.final_state(&winning);
    assert_eq!((state.tip, state.headers), (expected.tip, expected.headers));
    assert_eq!(state.states, expected.states);
    let store = data.open();
    assert_eq!(store.height_of(&losing.block_hash(100).unwrap()).unwrap(), None);
    assert_eq!(store.height_of(&winning.block_hash(100).unwrap()).unwrap(), Some(100));
}

/// A chain of which no quorum locks a block, so that another may replace it.
fn unlocked(cycles: u32, seed: u64) -> Arc<World> {
    let spec = GeneratedSpec {
        masternodes: 12,
        cycles,
        seed,
        unlocked: Unlocked::new(&[(0, u32::MAX)]),
        ..GeneratedSpec::DEFAULT
    };
    Arc::new(World::generate(&spec))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_chain_is_replaced_by_no_other() {
    let (locked, longer) = (generate(6, 1), generate(9, 2));
    let data = DataDir::impatient();
    assert_eq!(data.sync(&locked, honest(2), 1).await.summary.state.as_str(), "Synced");
    let before = data.final_state(&locked);
    let ended = data.sync(&longer, honest(2), 1).await;
    assert_eq!(ended.summary.state.as_str(), "Degraded");
    let reason = ended.summary.reason.unwrap();
    assert!(reason.starts_with("no peer has the chain that the ChainLock of block"), "{reason}");
    assert_eq!(data.final_state(&locked), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_with_less_work_replaces_nothing() {
    let (longer, shorter) = (generate(9, 2), generate(6, 1));
    let data = DataDir::impatient();
    data.sync(&longer, honest(2), 1).await;
    let before = data.final_state(&longer);
    let ended = data.sync(&shorter, honest(2), 1).await;
    assert_eq!(ended.summary.tip.hash, longer.block_hash(longer.tip()).unwrap(), "{:?}", ended.summary);
    assert_eq!(data.final_state(&longer), before);
}

#[tokio::test(start_paused = true)]
async fn of_two_chains_at_once_the_one_with_more_work_is_synced() {
    let (shorter, longer) = (generate(6, 1), generate(9, 2));
    let expected = reference(&longer);
    let nodes = VirtualNodes::start(vec![(&shorter, honest(2)), (&longer, honest(2))]);
    let data = DataDir::impatient();
    let summary = data.sync_from_nodes(&longer, &nodes, 1, &Progress::default()).await;
    assert_eq!(summary.state.as_str(), "Synced", "{summary:?}");
    assert_eq!(data.final_state(&longer), expected);
    assert!(nodes.stats()[..2].iter().all(|peer| peer.banned == 0 && peer.max_misbehaviour < 50));
}

/// Each of two nodes answers as many requests and holds back all that follows, so that a client that needs more is still
/// at work whenever it is interrupted.
async fn holding_network(world: &Arc<World>, answers: u64) -> Network {
    start(world, vec![faulty(&format!("headers,delay=every:{}:1h", answers + 1), 1); 2]).await
}

fn requests(network: &Network) -> u64 {
    network.stats().iter().map(|peer| peer.requests.total()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_the_next_run_ends_in_the_same_state() {
    let world = generated_world();
    let expected = reference(&world);
    let mut killed = 0;
    let data = DataDir::new();
    for run in 0..8 {
        // From before the first request on, each time later; each of the nodes has answered half of what was asked.
        let network = holding_network(&world, run / 2).await;
        let client = Running::start(&mut sync_command(&network.addresses(), data.path()));
        let mut client = Some(client);
        wait_until("the client has sent some requests", || {
            requests(&network) >= run || client.as_mut().is_some_and(Running::has_ended)
        });
        killed += u32::from(client.take().is_some_and(Running::kill));
        network.shutdown().await;
        if data.path().join("qrsync.redb").exists() && run > 0 {
            data.final_state(&world).assert_part_of(&expected, &world);
        }
    }
    assert!(killed >= 3, "only {killed} of 8 runs were still going");
    let network = start(&world, honest(2)).await;
    let finished = Running::start(&mut sync_command(&network.addresses(), data.path())).finish();
    assert_eq!(finished.json()["state"], "Synced");
    assert_eq!(data.final_state(&world), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_by_the_user_it_says_so_and_the_next_run_goes_on() {
    let world = generated_world();
    let expected = reference(&world);
    // All lists together need more.
    let network = holding_network(&world, 3).await;
    let data = DataDir::new();
    let client = Running::start(&mut sync_command(&network.addresses(), data.path()));
    wait_until("the client asks for lists", || {
        network.stats().iter().map(|peer| peer.answered.getmnlistd + peer.answered.getqrinfo).sum::<u64>() > 1
    });
    client.interrupt();
    client.finish().fails(130, &["interrupted", "next run"]);
    data.final_state(&world).assert_part_of(&expected, &world);

    let network = start(&world, honest(2)).await;
    let finished = Running::start(&mut sync_command(&network.addresses(), data.path())).finish();
    assert_eq!(finished.json()["state"], "Synced");
    assert_eq!(data.final_state(&world), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waited_for_a_sync_can_open_its_store() {
    use spv_integration::store::Store;

    let world = generate(2, 5);
    for _ in 0..10 {
        let data = DataDir::new();
        data.sync(&world, honest(2), 1).await;
        Store::open(data.path()).expect("a sync that has returned holds the store no longer");
    }
}
