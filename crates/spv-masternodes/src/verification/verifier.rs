use std::num::NonZeroUsize;
use std::slice;
use std::sync::Arc;

use blst::min_pk::{PublicKey, Signature};
use dashcore::ChainParams;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::BLSSignature;

use super::commitment::{check_form, commitment_hash};
use super::error::{CommitmentSignature, QuorumError};
use super::verified_quorum::VerifiedQuorum;
use crate::bls::{BlsScheme, KeyCache, SignedHash, secure_aggregate, verify_batch};
use crate::members::Members;

/// Verifies commitments. Threads that share the work have one each, so that nobody waits for another's keys.
#[derive(Debug)]
pub struct QuorumVerifier {
    params: ChainParams,
    keys: KeyCache,
}

/// A commitment to be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumCandidate {
    /// The commitment.
    pub entry: Arc<QuorumEntry>,
    /// Height of the block that `entry.quorum_hash` names, as the caller's header chain knows it.
    pub base_height: u32,
    /// Its members, from [`Evidence::members`](crate::members::Evidence::members) or
    /// [`Evidence::cycle`](crate::members::Evidence::cycle).
    pub members: Members,
}

impl QuorumVerifier {
    /// A verifier for quorums of this network that keeps up to `cached_keys` decompressed operator keys, about 300
    /// bytes each. More than a network has masternodes is waste; with too few, keys are decompressed again.
    pub fn new(params: ChainParams, cached_keys: NonZeroUsize) -> Self {
        Self { params, keys: KeyCache::new(cached_keys) }
    }

    /// Verifies commitments together, which takes less time than one by one. The results are in the order of the
    /// candidates, and each is the one that the candidate has alone.
    pub fn verify(&mut self, candidates: Vec<QuorumCandidate>) -> Vec<Result<VerifiedQuorum, QuorumError>> {
        let mut signed = Vec::with_capacity(candidates.len());
        let prepared: Vec<_> = candidates
            .into_iter()
            .map(|candidate| {
                let hash = self.prepare(&candidate)?;
                signed.push(hash);
                Ok((signed.len() - 1, candidate))
            })
            .collect();
        let mut errors = vec![None; signed.len()];
        find_wrong(&signed, &mut errors);
        prepared
            .into_iter()
            .map(|candidate| {
                let (index, QuorumCandidate { entry, base_height, members }) = candidate?;
                match errors[index] {
                    None => {
                        let (public_key, _) = signed[index].signatures[QUORUM];
                        Ok(VerifiedQuorum::new(entry, base_height, members, public_key))
                    }
                    Some(error) => Err(error),
                }
            })
            .collect()
    }

    /// Checks the quorum's own signature alone, where its members cannot be known: of quorums from before the lists
    /// that are there. Says less than [`verify`](Self::verify), as anybody can make up a key and sign with it; the
    /// commitment has to be proven to be the chain's.
    ///
    /// # Errors
    /// When the key or the signature is malformed or the signature is wrong.
    pub fn check_quorum_signature(&self, entry: &QuorumEntry) -> Result<(), QuorumError> {
        let scheme = BlsScheme::of_commitment(entry.version);
        let hash = commitment_hash(entry);
        let signatures = vec![quorum_signature(entry, scheme)?];
        if verify_batch(&[SignedHash { scheme, hash, signatures }]) {
            return Ok(());
        }
        Err(QuorumError::WrongSignature { which: CommitmentSignature::Quorum, commitment_hash: hash })
    }

    /// What is left to check of a candidate: two signatures.
    fn prepare(&mut self, candidate: &QuorumCandidate) -> Result<SignedHash, QuorumError> {
        let QuorumCandidate { entry, base_height, members } = candidate;
        check_form(entry, *base_height, members, &self.params)?;
        let scheme = BlsScheme::of_commitment(entry.version);
        let by_quorum = quorum_signature(entry, scheme)?;
        let keys = self.signers(entry, members)?;
        let key = match keys[..] {
            // A quorum of one signs plainly.
            [key] if entry.signers.len() == 1 => key,
            _ => secure_aggregate(&keys, scheme),
        };
        let signature = decode_signature(
            &entry.all_commitment_aggregated_signature,
            scheme,
            CommitmentSignature::Members,
        )?;
        Ok(SignedHash { scheme, hash: commitment_hash(entry), signatures: vec![by_quorum, (key, signature)] })
    }

    fn signers(&mut self, entry: &QuorumEntry, members: &Members) -> Result<Vec<PublicKey>, QuorumError> {
        let signers =
            entry.signers.iter().zip(members.iter()).filter_map(|(signed, member)| signed.then_some(member));
        signers
            .map(|signer| {
                let key = signer.operator_public_key;
                self.keys
                    .decode(&key, BlsScheme::of_entry(signer.version))
                    .ok_or(QuorumError::MalformedOperatorKey { member: signer.pro_reg_tx_hash, key })
            })
            .collect()
    }
}

fn quorum_signature(entry: &QuorumEntry, scheme: BlsScheme) -> Result<(PublicKey, Signature), QuorumError> {
    let key = scheme
        .decode_public_key(&entry.quorum_public_key)
        .ok_or(QuorumError::MalformedPublicKey(entry.quorum_public_key))?;
    Ok((key, decode_signature(&entry.threshold_sig, scheme, CommitmentSignature::Quorum)?))
}

fn decode_signature(
    signature: &BLSSignature,
    scheme: BlsScheme,
    which: CommitmentSignature,
) -> Result<Signature, QuorumError> {
    scheme.decode_signature(signature).ok_or(QuorumError::MalformedSignature { which, signature: *signature })
}

/// Names what is wrong in a batch, by halves: a few wrong ones among many cost a few extra batches.
fn find_wrong(signed: &[SignedHash], errors: &mut [Option<QuorumError>]) {
    if verify_batch(signed) {
        return;
    }
    if let [signed] = signed {
        errors[0] = Some(wrong_signature(signed));
        return;
    }
    let (first, second) = signed.split_at(signed.len() / 2);
    let (first_errors, second_errors) = errors.split_at_mut(first.len());
    find_wrong(first, first_errors);
    find_wrong(second, second_errors);
}

fn wrong_signature(signed: &SignedHash) -> QuorumError {
    let by_quorum = SignedHash { signatures: vec![signed.signatures[QUORUM]], ..signed.clone() };
    let which = if verify_batch(slice::from_ref(&by_quorum)) {
        CommitmentSignature::Members
    } else {
        CommitmentSignature::Quorum
    };
    QuorumError::WrongSignature { which, commitment_hash: signed.hash }
}

/// Position of the quorum's own signature; the other one is its members'.
const QUORUM: usize = 0;
