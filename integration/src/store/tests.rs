use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::consensus::serialize;
use dashcore::network::message_qrinfo::{MNSkipListMode, QuorumSnapshot};
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{Header, ProTxHash};
use spv_masternodes::{BlockRef, CheckedDiff, ProvenState};
use spv_simnet::{GeneratedSpec, World};
use tempfile::TempDir;

use super::lists::sealed;
use super::opening::FILE_NAME;
use super::schema::{ANCESTORS, LIST_BLOCKS, META, META_FORMAT};
use super::*;
use crate::chain::{Block, BlockId};
use crate::plan::Work;
use crate::verify::Verification;
use crate::verify::Verifier;
use crate::wire::{Answer, Request, RequestKind};

static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| world(2, 1));

fn world(cycles: u32, seed: u64) -> Arc<World> {
    Arc::new(World::generate(&GeneratedSpec {
        masternodes: 8,
        cycles,
        seed,
        signatures: false,
        ..GeneratedSpec::DEFAULT
    }))
}

fn diff(world: &Arc<World>, base: u32, height: u32) -> MnListDiff {
    let [base_block_hash, block_hash] = [base, height].map(|height| world.block_hash(height).unwrap());
    world.active_chain().mn_list_diff(&GetMnListDiff { base_block_hash, block_hash }).unwrap()
}

/// The state as one diff from genesis proves it.
fn state(world: &Arc<World>, height: u32) -> ProvenState {
    ProvenState::genesis(world.params().genesis_hash).advance(&checked(world, 0, height)).unwrap()
}

fn checked(world: &Arc<World>, base: u32, height: u32) -> CheckedDiff {
    let block =
        BlockRef { hash: world.block_hash(height).unwrap(), header: world.header(height).unwrap(), height };
    CheckedDiff::check(diff(world, base, height), block).unwrap()
}

fn chain(world: &World, tip: u32) -> HeaderChain {
    let mut chain = HeaderChain::starting_at_or_below(world.params(), 0);
    let headers = (1..=tip).map(|height| (*world.header(height).unwrap(), world.block_hash(height).unwrap()));
    let (headers, hashes): (Vec<_>, Vec<_>) = headers.unzip();
    chain.extend(&headers, &hashes, u32::MAX).unwrap();
    chain
}

/// A store with the whole chain of a world.
fn filled(world: &World) -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(directory.path(), &Network::Regtest).unwrap();
    store.save_chain(&chain(world, world.tip()), None).unwrap();
    (directory, store)
}

/// A list from genesis and three more, each based on the one before.
fn save_some_lists(store: &Store, world: &Arc<World>) -> [u32; 4] {
    let heights = [100, 150, 180, 200];
    let mut list = ProvenList::genesis(world.params().genesis_hash);
    let mut rows = Vec::new();
    for height in heights {
        let (next, row) = list.advance(&checked(world, list.block().height, height)).unwrap();
        list = next;
        rows.push(row);
    }
    store.save_answers(&rows, &[], None).unwrap();
    heights
}

/// The row of a list that a diff from genesis proves.
fn whole(world: &Arc<World>, height: u32) -> ListRow {
    let genesis = ProvenList::genesis(world.params().genesis_hash);
    genesis.advance(&checked(world, 0, height)).unwrap().1
}

fn stored_heights(store: &Store) -> Vec<u32> {
    store.lists().unwrap().into_iter().map(|(height, _)| height).collect()
}

#[test]
fn lists_of_a_branch_that_was_left_are_not_stored() {
    let (_directory, store) = filled(&WORLD);
    let other = world(2, 2);
    let rows = [(&*WORLD, 100), (&other, 150)].map(|(world, height)| whole(world, height));
    store.save_answers(&rows, &[], None).unwrap();
    assert_eq!(stored_heights(&store), [100]);
}

