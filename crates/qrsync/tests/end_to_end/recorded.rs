//! The recorded chain of a real node, from simulated peers that answer as that node did.

use std::fs;
use std::sync::Arc;

use dashcore::network::message_sml::MnListDiff;
use serde_json::Value;
use spv_integration::progress::Progress;
use spv_simnet::{PeerConfig, World};

use crate::support::final_state::{FinalState, cycles_and_tip};
use crate::support::{
    DataDir, Ended, VirtualNodes, faulty, honest, recorded, recorded_world, reference, slow,
};

/// A handful: refusals that no plan made of headers alone can foresee.
const FEW_REFUSALS: u32 = 5;

fn expected_lists() -> Value {
    let file = recorded("regtest-862").unwrap().join("expected-lists.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// What the node's own RPC says of every stored list.
fn assert_as_the_node_says(data: &DataDir, world: &World) {
    let expected = expected_lists();
    let state = data.final_state(world);
    let store = data.open();
    let heights = state.heights();
    // Members of quorums follow from further ones.
    assert!(cycles_and_tip(world).iter().all(|height| heights.binary_search(height).is_ok()));
    for (height, state) in &state.states {
        let expected = &expected[height.to_string()];
        let list = state.masternodes();
        assert_eq!(expected["masternodes"], list.len(), "height {height}");
        assert_eq!(expected["valid"], list.valid_count(), "height {height}");
        // A revoked EvoNode's entry does not say what it is.
        let known_evo = store.evo_nodes(*height).unwrap();
        let is_evo = |name| known_evo.contains(&name);
        let evo = list.iter().filter(|entry| entry.is_evo() || is_evo(entry.pro_reg_tx_hash)).count();
        assert_eq!(expected["evo"], evo, "height {height}");
        assert_eq!(expected["quorums"], state.quorums().len(), "height {height}");
        assert_eq!(expected["merkleRootMNList"], list.merkle_root().to_string());
        assert_eq!(expected["merkleRootQuorums"], state.quorums().merkle_root().to_string());
    }
}

fn assert_synced(ended: &Ended, world: &World) {
    let summary = &ended.summary;
    assert_eq!(summary.state.as_str(), "Synced", "{summary:?}");
    assert_eq!((summary.tip.height, Some(summary.tip.hash)), (world.tip(), world.block_hash(world.tip())));
    assert_eq!(summary.headers, u64::from(world.tip()) + 1);
    assert_eq!(summary.lists.verified, cycles_and_tip(world).len() as u64);
    assert_eq!(summary.from_height, 1);
}

/// Depth and good manners, as the peers counted them.
fn assert_peers_are_treated_well(ended: &Ended) {
    for peer in &ended.stats {
        assert!((1..=3).contains(&peer.max_in_flight), "{peer:?}");
        assert!(peer.max_misbehaviour <= FEW_REFUSALS, "{peer:?}");
        assert_eq!(peer.banned, 0);
    }
    for peer in &ended.summary.peers {
        assert_eq!((peer.timeouts, peer.failed), (0, 0), "{peer:?}");
        assert!(peer.max_in_flight <= 3, "{peer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_peers_bring_every_list_as_the_node_reports_it() {
    let Some(world) = recorded_world() else { return };
    let data = DataDir::new();
    let ended = data.sync(&world, honest(5), 1).await;
    assert_synced(&ended, &world);
    assert_as_the_node_says(&data, &world);
    let proven: u64 = ended.summary.quorums.by_type.values().map(|of_type| of_type.proven).sum();
    assert_eq!(expected_lists()["862"]["quorums"], proven);
}

#[tokio::test(start_paused = true)]
async fn five_peers_are_all_asked_and_treated_well() {
    let Some(world) = recorded_world() else { return };
    let data = DataDir::new();
    let peers = honest(5).into_iter().map(slow).collect();
    let ended = data.sync_in_virtual_time(&world, peers, 1).await;
    assert_synced(&ended, &world);
    assert_peers_are_treated_well(&ended);
    assert_as_the_node_says(&data, &world);
    assert_eq!(ended.stats.iter().filter(|peer| peer.requests.total() > 0).count(), 5, "everybody is asked");
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_as_the_peers_count_them() {
    let Some(world) = recorded_world() else { return };
    let ended = DataDir::new().sync_in_virtual_time(&world, honest(3), 1).await;
    let sum = |count: fn(&spv_simnet::PeerStats) -> u64| ended.stats.iter().map(count).sum::<u64>();
    let requests = &ended.summary.requests;
    assert_eq!(requests.getheaders, sum(|peer| peer.requests.getheaders + peer.requests.getheaders2));
    // A request that is sent to a second peer is counted apart.
    let for_lists = sum(|peer| peer.requests.getqrinfo + peer.requests.getmnlistd);
    assert_eq!(requests.qrinfo + requests.mnlistdiff + requests.hedged, for_lists);
    assert!(requests.qrinfo <= sum(|peer| peer.requests.getqrinfo));
    assert_eq!(requests.refused, sum(|peer| peer.refused.total()));
    assert_eq!(ended.summary.bytes.received > 0, sum(|peer| peer.bytes_sent) > 0);
    assert!(ended.summary.bytes.received <= sum(|peer| peer.bytes_sent));
}

/// Each list by its own request would be 36. That a node lacks the first cycles' snapshots cannot be planned for.
#[tokio::test(start_paused = true)]
async fn four_cycles_come_with_one_request() {
    let Some(world) = recorded_world() else { return };
    let ended = DataDir::new().sync_in_virtual_time(&world, honest(5), 1).await;
    let requests = &ended.summary.requests;
    assert!(requests.late == 0 && requests.hedged <= 3, "{requests:?}");
    assert!(requests.retried <= u64::from(FEW_REFUSALS), "{requests:?}");
    // Those for members alone have to be at single blocks.
    let for_members = ended.summary.lists.for_members;
    assert!(requests.qrinfo + requests.mnlistdiff - for_members <= 24, "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_run_leaves_the_same_state_behind() {
    let Some(world) = recorded_world() else { return };
    let expected = reference(&world);
    for peers in [1, 2, 5, 8] {
        let data = DataDir::new();
        assert_synced(&data.sync(&world, honest(peers), 1).await, &world);
        assert_eq!(data.final_state(&world), expected, "{peers} peers");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_a_refusing_and_a_lying_peer_change_nothing_but_the_summary() {
    let Some(world) = recorded_world() else { return };
    let expected = reference(&world);
    let mut data = DataDir::impatient();
    data.settings.executor.soft_timeout = DataDir::new().settings.executor.soft_timeout;
    data.settings.executor.hard_timeout = DataDir::new().settings.executor.hard_timeout;
    let faults = ["silent", "refuse-all", "wrong=1", "", ""];
    let peers = (0..).zip(faults).map(|(seed, faults)| slow(faulty(faults, seed))).collect();
    let ended = data.sync_in_virtual_time(&world, peers, 1).await;
    assert_synced(&ended, &world);
    data.final_state(&world).assert_proven_like(&expected);

    let told = |index: usize| {
        let address = ended.stats[index].address;
        ended.summary.peers.iter().find(|peer| peer.address == address).unwrap()
    };
    let remark = |index| told(index).remark.as_deref().unwrap_or_default();
    let (silent, refusing, lying) = (told(0), told(1), told(2));
    // It is asked for headers, to which it says nothing, and not for more.
    let asked = ended.stats[0].requests;
    assert_eq!((asked.getqrinfo, asked.getmnlistd), (0, 0), "{silent:?}");
    assert!(["silent", "not answered"].iter().any(|word| remark(0).contains(word)), "{silent:?}");

    // It serves headers like everybody else.
    let refused = ended.stats[1].refused.total();
    assert!(refused > 0 && u64::from(FEW_REFUSALS) * 2 > refused, "{refusing:?}");
    assert_eq!(refusing.refused, refused);
    assert_eq!(refusing.requests - refusing.refused, ended.stats[1].requests.getheaders2);
    assert_eq!(refusing.failed, 0);
    assert!(remark(1).contains("refused"), "{refusing:?}");

    assert!(ended.stats[2].faults > 0, "it got its chance to lie");
    assert!(lying.invalid > 0 && lying.invalid <= ended.stats[2].faults, "{lying:?}");
    assert_eq!(
        refusing.requests - refusing.refused,
        ended.stats[1].requests.getheaders2,
        "{refusing:?} {:?} {:?}",
        ended.stats[1],
        ended.summary.requests
    );
    assert!(remark(2).contains("wrong"), "{lying:?}");
    for honest in [told(3), told(4)] {
        // Cycles without snapshots may be all that it was asked for.
        assert!(honest.failed == 0 && (honest.remark.is_none() || honest.refused > 0), "{honest:?}");
        assert!(honest.refused <= u64::from(FEW_REFUSALS), "{honest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn old_and_new_constructions_give_the_same_state() {
    let Some(world) = recorded_world() else { return };
    let expected = reference(&world);
    let speaking = |versions: &[i32]| -> Vec<PeerConfig> {
        let peer = |&protocol_version| PeerConfig { protocol_version, ..PeerConfig::default() };
        versions.iter().map(peer).collect()
    };
    for versions in [&[70_230, 70_233, 70_235][..], &[70_230, 70_235, 70_236, 70_240]] {
        let data = DataDir::new();
        let ended = data.sync_in_virtual_time(&world, speaking(versions), 1).await;
        assert_synced(&ended, &world);
        assert_peers_are_treated_well(&ended);
        assert_eq!(data.final_state(&world), expected, "{versions:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn peers_on_a_shorter_chain_are_asked_for_what_they_have() {
    let Some(world) = recorded_world() else { return };
    let expected = reference(&world);
    let tips = [Some(700), Some(400), None, Some(861), None];
    let peers = tips.map(|tip| PeerConfig { tip, ..PeerConfig::default() });
    let data = DataDir::impatient();
    let ended = data.sync_in_virtual_time(&world, peers.into(), 1).await;
    assert_synced(&ended, &world);
    assert_eq!(data.final_state(&world), expected);
    assert!(ended.stats.iter().all(|peer| peer.banned == 0 && peer.max_misbehaviour < 50));
}

#[tokio::test(start_paused = true)]
async fn cycles_without_snapshots_cost_refusals_but_no_time_out() {
    if recorded_world().is_none() {
        return;
    }
    let world = World::load(&recorded("regtest-862").unwrap()).unwrap().with_qrinfo_refused_below(500);
    let world = Arc::new(world);
    let expected = reference(&world);
    let data = DataDir::new();
    let ended = data.sync_in_virtual_time(&world, honest(5), 1).await;
    assert_synced(&ended, &world);
    assert!(ended.summary.requests.refused > 0);
    for (peer, stats) in ended.summary.peers.iter().zip(&ended.stats) {
        assert_eq!((peer.timeouts, peer.failed), (0, 0), "{peer:?}");
        assert!((1..=3).contains(&stats.max_in_flight) && stats.max_misbehaviour < 20, "{stats:?}");
    }
    assert_eq!(data.final_state(&world), expected);
    assert_as_the_node_says(&data, &world);
}

/// Every peer serves the same list with one voting key altered: none of them can be told to be the liar.
#[tokio::test(start_paused = true)]
async fn an_altered_list_that_all_peers_agree_on_is_unverifiable_and_not_stored() {
    let Some(world) = recorded_world() else { return };
    let expected = reference(&world);
    let altered = Arc::new(with_altered_list(ALTERED));
    for peers in [2, 5] {
        let data = DataDir::impatient();
        let ended = data.sync_in_virtual_time(&altered, honest(peers), 1).await;
        assert_eq!(ended.summary.state.as_str(), "Unverifiable", "{:?}", ended.summary);
        let reason = ended.summary.reason.unwrap();
        assert!(reason.contains("none has one that verifies") && reason.contains("400"), "{reason}");
        assert_without_altered(&data.final_state(&world), &expected, &world);
    }
    // One peer's word alone is no evidence against the chain.
    let mut data = DataDir::impatient();
    data.settings.recovery.max_attempts = 4;
    let ended = data.sync_in_virtual_time(&altered, honest(1), 1).await;
    assert_eq!(ended.summary.state.as_str(), "Degraded", "{:?}", ended.summary);
    assert_without_altered(&data.final_state(&world), &expected, &world);
}

#[tokio::test(start_paused = true)]
async fn one_honest_peer_refutes_many_that_serve_an_altered_list() {
    let Some(world) = recorded_world() else { return };
    let expected = reference(&world);
    let altered = Arc::new(with_altered_list(ALTERED));
    let slow_one = || honest(1).into_iter().map(slow).collect();
    let nodes = VirtualNodes::start(vec![(&altered, slow_one()), (&world, slow_one())]);
    let data = DataDir::impatient();
    let summary = data.sync_from_nodes(&world, &nodes, 1, &Progress::default()).await;
    assert_eq!(summary.state.as_str(), "Synced", "{summary:?}");
    assert_eq!(data.final_state(&world), expected);
}

/// A cycle's work block.
const ALTERED: u32 = 400;

fn assert_without_altered(state: &FinalState, expected: &FinalState, world: &World) {
    state.assert_part_of(expected, world);
    assert!(!state.states.contains_key(&ALTERED));
}

/// A quorum cannot become verified by a false commitment: it never even gets into a proven set.
#[tokio::test(start_paused = true)]
async fn an_altered_commitment_is_unverifiable_and_no_quorum() {
    let Some(world) = recorded_world() else { return };
    let expected = reference(&world);
    // From then on all commitments, since a node sends each but once.
    let altered = with_altered_diffs(|height, diff| {
        for quorum in diff.new_quorums.iter_mut().filter(|_| height > ALTERED - 24) {
            quorum.quorum_public_key = dashcore::bls_sig_utils::BLSPublicKey::from_bytes([7; 48]);
        }
    });
    let data = DataDir::impatient();
    let ended = data.sync_in_virtual_time(&Arc::new(altered), honest(2), 1).await;
    assert_eq!(ended.summary.state.as_str(), "Unverifiable", "{:?}", ended.summary);
    assert_eq!((ended.summary.quorums.verified, ended.summary.quorums.checked), (0, 0));
    assert_without_altered(&data.final_state(&world), &expected, &world);
}

/// The recorded chain with another voting key in the list at one height.
fn with_altered_list(height: u32) -> World {
    with_altered_diffs(|other, diff| {
        if other != height {
            return;
        }
        let key = diff.new_masternodes[0].key_id_voting.to_byte_array().map(|byte| !byte);
        diff.new_masternodes[0].key_id_voting = dashcore::hash_types::PubkeyHash::from_byte_array(key);
    })
}

/// The recorded chain with something else of the same length in the lists.
fn with_altered_diffs(alter: impl Fn(u32, &mut MnListDiff)) -> World {
    use dashcore::consensus::{deserialize, serialize};

    let source = recorded("regtest-862").unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["manifest.json", "headers.bin", "qrinfo-from-genesis.bin"] {
        fs::write(folder.path().join(name), fs::read(source.join(name)).unwrap()).unwrap();
    }
    let name = "mnlistdiff-from-genesis.bin";
    let mut rest = &fs::read(source.join(name)).unwrap()[..];
    let mut records = Vec::new();
    while let Some((record_height, after)) = rest.split_first_chunk() {
        let (length, after) = after.split_first_chunk().unwrap();
        let (payload, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        let mut diff: MnListDiff = deserialize(payload).unwrap();
        alter(u32::from_le_bytes(*record_height), &mut diff);
        let payload = serialize(&diff);
        records.extend_from_slice(record_height);
        records.extend_from_slice(length);
        records.extend(payload);
        rest = after;
    }
    fs::write(folder.path().join(name), records).unwrap();
    World::load(folder.path()).unwrap()
}
