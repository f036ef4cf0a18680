//! A store whose file has changed says so, or is as it was; it never gives what was not stored.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dashcore::bls_sig_utils::BLSSignature;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use fastrand::Rng;

use super::*;
use crate::store::schema::{EVO_NODES, PEERS};

/// A store with a row of each kind, as a directory.
fn full() -> TempDir {
    let (directory, store) = filled(&WORLD);
    save_some_lists(&store, &WORLD);
    store.save_snapshots(&[snapshot_row(96, true), snapshot_row(120, false)]).unwrap();
    store.save_quorums(&[quorum_row(144, Finding::Verified)]).unwrap();
    store.save_peers(&peers()).unwrap();
    directory
}

fn peers() -> Vec<(SocketAddr, PeerRecord)> {
    let record = PeerRecord {
        source: Source::Seed,
        seen: Duration::from_secs(1),
        tried: None,
        succeeded: None,
        failures: 0,
        served: 5,
        refused: 0,
        failed: 0,
        lied: 0,
        rtt: None,
        ban: None,
    };
    vec![("1.2.3.4:5".parse().unwrap(), record)]
}

/// Everything that a store can be asked.
#[derive(Debug, PartialEq)]
struct Contents {
    chain: Vec<(Header, BlockHash)>,
    tip: Option<(u32, BlockHash)>,
    heights: Vec<Option<u32>>,
    lists: Vec<(u32, BlockHash)>,
    states: Vec<Option<Arc<ProvenState>>>,
    evo_nodes: BTreeSet<ProTxHash>,
    snapshots: Vec<Option<SnapshotRow>>,
    quorum: Option<QuorumRow>,
    peers: Vec<(SocketAddr, PeerRecord)>,
}

impl Contents {
    /// Whether nothing was found that was not stored. Rows whose key has changed may be missing.
    fn holds(&self, found: &Self, at: &str) {
        fn may_lack<T: PartialEq + std::fmt::Debug>(stored: &[Option<T>], found: &[Option<T>], at: &str) {
            assert!(
                stored.iter().zip(found).all(|(stored, found)| found.is_none() || stored == found),
                "{at}"
            );
        }
        assert!(self.chain == found.chain, "{at}: chain");
        assert_eq!(self.tip, found.tip, "{at}");
        assert_eq!(self.lists, found.lists, "{at}");
        assert!(found.evo_nodes.is_subset(&self.evo_nodes), "{at}: EvoNodes");
        may_lack(&self.heights, &found.heights, at);
        assert!(self.states == found.states, "{at}: states");
        may_lack(&self.snapshots, &found.snapshots, at);
        assert!(found.quorum.is_none() || found.quorum == self.quorum, "{at}: quorum");
        assert!(found.peers.iter().all(|peer| self.peers.contains(peer)), "{at}: peers");
    }
}

fn contents(store: &Store) -> Result<Contents, StoreError> {
    let params = WORLD.params();
    let chain = store.chain(params)?;
    let headers = chain.iter().flat_map(|chain| {
        (chain.start_height()..=chain.tip_height())
            .filter_map(|height| Some((*chain.header(height)?, chain.hash(height)?)))
    });
    let block = |height: u32| WORLD.block_hash(height).unwrap();
    let quorum = quorum_row(144, Finding::Verified);
    Ok(Contents {
        chain: headers.collect(),
        tip: store.tip()?,
        heights: [1, 100, 200]
            .map(|height| store.height_of(&block(height)))
            .into_iter()
            .collect::<Result<_, _>>()?,
        lists: store.lists()?,
        states: [100, 150, 200]
            .map(|height| store.state(params, height))
            .into_iter()
            .collect::<Result<_, _>>()?,
        evo_nodes: store.evo_nodes(u32::MAX)?,
        snapshots: [88, 112]
            .map(|height| store.snapshot(block(height)))
            .into_iter()
            .collect::<Result<_, _>>()?,
        quorum: store.quorum(quorum.llmq_type(), quorum.quorum_hash(), quorum.entry_hash())?,
        peers: store.peers()?,
    })
}

#[test]
fn a_bit_that_was_flipped_anywhere_is_noticed_or_of_no_consequence() {
    let directory = full();
    let expected = contents(&Store::open(directory.path()).unwrap()).unwrap();
    let path = directory.path().join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let (mut rng, mut noticed) = (Rng::with_seed(1), 0);
    for _ in 0..200 {
        let (at, bit) = (rng.usize(..used), rng.u8(..8));
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        for open in [Store::open, Store::open_to_read] {
            match open(directory.path()).and_then(|store| contents(&store)) {
                Ok(found) => expected.holds(&found, &format!("byte {at}, bit {bit}")),
                Err(_) => noticed += 1,
            }
        }
    }
    assert!(noticed > 50, "{noticed}");
}