#[test]
fn lists_are_dropped_unless_others_need_them() {
    let (_directory, store) = filled(&WORLD);
    save_some_lists(&store, &WORLD);
    store.drop_lists(&BTreeSet::from([150, 200, 999])).unwrap();
    assert_eq!(stored_heights(&store), [100, 150, 180], "180 is based on 150");
    store.drop_lists(&BTreeSet::from([150, 180])).unwrap();
    assert_eq!(stored_heights(&store), [100]);
    assert!(store.state(WORLD.params(), 100).unwrap().is_some());
}

#[test]
fn a_new_store_is_empty_and_keeps_its_network() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("several/levels");
    let network = Network::Devnet("name".into());
    for _ in 0..2 {
        let store = Store::create_or_open(&below, &network).unwrap();
        assert_eq!((store.tip().unwrap(), store.header_count().unwrap()), (None, 0));
        assert!(store.chain(&ChainParams::new(network.clone())).unwrap().is_none());
        assert!(store.lists().unwrap().is_empty());
        assert!(store.state(WORLD.params(), 5).unwrap().is_none());
    }
    assert_eq!(Store::open(&below).unwrap().network(), &network);
}

#[test]
fn headers_come_back_as_they_were_stored() {
    let (directory, store) = filled(&WORLD);
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    let (stored, expected) = (store.chain(WORLD.params()).unwrap().unwrap(), chain(&WORLD, WORLD.tip()));
    assert_eq!((stored.tip_hash(), stored.work()), (expected.tip_hash(), expected.work()));
    assert_eq!((stored.start_height(), stored.tip_height()), (0, WORLD.tip()));
    assert!((0..=WORLD.tip()).all(|height| stored.header(height) == WORLD.header(height)));
    assert_eq!(store.tip().unwrap(), None, "without lists");
    assert_eq!(store.header_count().unwrap(), u64::from(WORLD.tip()) + 1);
    assert_eq!(store.height_of(&WORLD.block_hash(99).unwrap()).unwrap(), Some(99));
    assert_eq!(store.height_of(&BlockHash::all_zeros()).unwrap(), None);
    assert_eq!(store.block_hash(99).unwrap(), WORLD.block_hash(99));
    assert_eq!(store.block_hash(WORLD.tip() + 1).unwrap(), None);
}

/// Mainnet's headers are none that a test could make, but what is below a checkpoint links to it, and nothing is hashed here.
#[test]
fn headers_below_the_start_come_back_with_the_chain() {
    let (params, store, _directory) = {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create_or_open(directory.path(), &Network::Dash).unwrap();
        (ChainParams::new(Network::Dash), store, directory)
    };
    let checkpoint = params.checkpoints.iter().rev().find(|checkpoint| checkpoint.header.is_some()).unwrap();
    let mut chain = HeaderChain::starting_at_or_below(&params, checkpoint.height);
    store.save_chain(&chain, None).unwrap();
    let stored = || store.chain(&params).unwrap().unwrap();
    assert_eq!((stored().missing_below(), stored().below().count()), (chain.missing_below(), 0));

    // So small a hash meets every target.
    let mut supply = |count: usize| {
        for _ in 0..count {
            let missing = chain.missing_below().unwrap();
            let start = checkpoint.header.unwrap();
            let above = chain.below().last().map_or(start, |(header, _)| *header);
            let mut prev = [0; 32];
            prev[..8].copy_from_slice(&(1 + chain.below().count() as u64).to_le_bytes());
            let header = Header { prev_blockhash: BlockHash::from_byte_array(prev), ..above };
            assert_eq!(chain.supply_below(header, missing), Ok(true));
        }
        chain.clone()
    };
    for (count, known) in [(3, 3), (21, 24)] {
        let chain = supply(count);
        store.save_ancestry(&chain).unwrap();
        let stored = stored();
        assert_eq!((stored.missing_below(), stored.below().count()), (chain.missing_below(), known));
        assert!(stored.below().eq(chain.below()));
    }
    // A chain that knows less takes nothing away.
    store.save_chain(&HeaderChain::starting_at_or_below(&params, checkpoint.height), None).unwrap();
    assert_eq!(stored().missing_below(), None);

    let transaction = store.write().unwrap();
    {
        let mut table = transaction.open_table(ANCESTORS).unwrap();
        let (hash, mut header, digest) = {
            let (hash, row) = table.first().unwrap().unwrap();
            (*hash.value(), *row.value().0, row.value().1)
        };
        header[70] ^= 1;
        table.insert(&hash, (&header, digest)).unwrap();
    }
    transaction.commit().unwrap();
    let error = store.chain(&params).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { what: "ancestor of the header chain", .. }), "{error}");
}

