//! How long it takes to verify the quorums of a network, with and without what makes it fast.
#![allow(clippy::unwrap_used, reason = "an example shows the way without detours")]
#![allow(clippy::print_stdout, reason = "the times are the result")]
#![allow(clippy::disallowed_methods, reason = "time is what is measured")]

#[path = "../tests/dkg/mod.rs"]
mod dkg;
#[path = "../tests/support/mod.rs"]
mod support;

use std::num::NonZeroUsize;
use std::time::Instant;

use dash_pkc::bls::{BlsPublicKey, BlsScIetf, BlsSignature};
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};
use dashcore::sml::llmq_type::LLMQType;
use spv_masternodes::members::Evidence;
use spv_masternodes::verification::{QuorumCandidate, QuorumVerifier};

const MASTERNODES: u16 = 1_000;
const QUORUMS: u32 = 32;
const QUORUM_SIZE: u32 = 60;

fn main() {
    let mut params = dkg::params(true);
    let llmq_type = LLMQType::LLMQ_TEST;
    let llmq = params.llmqs.iter_mut().find(|llmq| llmq.llmq_type == llmq_type).unwrap();
    (llmq.size, llmq.min_size, llmq.threshold) = (QUORUM_SIZE, 50, 45);
    let llmq = *llmq;

    let list: Vec<_> = (0..MASTERNODES).map(|id| dkg::masternode(id, true)).collect();
    let bases: Vec<_> = (0..QUORUMS).map(|number| 312 + 24 * number).collect();
    let mut evidence = Evidence::new();
    for base_height in &bases {
        let chain_lock = Some(BLSSignature::from_bytes([9; 96]));
        let block = dkg::ListBlock::new(base_height - 8, list.clone(), Vec::new(), chain_lock);
        evidence.add_state(block.state());
    }

    println!("{QUORUMS} quorums of {QUORUM_SIZE} among {MASTERNODES} masternodes, milliseconds per quorum");
    let members_of = |base: u32| evidence.members(llmq_type, dkg::quorum_hash(base), base, &params).unwrap();
    let members = timed("members", || bases.iter().map(|base| members_of(*base)).collect::<Vec<_>>());
    let candidates: Vec<_> = bases
        .iter()
        .zip(members)
        .map(|(&base_height, members)| QuorumCandidate {
            entry: dkg::commitment(&llmq, base_height, &members, true),
            base_height,
            members,
        })
        .collect();

    let keys = NonZeroUsize::new(4_096).unwrap();
    let mut verifier = QuorumVerifier::new(params.clone(), keys);
    let all = |results: Vec<Result<_, _>>| assert!(results.iter().all(Result::is_ok));
    timed("together, keys not seen before", || all(verifier.verify(candidates.clone())));
    timed("together, keys cached", || all(verifier.verify(candidates.clone())));
    timed("one by one, keys cached", || {
        candidates.iter().for_each(|candidate| all(verifier.verify(vec![candidate.clone()])));
    });
    timed("one by one, one multiplication per key", || candidates.iter().for_each(verify_plainly));
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{:>8.2}  {what}", start.elapsed().as_secs_f64() * 1e3 / f64::from(QUORUMS));
    result
}

/// The same checks, each on its own.
fn verify_plainly(QuorumCandidate { entry, members, .. }: &QuorumCandidate) {
    let key = |bytes: &BLSPublicKey| BlsPublicKey::<BlsScIetf>::from_bytes(bytes.as_bytes()).unwrap();
    let signature = |bytes: &BLSSignature| BlsSignature::<BlsScIetf>::from_bytes(bytes.as_bytes()).unwrap();
    let hash = dkg::commitment_hash(entry);
    key(&entry.quorum_public_key).verify_digest(&hash, &signature(&entry.threshold_sig)).unwrap();
    let signers = members.iter().zip(entry.signers.iter()).filter(|(_, signed)| *signed);
    let keys: Vec<_> = signers.map(|(member, _)| key(&member.operator_public_key)).collect();
    signature(&entry.all_commitment_aggregated_signature)
        .secure_verify_aggregates_digest(&hash, &keys.iter().collect::<Vec<_>>())
        .unwrap();
}
