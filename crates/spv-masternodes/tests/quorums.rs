//! Quorums of a made-up chain: who their members are by a slow, obvious computation, and what it takes to verify.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod dkg;
mod support;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bitcoin_hashes::sha256;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::network::message_qrinfo::{MNSkipListMode, QuorumSnapshot};
use dashcore::sml::llmq_type::LLMQType;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use dashcore::{BlockHash, ChainParams, Network, ProTxHash};
use dkg::{
    ListBlock, commitment, commitment_hash, llmq, masternode, name, params, quorum_hash, quorum_signature,
    unshared,
};
use spv_masternodes::chain_lock::{ChainLockError, verify_chain_lock};
use spv_masternodes::members::{Evidence, Members, MembersError, Needs};
use spv_masternodes::signing::signing_quorum;
use spv_masternodes::verification::{
    BlsScheme, CommitmentBits, CommitmentSignature, QuorumCandidate, QuorumError, QuorumVerifier,
    SignatureError,
};
use support::hash;

const CHAIN_LOCK: BLSSignature = BLSSignature::from_bytes([9; 96]);

const MASTERNODES: u16 = 30;

fn verifier(params: &ChainParams) -> QuorumVerifier {
    QuorumVerifier::new(params.clone(), NonZeroUsize::new(64).unwrap())
}

fn names(members: &Members) -> Vec<ProTxHash> {
    members.iter().map(|member| member.pro_reg_tx_hash).collect()
}

/// 30 masternodes: one banned, one not confirmed yet.
fn list(basic: bool) -> Vec<MasternodeListEntry> {
    let mut list: Vec<_> = (0..30).map(|id| masternode(id, basic)).collect();
    list[4].is_valid = false;
    list[5].confirmed_hash = None;
    list
}

fn state(height: u32, params: &ChainParams, list: Vec<MasternodeListEntry>) -> spv_masternodes::ProvenState {
    let after_v20 = height >= params.activation.v20;
    ListBlock::new(height, list, Vec::new(), after_v20.then_some(CHAIN_LOCK)).state()
}

/// The best `size` by score, with the modifier's preimage given.
fn slow_members(
    list: &[MasternodeListEntry],
    modifier: &[u8],
    evo_only: bool,
    size: usize,
) -> Vec<ProTxHash> {
    let modifier = hash(modifier);
    let mut scores: Vec<_> = list
        .iter()
        .filter(|entry| entry.is_valid && entry.confirmed_hash.is_some() && (!evo_only || entry.is_evo()))
        .map(|entry| {
            let confirmed = entry.confirmed_hash.unwrap().to_byte_array();
            let base = sha256::hash(&[entry.pro_reg_tx_hash.to_byte_array(), confirmed].concat());
            let mut score = sha256::hash(&[base.to_byte_array(), modifier].concat()).to_byte_array();
            score.reverse();
            (score, entry.pro_reg_tx_hash)
        })
        .collect();
    scores.sort();
    scores.into_iter().rev().take(size).map(|(_, name)| name).collect()
}

#[test]
fn unrotated_members_are_the_best_by_score() {
    let (test, platform) = (LLMQType::LLMQ_TEST, LLMQType::LLMQ_TEST_PLATFORM);
    let signed = |height: u32| [&height.to_le_bytes()[..], CHAIN_LOCK.as_bytes()].concat();
    for (llmq_type, base_height, list_height, by_hash) in [
        // Long before v20, which is at 300: the base block's own list and hash.
        (test, 240, 240, true),
        // From v20 on: the list and the chainlock of the work block.
        (test, 312, 304, false),
        (platform, 312, 304, false),
        (platform, 240, 240, true),
    ] {
        let params = params(true);
        let mut evidence = Evidence::new();
        evidence.add_state(state(list_height, &params, list(true)));
        let members = evidence.members(llmq_type, quorum_hash(base_height), base_height, &params).unwrap();
        let of_block =
            if by_hash { quorum_hash(base_height).to_byte_array().to_vec() } else { signed(list_height) };
        let modifier = [vec![llmq_type.0], of_block].concat();
        assert_eq!(names(&members), slow_members(&list(true), &modifier, llmq_type == platform, 3));
    }
}

