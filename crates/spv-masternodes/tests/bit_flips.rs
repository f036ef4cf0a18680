//! Whatever single bit is wrong, nothing is verified, and the reason is a typed one.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod dkg;
mod support;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use dashcore::blockdata::transaction::Transaction;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};
use dashcore::consensus::{Decodable, deserialize, serialize};
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::network::message_qrinfo::QuorumSnapshot;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use dashcore::{BlockHash, ChainParams, ProTxHash};
use dkg::{ListBlock, commitment, llmq, masternode, params, quorum_hash, quorum_signature};
use proptest::prelude::*;
use proptest::sample::Index;
use spv_masternodes::ProvenState;
use spv_masternodes::chain_lock::verify_chain_lock;
use spv_masternodes::members::{Evidence, MembersError};
use spv_masternodes::signing::verify_signature;
use spv_masternodes::verification::{BlsScheme, QuorumCandidate, QuorumVerifier, SignatureError};

const CYCLE: u32 = 480;

/// One cycle of quorums that verify.
struct World {
    params: ChainParams,
    evidence: Evidence,
    candidates: Vec<QuorumCandidate>,
}

impl World {
    fn new(basic: bool) -> Self {
        let params = params(basic);
        let mut evidence = Evidence::new();
        for cycle_base in (CYCLE - 6 * 24..=CYCLE).step_by(24) {
            let list = (0..28).map(|id| masternode(id, basic)).collect();
            let chain_lock = basic.then(|| BLSSignature::from_bytes([9; 96]));
            evidence.add_state(ListBlock::new(cycle_base - 8, list, Vec::new(), chain_lock).state());
            // Earlier cycles start from nothing: rotation begins here.
            let mut params = params.clone();
            params.activation.dip24 = CYCLE - 6 * 24;
            let snapshot = evidence.cycle(cycle_base, &params).unwrap().snapshot().unwrap().clone();
            evidence.add_snapshot(cycle_base, snapshot);
        }
        let cycle = evidence.cycle(CYCLE, &params).unwrap();
        let candidates = (0..4)
            .map(|index| {
                let (base_height, members) = (CYCLE + index, cycle.members(index).unwrap().clone());
                let entry = commitment(params.rotated(), base_height, &members, basic);
                QuorumCandidate { entry, base_height, members }
            })
            .collect();
        Self { params, evidence, candidates }
    }

    fn verified(&self, candidates: Vec<QuorumCandidate>) -> Vec<bool> {
        let mut verifier = QuorumVerifier::new(self.params.clone(), NonZeroUsize::MIN);
        verifier.verify(candidates).into_iter().map(|result| result.is_ok()).collect()
    }
}

static BASIC: LazyLock<World> = LazyLock::new(|| World::new(true));
static LEGACY: LazyLock<World> = LazyLock::new(|| World::new(false));

