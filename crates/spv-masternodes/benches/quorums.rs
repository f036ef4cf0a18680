//! Both signatures of a quorum, by kind.
//!
//! `cargo bench -p spv-masternodes --bench quorums`, or with `-- --test` to run each once.
#![allow(clippy::unwrap_used, reason = "the input is known to be right")]
#![allow(clippy::print_stderr, reason = "missing input has to be seen")]

#[path = "../../dashcore/benches/comparison/mod.rs"]
mod comparison;
#[path = "../tests/dkg/mod.rs"]
mod dkg;
#[path = "../tests/recordings/mod.rs"]
mod recordings;
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::slice;

use comparison::Comparisons;
use dash_pkc::bls::{BlsPublicKey, BlsScChia, BlsScIetf, BlsSignature};
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use dashcore::{BlockHash, ChainParams, Network};
use spv_masternodes::members::Evidence;
use spv_masternodes::verification::{QuorumCandidate, QuorumVerifier};

fn main() {
    let (params, candidates) = match recordings::recorded("mainnet-2240504") {
        Some(folder) => recorded(&folder),
        None => {
            eprintln!("GENERATED: there is no recorded data, so the input is made up");
            generated()
        }
    };
    let mut comparisons = Comparisons::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("quorums"));
    let verifier = || QuorumVerifier::new(params.clone(), NonZeroUsize::new(8_192).unwrap());
    for candidates in candidates.values() {
        let (llmq_type, size) = (candidates[0].entry.llmq_type, candidates[0].members.len());
        let (mut single, mut batch) = (verifier(), verifier());
        let one_by_one = || candidates.iter().for_each(|one| all_right(&mut single, slice::from_ref(one)));
        let plainly = || candidates.iter().for_each(verify_plainly);
        comparisons.compare(
            &format!("quorum of type {llmq_type}, {size} members, alone"),
            candidates.len(),
            ("straightforward", plainly),
            ("ours", one_by_one),
        );
        comparisons.compare(
            &format!("quorum of type {llmq_type}, {} in a batch", candidates.len()),
            candidates.len(),
            ("keys not seen before", || all_right(&mut verifier(), candidates)),
            ("keys cached", || all_right(&mut batch, candidates)),
        );
    }
    comparisons.finish();
}

type Input = (ChainParams, BTreeMap<LLMQType, Vec<QuorumCandidate>>);

/// The quorums of mainnet of which the base block's height is known.
fn recorded(folder: &Path) -> Input {
    let mainnet = recordings::Mainnet::read(folder);
    let params = ChainParams::new(Network::Dash);
    let mut candidates: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for quorum in mainnet.tip.quorums().iter() {
        let entry = quorum.entry.clone();
        let Some(&base_height) = mainnet.heights.get(&BlockHash::from(entry.quorum_hash)) else { continue };
        let members =
            mainnet.evidence.members(entry.llmq_type, entry.quorum_hash, base_height, &params).unwrap();
        let of_type = candidates.entry(entry.llmq_type).or_default();
        of_type.push(QuorumCandidate { entry, base_height, members });
    }
    (params, candidates)
}

/// Quorums of the sizes that mainnet has, among fewer masternodes.
fn generated() -> Input {
    let mut params = dkg::params(true);
    let list: Vec<_> = (0..1_000).map(|id| dkg::masternode(id, true)).collect();
    let mut candidates = BTreeMap::new();
    let kinds = [(LLMQType::LLMQ_TEST, 60, 8_u32), (LLMQType::LLMQ_TEST_INSTANTSEND, 400, 2)];
    for (llmq_type, size, count) in kinds {
        let llmq = params.llmqs.iter_mut().find(|llmq| llmq.llmq_type == llmq_type).unwrap();
        (llmq.size, llmq.min_size, llmq.threshold) = (size, size * 3 / 4, size * 2 / 3);
        let llmq = *llmq;
        let of_type: Vec<_> = (0..count)
            .map(|number| {
                let base_height = 312 + 24 * number;
                let chain_lock = Some(BLSSignature::from_bytes([9; 96]));
                let block = dkg::ListBlock::new(base_height - 8, list.clone(), Vec::new(), chain_lock);
                let mut evidence = Evidence::new();
                evidence.add_state(block.state());
                let hash = dkg::quorum_hash(base_height);
                let members = evidence.members(llmq_type, hash, base_height, &params).unwrap();
                let entry = dkg::commitment(&llmq, base_height, &members, true);
                QuorumCandidate { entry, base_height, members }
            })
            .collect();
        candidates.insert(llmq_type, of_type);
    }
    (params, candidates)
}

fn all_right(verifier: &mut QuorumVerifier, candidates: &[QuorumCandidate]) {
    assert!(verifier.verify(candidates.to_vec()).iter().all(Result::is_ok));
}

/// Each check on its own, each key decompressed and multiplied on its own.
fn verify_plainly(QuorumCandidate { entry, members, .. }: &QuorumCandidate) {
    let signature = |bytes: &BLSSignature| BlsSignature::<BlsScIetf>::from_bytes(bytes.as_bytes()).unwrap();
    let key = BlsPublicKey::<BlsScIetf>::from_bytes(entry.quorum_public_key.as_bytes()).unwrap();
    let hash = dkg::commitment_hash(entry);
    key.verify_digest(&hash, &signature(&entry.threshold_sig)).unwrap();
    let signers = members.iter().zip(entry.signers.iter()).filter(|(_, signed)| *signed);
    let keys: Vec<_> = signers.map(|(member, _)| operator_key(member)).collect();
    signature(&entry.all_commitment_aggregated_signature)
        .secure_verify_aggregates_digest(&hash, &keys.iter().collect::<Vec<_>>())
        .unwrap();
}

fn operator_key(member: &MasternodeListEntry) -> BlsPublicKey<BlsScIetf> {
    let bytes = member.operator_public_key.as_bytes();
    if member.version < 2 {
        let legacy = BlsPublicKey::<BlsScChia>::from_bytes(bytes).unwrap();
        return legacy.to_scheme().unwrap();
    }
    BlsPublicKey::from_bytes(bytes).unwrap()
}