#[test]
fn the_list_is_the_work_blocks_before_the_modifier_is() {
    let mut params = params(true);
    // The base block is past v20, the work block is not: its list, but the base block's hash.
    params.activation.v20 = 310;
    let mut evidence = Evidence::new();
    evidence.add_state(state(304, &params, list(true)));
    let members = evidence.members(LLMQType::LLMQ_TEST, quorum_hash(312), 312, &params).unwrap();
    let modifier = [vec![LLMQType::LLMQ_TEST.0], quorum_hash(312).to_byte_array().to_vec()].concat();
    assert_eq!(names(&members), slow_members(&list(true), &modifier, false, 3));
}

#[test]
fn without_a_chainlock_the_modifier_is_the_work_blocks_hash() {
    let params = params(true);
    let block = ListBlock::new(304, list(true), Vec::new(), Some(BLSSignature::default()));
    let mut evidence = Evidence::new();
    evidence.add_state(block.state());
    let members = evidence.members(LLMQType::LLMQ_TEST, quorum_hash(312), 312, &params).unwrap();
    let modifier = [vec![LLMQType::LLMQ_TEST.0], block.hash.to_byte_array().to_vec()].concat();
    assert_eq!(names(&members), slow_members(&list(true), &modifier, false, 3));
}

/// States and snapshots of all cycles up to 600, with masternodes coming and going; the snapshots are the crate's own.
/// There are about as many masternodes as are needed, so that nearly all are members, and snapshots skip some.
fn rotated_chain(params: &ChainParams, basic: bool) -> Evidence {
    let mut evidence = Evidence::new();
    for cycle_base in (24_u16..=600).step_by(24) {
        let cycle = cycle_base / 24;
        let mut list: Vec<_> = (0..MASTERNODES).map(|id| masternode(id, basic)).collect();
        // From time to time one is banned, and one is gone.
        for entry in &mut list {
            entry.is_valid = entry.pro_reg_tx_hash.to_byte_array()[usize::from(cycle % 32)] > 20;
        }
        list.retain(|entry| entry.pro_reg_tx_hash.to_byte_array()[usize::from(cycle % 31)] > 10);
        let cycle_base = u32::from(cycle_base);
        evidence.add_state(state(cycle_base - 8, params, list));
        if let Some(snapshot) = evidence.cycle(cycle_base, params).unwrap().snapshot().cloned() {
            evidence.add_snapshot(cycle_base, snapshot);
        }
    }
    evidence
}

#[test]
fn a_quarter_stays_the_same_for_four_cycles_and_no_member_is_there_twice() {
    let params = params(true);
    let evidence = rotated_chain(&params, true);
    let mut skipping = 0;
    for cycle_base in (96..600).step_by(24) {
        let cycle = evidence.cycle(cycle_base, &params).unwrap();
        assert_eq!(evidence.check_snapshot(cycle_base, &params), Ok(()));
        let mode = cycle.snapshot().unwrap().skip_list_mode;
        skipping += u32::from(mode == MNSkipListMode::SkipFirst);
        let next = evidence.cycle(cycle_base + 24, &params).unwrap();
        for index in 0..4 {
            let members = names(cycle.members(index).unwrap());
            assert_eq!(members.iter().collect::<BTreeSet<_>>().len(), 8, "cycle {cycle_base}");
            assert_eq!(names(next.members(index).unwrap())[..6], members[2..], "cycle {cycle_base}");
        }
    }
    assert!(skipping > 5, "only {skipping} snapshots skip anybody");
    assert_eq!(evidence.cycle(600, &params).unwrap().members(4), None);
}

#[test]
fn a_member_that_left_counts_as_used_before_v19_only() {
    let params = params(true);
    let evidence = rotated_chain(&params, true);
    let mut differ = 0;
    for cycle_base in (96..600).step_by(24) {
        let mut before_v19 = params.clone();
        before_v19.activation.v19 = cycle_base + 2;
        let after = evidence.cycle(cycle_base, &params).unwrap();
        differ += u32::from(evidence.cycle(cycle_base, &before_v19).unwrap() != after);
        before_v19.network = Network::Testnet;
        assert_eq!(evidence.cycle(cycle_base, &before_v19), Ok(after));
    }
    assert!(differ > 0);
}