/// The bytes with one bit flipped, decoded; `None` where decoding refuses them, as the wire's codec would.
fn flipped<T: Decodable>(bytes: &[u8], bit: Index) -> Option<T> {
    let mut bytes = bytes.to_vec();
    let bit = bit.index(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    deserialize(&bytes).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bit_of_a_commitment_can_be_wrong(which in 0..4_usize, bit: Index, basic: bool) {
        let world = if basic { &BASIC } else { &LEGACY };
        let mut candidate = world.candidates[which].clone();
        let Some(entry) = flipped::<QuorumEntry>(&serialize(&*candidate.entry), bit) else { return Ok(()) };
        candidate.entry = Arc::new(entry);
        prop_assert_eq!(world.verified(vec![candidate.clone()]), [false]);
        // In company it does no harm to others.
        let mut batch = world.candidates.clone();
        batch[which] = candidate;
        let expected: Vec<_> = (0..4).map(|index| index != which).collect();
        prop_assert_eq!(world.verified(batch), expected);
    }

    /// A wrong snapshot makes wrong members, for which no commitment verifies, or shows beside earlier ones.
    #[test]
    fn no_bit_of_a_snapshot_can_be_wrong(cycles in 1..4_u32, bit: Index) {
        let world = &BASIC;
        let cycle_base = CYCLE - cycles * 24;
        let original = world.evidence.snapshot(cycle_base).unwrap();
        let Some(snapshot) = flipped::<QuorumSnapshot>(&serialize(original), bit) else { return Ok(()) };
        let mut evidence = world.evidence.clone();
        evidence.add_snapshot(cycle_base, snapshot);
        prop_assert_eq!(
            evidence.check_snapshot(cycle_base, &world.params),
            Err(MembersError::SnapshotMismatch { cycle_base })
        );
        let Ok(cycle) = evidence.cycle(CYCLE, &world.params) else { return Ok(()) };
        let mut candidates = world.candidates.clone();
        for (index, candidate) in (0..).zip(&mut candidates) {
            candidate.members = cycle.members(index).unwrap().clone();
        }
        // Signatures say who signed. In which order, and who else was a member, the snapshot's check above says.
        let same: Vec<_> =
            candidates.iter().zip(&world.candidates).map(|(now, before)| signers(now) == signers(before)).collect();
        prop_assert_eq!(world.verified(candidates), same);
    }

    #[test]
    fn no_bit_of_an_entry_can_be_wrong(which in 0..28_usize, bit: Index) {
        let block = list_block();
        let mut diff = block.diff.clone();
        let entry = &mut diff.new_masternodes[which];
        let Some(wrong) = flipped::<MasternodeListEntry>(&serialize(entry), bit) else { return Ok(()) };
        *entry = wrong;
        prop_assert!(block.prove(diff).is_err());
    }

    #[test]
    fn no_bit_of_a_chainlock_can_be_wrong(bit: Index) {
        let (state, lock) = &*LOCKED;
        let params = params(true);
        prop_assert!(verify_chain_lock(lock, state.quorums(), &params).is_ok());
        let lock: ChainLock = flipped(&serialize(lock), bit).unwrap();
        prop_assert!(verify_chain_lock(&lock, state.quorums(), &params).is_err());
    }
}

fn signers(candidate: &QuorumCandidate) -> BTreeSet<ProTxHash> {
    let members = candidate.members.iter().zip(candidate.entry.signers.iter());
    members.filter_map(|(member, signed)| signed.then_some(member.pro_reg_tx_hash)).collect()
}

fn list_block() -> ListBlock {
    let list = (0..28).map(|id| masternode(id, id % 2 == 0)).collect();
    ListBlock::new(304, list, Vec::new(), Some(BLSSignature::from_bytes([9; 96])))
}

/// A state with two quorums of the ChainLocks kind, and a block that one of them locked.
static LOCKED: LazyLock<(ProvenState, ChainLock)> = LazyLock::new(|| {
    let params = params(true);
    let mut evidence = Evidence::new();
    evidence.add_state(list_block().state());
    let test = LLMQType::LLMQ_TEST;
    let members = evidence.members(test, quorum_hash(312), 312, &params).unwrap();
    let quorums: Vec<_> =
        [312, 336].map(|base| (*commitment(llmq(&params, test), base, &members, true)).clone()).to_vec();
    let state =
        ListBlock::new(400, Vec::new(), quorums.clone(), Some(BLSSignature::from_bytes([9; 96]))).state();
    let (block_height, block_hash) = (408, BlockHash::from_byte_array([1; 32]));
    let request_id = ChainLock::request_id(block_height);
    let lock = quorums
        .iter()
        .map(|quorum| quorum_signature(quorum, request_id, block_hash.to_byte_array()))
        .map(|signature| ChainLock { block_height, block_hash, signature })
        .find(|lock| verify_chain_lock(lock, state.quorums(), &params).is_ok());
    (state, lock.unwrap())
});

#[test]
fn what_the_flips_start_from_verifies() {
    for world in [&BASIC, &LEGACY] {
        assert_eq!(world.verified(world.candidates.clone()), [true; 4]);
    }
    assert!(list_block().prove(list_block().diff).is_ok());
    for cycles in 1..4 {
        assert_eq!(BASIC.evidence.check_snapshot(CYCLE - cycles * 24, &BASIC.params), Ok(()));
    }
}

/// Each single bit of the bytes wrong, decoded where the wire's codec lets it pass.
fn all_flips<T: Decodable>(bytes: &[u8]) -> impl Iterator<Item = (usize, T)> {
    (0..bytes.len() * 8).filter_map(move |bit| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Some((bit, deserialize(&bytes).ok()?))
    })
}

