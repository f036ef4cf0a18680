use bitcoin_hashes::sha256d;
use dashcore::ChainParams;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::consensus::Encodable;
use dashcore::sml::llmq_type::LLMQParams;

use super::error::{CommitmentBits, QuorumError};
use crate::members::Members;

/// The hash that the quorum and its members sign.
pub(super) fn commitment_hash(entry: &QuorumEntry) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(256);
    entry.llmq_type.consensus_encode(&mut bytes);
    entry.quorum_hash.consensus_encode(&mut bytes);
    entry.valid_members.consensus_encode(&mut bytes);
    entry.quorum_public_key.consensus_encode(&mut bytes);
    entry.quorum_vvec_hash.consensus_encode(&mut bytes);
    sha256d::hash(&bytes).to_byte_array()
}

/// Everything that is asked of a commitment but its signatures.
pub(super) fn check_form(
    entry: &QuorumEntry,
    base_height: u32,
    members: &Members,
    params: &ChainParams,
) -> Result<(), QuorumError> {
    let llmq = params.llmq(entry.llmq_type).ok_or(QuorumError::UnknownType(entry.llmq_type))?;
    let after_v19 = base_height.saturating_add(1) >= params.activation.v19;
    let expected = 1 + u16::from(llmq.rotated) + 2 * u16::from(after_v19);
    if entry.version != expected {
        return Err(QuorumError::WrongVersion { expected, got: entry.version });
    }
    if !index_fits(entry.quorum_index, base_height, llmq) {
        return Err(QuorumError::WrongIndex { index: entry.quorum_index, base_height });
    }
    for bits in [CommitmentBits::ValidMembers, CommitmentBits::Signers] {
        check_bits(entry, bits, members.len(), llmq)?;
    }
    // A quorum of one has nothing to share.
    if entry.quorum_vvec_hash.is_null() && llmq.size > 1 {
        return Err(QuorumError::NoVerificationVector);
    }
    Ok(())
}

fn index_fits(index: Option<i16>, base_height: u32, llmq: &LLMQParams) -> bool {
    let position = base_height % llmq.dkg_interval;
    match index {
        Some(index) => {
            llmq.rotated
                && position < llmq.signing_active_quorum_count
                && u32::try_from(index) == Ok(position)
        }
        None => !llmq.rotated && position == 0,
    }
}

fn check_bits(
    entry: &QuorumEntry,
    bits: CommitmentBits,
    members: usize,
    llmq: &LLMQParams,
) -> Result<(), QuorumError> {
    let set = match bits {
        CommitmentBits::Signers => &entry.signers,
        CommitmentBits::ValidMembers => &entry.valid_members,
    };
    if u32::try_from(set.len()) != Ok(llmq.size) {
        return Err(QuorumError::WrongBitCount { bits, expected: llmq.size, got: set.len() });
    }
    // Parameters of a private network may ask for none; a signature of nobody is none all the same.
    let (min, got) = (llmq.min_size.max(1), set.count_ones());
    if u32::try_from(got).is_ok_and(|got| got < min) {
        return Err(QuorumError::TooFewSet { bits, min, got });
    }
    match (members..set.len()).find(|&index| set.get(index)) {
        Some(index) => Err(QuorumError::NoSuchMember { bits, index, members }),
        None => Ok(()),
    }
}
