use std::collections::BTreeMap;

use bitcoin_hashes::sha256d;
use dashcore::BlockHash;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff, QuorumCLSigObject};

use super::{ActiveChain, Refusal};
use crate::world::World;

/// Blocks between the one whose list a quorum is chosen from and the first of its cycle
/// (Dash Core `WORK_DIFF_DEPTH`, llmq/utils.h).
pub(super) const WORK_BLOCK_DEPTH: u32 = 8;

pub(super) fn build(chain: &ActiveChain, request: &GetMnListDiff) -> Result<MnListDiff, Refusal> {
    let GetMnListDiff { base_block_hash, block_hash } = *request;
    let base = if base_block_hash.is_null() {
        0
    } else {
        chain.height(&base_block_hash).ok_or(Refusal::UnknownBase(base_block_hash))?
    };
    let block = chain.height(&block_hash).ok_or(Refusal::UnknownBlock(block_hash))?;
    if base > block {
        return Err(Refusal::BaseAboveBlock { base, block });
    }
    let world = chain.world();
    let (from, to) = (world.block(base), world.block(block));
    let (deleted_masternodes, new_masternodes) = to.masternodes.diff(&from.masternodes);
    let (deleted_quorums, new_quorums) = to.quorums.diff(&from.quorums);
    let activation = &world.params().activation;
    // "Active after the block": the rules of the next one count.
    let quorums_chainlock_signatures =
        if block + 1 >= activation.v20 { chain_lock_signatures(world, &new_quorums) } else { Vec::new() };
    let coinbase = &to.coinbase;
    Ok(MnListDiff {
        version: 1,
        base_block_hash,
        // Before DIP3 a node has only a default-made list, which names no block.
        block_hash: if block < activation.dip3 { BlockHash::all_zeros() } else { block_hash },
        total_transactions: coinbase.total_transactions,
        merkle_hashes: coinbase.merkle_hashes.clone(),
        merkle_flags: coinbase.merkle_flags.clone(),
        coinbase_tx: coinbase.transaction.clone(),
        deleted_masternodes,
        new_masternodes,
        deleted_quorums,
        new_quorums,
        quorums_chainlock_signatures,
    })
}

/// Groups the new quorums by the ChainLock signature that chooses their members (Dash Core
/// `BuildQuorumChainlockInfo`, evo/smldiff.cpp).
fn chain_lock_signatures(world: &World, new_quorums: &[QuorumEntry]) -> Vec<QuorumCLSigObject> {
    let mut by_signature: BTreeMap<[u8; 32], QuorumCLSigObject> = BTreeMap::new();
    for (index, quorum) in (0_u16..).zip(new_quorums) {
        let signature = work_block_signature(world, quorum);
        by_signature
            .entry(sha256d::hash(signature.as_bytes()).to_byte_array())
            .or_insert_with(|| QuorumCLSigObject { signature, index_set: Vec::new() })
            .index_set
            .push(index);
    }
    by_signature.into_values().collect()
}

/// The ChainLock signature in the coinbase of the quorum's work block; null without one.
fn work_block_signature(world: &World, quorum: &QuorumEntry) -> BLSSignature {
    let index = quorum.quorum_index.and_then(|index| u32::try_from(index).ok()).unwrap_or(0);
    world
        .height(&quorum.quorum_hash.into())
        .and_then(|base| base.checked_sub(index + WORK_BLOCK_DEPTH))
        .and_then(|height| world.block(height).coinbase.transaction.coinbase_payload().ok().flatten())
        .and_then(|payload| payload.chain_lock)
        .map(|chain_lock| chain_lock.best_cl_signature)
        .unwrap_or_default()
}
