//! Quorums of the recorded chain, proven by their signatures.

use std::collections::BTreeMap;
use std::fs;

use dashcore::sml::llmq_type::LLMQType;
use dashcore::{ProTxHash, QuorumHash};
use serde_json::Value;
use spv_integration::store::{Finding, QuorumRow};
use spv_simnet::World;

use crate::support::{DataDir, honest, recorded, recorded_world};

type Name = (LLMQType, QuorumHash);

/// What the node's own RPC says of every quorum: base height and members in order.
fn expected_quorums() -> BTreeMap<Name, (u64, Vec<ProTxHash>)> {
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

fn data_states(
    store: &spv_integration::store::Store,
    world: &World,
) -> Vec<std::sync::Arc<spv_masternodes::ProvenState>> {
    let heights = store.lists().unwrap().into_iter();
    heights.map(|(height, _)| store.state(world.params(), height).unwrap().unwrap()).collect()
}

fn assert_as_the_node_says(row: &QuorumRow) {
    let expected = expected_quorums();
    let (base_height, members) = &expected[&(row.llmq_type, row.quorum_hash)];
    assert_eq!(u64::from(row.base_height), *base_height);
    assert_eq!(&row.members, members, "type {} at {base_height}", row.llmq_type);
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
    let lock = summary.chain_lock.unwrap();
    // The newest that the tip's miner had seen.
    assert_eq!((lock.height, lock.verified), (852, true), "{lock:?}");

    let found = found(&data, &world);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected_quorums().keys().collect::<Vec<_>>());
    for row in found.values() {
        // From the first block on, snapshots follow from the lists, and nobody's word is needed.
        assert_eq!(row.finding, Finding::Verified);
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
            assert!(row.finding.is_verified());
            assert_as_the_node_says(row);
        }
        assert!(found.values().any(|row| row.finding == Finding::VerifiedBySigners), "from {from}");
    }
}