#[test]
fn what_is_missing_is_named() {
    let params = params(true);
    let complete = rotated_chain(&params, true);
    let members = |evidence: &Evidence| evidence.members(params.rotated_llmq, quorum_hash(481), 481, &params);
    assert!(members(&complete).is_ok());
    for cycle_base in [408, 432, 456, 480] {
        let mut without_list = Evidence::new();
        let mut without_snapshot = Evidence::new();
        for other in [408, 432, 456, 480] {
            let (state, snapshot) = (complete.state(other - 8).unwrap(), complete.snapshot(other).unwrap());
            without_snapshot.add_state(state.clone());
            without_list.add_snapshot(other, snapshot.clone());
            if other != cycle_base {
                without_list.add_state(state.clone());
                without_snapshot.add_snapshot(other, snapshot.clone());
            }
        }
        let missing = MembersError::MissingList { height: cycle_base - 8 };
        assert_eq!(members(&without_list), Err(missing));
        let expected = if cycle_base == 480 {
            members(&complete)
        } else {
            Err(MembersError::MissingSnapshot { cycle_base })
        };
        assert_eq!(members(&without_snapshot), expected);
    }
    let mut forgetful = complete.clone();
    forgetful.forget_below(408);
    assert_eq!(members(&forgetful), Err(MembersError::MissingList { height: 400 }));
    forgetful.add_state(complete.state(400).unwrap().clone());
    assert_eq!(members(&forgetful), members(&complete));
}

#[test]
fn a_snapshot_has_to_have_the_form_of_its_cycle() {
    let params = params(true);
    let complete = rotated_chain(&params, true);
    let cycle_base = 456;
    let with = |change: &dyn Fn(&mut QuorumSnapshot)| {
        let mut snapshot = complete.snapshot(cycle_base).unwrap().clone();
        change(&mut snapshot);
        let mut evidence = complete.clone();
        evidence.add_snapshot(cycle_base, snapshot);
        evidence.cycle(480, &params)
    };
    let list = complete.state(448).unwrap().masternodes();
    let (expected, ranked) = (list.len(), list.valid_count());
    assert!(ranked < expected, "nobody is banned");
    let bits = |bits: usize, from: usize| (0..bits).map(|bit| bit >= from).collect();
    assert_eq!(
        with(&|snapshot| snapshot.active_quorum_members = bits(expected + 1, 0)),
        Err(MembersError::SnapshotBitCount { cycle_base, expected, got: expected + 1 })
    );
    assert_eq!(
        with(&|snapshot| snapshot.active_quorum_members = bits(expected, ranked)),
        Err(MembersError::SnapshotBitOutOfRange { cycle_base, index: ranked, ranked })
    );
    for (mode, skip_list) in [(MNSkipListMode::NoSkipping, vec![1]), (MNSkipListMode::SkipFirst, vec![])] {
        let error = MembersError::SnapshotMode { cycle_base, skips: skip_list.len() };
        let changed = with(&|snapshot| {
            (snapshot.skip_list_mode, snapshot.skip_list) = (mode, skip_list.clone());
        });
        assert_eq!(changed, Err(error));
    }
    // Nodes never make the other modes, and read them as quarters without members.
    for mode in [MNSkipListMode::SkipExcept, MNSkipListMode::SkipAll] {
        let cycle = with(&|snapshot| snapshot.skip_list_mode = mode).unwrap();
        assert_eq!(cycle.members(0).unwrap().len(), 6);
    }
}

