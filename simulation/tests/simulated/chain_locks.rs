//! A chain that contradicts a ChainLock is not followed, however much work it has and however many peers serve it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use simulation::{nodes, surroundings};
use spv_integration::Config;
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Shortfall, Step, Summary, follow_with, sync_with};
use spv_integration::store::Store;
use spv_simnet::{ActiveChain, GeneratedSpec, InMemoryNetwork, Unlocked, World};
use tokio_util::sync::CancellationToken;

/// Quorums lock its blocks, but for those from 371 to 373.
const SPEC: GeneratedSpec = GeneratedSpec {
    masternodes: 12,
    cycles: 8,
    seed: 3,
    unlocked: Unlocked::new(&[(371, 373)]),
    ..GeneratedSpec::DEFAULT
};

static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| Arc::new(World::generate(&SPEC)));

/// What miners make without the quorums, from above 370 on.
static BRANCH: LazyLock<Arc<World>> = LazyLock::new(|| Arc::new(World::generate_branch(&SPEC, 370, 9)));

fn locked_chain(tip: u32) -> ActiveChain {
    ActiveChain::new(WORLD.clone(), tip)
}

fn branch(tip: u32) -> ActiveChain {
    ActiveChain::new(BRANCH.clone(), tip)
}

/// The lowest height from here on whose block is locked, and the next one, which says so.
fn locked_from(height: u32) -> u32 {
    (height..).find(|&height| WORLD.chain_lock(height).is_some()).unwrap()
}

/// Nodes with these faults, all with this chain.
fn network(faults: &[&str], chain: &ActiveChain) -> Arc<InMemoryNetwork> {
    let network = nodes(&WORLD, Duration::from_millis(40), faults);
    for address in network.addresses() {
        network.activate(address, chain.clone());
    }
    network
}

fn config(network: &InMemoryNetwork) -> Config {
    Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        ..Config::default()
    }
}

fn store() -> Arc<Store> {
    Arc::new(Store::in_memory(&WORLD.params().network).unwrap())
}

async fn sync(network: &Arc<InMemoryNetwork>, store: &Arc<Store>) -> Summary {
    let (environment, config) = (surroundings(network, 1), config(network));
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    sync_with(&environment, WORLD.params(), &config, store.clone(), &progress, &cancel).await.unwrap()
}

/// What a follower reports, and when.
#[derive(Default)]
struct Log(Mutex<Vec<Step>>);

impl Log {
    fn tip(&self) -> Option<(EndState, u32, dashcore::BlockHash)> {
        let steps = self.0.lock();
        steps.last().map(|step| {
            let Summary { state, tip, .. } = &step.summary;
            (state.clone(), tip.height, tip.hash)
        })
    }

    fn is_at(&self, world: &World, height: u32) -> bool {
        self.tip() == Some((EndState::Synced, height, world.block_hash(height).unwrap()))
    }

    async fn reaches(&self, world: &World, height: u32) {
        let reached = async {
            while !self.is_at(world, height) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(60), reached).await;
        assert!(in_time.is_ok(), "{height} was not reached: {:?}", self.tip());
    }
}

/// Follows these nodes while `script` runs.
async fn following(
    network: &Arc<InMemoryNetwork>,
    store: &Arc<Store>,
    script: impl AsyncFnOnce(&Log),
) -> Vec<Step> {
    let (environment, config, log) = (surroundings(network, 1), config(network), Log::default());
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let on_step = |step: &Step| log.0.lock().push(step.clone());
    let follow =
        follow_with(&environment, WORLD.params(), &config, store.clone(), &progress, on_step, &cancel);
    let script = async {
        script(&log).await;
        cancel.cancel();
    };
    let (followed, ()) = tokio::join!(follow, script);
    followed.unwrap();
    log.0.into_inner()
}