#[test]
fn a_start_known_by_its_hash_alone_comes_back() {
    let (header, hash) = (*WORLD.header(0).unwrap(), WORLD.block_hash(0).unwrap());
    let known = dashcore::Checkpoint {
        height: 0,
        hash,
        header: None,
        chain_work: dashcore::Arith256::from_u64(1_000),
        is_work_assumed: true,
        below: Vec::new(),
    };
    let params = ChainParams { checkpoints: vec![known], ..WORLD.params().clone() };
    let chain = HeaderChain::from_hash_checkpoint(&params, 0, header).unwrap();
    let store = Store::in_memory(&Network::Regtest).unwrap();
    store.save_chain(&chain, None).unwrap();
    let stored = store.chain(&params).unwrap().unwrap();
    assert_eq!((stored.tip_hash(), stored.work()), (hash, chain.work()));
}

#[test]
fn lists_come_back_as_states() {
    let (directory, store) = filled(&WORLD);
    let heights = save_some_lists(&store, &WORLD);
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(stored_heights(&store), heights);
    for height in heights {
        assert_eq!(*store.state(WORLD.params(), height).unwrap().unwrap(), state(&WORLD, height));
    }
    assert!(store.state(WORLD.params(), 101).unwrap().is_none());
}

/// However long the row of diffs, at most 32 of them have to be applied to a list that is stored whole.
#[tokio::test]
async fn every_list_of_a_long_row_is_a_few_diffs_away_from_a_whole_one() {
    let (_directory, store) = filled(&WORLD);
    let store = Arc::new(store);
    let (verifier, _failed) =
        Verifier::start(WORLD.params(), store.clone(), 8, Verification::Threads).unwrap();
    let block = |height| Block {
        height,
        hash: WORLD.block_hash(height).unwrap(),
        header: *WORLD.header(height).unwrap(),
    };
    let mut base = 0;
    for height in 2..=150 {
        let [base_block_hash, block_hash] = [base, height].map(|height| block(height).hash);
        let request = Request::ListDiff(GetMnListDiff { base_block_hash, block_hash });
        let work = Work {
            base: block(base),
            wanted: vec![block(height)],
            cycles: Vec::new(),
            newest: block(height).id(),
            request,
        };
        let payload = Bytes::from(serialize(&diff(&WORLD, base, height)));
        let answer =
            Answer { kind: RequestKind::MnListDiff, headers2_limit: None, payload, checksum_valid: true };
        let applied = verifier.verify(Arc::new(work), answer).await.unwrap().unwrap();
        assert_eq!(applied.lists, 1);
        base = height;
    }

    let transaction = store.read().unwrap();
    let lists = transaction.open_table(LISTS).unwrap();
    let depths: BTreeMap<u32, (u32, u32)> = lists
        .iter()
        .unwrap()
        .map(|row| {
            row.map(|(height, value)| (height.value(), (value.value().0.1, value.value().0.2))).unwrap()
        })
        .collect();
    for (index, (height, (base, depth))) in (0..).zip(depths) {
        let expected = if index % 32 == 0 { (0, 0) } else { (height - 1, index % 32) };
        assert_eq!((base, depth), expected, "height {height}");
    }
    for height in 2..=150 {
        assert_eq!(*store.state(WORLD.params(), height).unwrap().unwrap(), state(&WORLD, height));
    }
}

