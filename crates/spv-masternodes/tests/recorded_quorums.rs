//! Quorums of real networks: their members, both signatures, and the ChainLocks that they made.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod recordings;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};
use dashcore::consensus::deserialize;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::hash_types::QuorumVVecHash;
use dashcore::network::message_qrinfo::QRInfo;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{BitSet, BlockHash, ChainParams, Network, QuorumHash};
use recordings::{Chain, Mainnet, json, recorded, records, regtest_params, regtest_states, snapshots};
use spv_masternodes::ActiveQuorum;
use spv_masternodes::chain_lock::{BestLock, quorums_height, verify_chain_lock};
use spv_masternodes::members::{Evidence, MembersError, Needs};
use spv_masternodes::signing::{select_signer, sign_hash};
use spv_masternodes::verification::{QuorumCandidate, QuorumError, QuorumVerifier, VerifiedQuorum};

fn verifier(params: &ChainParams) -> QuorumVerifier {
    QuorumVerifier::new(params.clone(), NonZeroUsize::new(4_096).unwrap())
}

fn candidate(
    entry: &Arc<QuorumEntry>,
    base_height: u32,
    evidence: &Evidence,
    params: &ChainParams,
) -> QuorumCandidate {
    let members = evidence.members(entry.llmq_type, entry.quorum_hash, base_height, params).unwrap();
    QuorumCandidate { entry: Arc::clone(entry), base_height, members }
}

fn assert_all(results: Vec<Result<VerifiedQuorum, QuorumError>>, count: usize) {
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), count);
    assert_eq!(results.iter().find_map(|result| result.as_ref().err()), None);
}

/// Served snapshots of the regtest chain. Where two answers carry the same one they agree.
fn regtest_snapshots(
    folder: &std::path::Path,
    chain: &Chain,
) -> BTreeMap<u32, dashcore::network::message_qrinfo::QuorumSnapshot> {
    let mut all = BTreeMap::new();
    for (_, payload) in records(&folder.join("qrinfo-from-genesis.bin")) {
        let info: QRInfo = deserialize(&payload).unwrap();
        for (cycle_base, snapshot) in
            snapshots(&info, |diff| u32::try_from(chain.height(&diff.block_hash)).unwrap())
        {
            let before = all.insert(cycle_base, snapshot.clone());
            assert!(before.is_none_or(|before| before == snapshot), "cycle {cycle_base}");
        }
    }
    all
}

