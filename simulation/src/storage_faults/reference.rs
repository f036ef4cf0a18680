use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dashcore::BlockHash;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use spv_integration::Config;
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, sync_with};
use spv_integration::store::{QuorumRow, Store, StoreError};
use spv_masternodes::ProvenState;
use spv_simnet::{GeneratedSpec, InMemoryNetwork, World};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::disk::Disk;
use crate::surroundings::{nodes, surroundings};

/// What a sync stores that nothing disturbs.
pub(super) static REFERENCE: LazyLock<Reference> = LazyLock::new(Reference::new);

pub(super) struct Reference {
    pub(super) world: Arc<World>,
    /// Virtual time that the sync takes.
    pub(super) makespan: Duration,
    /// How often it uses the disk.
    pub(super) operations: u64,
    /// Bytes that it writes.
    pub(super) bytes: u64,
    lists: BTreeMap<u32, Stored>,
    chain_lock: Option<ChainLock>,
    /// The database, closed in order.
    pub(super) image: Vec<u8>,
}

/// A list and what was found out about its quorums.
struct Stored {
    block: BlockHash,
    state: Arc<ProvenState>,
    quorums: Vec<Option<QuorumRow>>,
}

/// Why what is stored is not what it should be.
#[derive(Debug)]
pub(super) enum Difference {
    /// The store said something that is not so.
    Wrong(String),
    /// It said that it cannot say.
    Failed(StoreError),
}

impl From<StoreError> for Difference {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

pub(super) fn config(network: &InMemoryNetwork) -> Config {
    Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        ..Config::default()
    }
}

impl Reference {
    fn new() -> Self {
        let world =
            Arc::new(World::generate(&GeneratedSpec { masternodes: 6, cycles: 3, ..GeneratedSpec::DEFAULT }));
        let disk = Disk::new(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O needs nothing from the system");
        let (store, makespan) = runtime.block_on(async {
            let params = world.params();
            let network = nodes(&world, Duration::from_millis(30), &["", "", ""]);
            let store = Store::on(disk.plug_in(), &params.network).map(Arc::new).expect("the disk is sound");
            let (config, progress, started) = (config(&network), Progress::default(), Instant::now());
            let (environment, cancel) = (surroundings(&network, 1), CancellationToken::new());
            let synced = sync_with(&environment, params, &config, store.clone(), &progress, &cancel);
            let summary = synced.await.expect("nothing fails");
            assert_eq!((summary.state, summary.tip.height), (EndState::Synced, world.tip()));
            (store, started.elapsed())
        });
        let (operations, bytes) = (disk.operations(), disk.written());
        let lists = store.lists().expect("the disk is sound").into_iter().map(|(height, block)| {
            let state =
                store.state(world.params(), height).expect("the disk is sound").expect("it is listed");
            let quorums = quorums(&store, &state).expect("the disk is sound");
            (height, Stored { block, state, quorums })
        });
        let (lists, chain_lock) = (lists.collect(), store.chain_lock().expect("the disk is sound"));
        drop(store);
        let image = disk.contents();
        Self { world, image, makespan, operations, bytes, lists, chain_lock }
    }

    /// Compares all that is stored; `is_complete` says that nothing may be missing. Gives the heights of the lists.
    pub(super) fn compare(&self, store: &Store, is_complete: bool) -> Result<BTreeSet<u32>, Difference> {
        let wrong = |what: String| Err(Difference::Wrong(what));
        let chain = store.chain(self.world.params())?;
        for height in chain.iter().flat_map(|chain| chain.start_height()..=chain.tip_height()) {
            if chain.as_ref().and_then(|chain| chain.hash(height)) != self.world.block_hash(height) {
                return wrong(format!("header {height}"));
            }
        }
        let tip = chain.map(|chain| chain.tip_height());
        if is_complete && tip != Some(self.world.tip()) {
            return wrong(format!("the chain ends at {tip:?}"));
        }
        let lists = store.lists()?;
        if is_complete && lists.len() != self.lists.len() {
            return wrong(format!("{} lists, not {}", lists.len(), self.lists.len()));
        }
        for &(height, block) in &lists {
            let Some(expected) = self.lists.get(&height) else {
                return wrong(format!("list {height} is none"));
            };
            let Some(state) = store.state(self.world.params(), height)? else {
                return wrong(format!("list {height} is named and not there"));
            };
            if block != expected.block || *state != *expected.state {
                return wrong(format!("list {height}"));
            }
            for (found, expected) in quorums(store, &state)?.iter().zip(&expected.quorums) {
                let claims =
                    |row: &Option<QuorumRow>| row.as_ref().is_some_and(|row| row.finding().is_verified());
                if found != expected && (is_complete || claims(found)) {
                    return wrong(format!("quorum of list {height}: {found:?}, not {expected:?}"));
                }
            }
        }
        let lock = store.chain_lock()?;
        if lock != self.chain_lock && (is_complete || lock.is_some()) {
            return wrong(format!("ChainLock {lock:?}, not {:?}", self.chain_lock));
        }
        Ok(lists.into_iter().map(|(height, _)| height).collect())
    }
}

fn quorums(store: &Store, state: &ProvenState) -> Result<Vec<Option<QuorumRow>>, StoreError> {
    let row = |entry: &QuorumEntry| store.quorum(entry.llmq_type, entry.quorum_hash, entry.entry_hash());
    state.quorums().iter().map(|quorum| row(&quorum.entry)).collect()
}