#[test]
fn masternodes_that_any_list_shows_as_evo_are_known_from_the_lowest_such_height_on() {
    let (_directory, store) = filled(&WORLD);
    let evo = |height| -> BTreeSet<_> {
        let state = state(&WORLD, height);
        state.masternodes().iter().filter(|entry| entry.is_evo()).map(|entry| entry.pro_reg_tx_hash).collect()
    };
    store.save_answers(&[whole(&WORLD, 200)], &[], None).unwrap();
    assert!(store.evo_nodes(199).unwrap().is_empty());
    assert_eq!(store.evo_nodes(200).unwrap(), evo(200));
    assert!(!evo(200).is_empty(), "the world has some");
    store.save_answers(&[whole(&WORLD, 100)], &[], None).unwrap();
    assert_eq!(store.evo_nodes(100).unwrap(), evo(100));
    assert!(store.evo_nodes(99).unwrap().is_empty());
}

#[test]
fn a_chain_that_grows_keeps_its_lists() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(directory.path(), &Network::Regtest).unwrap();
    store.save_chain(&chain(&WORLD, 200), None).unwrap();
    let heights = save_some_lists(&store, &WORLD);
    store.save_chain(&chain(&WORLD, WORLD.tip()), Some(200)).unwrap();
    assert_eq!(stored_heights(&store), heights);
    assert_eq!(store.chain(WORLD.params()).unwrap().unwrap().tip_height(), WORLD.tip());
}

#[test]
fn what_is_above_a_fork_goes_with_its_lists() {
    let (_directory, store) = filled(&WORLD);
    save_some_lists(&store, &WORLD);
    store.save_chain(&chain(&WORLD, 170), Some(170)).unwrap();
    assert_eq!(stored_heights(&store), [100, 150]);
    assert_eq!(store.tip().unwrap(), WORLD.block_hash(150).map(|hash| (150, hash)));
    assert_eq!(store.header_count().unwrap(), 151, "up to the tip");
    assert_eq!(store.height_of(&WORLD.block_hash(171).unwrap()).unwrap(), None);
    assert_eq!(store.height_of(&WORLD.block_hash(170).unwrap()).unwrap(), Some(170));
    assert_eq!(*store.state(WORLD.params(), 150).unwrap().unwrap(), state(&WORLD, 150));
}

#[test]
fn another_chain_takes_the_place_of_the_stored_one() {
    let (_directory, store) = filled(&WORLD);
    save_some_lists(&store, &WORLD);
    let other = world(1, 9);
    for unchanged in [Some(0), None] {
        store.save_chain(&chain(&other, other.tip()), unchanged).unwrap();
        assert!(stored_heights(&store).is_empty());
        assert_eq!(store.header_count().unwrap(), u64::from(other.tip()) + 1);
        assert_eq!(
            store.chain(other.params()).unwrap().unwrap().tip_hash(),
            other.block_hash(other.tip()).unwrap()
        );
        assert_eq!(store.height_of(&WORLD.block_hash(5).unwrap()).unwrap(), None);
        assert_eq!(store.height_of(&other.block_hash(5).unwrap()).unwrap(), Some(5));
    }
}

#[test]
fn another_network_is_refused_and_nothing_changes() {
    let (directory, store) = filled(&WORLD);
    drop(store);
    let error = Store::create_or_open(directory.path(), &Network::Testnet).unwrap_err();
    assert!(
        matches!(
            &error,
            StoreError::OtherNetwork { found: Network::Regtest, expected: Network::Testnet, .. }
        ),
        "{error}"
    );
    assert_eq!(Store::open(directory.path()).unwrap().header_count().unwrap(), u64::from(WORLD.tip()) + 1);
}

#[test]
fn only_one_handle_at_a_time() {
    let (directory, store) = filled(&WORLD);
    assert!(matches!(Store::open(directory.path()), Err(StoreError::InUse { .. })));
    assert!(matches!(
        Store::create_or_open(directory.path(), &Network::Regtest),
        Err(StoreError::InUse { .. })
    ));
    drop(store);
    Store::open(directory.path()).unwrap();
}

#[test]
fn another_format_is_refused() {
    let (directory, store) = filled(&WORLD);
    let transaction = store.write().unwrap();
    transaction.open_table(META).unwrap().insert(META_FORMAT, "99").unwrap();
    transaction.commit().unwrap();
    drop(store);
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(&error, StoreError::Format { found, .. } if found == "99"), "{error}");
    assert!(error.to_string().contains("a later version"), "{error}");
}

