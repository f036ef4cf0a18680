use std::collections::BTreeMap;

use bitcoin_hashes::sha256d;
use dashcore::BlockHash;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff, QuorumCLSigObject};

use super::{ActiveChain, Refusal};
use crate::history::CoinbaseProof;
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
    let coinbase = read_coinbase(world, block)?;
    let (deleted_masternodes, new_masternodes) = world.masternodes().diff(base, block);
    let (deleted_quorums, new_quorums) = world.quorums().diff(base, block);
    let activation = &world.params().activation;
    // "Active after the block": the rules of the next one count.
    let quorums_chainlock_signatures =
        if block + 1 >= activation.v20 { chain_lock_signatures(world, &new_quorums)? } else { Vec::new() };
    Ok(MnListDiff {
        version: 1,
        base_block_hash,
        // Before DIP3 a node has only a default-made list, which names no block.
        block_hash: if block < activation.dip3 { BlockHash::all_zeros() } else { block_hash },
        total_transactions: coinbase.total_transactions,
        merkle_hashes: coinbase.merkle_hashes,
        merkle_flags: coinbase.merkle_flags,
        coinbase_tx: coinbase.transaction,
        deleted_masternodes,
        new_masternodes,
        deleted_quorums,
        new_quorums,
        quorums_chainlock_signatures,
    })
}

/// Groups the new quorums by the ChainLock signature that chooses their members (Dash Core
/// `BuildQuorumChainlockInfo`, evo/smldiff.cpp).
fn chain_lock_signatures(
    world: &World,
    new_quorums: &[QuorumEntry],
) -> Result<Vec<QuorumCLSigObject>, Refusal> {
    let mut by_signature: BTreeMap<[u8; 32], QuorumCLSigObject> = BTreeMap::new();
    for (index, quorum) in (0_u16..).zip(new_quorums) {
        let signature = work_block_signature(world, quorum)?;
        by_signature
            .entry(sha256d::hash(signature.as_bytes()).to_byte_array())
            .or_insert_with(|| QuorumCLSigObject { signature, index_set: Vec::new() })
            .index_set
            .push(index);
    }
    Ok(by_signature.into_values().collect())
}

/// The ChainLock signature in the coinbase of the quorum's work block; null without one.
fn work_block_signature(world: &World, quorum: &QuorumEntry) -> Result<BLSSignature, Refusal> {
    let index = quorum.quorum_index.and_then(|index| u32::try_from(index).ok()).unwrap_or(0);
    let base = world.height(&quorum.quorum_hash.into());
    let Some(height) = base.and_then(|base| base.checked_sub(index + WORK_BLOCK_DEPTH)) else {
        return Ok(BLSSignature::default());
    };
    let payload = read_coinbase(world, height)?.transaction.coinbase_payload().ok().flatten();
    let chain_lock = payload.and_then(|payload| payload.chain_lock);
    Ok(chain_lock.map(|chain_lock| chain_lock.best_cl_signature).unwrap_or_default())
}

fn read_coinbase(world: &World, height: u32) -> Result<CoinbaseProof, Refusal> {
    world.coinbases().get(height).map_err(|error| {
        tracing::warn!(%error, height, "a coinbase cannot be read");
        Refusal::NotOnDisk { height }
    })
}