#[tokio::test(start_paused = true)]
async fn a_first_sync_ends_on_the_locked_chain_with_one_to_all_but_one_peers_on_another() {
    let tip = locked_from(374) + 1;
    for others in 1..8 {
        let network = network(&[""; 8], &locked_chain(tip));
        for &address in &network.addresses()[..others] {
            network.activate(address, branch(tip + 5));
        }
        let store = store();
        let summary = sync(&network, &store).await;
        assert_eq!(summary.state, EndState::Synced, "{others}: {:?}", summary.reason);
        assert_eq!(summary.tip.hash, WORLD.block_hash(tip).unwrap(), "{others}");
        let lock = summary.chain_lock.unwrap();
        assert_eq!((lock.height, lock.verified), (tip - 1, true));
        assert_eq!(store.chain_lock().unwrap(), WORLD.chain_lock(tip - 1));
        let named = summary.peers.iter().filter(|peer| {
            peer.remark.as_deref().is_some_and(|remark| remark.contains("contradicts the ChainLock"))
        });
        assert_eq!(named.count(), others, "{:?}", summary.peers);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_outlasts_the_process() {
    let tip = locked_from(374) + 1;
    let honest = network(&["", ""], &locked_chain(tip));
    let store = store();
    assert_eq!(sync(&honest, &store).await.state, EndState::Synced);

    let hostile = network(&["", "", ""], &branch(tip + 9));
    let summary = sync(&hostile, &store).await;
    let EndState::Degraded { reason: Shortfall::ContradictedLock { locked_height, fork, peers, .. }, .. } =
        summary.state
    else {
        panic!("{:?}", summary.state)
    };
    assert_eq!((locked_height, fork, peers), (tip - 1, 370, 3));
    assert_eq!(store.tip().unwrap(), Some((tip, WORLD.block_hash(tip).unwrap())));

    let mixed = network(&["", "", ""], &branch(tip + 9));
    mixed.activate(mixed.addresses()[2], locked_chain(tip + 1));
    let summary = sync(&mixed, &store).await;
    assert_eq!((summary.state, summary.tip.height), (EndState::Synced, tip + 1));
    assert_eq!(summary.tip.hash, WORLD.block_hash(tip + 1).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_lock_decides_a_reorganisation_against_more_work() {
    let locked = locked_from(374);
    let network = network(&[""; 4], &locked_chain(370));
    let store = store();
    let steps = following(&network, &store, async |log| {
        log.reaches(&WORLD, 370).await;
        for &address in &network.addresses()[..3] {
            network.activate(address, branch(locked + 5));
        }
        log.reaches(&BRANCH, locked + 5).await;
        // With less work, but locked, as the node says on the wire.
        network.activate(network.addresses()[3], locked_chain(locked));
        log.reaches(&WORLD, locked).await;
        assert_eq!(store.chain_lock().unwrap(), WORLD.chain_lock(locked));
        // More work changes nothing any more.
        for &address in &network.addresses()[..3] {
            network.activate(address, branch(locked + 30));
        }
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert!(log.is_at(&WORLD, locked), "{:?}", log.tip());
    })
    .await;
    assert_eq!(steps.iter().filter_map(|step| step.rolled_back_to).collect::<Vec<_>>(), [370]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_may_come_before_its_block_twice_or_wrong() {
    // No commitment can be mined between the heights that decide who locks it and its neighbours.
    let locked = locked_from(390);
    for (faults, ends_locked) in [
        (["locks=early"; 2], true),
        (["locks=twice"; 2], true),
        (["locks=forged"; 2], false),
        (["locks=none"; 2], false),
    ] {
        let before = if faults[0] == "locks=early" { locked - 1 } else { locked };
        let network = network(&faults, &locked_chain(before - 1));
        let store = store();
        let steps = following(&network, &store, async |log| {
            log.reaches(&WORLD, before - 1).await;
            for address in network.addresses() {
                network.activate(address, locked_chain(before));
            }
            log.reaches(&WORLD, before).await;
            tokio::time::sleep(Duration::from_secs(30)).await;
            let best = || store.chain_lock().unwrap().map(|lock| lock.block_height);
            if before < locked {
                assert!(best() < Some(locked), "nobody has shown its block");
                for address in network.addresses() {
                    network.activate(address, locked_chain(locked));
                }
                log.reaches(&WORLD, locked).await;
                tokio::time::sleep(Duration::from_secs(30)).await;
            }
            assert_eq!(best() == Some(locked), ends_locked, "{faults:?}");
        })
        .await;
        let last = steps.last().unwrap();
        assert_eq!(last.summary.state, EndState::Synced, "{faults:?}");
        let is_named =
            |remark: &Option<String>| remark.as_deref().is_some_and(|remark| remark.contains("wrong lock"));
        let named = last.summary.peers.iter().filter(|peer| is_named(&peer.remark)).count();
        assert_eq!(named, if faults[0] == "locks=forged" { 2 } else { 0 }, "{:?}", last.summary.peers);
    }
}

/// A node that serves lists up to where its branch leaves, and refuses those above, is not taken for one that limits its
/// rate: its branch is set aside soon.
#[tokio::test(start_paused = true)]
async fn a_branch_without_lists_costs_a_first_sync_little() {
    let spec = GeneratedSpec { cycles: 12, unlocked: Unlocked::NONE, ..SPEC };
    let world = Arc::new(World::generate(&spec));
    for seed in 0..12 {
        let network = nodes(&world, Duration::from_millis(20), &["", "", "junk-chain=300:380"]);
        for address in network.addresses() {
            network.activate(address, ActiveChain::new(world.clone(), 400));
        }
        let (environment, config) = (surroundings(&network, seed), config(&network));
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let started = tokio::time::Instant::now();
        let synced = sync_with(&environment, world.params(), &config, store(), &progress, &cancel);
        let summary = synced.await.unwrap();
        assert_eq!((summary.state, summary.tip.height), (EndState::Synced, 400));
        assert!(started.elapsed() < Duration::from_secs(5), "seed {seed}: {:?}", started.elapsed());
    }
}