#[test]
fn all_regtest_quorums_have_the_members_that_the_node_reports_and_verify() {
    let Some(folder) = recorded("regtest-862") else { return };
    let chain = Chain::read(&folder);
    let params = regtest_params();
    let mut evidence = regtest_states(&folder, &chain);
    for (cycle_base, snapshot) in regtest_snapshots(&folder, &chain) {
        evidence.add_snapshot(cycle_base, snapshot);
    }
    let mut candidates = Vec::new();
    for expected in json(&folder.join("expected-quorums.json")).as_array().unwrap() {
        let number = |field: &str| u32::try_from(expected[field].as_u64().unwrap()).unwrap();
        let llmq_type = LLMQType(u8::try_from(number("type")).unwrap());
        let quorum_hash = expected["quorumHash"].as_str().unwrap().parse().unwrap();
        let mined = evidence.state(number("firstSeenHeight")).unwrap();
        let entry = &mined.quorums().get(llmq_type, quorum_hash).unwrap().entry;
        let base_height = number("height");
        assert_eq!(chain.height(&BlockHash::from(quorum_hash)), base_height as usize);
        let needs = Needs::of(llmq_type, base_height, &params).unwrap();
        assert!(needs.missing_from(&evidence, &params).is_empty(), "quorum at {base_height}: {needs:?}");

        let candidate = candidate(entry, base_height, &evidence, &params);
        let members: Vec<_> =
            candidate.members.iter().map(|member| member.pro_reg_tx_hash.to_string()).collect();
        let expected: Vec<_> = expected["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| member["proTxHash"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(members, expected, "type {llmq_type} at {base_height}");
        candidates.push(candidate);
    }
    assert_eq!(candidates.len(), 61);
    assert_all(verifier(&params).verify(candidates), 61);
}

#[test]
fn regtest_snapshots_follow_from_the_lists_alone() {
    let Some(folder) = recorded("regtest-862") else { return };
    let chain = Chain::read(&folder);
    let params = regtest_params();
    let mut evidence = regtest_states(&folder, &chain);
    let served = regtest_snapshots(&folder, &chain);
    let mut compared = 0;
    for cycle_base in (24..=840).step_by(24) {
        let Some(snapshot) = evidence.cycle(cycle_base, &params).unwrap().snapshot().cloned() else {
            assert!(!served.contains_key(&cycle_base), "cycle {cycle_base}");
            continue;
        };
        if let Some(served) = served.get(&cycle_base) {
            assert_eq!(&snapshot, served, "cycle {cycle_base}");
            compared += 1;
        }
        evidence.add_snapshot(cycle_base, snapshot);
        assert_eq!(evidence.check_snapshot(cycle_base, &params), Ok(()));
    }
    assert_eq!(compared, served.len());
}

#[test]
fn regtest_chain_locks_verify() {
    let Some(folder) = recorded("regtest-862") else { return };
    let chain = Chain::read(&folder);
    let params = regtest_params();
    let evidence = regtest_states(&folder, &chain);
    let mut locks = 0;
    for height in 2..=862 {
        let coinbase = evidence.state(height).unwrap().coinbase().unwrap();
        let Some(best) = BestLock::of_coinbase(coinbase).unwrap() else { continue };
        let block_hash = chain.block_ref(best.block_height as usize).hash;
        let lock = ChainLock { block_height: best.block_height, block_hash, signature: best.signature };
        let quorums = evidence.state(quorums_height(best.block_height)).unwrap().quorums();
        verify_chain_lock(&lock, quorums, &params).unwrap();
        locks += 1;
    }
    // All blocks from v20 on.
    assert_eq!(locks, 563);
}

#[test]
fn mainnet_quorums_verify_with_computed_members() {
    let Some(folder) = recorded("mainnet-2240504") else { return };
    let mainnet = Mainnet::read(&folder);
    let params = ChainParams::new(Network::Dash);
    let mut by_type: BTreeMap<u8, Vec<QuorumCandidate>> = BTreeMap::new();
    let mut unknown_height: BTreeMap<u8, usize> = BTreeMap::new();
    for active in mainnet.tip.quorums().iter() {
        let entry = &active.entry;
        let llmq_type = entry.llmq_type.0;
        match mainnet.heights.get(&BlockHash::from(entry.quorum_hash)) {
            Some(&base_height) => {
                let candidate = candidate(entry, base_height, &mainnet.evidence, &params);
                by_type.entry(llmq_type).or_default().push(candidate);
            }
            None => *unknown_height.entry(llmq_type).or_default() += 1,
        }
    }
    // The type 1 quorums are years old. Of type 3 the list of one was recorded, and of the others not even the height.
    assert_eq!(unknown_height, BTreeMap::from([(1, 24), (3, 3)]));
    let mut verifier = verifier(&params);
    for (llmq_type, count) in [(5, 32), (2, 4), (3, 1), (4, 24)] {
        assert_all(verifier.verify(by_type.remove(&llmq_type).unwrap()), count);
    }
    assert!(by_type.is_empty());
}

#[test]
fn mainnet_quorums_from_before_v19_are_signed_by_their_own_key() {
    let Some(folder) = recorded("mainnet-2240504") else { return };
    let mainnet = Mainnet::read(&folder);
    let verifier = verifier(&ChainParams::new(Network::Dash));
    let legacy: Vec<_> = mainnet.tip.quorums().of_type(LLMQType::LLMQ_50_60).collect();
    assert_eq!(legacy.len(), 24);
    for quorum in legacy {
        assert_eq!(quorum.entry.version, 1);
        verifier.check_quorum_signature(&quorum.entry).unwrap();
    }
}

#[test]
fn mainnet_chain_lock_signatures_beside_quorums_are_those_of_the_work_blocks() {
    let Some(folder) = recorded("mainnet-2240504") else { return };
    let mainnet = Mainnet::read(&folder);
    let mut confirmed = 0;
    for quorum in mainnet.tip.quorums().iter() {
        let Some(base_height) = mainnet.heights.get(&BlockHash::from(quorum.entry.quorum_hash)) else {
            continue;
        };
        let index = quorum.entry.quorum_index.map_or(0, |index| u32::try_from(index).unwrap());
        let Some(work_state) = mainnet.evidence.state(base_height - index - 8) else { continue };
        let chain_lock = work_state.coinbase().unwrap().chain_lock.as_ref().unwrap();
        assert_eq!(quorum.chain_lock_signature, Some(chain_lock.best_cl_signature));
        confirmed += 1;
    }
    assert_eq!(confirmed, 32 + 4 + 24 + 1);
}

/// Of H-C all that its snapshot follows from is in the answer, since it was asked for with the extra share.
#[test]
fn the_served_mainnet_snapshot_follows_from_those_before() {
    let Some(folder) = recorded("mainnet-2240504") else { return };
    let mainnet = Mainnet::read(&folder);
    let params = ChainParams::new(Network::Dash);
    let cycle_base = 2_240_352;
    assert_eq!(mainnet.evidence.check_snapshot(cycle_base - 288, &params), Ok(()));
    // Of the one before, the oldest list is missing.
    let error = MembersError::MissingList { height: cycle_base - 5 * 288 - 8 };
    assert_eq!(mainnet.evidence.check_snapshot(cycle_base - 2 * 288, &params), Err(error));
}

/// Few hashes of locked blocks were recorded, and no states 8 blocks below them. The states just above do as well: no
/// quorum that makes ChainLocks was mined in between.
#[test]
fn mainnet_chain_locks_verify() {
    let Some(folder) = recorded("mainnet-2240504") else { return };
    let mainnet = Mainnet::read(&folder);
    let params = ChainParams::new(Network::Dash);
    let mut locked = Vec::new();
    for (block_hash, block_height) in &mainnet.heights {
        let Some(state) = mainnet.evidence.state(block_height + 1) else { continue };
        let best = BestLock::of_coinbase(state.coinbase().unwrap()).unwrap().unwrap();
        if best.block_height != *block_height {
            continue;
        }
        let lock =
            ChainLock { block_height: *block_height, block_hash: *block_hash, signature: best.signature };
        let verified = verify_chain_lock(&lock, state.quorums(), &params).unwrap();
        assert_eq!(verified.quorum().entry.llmq_type, LLMQType::LLMQ_400_60);
        locked.push(*block_height);
    }
    locked.sort_unstable();
    assert_eq!(locked, [2_240_079, 2_240_367]);
}

/// The request ids and the sign hash of locks of the main network, and which of a cycle's quorums the id names.
#[test]
fn recorded_locks_are_about_what_is_known_of_them() {
    let Some(folder) = recorded("") else { return };
    let values = json(&folder.join("vectors.json"));
    let hex = |value: &serde_json::Value| hex_conservative::decode_to_vec(value.as_str().unwrap()).unwrap();
    let known = &values["instant_lock_mainnet"];
    let lock: InstantLock = deserialize(&hex(&known["payload"])).unwrap();
    assert_eq!(lock.cyclehash.to_string(), known["cycle_hash"].as_str().unwrap());
    let request_id = lock.request_id();
    assert_eq!(request_id.to_vec(), hex(&known["request_id_bytes"]));
    let llmq_type = LLMQType(u8::try_from(known["llmq_type"].as_u64().unwrap()).unwrap());
    let quorum_hash: QuorumHash = known["quorum_hash"].as_str().unwrap().parse().unwrap();
    let signed = sign_hash(llmq_type, quorum_hash, &request_id, lock.txid.as_byte_array());
    assert_eq!(signed.to_vec(), hex(&known["sign_hash_bytes"]));

    let llmq = *ChainParams::new(Network::Dash).llmq(llmq_type).unwrap();
    let cycle: Vec<ActiveQuorum> = (0..32)
        .map(|index| {
            let entry = QuorumEntry {
                version: 4,
                llmq_type,
                quorum_hash: QuorumHash::all_zeros(),
                quorum_index: Some(index),
                signers: BitSet::default(),
                valid_members: BitSet::default(),
                quorum_public_key: BLSPublicKey::default(),
                quorum_vvec_hash: QuorumVVecHash::all_zeros(),
                threshold_sig: BLSSignature::default(),
                all_commitment_aggregated_signature: BLSSignature::default(),
            };
            ActiveQuorum { entry_hash: entry.entry_hash(), entry: entry.into(), chain_lock_signature: None }
        })
        .collect();
    let selected = select_signer(cycle.iter(), &llmq, &request_id).unwrap();
    assert_eq!(selected.entry.quorum_index.map(i64::from), known["quorum_index"].as_i64());

    let locks = values["chain_locks_mainnet"].as_array().unwrap();
    assert_eq!(locks.len(), 2);
    for known in locks {
        let height = u32::try_from(known["height"].as_u64().unwrap()).unwrap();
        assert_eq!(ChainLock::request_id(height).to_vec(), hex(&known["request_id_bytes"]));
    }
}
