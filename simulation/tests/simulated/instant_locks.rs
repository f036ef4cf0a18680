//! InstantSend locks that nodes send reach a wallet once they are verified, and no others do.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dashcore::ephemerealdata::instant_lock::InstantLock;
use parking_lot::Mutex;
use simulation::{nodes, surroundings};
use spv_integration::client::VerifiedInstantLock;
use spv_integration::config::Settings;
use spv_integration::progress::Progress;
use spv_integration::session::Step;
use spv_integration::store::Store;
use spv_integration::{Client, Config};
use spv_simnet::{ActiveChain, GeneratedSpec, InMemoryNetwork, InstantLocker, World};
use tokio::sync::broadcast::Receiver;
use tokio_util::sync::CancellationToken;

const SPEC: GeneratedSpec = GeneratedSpec { masternodes: 12, cycles: 8, seed: 3, ..GeneratedSpec::DEFAULT };

static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| Arc::new(World::generate(&SPEC)));

/// Blocks of a cycle.
const CYCLE: u32 = 24;

/// The last block of the cycle in which the chains of these tests begin.
const CYCLE_END: u32 = 14 * CYCLE - 1;

type Locks = Receiver<Arc<VerifiedInstantLock>>;

struct Wallet {
    network: Arc<InMemoryNetwork>,
    client: Client,
    steps: Mutex<Vec<Step>>,
}

impl Wallet {
    /// A wallet beside nodes with these faults, whose chain ends at this height.
    fn new(faults: &[&str], tip: u32) -> Self {
        let network = nodes(&WORLD, Duration::from_millis(40), faults);
        let wallet = Self {
            client: Client::new(
                WORLD.params().clone(),
                Config {
                    network: "regtest".to_owned(),
                    peers: network.addresses().iter().map(ToString::to_string).collect(),
                    sync: Settings { instant_locks: true, ..Settings::default() },
                    ..Config::default()
                },
                Arc::new(Store::in_memory(&WORLD.params().network).unwrap()),
            )
            .unwrap(),
            network,
            steps: Mutex::default(),
        };
        wallet.grow_to(tip);
        wallet
    }

    fn grow_to(&self, tip: u32) {
        for address in self.network.addresses() {
            self.network.activate(address, ActiveChain::new(WORLD.clone(), tip));
        }
    }

    /// Follows while `script` runs.
    async fn follow(&self, script: impl AsyncFnOnce(Locks)) {
        let (environment, progress) = (surroundings(&self.network, 1), Progress::default());
        let cancel = CancellationToken::new();
        let locks = self.client.instant_locks().unwrap();
        let on_step = |step: &Step| self.steps.lock().push(step.clone());
        let script = async {
            script(locks).await;
            cancel.cancel();
        };
        let followed = self.client.follow_with(&environment, &progress, on_step, &cancel);
        let (followed, ()) = tokio::join!(followed, script);
        followed.unwrap();
    }

    async fn reaches(&self, tip: u32) {
        let is_there = || self.steps.lock().last().is_some_and(|step| step.summary.tip.height == tip);
        let reached = async {
            while !is_there() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reached).await.unwrap();
    }

    fn tell_all(&self, lock: &InstantLock) {
        for address in self.network.addresses() {
            self.network.lock_instantly(address, lock);
        }
    }

    /// Peers that are named for wrong locks in a summary of the next tip.
    async fn named_after(&self, tip: u32) -> Vec<SocketAddr> {
        self.grow_to(tip);
        self.reaches(tip).await;
        let steps = self.steps.lock();
        let peers = steps.last().unwrap().summary.peers.iter();
        let is_named =
            |remark: &Option<String>| remark.as_deref().is_some_and(|remark| remark.contains("wrong lock"));
        peers.filter(|peer| is_named(&peer.remark)).map(|peer| peer.address).collect()
    }
}

fn lock(tip: u32, number: u64) -> InstantLock {
    InstantLocker::new(&SPEC, &WORLD).lock_number(tip, number).unwrap()
}