/// Page after page is overwritten: opening says that the file is damaged, or succeeds, and what would replace it always does.
#[test]
fn a_file_with_a_damaged_page_is_no_panic_and_is_set_aside() {
    let (directory, store) = filled(&WORLD);
    drop(store);
    let path = directory.path().join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    let mut damaged = 0;
    for page in 0..whole.len() / PAGE {
        let mut bytes = whole.clone();
        bytes[page * PAGE..][..PAGE].fill(0xa5);
        fs::write(&path, &bytes).unwrap();
        match Store::open(directory.path()) {
            Ok(_) => continue,
            Err(error) if error.is_damage() => damaged += 1,
            // Nothing says any more that it was one.
            Err(StoreError::Foreign { .. }) if page == 0 => continue,
            Err(error) => panic!("page {page}: {error}"),
        }
        let store = Store::create_or_replace(directory.path(), &Network::Regtest).unwrap();
        assert_eq!(store.tip().unwrap(), None, "page {page}");
        drop(store);
        let aside = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let aside: Vec<_> = aside.filter(|path| path.to_str().unwrap().contains(".damaged-")).collect();
        assert_eq!(aside.len(), 1, "page {page}");
        fs::remove_file(&aside[0]).unwrap();
    }
    assert!(damaged > 0);
}

const PAGE: usize = 4_096;

#[test]
fn no_data_is_not_an_empty_store() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("nowhere");
    for path in [directory.path(), &missing] {
        assert!(matches!(Store::open(path), Err(StoreError::Missing { .. })));
        assert!(!path.join(FILE_NAME).exists());
    }
    assert!(!missing.exists());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("data");
    let error = Store::create_or_open(&below, &Network::Regtest).unwrap_err();
    assert!(matches!(&error, StoreError::Directory { path, .. } if *path == below), "{error}");
    fs::create_dir(directory.path().join(FILE_NAME)).unwrap();
    let error = Store::create_or_open(directory.path(), &Network::Regtest).unwrap_err();
    assert!(matches!(error, StoreError::Access { .. }), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_foreign_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE_NAME);
    for content in [&b"x"[..], b"hello", &[0; 63], &[0xa5; 100_000]] {
        fs::write(&path, content).unwrap();
        for result in
            [Store::open(directory.path()), Store::create_or_replace(directory.path(), &Network::Regtest)]
        {
            let error = result.expect_err("garbage is no database");
            assert!(matches!(error, StoreError::Foreign { .. } | StoreError::Access { .. }), "{error}");
        }
        assert!(fs::read(&path).unwrap() == content, "{} bytes were changed", content.len());
    }
}

#[test]
fn a_file_that_was_cut_off_is_an_error() {
    let (directory, store) = filled(&WORLD);
    save_some_lists(&store, &WORLD);
    drop(store);
    let path = directory.path().join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    for keep in [1, 300, whole.len() / 4, whole.len() / 2, whole.len() - 4096] {
        fs::write(&path, &whole[..keep]).unwrap();
        let read = Store::open(directory.path()).and_then(|store| store.chain(WORLD.params()));
        let error = read.err().unwrap_or_else(|| panic!("{keep} of {} bytes are not the data", whole.len()));
        // What is left may be too little to tell what it was.
        let is_named = |error: &StoreError| match keep {
            1 | 300 => matches!(error, StoreError::Foreign { .. }) || error.is_damage(),
            _ => matches!(error, StoreError::Truncated { .. }),
        };
        assert!(is_named(&error), "{keep}: {error:?}");
    }
}

