//! Which quorum answers a request for a signature, and what it signs.

use bitcoin_hashes::sha256d;
use blst::min_pk::PublicKey;
use dashcore::QuorumHash;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};
use dashcore::consensus::Encodable;
use dashcore::sml::llmq_type::{LLMQParams, LLMQType};

use crate::bls::{BlsScheme, SignedHash, verify_batch};
use crate::quorum_set::{ActiveQuorum, QuorumSet};

/// The hash over which a quorum's signature is verified.
pub fn sign_hash(
    llmq_type: LLMQType,
    quorum_hash: QuorumHash,
    request_id: &[u8; 32],
    message_hash: &[u8; 32],
) -> [u8; 32] {
    hash_parts(llmq_type, quorum_hash, &[request_id, message_hash])
}

/// The quorum of this kind that signs what is requested as `request_id`, among those that are active. `None` if none
/// is: there is no quorum at all, or, for a rotated kind, none with the index that the id names.
///
/// Nodes take the quorums active 8 blocks below the height that the request is about.
pub fn signing_quorum<'a>(
    quorums: &'a QuorumSet,
    llmq: &LLMQParams,
    request_id: &[u8; 32],
) -> Option<&'a ActiveQuorum> {
    select_signer(quorums.of_type(llmq.llmq_type), llmq, request_id)
}

/// The same among these quorums of that kind.
pub fn select_signer<'a>(
    mut active: impl Iterator<Item = &'a ActiveQuorum>,
    llmq: &LLMQParams,
    request_id: &[u8; 32],
) -> Option<&'a ActiveQuorum> {
    if llmq.rotated {
        let index = signing_index(llmq.signing_active_quorum_count, request_id);
        return active.find(|quorum| quorum.entry.quorum_index.map(i64::from) == Some(index.into()));
    }
    active.min_by_key(|quorum| hash_parts(llmq.llmq_type, quorum.entry.quorum_hash, &[request_id]))
}

/// Checks that the key in this commitment signed `message_hash` in answer to the request `request_id`. The scheme is
/// [`BlsScheme::after`] the height at which it signed, whatever the scheme of its commitment.
///
/// Says nothing about whose key it is: that is what the quorum's verification is for.
///
/// # Errors
/// When the key or the signature is malformed, or the signature is wrong.
pub fn verify_signature(
    entry: &QuorumEntry,
    request_id: &[u8; 32],
    message_hash: &[u8; 32],
    signature: &BLSSignature,
    scheme: BlsScheme,
) -> Result<(), SignatureError> {
    let key = BlsScheme::of_commitment(entry.version)
        .decode_public_key(&entry.quorum_public_key)
        .ok_or(SignatureError::MalformedPublicKey(entry.quorum_public_key))?;
    let hash = sign_hash(entry.llmq_type, entry.quorum_hash, request_id, message_hash);
    verify_with_key(key, hash, signature, scheme)
}

pub(crate) fn verify_with_key(
    public_key: PublicKey,
    hash: [u8; 32],
    signature: &BLSSignature,
    scheme: BlsScheme,
) -> Result<(), SignatureError> {
    let point = scheme.decode_signature(signature).ok_or(SignatureError::Malformed(*signature))?;
    let signed = SignedHash { scheme, hash, signatures: vec![(public_key, point)] };
    if verify_batch(&[signed]) { Ok(()) } else { Err(SignatureError::Wrong) }
}

/// Why something is not signed by a quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The signature is not a point on the curve.
    #[error("{0} is not the encoding of a signature")]
    Malformed(BLSSignature),
    /// The quorum's public key is not a point on the curve.
    #[error("quorum public key {0} is not a valid key")]
    MalformedPublicKey(BLSPublicKey),
    /// The signature is another one's, or of something else.
    #[error("the signature is wrong")]
    Wrong,
}

/// Index of the quorum in a rotated cycle of `count`, a power of two: bits of the id just below its highest one.
fn signing_index(count: u32, request_id: &[u8; 32]) -> u32 {
    let [.., a, b, c, d] = *request_id;
    let highest = u32::from_le_bytes([a, b, c, d]);
    let bits = count.max(1).ilog2();
    highest >> (31 - bits) & ((1 << bits) - 1)
}

fn hash_parts(llmq_type: LLMQType, quorum_hash: QuorumHash, parts: &[&[u8; 32]]) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(1 + 32 + 64);
    llmq_type.consensus_encode(&mut bytes);
    quorum_hash.consensus_encode(&mut bytes);
    for part in parts {
        bytes.extend_from_slice(*part);
    }
    sha256d::hash(&bytes).to_byte_array()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_below_the_highest_bit_of_the_id() {
        let id = |highest: u64| {
            let mut id = [0xff; 32];
            id[24..].copy_from_slice(&highest.to_le_bytes());
            id
        };
        // 5 bits for 32 quorums, 1 bit for 2.
        assert_eq!(signing_index(32, &id(0b1101_0100 << 56)), 0b1_0101);
        assert_eq!(signing_index(32, &id(0b0000_0111 << 56)), 0b0_0001);
        assert_eq!(signing_index(2, &id(0b1100_0000 << 56)), 1);
        assert_eq!(signing_index(2, &id(0b1011_1111 << 56)), 0);
        assert_eq!(signing_index(1, &id(u64::MAX)), 0);
    }
}