#[test]
fn a_page_that_is_zeroed_is_noticed_and_the_store_begins_anew() {
    let directory = full();
    let expected = contents(&Store::open(directory.path()).unwrap()).unwrap();
    let path = directory.path().join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    let mut noticed = 0;
    for page in 0..whole.len() / PAGE {
        let mut bytes = whole.clone();
        bytes[page * PAGE..][..PAGE].fill(0);
        fs::write(&path, &bytes).unwrap();
        let store = Store::create_or_replace(directory.path(), &Network::Regtest).unwrap();
        // Whoever opens it to write finds all that readers may find.
        let found = contents(&store).unwrap();
        if set_aside(directory.path()).is_empty() {
            assert!(found == expected, "page {page}: {found:?}");
        } else {
            assert_eq!((found.tip, found.chain.len()), (None, 0), "page {page}");
        }
        drop(store);
        noticed += set_aside(directory.path()).len();
        remove_those_set_aside(directory.path());
    }
    assert!(noticed > whole.len() / PAGE / 2, "{noticed}");
}

fn set_aside(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_str().unwrap().contains(".damaged-")).collect()
}

fn remove_those_set_aside(directory: &Path) {
    set_aside(directory).into_iter().for_each(|path| fs::remove_file(path).unwrap());
}

/// As if a bit of it had been flipped where the database does not notice.
#[test]
fn a_row_that_was_changed_is_damaged() {
    type Change = fn(&WriteTransaction);
    let changes: [(&str, Change); 6] = [
        ("quorum", |transaction| {
            let mut table = transaction.open_table(QUORUMS).unwrap();
            let (name, height, entry, finding, mut members, seal) = {
                let (name, row) = table.first().unwrap().unwrap();
                let ((height, entry, finding, members), seal) = row.value();
                (*name.value(), height, *entry, finding, members.to_vec(), seal)
            };
            members[40] ^= 1;
            table.insert(&name, ((height, &entry, finding, members.as_slice()), seal)).unwrap();
        }),
        ("quorum", |transaction| {
            let mut table = transaction.open_table(QUORUMS).unwrap();
            let (name, height, entry, members, seal) = {
                let (name, row) = table.first().unwrap().unwrap();
                let ((height, entry, _, members), seal) = row.value();
                (*name.value(), height, *entry, members.to_vec(), seal)
            };
            let finding = Finding::WrongSignature as u8;
            table.insert(&name, ((height, &entry, finding, members.as_slice()), seal)).unwrap();
        }),
        ("snapshot", |transaction| {
            let mut table = transaction.open_table(SNAPSHOTS).unwrap();
            let (hash, snapshot, seal) = {
                let row = table.get(120).unwrap().unwrap();
                let ((hash, proven, snapshot), seal) = row.value();
                assert!(!proven);
                (*hash, snapshot.to_vec(), seal)
            };
            table.insert(120, ((&hash, true, snapshot.as_slice()), seal)).unwrap();
        }),
        ("peer", |transaction| {
            let mut table = transaction.open_table(PEERS).unwrap();
            let (address, mut value, seal) = {
                let (address, row) = table.first().unwrap().unwrap();
                let (value, seal) = row.value();
                (*address.value(), value, seal)
            };
            value.3.3 += 1;
            table.insert(&address, (value, seal)).unwrap();
        }),
        ("EvoNode", |transaction| {
            let mut table = transaction.open_table(EVO_NODES).unwrap();
            let (name, height, seal) = {
                let (name, row) = table.first().unwrap().unwrap();
                (*name.value(), row.value().0, row.value().1)
            };
            table.insert(&name, (height + 1, seal)).unwrap();
        }),
        ("header", |transaction| {
            let mut table = transaction.open_table(HEADERS).unwrap();
            let (mut header, hash, seal) = {
                let row = table.get(200).unwrap().unwrap();
                let (header, hash, seal) = row.value();
                (*header, *hash, seal)
            };
            // Its nonce.
            header[79] ^= 1;
            table.insert(200, (&header, &hash, seal)).unwrap();
        }),
    ];
    for (expected, change) in changes {
        let directory = full();
        let store = Store::open(directory.path()).unwrap();
        contents(&store).unwrap();
        let transaction = store.write().unwrap();
        change(&transaction);
        transaction.commit().unwrap();
        let error = contents(&store).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { what, .. } if what == expected), "{expected}: {error}");
    }
}

#[test]
fn only_so_many_damaged_files_are_kept() {
    let directory = full();
    let store = Store::open(directory.path()).unwrap();
    let reason = StoreError::Truncated { path: directory.path().to_owned() };
    for _ in 0..5 {
        store.start_anew(&reason).unwrap();
    }
    assert_eq!(set_aside(directory.path()).len(), 3);
    assert_eq!(store.tip().unwrap(), None);
    let memory = Store::in_memory(&Network::Regtest).unwrap();
    memory.save_chain(&chain(&WORLD, 10), None).unwrap();
    memory.start_anew(&reason).unwrap();
    assert_eq!(memory.header_count().unwrap(), 0);
}

