use std::sync::Arc;

use bitcoin_hashes::sha256;

use crate::masternode_list::HashedEntry;

/// Those of the masternodes that can be chosen, best first: not banned, and confirmed, since before its confirmation
/// an owner could still try out hashes until one suits a quorum to come.
pub(super) fn ranked<'a>(
    masternodes: impl Iterator<Item = &'a Arc<HashedEntry>>,
    modifier: &[u8; 32],
) -> Vec<Arc<HashedEntry>> {
    let mut scores: Vec<_> = masternodes
        .filter(|masternode| masternode.entry.is_valid)
        .filter_map(|masternode| Some((score(masternode.score_base()?, modifier), masternode)))
        .collect();
    // Names lie elsewhere in memory, and two equal scores have yet to be seen.
    scores.sort_unstable_by(|(a, of_a), (b, of_b)| {
        b.cmp(a).then_with(|| of_a.pro_tx_hash().cmp(&of_b.pro_tx_hash()))
    });
    scores.into_iter().map(|(_, masternode)| Arc::clone(masternode)).collect()
}

/// The hash is a little-endian number, so its reversed bytes sort as it does.
fn score(score_base: &[u8; 32], modifier: &[u8; 32]) -> [u8; 32] {
    let mut preimage = [0; 64];
    preimage[..32].copy_from_slice(score_base);
    preimage[32..].copy_from_slice(modifier);
    let mut score = sha256::hash(&preimage).to_byte_array();
    score.reverse();
    score
}
