//! Quorums of the recorded chain and of generated ones, proven by their signatures.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use dashcore::consensus::{deserialize, serialize};
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::network::message_qrinfo::{QRInfo, QuorumSnapshot};
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{BitSet, ProTxHash, QuorumHash};
use serde_json::Value;
use spv_integration::progress::Progress;
use spv_integration::store::{Finding, QuorumRow, Store};
use spv_masternodes::chain_lock::{BestLock, quorums_height, verify_chain_lock};
use spv_masternodes::{BlockRef, CheckedDiff, ProvenState};
use spv_simnet::{GeneratedSpec, World};

use crate::support::process::{Running, qrsync, run};
use crate::support::{
    DataDir, VirtualNodes, generated_world, honest, recorded, recorded_world, slow, unsigned_world,
};

pub(crate) type Name = (LLMQType, QuorumHash);

/// What the node's own RPC says of every quorum: base height and members in order.
pub(crate) fn expected_quorums() -> BTreeMap<Name, (u64, Vec<ProTxHash>)> {
    let file = recorded("regtest-862").unwrap().join("expected-quorums.json");
    let all: Vec<Value> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let member = |member: &Value| member["proTxHash"].as_str().unwrap().parse().unwrap();
    all.iter()
        .map(|quorum| {
            let llmq_type = LLMQType(u8::try_from(quorum["type"].as_u64().unwrap()).unwrap());
            let hash = quorum["quorumHash"].as_str().unwrap().parse().unwrap();
            let members = quorum["members"].as_array().unwrap().iter().map(member).collect();
            ((llmq_type, hash), (quorum["height"].as_u64().unwrap(), members))
        })
        .collect()
}

/// Everything that is stored about quorums that are active at any stored list.
fn found(data: &DataDir, world: &World) -> BTreeMap<Name, QuorumRow> {
    let store = data.open();
    let mut found = BTreeMap::new();
    for state in data_states(&store, world) {
        for quorum in state.quorums().iter() {
            let name = (quorum.entry.llmq_type, quorum.entry.quorum_hash);
            if let Some(row) = store.quorum(name.0, name.1, quorum.entry_hash).unwrap() {
                found.insert(name, row);
            }
        }
    }
    found
}

fn data_states(store: &Store, world: &World) -> Vec<Arc<ProvenState>> {
    let heights = store.lists().unwrap().into_iter();
    heights.map(|(height, _)| store.state(world.params(), height).unwrap().unwrap()).collect()
}