#[test]
fn nothing_is_needed_from_before_a_cycle_with_too_few_masternodes() {
    let params = params(true);
    let mut evidence = rotated_chain(&params, true);
    let needs = Needs::of(params.rotated_llmq, 481, &params).unwrap();
    assert!(needs.missing_from(&evidence, &params).is_empty());
    let lists: Vec<_> = [448, 472].map(|height| evidence.state(height).unwrap().clone()).to_vec();
    evidence = Evidence::new();
    evidence.add_state(state(424, &params, vec![masternode(1, true)]));
    let missing = Needs { lists: vec![448, 472], snapshots: vec![456] };
    assert_eq!(needs.missing_from(&evidence, &params), missing);
    let snapshot = rotated_chain(&params, true).snapshot(456).unwrap().clone();
    evidence.add_snapshot(456, snapshot);
    lists.into_iter().for_each(|list| evidence.add_state(list));
    assert!(needs.missing_from(&evidence, &params).is_empty());
    // Two quarters of two.
    assert_eq!(evidence.cycle(480, &params).unwrap().members(1).unwrap().len(), 4);
}

/// Candidates of all kinds that have commitments, all of which verify.
fn candidates(params: &ChainParams, basic: bool) -> Vec<QuorumCandidate> {
    let mut evidence = rotated_chain(params, basic);
    let mut all = Vec::new();
    for base_height in [480, 481, 482, 483, 504, 505] {
        let members =
            evidence.members(params.rotated_llmq, quorum_hash(base_height), base_height, params).unwrap();
        all.push((params.rotated_llmq, base_height, members));
    }
    for base_height in [480, 504, 528] {
        let list_height = if basic { base_height - 8 } else { base_height };
        evidence.add_state(state(list_height, params, list(basic)));
        let members =
            evidence.members(LLMQType::LLMQ_TEST, quorum_hash(base_height), base_height, params).unwrap();
        all.push((LLMQType::LLMQ_TEST, base_height, members));
    }
    all.into_iter()
        .map(|(llmq_type, base_height, members)| {
            let entry = commitment(llmq(params, llmq_type), base_height, &members, basic);
            QuorumCandidate { entry, base_height, members }
        })
        .collect()
}

#[test]
fn commitments_of_both_schemes_verify_together_and_alone() {
    for basic in [true, false] {
        let params = params(basic);
        let candidates = candidates(&params, basic);
        let mut verifier = verifier(&params);
        assert_eq!(verifier.verify(Vec::new()), []);
        for (candidate, result) in candidates.iter().zip(verifier.verify(candidates.clone())) {
            let quorum = result.unwrap();
            assert_eq!((quorum.entry(), quorum.base_height()), (&candidate.entry, candidate.base_height));
            assert_eq!(quorum.members(), &candidate.members);
            assert_eq!(verifier.verify(vec![candidate.clone()]), [Ok(quorum)]);
            verifier.check_quorum_signature(&candidate.entry).unwrap();
        }
    }
}

#[test]
fn a_legacy_entry_signs_in_the_basic_scheme_after_v19() {
    let params = params(true);
    let mut mixed = list(true);
    for id in (0..30).step_by(2) {
        let legacy = masternode(id, false);
        let entry = &mut mixed[usize::from(id)];
        // The same secret, in its old encoding.
        (entry.version, entry.operator_public_key, entry.mn_type) =
            (1, legacy.operator_public_key, legacy.mn_type);
    }
    let mut evidence = Evidence::new();
    let test = LLMQType::LLMQ_TEST;
    let mut versions = BTreeSet::new();
    for base_height in [312, 336, 360] {
        evidence.add_state(state(base_height - 8, &params, mixed.clone()));
        let members = evidence.members(test, quorum_hash(base_height), base_height, &params).unwrap();
        // The first one does not sign.
        versions.extend(members.iter().skip(1).map(|member| member.version));
        let entry = commitment(llmq(&params, test), base_height, &members, true);
        let candidate = QuorumCandidate { entry, base_height, members };
        assert!(verifier(&params).verify(vec![candidate])[0].is_ok());
    }
    assert_eq!(versions, BTreeSet::from([1, 2]));
}