/// What comes within a quarter of a minute.
async fn received(locks: &mut Locks) -> Vec<InstantLock> {
    tokio::time::sleep(Duration::from_secs(15)).await;
    std::iter::from_fn(|| locks.try_recv().ok()).map(|verified| verified.lock.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_wallet_hears_of_each_verified_lock_once_whatever_other_nodes_send() {
    let faults = [
        "",
        "",
        "instant-locks=none",
        "instant-locks=forged",
        "instant-locks=no-cycle",
        "instant-locks=genesis",
        "instant-locks=unknown",
        "instant-locks=future",
        "flood=lock-inv:5",
        "flood=locks:5",
    ];
    let wallet = Wallet::new(&faults, CYCLE_END);
    let locks: Vec<InstantLock> = (0..20).map(|number| lock(CYCLE_END, number)).collect();
    wallet
        .follow(async |mut receiver| {
            wallet.reaches(CYCLE_END).await;
            for lock in &locks {
                wallet.tell_all(lock);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            let mut heard = received(&mut receiver).await;
            heard.sort_by_key(|lock| locks.iter().position(|known| known == lock));
            assert_eq!(heard, locks);
            // Once more, to those who know them already.
            wallet.tell_all(&locks[0]);
            assert_eq!(received(&mut receiver).await, []);
            let addresses = wallet.network.addresses();
            assert_eq!(wallet.named_after(CYCLE_END + 1).await, [addresses[3], addresses[4]]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_waits_for_its_block_and_its_quorum() {
    let wallet = Wallet::new(&[""; 2], CYCLE_END);
    let later = CYCLE_END + CYCLE;
    let lock = lock(later, 1);
    wallet
        .follow(async |mut receiver| {
            wallet.reaches(CYCLE_END).await;
            wallet.tell_all(&lock);
            assert_eq!(received(&mut receiver).await, [], "its cycle has not begun");
            wallet.grow_to(CYCLE_END + 1);
            wallet.reaches(CYCLE_END + 1).await;
            assert_eq!(received(&mut receiver).await, [], "its quorum is not mined");
            wallet.grow_to(later);
            wallet.reaches(later).await;
            assert_eq!(received(&mut receiver).await, std::slice::from_ref(&lock));
        })
        .await;
}

/// As long as a quorum may be mined that signed it, nobody is to blame for a signature that is nobody's.
#[tokio::test(start_paused = true)]
async fn a_wrong_lock_is_blamed_on_its_sender_once_that_is_certain() {
    let early = CYCLE_END + 3;
    let wallet = Wallet::new(&["", "instant-locks=forged"], early);
    wallet
        .follow(async |mut receiver| {
            wallet.reaches(early).await;
            let lock = lock(early, 1);
            wallet.tell_all(&lock);
            assert_eq!(received(&mut receiver).await, [lock]);
            assert_eq!(wallet.named_after(early + 1).await, []);
            // Behind the mining window, and once the peer has shown that it has its last block.
            let mut named = Vec::new();
            for tip in CYCLE_END + CYCLE - 3..=CYCLE_END + CYCLE {
                named = wallet.named_after(tip).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            assert_eq!(named, wallet.network.addresses()[1..]);
            assert_eq!(received(&mut receiver).await, []);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_unless_it_is_wanted() {
    let wallet = Wallet::new(&[""], CYCLE_END);
    let mut config = wallet.client.config().clone();
    config.sync.instant_locks = false;
    let client = Client::new(WORLD.params().clone(), config, wallet.client.store().clone()).unwrap();
    assert!(client.instant_locks().is_none());
    let (environment, progress) = (surroundings(&wallet.network, 1), Progress::default());
    let cancel = CancellationToken::new();
    let received = || wallet.network.stats()[0].bytes_received;
    let script = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let before = received();
        wallet.tell_all(&lock(CYCLE_END, 1));
        // Less than the time between two pings.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(received(), before);
        cancel.cancel();
    };
    let followed = client.follow_with(&environment, &progress, |_| {}, &cancel);
    tokio::join!(followed, script).0.unwrap();
}