#[test]
fn a_file_is_read_without_being_written_and_by_several_at_one_time() {
    let directory = full();
    let path = directory.path().join(FILE_NAME);
    let before = fs::read(&path).unwrap();
    let [one, other] = [(); 2].map(|()| Store::open_to_read(directory.path()).unwrap());
    assert_eq!(contents(&one).unwrap(), contents(&other).unwrap());
    let error = one.save_peers(&[]).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    let in_use = Store::open(directory.path()).unwrap_err();
    assert!(matches!(in_use, StoreError::InUse { .. }), "{in_use}");
    drop((one, other));
    assert!(fs::read(&path).unwrap() == before, "reading changed the file");
}

#[test]
fn lookups_do_not_wait_for_a_write_to_end() {
    let directory = full();
    let store = Store::open(directory.path()).unwrap();
    let expected = contents(&store).unwrap();
    let transaction = store.write().unwrap();
    transaction.open_table(LISTS).unwrap().remove(200).unwrap();
    assert_eq!(contents(&store).unwrap(), expected);
    transaction.abort().unwrap();
}

#[test]
fn damage_while_it_is_open_is_set_aside_with_the_same_handle() {
    let directory = full();
    let store = Store::open(directory.path()).unwrap();
    store.start_anew(&store.damaged("page")).unwrap();
    assert_eq!((store.tip().unwrap(), set_aside(directory.path()).len()), (None, 1));
    store.save_chain(&chain(&WORLD, 10), None).unwrap();
    assert_eq!(store.header_count().unwrap(), 11);
}

/// As when a damaged page makes the database ask for more memory than there is: that ends the process.
#[test]
fn a_file_that_ends_every_process_that_opens_it_is_set_aside() {
    let directory = full();
    let counter = directory.path().join("qrsync.redb.opening");
    let open = || Store::create_or_replace(directory.path(), &Network::Regtest).unwrap();
    for (deaths, is_kept) in [("1\n", true), ("2\n", true), ("", true), ("what?", true), ("3\n", false)] {
        fs::write(&counter, deaths).unwrap();
        assert_eq!(open().tip().unwrap().is_some(), is_kept, "{deaths}");
        assert!(!counter.exists(), "this one lives");
        assert_eq!(set_aside(directory.path()).len(), usize::from(!is_kept));
    }
    assert_eq!(open().tip().unwrap(), None);
    assert_eq!(set_aside(directory.path()).len(), 1, "the new one is not damaged");
}

/// What is known to be locked stays so: the next process must not follow another chain than this one would.
#[test]
fn a_chain_lock_survives_the_damage_of_the_rest() {
    let directory = full();
    let store = Store::open(directory.path()).unwrap();
    let (block_height, block_hash) = (7, WORLD.block_hash(7).unwrap());
    let lock = ChainLock { block_height, block_hash, signature: BLSSignature::default() };
    assert!(store.tell_chain_lock(&lock));
    store.start_anew(&store.damaged("page")).unwrap();
    assert_eq!(store.chain_lock().unwrap().as_ref(), Some(&lock));
    drop(store);
    let again = Store::open(directory.path()).unwrap();
    assert_eq!(again.chain_lock().unwrap(), Some(lock));
}

/// Memory whose writes fail from some moment on, by a panic or because there is no space.
#[derive(Debug)]
struct Failing(redb::backends::InMemoryBackend, Arc<AtomicBool>, fn() -> io::Error);

impl redb::StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.1.load(Ordering::Relaxed) {
            return Err((self.2)());
        }
        self.0.write(offset, data)
    }
}

/// Closing writes, and does so over damaged pages too.
#[test]
fn a_database_that_panics_when_it_is_closed_or_replaced_ends_nothing() {
    for replaced in [false, true] {
        let panics = Arc::new(AtomicBool::new(false));
        let panicking = || panic!("injected into a write");
        let storage = Failing(redb::backends::InMemoryBackend::new(), panics.clone(), panicking);
        let store = Store::on(storage, &Network::Regtest).unwrap();
        panics.store(true, Ordering::Relaxed);
        if replaced {
            let damage = store.damaged("page");
            store.start_anew(&damage).unwrap();
            assert!(store.lists().unwrap().is_empty());
        }
        drop(store);
    }
}

#[test]
fn a_full_disk_is_named_by_the_first_write_that_fails_and_by_all_that_follow() {
    let fails = Arc::new(AtomicBool::new(false));
    let full = || io::ErrorKind::StorageFull.into();
    let store =
        Store::on(Failing(redb::backends::InMemoryBackend::new(), fails.clone(), full), &Network::Regtest);
    let store = store.unwrap();
    fails.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let error = store.save_chain(&chain(&WORLD, 10), None).unwrap_err();
        assert!(matches!(error, StoreError::Disk { .. }), "{error:?}");
        assert!(error.to_string().ends_with("free some space, or choose another --data-dir"), "{error}");
    }
}