#[test]
fn a_quorum_of_one_signs_plainly() {
    let mut params = params(true);
    let test = params.llmqs.iter_mut().find(|llmq| llmq.llmq_type == LLMQType::LLMQ_TEST).unwrap();
    (test.size, test.min_size, test.threshold) = (1, 1, 1);
    let mut evidence = Evidence::new();
    evidence.add_state(state(304, &params, list(true)));
    let members = evidence.members(LLMQType::LLMQ_TEST, quorum_hash(312), 312, &params).unwrap();
    let entry = commitment(llmq(&params, LLMQType::LLMQ_TEST), 312, &members, true);
    let mut candidate = QuorumCandidate { entry, base_height: 312, members };
    assert!(verifier(&params).verify(vec![candidate.clone()])[0].is_ok());
    // It shares nothing, and needs no vector to verify shares with.
    candidate.entry = unshared(&candidate.entry, &candidate.members);
    assert!(candidate.entry.quorum_vvec_hash.is_null());
    assert!(verifier(&params).verify(vec![candidate.clone()])[0].is_ok());
    let other = evidence.members(LLMQType::LLMQ_TEST_PLATFORM, quorum_hash(312), 312, &params).unwrap();
    candidate.members = Members::clone(&other);
    assert!(verifier(&params).verify(vec![candidate])[0].is_err());
}

#[test]
fn an_evo_node_stays_one_whatever_its_entry_says() {
    let params = params(true);
    let platform = LLMQType::LLMQ_TEST_PLATFORM;
    let all = list(true);
    let mut shown_as_regular = all.clone();
    for id in [0, 3, 6, 9] {
        let legacy = masternode(id, false);
        let entry = &mut shown_as_regular[usize::from(id)];
        (entry.version, entry.operator_public_key, entry.mn_type) =
            (1, legacy.operator_public_key, legacy.mn_type);
    }
    let signed = [&304_u32.to_le_bytes()[..], CHAIN_LOCK.as_bytes()].concat();
    let expected = |list: &[_]| slow_members(list, &[vec![platform.0], signed.clone()].concat(), true, 3);
    assert_ne!(expected(&all), expected(&shown_as_regular), "those whose entries do not say it are members");
    let mut evidence = Evidence::new();
    evidence.add_state(state(304, &params, shown_as_regular.clone()));
    let members =
        |evidence: &Evidence| names(&evidence.members(platform, quorum_hash(312), 312, &params).unwrap());
    assert_eq!(members(&evidence), expected(&shown_as_regular));
    // Another list shows them, or whoever keeps lists knows.
    let mut with_list = evidence.clone();
    with_list.add_state(state(301, &params, all.clone()));
    assert_eq!(members(&with_list), expected(&all));
    evidence.add_evo_nodes([0, 3, 6, 9].map(name));
    assert_eq!(members(&evidence), expected(&all));
}

#[test]
fn the_wrong_ones_of_a_batch_are_named() {
    let params = params(true);
    let mut candidates = candidates(&params, true);
    let commitment_hash = |candidate: &QuorumCandidate| commitment_hash(&candidate.entry);
    let (first, other) = (candidates[1].clone(), candidates[2].clone());
    Arc::make_mut(&mut candidates[1].entry).threshold_sig = other.entry.threshold_sig;
    candidates[4].members = other.members;
    Arc::make_mut(&mut candidates[7].entry).quorum_public_key = BLSPublicKey::default();
    let results = verifier(&params).verify(candidates.clone());
    let wrong = |which, candidate| {
        Err(QuorumError::WrongSignature { which, commitment_hash: commitment_hash(candidate) })
    };
    assert_eq!(results[1], wrong(CommitmentSignature::Quorum, &first));
    assert_eq!(results[4], wrong(CommitmentSignature::Members, &candidates[4]));
    assert_eq!(results[7], Err(QuorumError::MalformedPublicKey(BLSPublicKey::default())));
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), ![1, 4, 7].contains(&index), "candidate {index}");
    }
}

fn refused(change: impl FnOnce(&mut QuorumEntry, &mut u32)) -> QuorumError {
    let params = params(true);
    let mut candidate = candidates(&params, true).swap_remove(1);
    change(Arc::make_mut(&mut candidate.entry), &mut candidate.base_height);
    verifier(&params).verify(vec![candidate]).remove(0).unwrap_err()
}