/// A block with masternodes, quorums of both kinds, and a ChainLock in its coinbase.
fn full_block() -> ListBlock {
    let list = (0..28).map(|id| masternode(id, id % 2 == 0)).collect();
    let quorums = BASIC.candidates.iter().map(|candidate| (*candidate.entry).clone()).collect();
    ListBlock::new(500, list, quorums, Some(BLSSignature::from_bytes([9; 96])))
}

#[test]
fn no_single_bit_of_a_list_s_coinbase_can_be_wrong() {
    let block = full_block();
    let (mut decoded, mut in_lock) = (0, 0);
    for (bit, coinbase_tx) in all_flips::<Transaction>(&serialize(&block.diff.coinbase_tx)) {
        let lock = |coinbase: &Transaction| coinbase.coinbase_payload().ok()??.chain_lock;
        in_lock += usize::from(lock(&coinbase_tx) != lock(&block.diff.coinbase_tx));
        let mut diff = block.diff.clone();
        diff.coinbase_tx = coinbase_tx;
        assert!(block.prove(diff).is_err(), "bit {bit}");
        decoded += 1;
    }
    // The signature of the ChainLock among them.
    assert!(decoded > 1_000 && in_lock >= 96 * 8, "{decoded} decoded, {in_lock} in the lock");
}

#[test]
fn no_single_bit_of_a_listed_commitment_or_entry_can_be_wrong() {
    let block = full_block();
    assert!(block.prove(block.diff.clone()).is_ok());
    for which in 0..block.diff.new_quorums.len() {
        for (bit, commitment) in all_flips::<QuorumEntry>(&serialize(&block.diff.new_quorums[which])) {
            let mut diff = block.diff.clone();
            diff.new_quorums[which] = commitment;
            assert!(block.prove(diff).is_err(), "bit {bit} of quorum {which}");
        }
    }
    for which in [0, 1] {
        for (bit, entry) in all_flips::<MasternodeListEntry>(&serialize(&block.diff.new_masternodes[which])) {
            let mut diff = block.diff.clone();
            diff.new_masternodes[which] = entry;
            assert!(block.prove(diff).is_err(), "bit {bit} of masternode {which}");
        }
    }
}

/// One bit in each byte, as signatures take their time; the property above takes any.
#[test]
fn no_byte_of_a_commitment_can_be_wrong() {
    for world in [&BASIC, &LEGACY] {
        let original = &world.candidates[1];
        let bytes = serialize(&*original.entry);
        let mut wrong = Vec::new();
        for position in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[position] ^= 1 << (position % 8);
            let Ok(entry) = deserialize::<QuorumEntry>(&bytes) else { continue };
            wrong.push(QuorumCandidate { entry: Arc::new(entry), ..original.clone() });
        }
        assert!(wrong.len() > 250, "{}", wrong.len());
        assert!(world.verified(wrong).iter().all(|verified| !verified));
    }
}

#[test]
fn no_byte_of_what_a_quorum_signed_can_be_wrong() {
    let entry = &BASIC.candidates[2].entry;
    let (request_id, message) = ([0x17; 32], [0x2a; 32]);
    let signature = quorum_signature(entry, request_id, message);
    let all = [&request_id[..], &message, signature.as_bytes()].concat();
    let verify = |bytes: &[u8], entry: &QuorumEntry| {
        let (request_id, rest) = bytes.split_first_chunk().unwrap();
        let (message, signature) = rest.split_first_chunk().unwrap();
        let signature = BLSSignature::from_bytes(signature.try_into().unwrap());
        verify_signature(entry, request_id, message, &signature, BlsScheme::Basic)
    };
    assert_eq!(verify(&all, entry), Ok(()));
    for position in 0..all.len() {
        let mut bytes = all.clone();
        bytes[position] ^= 1 << (position % 8);
        assert!(
            matches!(verify(&bytes, entry), Err(SignatureError::Wrong | SignatureError::Malformed(_))),
            "byte {position}"
        );
    }
    for position in 0..48 {
        let mut wrong = (**entry).clone();
        let mut key = *wrong.quorum_public_key.as_bytes();
        key[position] ^= 1 << (position % 8);
        wrong.quorum_public_key = BLSPublicKey::from_bytes(key);
        assert!(
            matches!(
                verify(&all, &wrong),
                Err(SignatureError::Wrong | SignatureError::MalformedPublicKey(_))
            ),
            "byte {position} of the key"
        );
    }
    assert!(verify(&all, &BASIC.candidates[1].entry).is_err(), "another quorum's");
}