fn assert_as_the_node_says(row: &QuorumRow) {
    let expected = expected_quorums();
    let (base_height, members) = &expected[&(row.llmq_type(), row.quorum_hash())];
    assert_eq!(u64::from(row.base_height()), *base_height);
    assert_eq!(row.members(), members, "type {} at {base_height}", row.llmq_type());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_quorum_of_the_chain_is_verified_with_the_members_that_the_node_reports() {
    let Some(world) = recorded_world() else { return };
    let data = DataDir::new();
    let summary = data.sync(&world, honest(5), 1).await.summary;
    let quorums = &summary.quorums;
    assert_eq!(summary.state.as_str(), "Synced");
    assert_eq!((quorums.verified, quorums.failed, quorums.checked), (61, 0, 61), "{quorums:?}");
    assert!(quorums.not_verified.is_empty(), "{quorums:?}");
    assert!(quorums.by_type.values().all(|of_type| of_type.verified == of_type.proven), "{quorums:?}");
    assert!(summary.seconds.quorums > 0.0);
    for (stage, count) in
        [("survey", 61), ("members", 61), ("signatures", 61), ("quorum_signature", 0), ("chain_lock", 1)]
    {
        let total = summary.verification[stage];
        assert_eq!((total.count, total.seconds > 0.0), (count, count > 0), "{stage}");
    }
    let lock = summary.chain_lock.unwrap();
    // The newest that the tip's miner had seen.
    assert_eq!((lock.height, lock.verified), (852, true), "{lock:?}");

    let found = found(&data, &world);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected_quorums().keys().collect::<Vec<_>>());
    for row in found.values() {
        // From the first block on, snapshots follow from the lists, and nobody's word is needed.
        assert_eq!(row.finding(), Finding::Verified);
        assert_as_the_node_says(row);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_checks_nothing_again() {
    let Some(world) = recorded_world() else { return };
    let data = DataDir::new();
    let first = data.sync(&world, honest(2), 1).await.summary;
    let second = data.sync(&world, honest(2), 1).await;
    assert_eq!((first.quorums.checked, second.summary.quorums.checked), (61, 0));
    assert_eq!(second.summary.quorums.verified, 61);
    assert_eq!(second.summary.quorums.by_type, first.quorums.by_type);
    assert_eq!(second.summary.chain_lock, first.chain_lock);
    let requests = &second.summary.requests;
    assert_eq!((requests.qrinfo, requests.mnlistdiff), (0, 0));
}

/// Further up the lists do not tell the first snapshots, so peers have to be asked for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_chain_is_verified_with_the_help_of_served_snapshots() {
    let Some(world) = recorded_world() else { return };
    for from in [400, 600, 800] {
        let data = DataDir::new();
        let summary = data.sync(&world, honest(5), from).await.summary;
        let quorums = &summary.quorums;
        assert!(quorums.verified > 0 && quorums.failed == 0, "from {from}: {quorums:?}");
        assert!(quorums.not_verified.is_empty(), "from {from}: {quorums:?}");
        let found = found(&data, &world);
        for row in found.values() {
            assert!(row.finding().is_verified());
            assert_as_the_node_says(row);
        }
        assert!(found.values().any(|row| row.finding() == Finding::VerifiedBySigners), "from {from}");
    }
}

/// Every peer serves the same false snapshots: nothing that follows from them counts as verified.
#[tokio::test(start_paused = true)]
async fn altered_snapshots_never_verify_a_quorum() {
    let Some(world) = recorded_world() else { return };
    for cycle_base in [528, 552, 576] {
        let altered = Arc::new(with_altered_snapshot(&world, cycle_base));
        let data = DataDir::impatient();
        let summary = data.sync_in_virtual_time(&altered, honest(2), 600).await.summary;
        let quorums = &summary.quorums;
        let found = found(&data, &world);
        let (verified, wrong): (Vec<_>, Vec<_>) = found.values().partition(|row| row.finding().is_verified());
        verified.into_iter().for_each(assert_as_the_node_says);
        assert!(!wrong.is_empty(), "cycle {cycle_base}: {quorums:?}");
        for row in &wrong {
            assert!(row.finding().is_failure() && row.members().is_empty(), "{row:?}");
            assert_eq!(row.llmq_type(), world.params().rotated_llmq);
        }
        assert_eq!((quorums.failed, quorums.not_verified.is_empty()), (wrong.len() as u64, false));
        let work_block = world.block_hash(cycle_base - 8).unwrap();
        assert!(data.open().snapshot(work_block).unwrap().is_none(), "the next run asks anew");

        // Which it does, and finds somebody honest.
        let summary = data.sync_in_virtual_time(&world, honest(2), 600).await.summary;
        assert_eq!((summary.quorums.failed, summary.quorums.checked), (0, wrong.len() as u64));
        assert!(summary.quorums.not_verified.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn one_honest_peer_refutes_another_one_s_altered_snapshot() {
    let Some(world) = recorded_world() else { return };
    let altered = Arc::new(with_altered_snapshot(&world, 552));
    let slow_one = || honest(1).into_iter().map(slow).collect();
    let nodes = VirtualNodes::start(vec![(&altered, slow_one()), (&world, slow_one())]);
    let data = DataDir::impatient();
    let summary = data.sync_from_nodes(&world, &nodes, 600, &Progress::default()).await;
    assert_eq!((summary.quorums.failed, summary.quorums.not_verified.len()), (0, 0), "{summary:?}");
    found(&data, &world).values().for_each(assert_as_the_node_says);
    let honest_one = summary.peers.iter().find(|peer| peer.address == nodes.stats()[1].address).unwrap();
    assert_eq!(honest_one.invalid, 0);
}

/// The recorded chain with one bit flipped in the snapshot of a cycle.
fn with_altered_snapshot(world: &World, cycle_base: u32) -> World {
    let source = recorded("regtest-862").unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["manifest.json", "headers.bin", "mnlistdiff-from-genesis.bin"] {
        fs::write(folder.path().join(name), fs::read(source.join(name)).unwrap()).unwrap();
    }
    let work_block = world.block_hash(cycle_base - 8).unwrap();
    let flip = |snapshot: &mut QuorumSnapshot, diff: &MnListDiff| {
        if diff.block_hash == work_block {
            let mut bits: Vec<bool> = snapshot.active_quorum_members.iter().collect();
            bits[0] = !bits[0];
            snapshot.active_quorum_members = bits.into_iter().collect();
        }
    };
    let name = "qrinfo-from-genesis.bin";
    let mut rest = &fs::read(source.join(name)).unwrap()[..];
    let mut records = Vec::new();
    while let Some((height, after)) = rest.split_first_chunk::<4>() {
        let (length, after) = after.split_first_chunk().unwrap();
        let (payload, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        let mut info: QRInfo = deserialize(payload).unwrap();
        flip(&mut info.quorum_snapshot_at_h_minus_c, &info.mn_list_diff_at_h_minus_c);
        flip(&mut info.quorum_snapshot_at_h_minus_2c, &info.mn_list_diff_at_h_minus_2c);
        flip(&mut info.quorum_snapshot_at_h_minus_3c, &info.mn_list_diff_at_h_minus_3c);
        if let Some((snapshot, diff)) = &mut info.quorum_snapshot_and_mn_list_diff_at_h_minus_4c {
            flip(snapshot, diff);
        }
        for (snapshot, diff) in info.quorum_snapshot_list.iter_mut().zip(&info.mn_list_diff_list) {
            flip(snapshot, diff);
        }
        let payload = serialize(&info);
        assert_eq!(payload.len(), u32::from_le_bytes(*length) as usize);
        records.extend_from_slice(height);
        records.extend_from_slice(length);
        records.extend(payload);
        rest = after;
    }
    fs::write(folder.path().join(name), records).unwrap();
    World::load(folder.path()).unwrap()
}

/// What the tip's quorums need is known from headers, and the quorums that may have locked a block from the lists beside
/// it: no further list has to be asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_of_the_tip_verifies_every_active_quorum() {
    let Some(world) = recorded_world() else { return };
    let network = crate::support::start(&world, honest(5)).await;
    let peers: Vec<String> = network.addresses().iter().map(ToString::to_string).collect();
    let data = DataDir::new();
    let summary = data.sync_range(&world, peers, None, &Progress::default()).await;
    let quorums = &summary.quorums;
    assert!(quorums.by_type.values().all(|of_type| of_type.verified == of_type.proven), "{summary:?}");
    let active: u64 = quorums.by_type.values().map(|of_type| of_type.proven).sum();
    // Twelve more have retired so lately that they may still sign; one of them signed the tip's ChainLock.
    assert_eq!((quorums.verified, quorums.checked, quorums.failed), (active + 12, active + 12, 0));
    assert!(active > 0 && quorums.not_verified.is_empty());
    assert_eq!(summary.lists.for_members, 0, "{summary:?}");
    assert!(summary.chain_lock.unwrap().verified);
    found(&data, &world).values().for_each(assert_as_the_node_says);
}

/// The client computes members, snapshots and hashes with code of its own: it agrees with the generator's only if both
/// follow the protocol.
#[tokio::test(flavor = "multi_thread")]
async fn every_quorum_of_a_generated_chain_is_verified() {
    for (masternodes, seed) in [(4, 1), (5, 2), (12, 3), (60, 2)] {
        let spec = GeneratedSpec { masternodes, cycles: 12, seed, ..GeneratedSpec::default() };
        let world = Arc::new(World::generate(&spec));
        let data = DataDir::new();
        let summary = data.sync(&world, honest(3), 1).await.summary;
        let quorums = &summary.quorums;
        assert_eq!(summary.state.as_str(), "Synced", "{spec}");
        assert!(quorums.verified >= 25 && quorums.failed == 0, "{spec}: {quorums:?}");
        assert!(quorums.not_verified.is_empty(), "{spec}: {quorums:?}");
        assert!(quorums.by_type.values().all(|of_type| of_type.verified == of_type.proven), "{quorums:?}");
        assert!(summary.chain_lock.as_ref().is_some_and(|lock| lock.verified), "{:?}", summary.chain_lock);
        // From the first block on, snapshots follow from the lists, and nobody's word is needed.
        assert!(found(&data, &world).values().all(|row| row.finding() == Finding::Verified), "{spec}");
    }
}

/// All types, sizes and intervals of mainnet, with members that did not sign.
#[tokio::test(flavor = "multi_thread")]
async fn every_quorum_of_mainnet_s_types_is_verified() {
    let spec = GeneratedSpec { masternodes: 1_000, cycles: 1, seed: 5, ..GeneratedSpec::default() };
    let world = Arc::new(World::generate(&spec));
    let data = DataDir::new();
    let summary = data.sync(&world, honest(5), 1).await.summary;
    let quorums = &summary.quorums;
    assert_eq!(summary.state.as_str(), "Synced");
    assert!(quorums.failed == 0 && quorums.not_verified.is_empty(), "{quorums:?}");
    assert!(quorums.by_type.values().all(|of_type| of_type.verified == of_type.proven), "{quorums:?}");
    // Sessions of type 1 are over by now. Each cycle of type 5 has 32 quorums, of which one may have failed.
    let active = |llmq_type| quorums.by_type[&llmq_type].proven;
    assert!(active(1) >= 22 && active(5) >= 31, "{quorums:?}");
    assert_eq!((active(2), active(3), active(4)), (4, 2, 24), "{quorums:?}");
    let lock = summary.chain_lock.unwrap();
    assert!(lock.verified && lock.height + 10 > world.tip(), "{lock:?}");
    let state = data.open().state(world.params(), world.tip()).unwrap().unwrap();
    let signed_by_all = |signers: &BitSet| signers.count_ones() == signers.len();
    let by_all = state.quorums().iter().filter(|quorum| signed_by_all(&quorum.entry.signers)).count();
    assert!((5..80).contains(&by_all), "{by_all} quorums have no member that did not sign");
}

/// Not the tip's alone: members follow from the ChainLocks of all work blocks.
#[test]
fn every_chain_lock_in_a_generated_coinbase_is_signed_by_the_quorum_that_had_to() {
    let chain = generated_world().active_chain();
    let (world, params) = (chain.world(), chain.world().params());
    let mut states = BTreeMap::from([(0, ProvenState::genesis(params.genesis_hash))]);
    let mut locks = 0;
    for height in params.activation.dip3..=chain.tip() {
        let (base_height, base) = states.last_key_value().unwrap();
        let (base_block_hash, hash) =
            (world.block_hash(*base_height).unwrap(), world.block_hash(height).unwrap());
        let diff = chain.mn_list_diff(&GetMnListDiff { base_block_hash, block_hash: hash }).unwrap();
        let block = BlockRef { hash, header: world.header(height).unwrap(), height };
        let state = base.advance(&CheckedDiff::check(diff, block).unwrap()).unwrap();
        if let Some(best) = BestLock::of_coinbase(state.coinbase().unwrap()).unwrap() {
            let lock = ChainLock {
                block_height: best.block_height,
                block_hash: world.block_hash(best.block_height).unwrap(),
                signature: best.signature,
            };
            let quorums = states[&quorums_height(lock.block_height)].quorums();
            verify_chain_lock(&lock, quorums, params).unwrap_or_else(|error| panic!("{height}: {error}"));
            locks += 1;
        }
        states.insert(height, state);
    }
    assert!(locks > 300, "{locks} coinbases have one");
}

/// Further up, the generated snapshots themselves are needed.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_generated_chain_is_verified_with_its_snapshots() {
    let world = generated_world();
    let data = DataDir::new();
    let summary = data.sync(&world, honest(3), 400).await.summary;
    let quorums = &summary.quorums;
    assert!(quorums.verified > 0 && quorums.failed == 0 && quorums.not_verified.is_empty(), "{quorums:?}");
    assert!(found(&data, &world).values().any(|row| row.finding() == Finding::VerifiedBySigners));
}

/// Where nothing is signed, keys and signatures are bytes at random.
#[tokio::test(flavor = "multi_thread")]
async fn quorums_that_never_signed_fail_loudly() {
    let world = unsigned_world();
    let network = crate::support::start(&world, honest(2)).await;
    let data = DataDir::new();
    let command = |json: &[&str]| {
        let mut command = qrsync();
        command.args(["sync", "--network", "regtest", "--llmq-params", "100=4:4,104=4:4,106=4:4"]);
        command.args(["--activation", "dip3=2,v20=100,mn_rr=100", "--from", "1"]).args(json);
        for peer in network.addresses() {
            command.args(["--peer", &peer.to_string()]);
        }
        command.arg("--data-dir").arg(data.path());
        Running::start(&mut command).finish()
    };
    let finished = command(&["--json"]);
    assert_eq!(finished.code(), Some(4), "{}", finished.stderr());
    let summary: Value = serde_json::from_str(finished.stdout()).unwrap();
    assert_eq!((&summary["state"], &summary["quorums"]["verified"]), (&"Unverifiable".into(), &0.into()));
    assert!(summary["quorums"]["failed"].as_u64().unwrap() > 0, "{summary}");
    assert_eq!(summary["chain_lock"]["verified"], false);

    let finished = command(&[]);
    assert_eq!(finished.code(), Some(4));
    for words in [" found WRONG, ", "0 verified in the range", "NOT verified"] {
        assert!(finished.stdout().contains(words), "{}", finished.stdout());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verified_quorums_are_printed_with_their_members() {
    let Some(world) = recorded_world() else { return };
    let data = DataDir::new();
    data.sync(&world, honest(2), 1).await;
    let query =
        |arguments: &[&str]| run([arguments, &["--data-dir", data.path().to_str().unwrap()]].concat());
    let answer = query(&["quorums", "--json"]).json();
    let expected = expected_quorums();
    for quorum in answer["quorums"].as_array().unwrap() {
        let llmq_type = LLMQType(u8::try_from(quorum["type"].as_u64().unwrap()).unwrap());
        let hash = quorum["quorum_hash"].as_str().unwrap().parse().unwrap();
        let members: Vec<ProTxHash> = serde_json::from_value(quorum["members"].clone()).unwrap();
        assert_eq!(members, expected[&(llmq_type, hash)].1);
        assert_eq!((&quorum["verified"], &quorum["finding"]), (&true.into(), &"verified".into()));
    }
    assert!(query(&["quorums"]).ok().contains("  verified"));
}