#[test]
fn each_way_to_be_malformed_has_its_own_error() {
    let bits = |ones: std::ops::Range<usize>, len: usize| (0..len).map(|bit| ones.contains(&bit)).collect();
    let unknown = LLMQType(77);
    assert_eq!(refused(|entry, _| entry.llmq_type = unknown), QuorumError::UnknownType(unknown));
    for got in [1, 2, 3] {
        let error = QuorumError::WrongVersion { expected: 4, got };
        assert_eq!(refused(|entry, _| entry.version = got), error);
    }
    for (index, base_height) in [(Some(2), 481), (Some(-1), 481), (None, 481), (Some(4), 484), (Some(1), 480)]
    {
        let error = refused(|entry, height| (entry.quorum_index, *height) = (index, base_height));
        assert_eq!(error, QuorumError::WrongIndex { index, base_height });
    }
    let (signers, valid) = (CommitmentBits::Signers, CommitmentBits::ValidMembers);
    assert_eq!(
        refused(|entry, _| entry.signers = bits(0..7, 7)),
        QuorumError::WrongBitCount { bits: signers, expected: 8, got: 7 }
    );
    assert_eq!(
        refused(|entry, _| entry.valid_members = bits(0..8, 9)),
        QuorumError::WrongBitCount { bits: valid, expected: 8, got: 9 }
    );
    assert_eq!(
        refused(|entry, _| entry.signers = bits(0..5, 8)),
        QuorumError::TooFewSet { bits: signers, min: 6, got: 5 }
    );
    assert_eq!(
        refused(|entry, _| entry.valid_members = bits(3..8, 8)),
        QuorumError::TooFewSet { bits: valid, min: 6, got: 5 }
    );
    assert_eq!(
        refused(|entry, _| entry.quorum_vvec_hash = Default::default()),
        QuorumError::NoVerificationVector
    );
    let signature = BLSSignature::default();
    assert_eq!(
        refused(|entry, _| entry.threshold_sig = signature),
        QuorumError::MalformedSignature { which: CommitmentSignature::Quorum, signature }
    );
    assert_eq!(
        refused(|entry, _| entry.all_commitment_aggregated_signature = signature),
        QuorumError::MalformedSignature { which: CommitmentSignature::Members, signature }
    );
}

#[test]
fn bits_beyond_the_members_and_members_without_a_key_are_refused() {
    let params = params(true);
    let mut evidence = Evidence::new();
    let mut few: Vec<_> = list(true).into_iter().take(2).collect();
    evidence.add_state(state(304, &params, few.clone()));
    let members = evidence.members(LLMQType::LLMQ_TEST, quorum_hash(312), 312, &params).unwrap();
    assert_eq!(members.len(), 2);
    let mut all_sign = (*commitment(llmq(&params, LLMQType::LLMQ_TEST), 312, &members, true)).clone();
    all_sign.signers = (0..3).map(|_| true).collect();
    let candidate = QuorumCandidate { entry: Arc::new(all_sign.clone()), base_height: 312, members };
    let error = QuorumError::NoSuchMember { bits: CommitmentBits::Signers, index: 2, members: 2 };
    assert_eq!(verifier(&params).verify(vec![candidate]), [Err(error)]);

    let key = BLSPublicKey::default();
    few[0].operator_public_key = key;
    evidence.add_state(state(304, &params, few));
    let members = evidence.members(LLMQType::LLMQ_TEST, quorum_hash(312), 312, &params).unwrap();
    all_sign.signers = (0..3).map(|bit| bit < 2).collect();
    let candidate = QuorumCandidate { entry: Arc::new(all_sign), base_height: 312, members };
    let error = QuorumError::MalformedOperatorKey { member: name(0), key };
    assert_eq!(verifier(&params).verify(vec![candidate]), [Err(error)]);
}

