use bitcoin_hashes::sha256d;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::consensus::Encodable;
use dashcore::params::WORK_BLOCK_DEPTH;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{ChainParams, QuorumHash};

use super::error::MembersError;
use crate::proven_state::ProvenState;

/// What makes the scores of one quorum differ from those of another.
pub(super) fn unrotated_modifier(
    llmq_type: LLMQType,
    base_height: u32,
    quorum_hash: QuorumHash,
    work_state: Option<&ProvenState>,
    params: &ChainParams,
) -> Result<[u8; 32], MembersError> {
    let work_height = base_height - WORK_BLOCK_DEPTH;
    if work_height + 1 < params.activation.v20 {
        return Ok(hash_modifier(llmq_type, quorum_hash.as_byte_array()));
    }
    let work_state = work_state.ok_or(MembersError::MissingList { height: work_height })?;
    Ok(work_block_modifier(llmq_type, work_state))
}

/// The modifier of a rotated cycle, from the state at its work block.
pub(super) fn cycle_modifier(
    llmq_type: LLMQType,
    work_state: &ProvenState,
    params: &ChainParams,
) -> [u8; 32] {
    if work_state.height() + 1 < params.activation.v20 {
        return hash_modifier(llmq_type, work_state.block_hash().as_byte_array());
    }
    work_block_modifier(llmq_type, work_state)
}

/// From v20 on nobody can choose the modifier: it comes from the ChainLock in the work block, where there is one.
fn work_block_modifier(llmq_type: LLMQType, work_state: &ProvenState) -> [u8; 32] {
    let chain_lock = work_state.coinbase().and_then(|coinbase| coinbase.chain_lock.as_ref());
    let signature = chain_lock.map(|chain_lock| &chain_lock.best_cl_signature);
    let Some(signature) = signature.filter(|signature| !signature.is_zeroed()) else {
        return hash_modifier(llmq_type, work_state.block_hash().as_byte_array());
    };
    let mut bytes = Vec::with_capacity(1 + 4 + BLSSignature::SIZE);
    llmq_type.consensus_encode(&mut bytes);
    work_state.height().consensus_encode(&mut bytes);
    signature.consensus_encode(&mut bytes);
    sha256d::hash(&bytes).to_byte_array()
}

fn hash_modifier(llmq_type: LLMQType, hash: &[u8; 32]) -> [u8; 32] {
    let mut bytes = [0; 33];
    bytes[0] = llmq_type.0;
    bytes[1..].copy_from_slice(hash);
    sha256d::hash(&bytes).to_byte_array()
}