#[test]
fn rows_that_contradict_each_other_are_found_when_read() {
    type Spoil = fn(&WriteTransaction);
    let cases: [(&str, Spoil); 7] = [
        ("list", |transaction| {
            let mut lists = transaction.open_table(LISTS).unwrap();
            let hash = *WORLD.block_hash(200).unwrap().as_byte_array();
            lists.insert(200, sealed(200, (&hash, 180, 3, &[1, 2, 3][..]))).unwrap();
        }),
        ("base of a list", |transaction| {
            transaction.open_table(LISTS).unwrap().remove(150).unwrap();
        }),
        // It is named all the same.
        ("list", |transaction| {
            transaction.open_table(LISTS).unwrap().remove(200).unwrap();
        }),
        ("base of a list", |transaction| {
            let mut lists = transaction.open_table(LISTS).unwrap();
            let payload = serialize(&diff(&WORLD, 180, 200));
            let hash = WORLD.block_hash(200).unwrap();
            let contents = (hash.as_byte_array(), 200, 3, payload.as_slice());
            lists.insert(200, sealed(200, contents)).unwrap();
        }),
        ("proof of a list", |transaction| {
            let mut lists = transaction.open_table(LISTS).unwrap();
            let payload = serialize(&diff(&WORLD, 180, 199));
            let hash = WORLD.block_hash(200).unwrap();
            let contents = (hash.as_byte_array(), 180, 3, payload.as_slice());
            lists.insert(200, sealed(200, contents)).unwrap();
        }),
        // Nothing else covers the ChainLock signatures, which come last.
        ("list", |transaction| {
            let mut lists = transaction.open_table(LISTS).unwrap();
            let mut changed = serialize(&diff(&WORLD, 180, 200));
            let hash = WORLD.block_hash(200).unwrap();
            let hash = hash.as_byte_array();
            let (_, seal) = sealed(200, (hash, 180, 3, changed.as_slice()));
            *changed.last_mut().unwrap() ^= 1;
            lists.insert(200, ((hash, 180, 3, changed.as_slice()), seal)).unwrap();
        }),
        ("header of a list", |transaction| {
            transaction.open_table(HEADERS).unwrap().remove(200).unwrap();
        }),
    ];
    for (expected, spoil) in cases {
        let (_directory, store) = filled(&WORLD);
        save_some_lists(&store, &WORLD);
        let transaction = store.write().unwrap();
        spoil(&transaction);
        transaction.commit().unwrap();
        let error = store.state(WORLD.params(), 200).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { what, .. } if what == expected), "{expected}: {error}");
    }
}

#[test]
fn a_list_that_is_named_wrongly_is_damage() {
    for (height, bit) in [(200, 0), (201, 0), (200, 1)] {
        let (_directory, store) = filled(&WORLD);
        save_some_lists(&store, &WORLD);
        let transaction = store.write().unwrap();
        {
            let mut blocks = transaction.open_table(LIST_BLOCKS).unwrap();
            let (mut hash, seal) = {
                let row = blocks.get(200).unwrap().unwrap();
                (*row.value().0, row.value().1)
            };
            hash[31] ^= bit;
            blocks.insert(height, (&hash, seal)).unwrap();
        }
        transaction.commit().unwrap();
        let is_damage = (height, bit) != (200, 0);
        assert_eq!(store.lists().is_err_and(|error| error.is_damage()), is_damage, "{height} {bit}");
        assert_eq!(store.tip().is_err_and(|error| error.is_damage()), is_damage, "{height} {bit}");
    }
}

#[test]
fn a_header_chain_with_a_hole_is_damaged() {
    let (_directory, store) = filled(&WORLD);
    let transaction = store.write().unwrap();
    transaction.open_table(HEADERS).unwrap().remove(100).unwrap();
    transaction.commit().unwrap();
    let error = store.chain(WORLD.params()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { what: "header chain", .. }), "{error}");
}

fn snapshot_row(cycle_base: u32, proven: bool) -> SnapshotRow {
    let snapshot = QuorumSnapshot {
        skip_list_mode: MNSkipListMode::NoSkipping,
        active_quorum_members: [true, false, proven].into_iter().collect(),
        skip_list: Vec::new(),
    };
    SnapshotRow::made_up(block_id(&WORLD, cycle_base - 8), proven, snapshot)
}

fn block_id(world: &World, height: u32) -> BlockId {
    BlockId { height, hash: world.block_hash(height).unwrap() }
}

