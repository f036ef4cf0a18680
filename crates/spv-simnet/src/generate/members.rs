//! Who the members of a quorum are (DIP6).

use std::sync::Arc;

use bitcoin_hashes::{sha256, sha256d};
use dashcore::BlockHash;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::consensus::Encodable;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;

/// The block whose list members are chosen from: eight below the base block of the session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkBlock {
    pub(crate) height: u32,
    pub(crate) hash: BlockHash,
    /// The best ChainLock in its coinbase; null without one.
    pub(crate) chain_lock: BLSSignature,
}

impl WorkBlock {
    pub(crate) const DEPTH: u32 = 8;

    /// What makes the ranking unpredictable: the ChainLock, or the block's hash without one.
    pub(crate) fn modifier(&self, llmq_type: LLMQType) -> [u8; 32] {
        let mut seed = Vec::with_capacity(128);
        llmq_type.consensus_encode(&mut seed);
        if self.chain_lock.is_zeroed() {
            self.hash.consensus_encode(&mut seed);
        } else {
            self.height.consensus_encode(&mut seed);
            self.chain_lock.consensus_encode(&mut seed);
        }
        sha256d::hash(&seed).to_byte_array()
    }
}

/// Masternodes that can be chosen, best score first.
pub(crate) fn rank<'a>(
    list: impl Iterator<Item = &'a Arc<MasternodeListEntry>>,
    modifier: &[u8; 32],
) -> Vec<Arc<MasternodeListEntry>> {
    let mut scored: Vec<([u8; 32], &Arc<MasternodeListEntry>)> = list
        .filter(|entry| entry.is_valid)
        .filter_map(|entry| Some((score(entry, modifier)?, entry)))
        .collect();
    scored.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    scored.into_iter().map(|(_, entry)| Arc::clone(entry)).collect()
}

/// Big-endian, so that bytes compare as the number does; `None` before the registration is confirmed.
fn score(entry: &MasternodeListEntry, modifier: &[u8; 32]) -> Option<[u8; 32]> {
    let confirmed = entry.confirmed_hash?;
    let identity = [*entry.pro_reg_tx_hash.as_byte_array(), *confirmed.as_byte_array()].concat();
    let identity = sha256::hash(&identity).to_byte_array();
    let mut score = sha256::hash(&[identity, *modifier].concat()).to_byte_array();
    score.reverse();
    Some(score)
}
