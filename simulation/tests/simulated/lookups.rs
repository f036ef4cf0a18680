//! Lookups beside a sync: none waits for a write of the database or for the network, and each error says whether it passes.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dashcore::ProTxHash;
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use futures::future::join_all;
use parking_lot::{Condvar, Mutex};
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use simulation::{nodes, surroundings};
use spv_integration::client::{At, LookupError};
use spv_integration::progress::{Phase, Progress};
use spv_integration::session::{Environment, Step};
use spv_integration::store::Store;
use spv_integration::verify::Verification;
use spv_integration::{Client, Config};
use spv_simnet::{ActiveChain, GeneratedSpec, Unlocked, World};
use tokio_util::sync::CancellationToken;

const SPEC: GeneratedSpec = GeneratedSpec {
    masternodes: 12,
    cycles: 8,
    seed: 3,
    unlocked: Unlocked::new(&[(365, 400)]),
    ..GeneratedSpec::DEFAULT
};

static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| Arc::new(World::generate(&SPEC)));

/// Leaves the world above this height.
const FORK: u32 = 366;
static BRANCH: LazyLock<Arc<World>> = LazyLock::new(|| Arc::new(World::generate_branch(&SPEC, FORK, 9)));

/// Holds up a commit in its middle.
#[derive(Debug, Clone, Default)]
struct Gate(Arc<(Mutex<Held>, Condvar)>);

#[derive(Debug, Default)]
struct Held {
    is_closed: bool,
    is_waiting: bool,
    /// Whether the file has grown since the last sync. The database syncs that at once, seldom and under a lock that readers
    /// need too; nothing here can change it.
    has_grown: bool,
}

impl Gate {
    /// The next commit will wait.
    fn close(&self) {
        self.0.0.lock().is_closed = true;
    }

    fn open(&self) {
        let mut held = self.0.0.lock();
        (held.is_closed, held.is_waiting) = (false, false);
        self.0.1.notify_all();
    }

    fn is_waiting(&self) -> bool {
        self.0.0.lock().is_waiting
    }

    fn pass(&self) {
        let (held, opened) = &*self.0;
        let mut held = held.lock();
        if std::mem::take(&mut held.has_grown) {
            return;
        }
        while held.is_closed {
            held.is_waiting = true;
            opened.wait(&mut held);
        }
    }
}

/// A database in memory whose commits pass a gate.
#[derive(Debug)]
struct Gated {
    memory: InMemoryBackend,
    gate: Gate,
}

impl StorageBackend for Gated {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.gate.0.0.lock().has_grown = true;
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.gate.pass();
        self.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.memory.write(offset, data)
    }
}

static DIFF: LazyLock<MnListDiff> = LazyLock::new(|| {
    let [base_block_hash, block_hash] = [0, FORK].map(|height| WORLD.block_hash(height).unwrap());
    WORLD.active_chain().mn_list_diff(&GetMnListDiff { base_block_hash, block_hash }).unwrap()
});

/// One of a thousand lookups of all kinds and heights.
async fn look_up(client: &Client, number: u32) -> Result<(), LookupError> {
    let height = (number * 7) % 420;
    let masternode: ProTxHash =
        DIFF.new_masternodes[number as usize % DIFF.new_masternodes.len()].pro_reg_tx_hash;
    let quorum = &DIFF.new_quorums[number as usize % DIFF.new_quorums.len()];
    match number % 9 {
        0 => client.chain_lock_signers(height).await.map(drop),
        1 => client.state(height).await.map(drop),
        2 => client.state(At::AtOrBelow(height)).await.map(drop),
        3 => client.quorums(At::Newest).await.map(drop),
        4 => client.masternode(masternode, height).await.map(drop),
        5 => client.find_quorum(quorum.llmq_type, quorum.quorum_hash).await.map(drop),
        6 => client.named_signer(quorum.llmq_type, quorum.quorum_hash, height).await.map(drop),
        7 => {
            let cycle = WORLD.block_hash(height.min(FORK) / 24 * 24).unwrap();
            client.instant_lock_signers([7; 32], cycle).await.map(drop)
        }
        _ => client.masternode(masternode, At::Newest).await.map(drop),
    }
}

async fn look_up_all(client: &Client) -> Vec<Result<(), LookupError>> {
    let lookups = (0..1_000).map(|number| {
        let client = client.clone();
        tokio::spawn(async move { look_up(&client, number).await })
    });
    let done = tokio::time::timeout(Duration::from_secs(120), join_all(lookups)).await;
    done.expect("lookups wait for the commit").into_iter().map(Result::unwrap).collect()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), waited).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_lookups_wait_for_no_commit_and_each_error_says_whether_it_passes() {
    let network = nodes(&WORLD, Duration::from_millis(2), &[""; 3]);
    let activate = |chain: &ActiveChain| {
        network.addresses().into_iter().for_each(|address| network.activate(address, chain.clone()));
    };
    let gate = Gate::default();
    let backend = Gated { memory: InMemoryBackend::new(), gate: gate.clone() };
    let store = Arc::new(Store::on(backend, &WORLD.params().network).unwrap());
    let config = Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        ..Config::default()
    };
    let client = Client::new(WORLD.params().clone(), config, store).unwrap();
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let reached = Mutex::new(None);
    let environment = Environment { verification: Verification::Threads, ..surroundings(&network, 1) };
    activate(&ActiveChain::new(WORLD.clone(), 358));
    gate.close();
    let on_step = |step: &Step| *reached.lock() = Some(step.summary.tip.hash);
    let follow = client.follow_with(&environment, &progress, on_step, &cancel);
    let script = async {
        // A first sync; blocks across the end of a cycle; another branch of more work.
        for (what, world, tip, commits) in [
            ("cold sync", &*WORLD, 358, 3),
            ("cycle change", &*WORLD, FORK, 2),
            ("reorganisation", &*BRANCH, 380, 2),
        ] {
            let (chain, hash) = (ActiveChain::new(world.clone(), tip), world.block_hash(tip).unwrap());
            activate(&chain);
            let mut failed: Vec<(u32, LookupError)> = Vec::new();
            for _ in 0..commits {
                until(what, || gate.is_waiting()).await;
                let results = look_up_all(&client).await;
                assert!(gate.is_waiting(), "the commit came to its end meanwhile");
                let errors = (0..).zip(results).filter_map(|(number, result)| Some((number, result.err()?)));
                failed.extend(errors);
                gate.open();
                gate.close();
            }
            gate.open();
            let is_idle =
                || *reached.lock() == Some(hash) && progress.watch().borrow().phase == Phase::Following;
            until(what, is_idle).await;
            let after = look_up_all(&client).await;
            let is_syncing = |error: &LookupError| matches!(error, LookupError::Syncing { .. });
            assert!(!after.iter().filter_map(|result| result.as_ref().err()).any(is_syncing), "{what}");
            let mut passed = 0;
            for (number, error) in &failed {
                let passes = after[*number as usize].is_ok();
                passed += usize::from(passes);
                assert!(!passes || error.is_transient(), "{what}: {number} has passed: {error}");
            }
            println!("{what}: {} failed, {passed} of them passed", failed.len());
            assert!(passed > 0, "{what}");
            gate.close();
        }
        gate.open();
        cancel.cancel();
    };
    tokio::join!(follow, script).0.unwrap();
}