/// The stored snapshot of a cycle of a world.
fn snapshot(store: &Store, world: &World, cycle_base: u32) -> Option<SnapshotRow> {
    store.snapshot(block_id(world, cycle_base - 8).hash).unwrap()
}

fn quorum_row(base_height: u32, finding: Finding) -> QuorumRow {
    let state = state(&WORLD, 200);
    let entry = QuorumEntry {
        llmq_type: LLMQType(103),
        quorum_hash: WORLD.block_hash(base_height).unwrap().into(),
        ..(*state.quorums().iter().next().unwrap().entry).clone()
    };
    let members = [1, 2].map(|byte| ProTxHash::from_byte_array([byte; 32])).to_vec();
    QuorumRow::made_up(&entry, base_height, finding, members)
}

#[test]
fn nobody_s_word_takes_the_place_of_a_proven_snapshot() {
    let (_directory, store) = filled(&WORLD);
    let [served, proven] = [false, true].map(|proven| snapshot_row(96, proven));
    for row in [&served, &proven, &served] {
        store.save_snapshots(std::slice::from_ref(row)).unwrap();
    }
    store.save_snapshots(&[snapshot_row(120, false)]).unwrap();
    store.drop_unproven_snapshots(&[96, 120].map(|base| block_id(&WORLD, base - 8).hash)).unwrap();
    assert_eq!(snapshot(&store, &WORLD, 96), Some(proven));
    assert_eq!(snapshot(&store, &WORLD, 120), None);
}

#[test]
fn findings_come_back_for_the_commitment_that_was_checked() {
    let (directory, store) = filled(&WORLD);
    let rows = Finding::ALL.into_iter().zip(100..).map(|(finding, height)| quorum_row(height, finding));
    let rows: Vec<_> = rows.collect();
    store.save_quorums(&rows).unwrap();
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    for row in rows {
        let found = |entry_hash| store.quorum(row.llmq_type(), row.quorum_hash(), entry_hash).unwrap();
        assert_eq!(found(row.entry_hash()).as_ref(), Some(&row));
        assert_eq!(found([8; 32]), None);
    }
}

#[test]
fn what_is_above_a_fork_goes_with_its_snapshots_and_quorums() {
    let (_directory, store) = filled(&WORLD);
    let quorums = [144, 192].map(|height| quorum_row(height, Finding::Verified));
    store.save_quorums(&quorums).unwrap();
    store.save_snapshots(&[144, 192].map(|cycle_base| snapshot_row(cycle_base, true))).unwrap();
    store.save_chain(&chain(&WORLD, 170), Some(170)).unwrap();
    let kept = quorums
        .map(|row| store.quorum(row.llmq_type(), row.quorum_hash(), row.entry_hash()).unwrap().is_some());
    assert_eq!(kept, [true, false]);
    assert_eq!([144, 192].map(|base| snapshot(&store, &WORLD, base).is_some()), [true, false]);
}

#[test]
fn snapshots_of_blocks_that_are_not_in_the_stored_chain_are_left_out() {
    let (_directory, store) = filled(&WORLD);
    let other = world(2, 2);
    let strange = snapshot_row(96, true).into_snapshot();
    let strange =
        [false, true].map(|proven| SnapshotRow::made_up(block_id(&other, 88), proven, strange.clone()));
    store.save_snapshots(&strange).unwrap();
    assert_eq!([&*WORLD, &*other].map(|world| snapshot(&store, world, 96)), [None, None]);
    let known = snapshot_row(96, false);
    store.save_snapshots(&[known.clone(), strange[1].clone()]).unwrap();
    assert_eq!(snapshot(&store, &WORLD, 96), Some(known));
    assert_eq!(snapshot(&store, &other, 96), None);
}