#[test]
fn a_verified_quorum_verifies_what_it_signs() {
    let params = params(true);
    let quorum = verifier(&params).verify(candidates(&params, true)).remove(0).unwrap();
    let (request_id, message) = ([3; 32], [4; 32]);
    let signature = quorum_signature(quorum.entry(), request_id, message);
    let verify = |id, message, signature| quorum.verify_signature(id, message, signature, BlsScheme::Basic);
    assert_eq!(verify(&request_id, &message, &signature), Ok(()));
    assert_eq!(verify(&message, &message, &signature), Err(SignatureError::Wrong));
    assert_eq!(verify(&request_id, &request_id, &signature), Err(SignatureError::Wrong));
    let none = BLSSignature::default();
    assert_eq!(verify(&request_id, &message, &none), Err(SignatureError::Malformed(none)));
}

/// A state with quorums of the ChainLocks kind and of the rotated kind.
fn state_with_quorums(params: &ChainParams) -> spv_masternodes::ProvenState {
    let quorums = candidates(params, true).into_iter().map(|candidate| (*candidate.entry).clone());
    let quorums = quorums
        .filter(|entry| entry.quorum_hash != quorum_hash(504) && entry.quorum_hash != quorum_hash(505));
    ListBlock::new(540, list(true), quorums.collect(), Some(CHAIN_LOCK)).state()
}

#[test]
fn the_signing_quorum_follows_from_the_request() {
    let params = params(true);
    let state = state_with_quorums(&params);
    let (rotated, unrotated) = (params.rotated(), llmq(&params, LLMQType::LLMQ_TEST));
    let mut seen = BTreeSet::new();
    for id in 0..64_u8 {
        let id = hash([id]);
        let lowest = [480, 528]
            .into_iter()
            .min_by_key(|base| {
                let preimage = [&[100][..], quorum_hash(*base).as_byte_array(), &id].concat();
                hash(preimage)
            })
            .unwrap();
        let quorum = signing_quorum(state.quorums(), unrotated, &id).unwrap();
        assert_eq!(quorum.entry.quorum_hash, quorum_hash(lowest));
        seen.insert(lowest);

        // 4 quorums: two bits below the highest.
        let index = u32::from(id[31] >> 5 & 0b11);
        let quorum = signing_quorum(state.quorums(), rotated, &id).unwrap();
        assert_eq!(quorum.entry.quorum_hash, quorum_hash(480 + index));
        seen.insert(480 + index);
    }
    assert_eq!(seen.len(), 5);
    let none = ListBlock::new(540, Vec::new(), Vec::new(), None).state();
    assert_eq!(signing_quorum(none.quorums(), rotated, &[0; 32]), None);
    assert_eq!(signing_quorum(none.quorums(), unrotated, &[0; 32]), None);
}

#[test]
fn a_chainlock_is_the_word_of_one_quorum() {
    let params = params(true);
    let state = state_with_quorums(&params);
    let (block_height, block_hash) = (548_u32, BlockHash::from_byte_array([8; 32]));
    let request_id = hash([&[5][..], &b"clsig"[..], &block_height.to_le_bytes()].concat());
    let quorum = signing_quorum(state.quorums(), llmq(&params, LLMQType::LLMQ_TEST), &request_id).unwrap();
    let lock = |signer: &QuorumEntry| ChainLock {
        block_height,
        block_hash,
        signature: quorum_signature(signer, request_id, block_hash.to_byte_array()),
    };
    let verified = verify_chain_lock(&lock(&quorum.entry), state.quorums(), &params).unwrap();
    assert_eq!((verified.lock(), verified.quorum()), (&lock(&quorum.entry), quorum));
    let other = state.quorums().of_type(LLMQType::LLMQ_TEST).find(|other| *other != quorum).unwrap();
    let wrong = ChainLockError::Signature { block_height, source: SignatureError::Wrong };
    assert_eq!(verify_chain_lock(&lock(&other.entry), state.quorums(), &params), Err(wrong));
    let none = ListBlock::new(540, Vec::new(), Vec::new(), None).state();
    let error = ChainLockError::NoQuorum { block_height };
    assert_eq!(verify_chain_lock(&lock(&quorum.entry), none.quorums(), &params), Err(error));
}