#[test]
fn a_snapshot_is_found_by_its_block_alone_before_and_after_a_reorganisation() {
    let (_directory, store) = filled(&WORLD);
    let other = world(2, 2);
    store.save_snapshots(&[snapshot_row(96, true)]).unwrap();
    assert_eq!(snapshot(&store, &other, 96), None);
    store.save_chain(&chain(&other, other.tip()), Some(0)).unwrap();
    assert_eq!([&*WORLD, &*other].map(|world| snapshot(&store, world, 96)), [None, None]);
    // Whoever is still at work on the branch that was left brings nothing back.
    store.save_snapshots(&[snapshot_row(96, true)]).unwrap();
    assert_eq!([&*WORLD, &*other].map(|world| snapshot(&store, world, 96)), [None, None]);
    // What is only a peer's word about a block of the new branch is not kept out by the other's.
    let served = SnapshotRow::served(block_id(&other, 88), snapshot_row(96, false).into_snapshot());
    store.save_snapshots(std::slice::from_ref(&served)).unwrap();
    assert_eq!(snapshot(&store, &other, 96), Some(served));
}

#[test]
fn a_list_is_read_by_its_block() {
    let (_directory, store) = filled(&WORLD);
    save_some_lists(&store, &WORLD);
    let other = world(2, 2);
    let read =
        |world: &World| store.list(world.params(), block_id(world, 150)).unwrap().map(|list| list.block());
    assert_eq!(read(&WORLD), Some(block_id(&WORLD, 150)));
    assert_eq!(read(&other), None);
    assert_eq!([&*WORLD, &*other].map(|world| store.has_list(block_id(world, 150)).unwrap()), [true, false]);
}

#[test]
fn lists_are_not_stored_without_their_base() {
    let (_directory, store) = filled(&WORLD);
    let genesis = ProvenList::genesis(WORLD.params().genesis_hash);
    let (base, base_row) = genesis.advance(&checked(&WORLD, 0, 100)).unwrap();
    let (_, row) = base.advance(&checked(&WORLD, 100, 150)).unwrap();
    store.save_answers(std::slice::from_ref(&row), &[], None).unwrap();
    assert!(stored_heights(&store).is_empty());
    store.save_answers(&[base_row, row], &[], None).unwrap();
    assert_eq!(stored_heights(&store), [100, 150]);
}

#[test]
fn headers_are_kept_only_below_a_block_that_both_chains_have() {
    let (_directory, store) = filled(&WORLD);
    let other = world(2, 2);
    store.save_chain(&chain(&other, other.tip()), Some(100)).unwrap();
    assert_eq!(store.block_hash(5).unwrap(), other.block_hash(5));
    assert_eq!(
        store.chain(other.params()).unwrap().unwrap().tip_hash(),
        other.block_hash(other.tip()).unwrap()
    );
}

#[test]
fn headers_ahead_of_the_lists_come_back_and_change_nothing_else() {
    let directory = TempDir::new().unwrap();
    let store = Store::create_or_open(directory.path(), &WORLD.params().network).unwrap();
    let (start, whole) = (chain(&WORLD, 0), chain(&WORLD, WORLD.tip()));
    for tip in [90, 150, 120] {
        store.save_ahead(&chain(&WORLD, tip)).unwrap();
    }
    let tip = |chain: HeaderChain| store.with_ahead(chain).unwrap().tip_height();
    assert_eq!((tip(start.clone()), store.tip().unwrap(), store.header_count().unwrap()), (150, None, 151));
    assert!(store.proven_chain(WORLD.params()).unwrap().is_none());
    store.save_chain(&whole, None).unwrap();
    let heights = save_some_lists(&store, &WORLD);
    let highest = *heights.last().unwrap();
    assert_eq!(store.tip().unwrap().map(|(height, _)| height), Some(highest));
    assert_eq!(tip(start), WORLD.tip());
    assert_eq!(tip(chain(&WORLD, highest - 1)), WORLD.tip());
    // Another branch waits until its lists are proven.
    let other = world(1, 9);
    store.save_ahead(&chain(&other, other.tip())).unwrap();
    assert_eq!(stored_heights(&store), heights);
    assert_eq!(tip(chain(&WORLD, highest)), WORLD.tip());
    assert_eq!(tip(chain(&other, 40)), 40, "it shares no more than the first block");
}

mod damage;
