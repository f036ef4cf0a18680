use std::collections::BTreeMap;
use std::sync::Arc;

use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::hash_types::{MerkleRootQuorums, QuorumVVecHash};
use dashcore::merkle_tree::merkle_root;
use dashcore::sml::llmq_type::LLMQParams;
use dashcore::{BitSet, BlockHash};

use super::random;
use crate::world::QuorumSet;

/// Final commitments: those to be mined, and those that are active.
#[derive(Debug, Default)]
pub(super) struct QuorumBook {
    /// By the height at which they will be mined.
    pending: BTreeMap<u32, Vec<PendingQuorum>>,
    /// The active ones, oldest first.
    mined: Vec<Arc<QuorumEntry>>,
    active: Arc<QuorumSet>,
    root: MerkleRootQuorums,
}

#[derive(Debug)]
struct PendingQuorum {
    llmq: LLMQParams,
    base: u32,
}

impl QuorumBook {
    /// Plans the commitments of the cycle that begins at `cycle`; one DKG session in ten fails.
    pub(super) fn schedule(&mut self, llmq: &LLMQParams, cycle: u32, rng: &mut fastrand::Rng) {
        let indexes = if llmq.rotated { llmq.signing_active_quorum_count } else { 1 };
        for index in 0..indexes {
            let mined = cycle + rng.u32(llmq.mining_window_start..=llmq.mining_window_end);
            if rng.u8(..10) > 0 {
                let quorum = PendingQuorum { llmq: *llmq, base: cycle + index };
                self.pending.entry(mined).or_default().push(quorum);
            }
        }
    }

    /// Mines the commitments that are due at `height`; `hashes` are those of the blocks below.
    pub(super) fn mine(&mut self, height: u32, hashes: &[BlockHash], rng: &mut fastrand::Rng) {
        let Some(due) = self.pending.remove(&height) else {
            return;
        };
        for PendingQuorum { llmq, base } in due {
            let commitment = commitment(&llmq, base, hashes[base as usize], rng);
            self.retire(&llmq, &commitment);
            self.mined.push(Arc::new(commitment));
        }
        self.active = Arc::new(QuorumSet::new(self.mined.clone()));
        let mut leaves: Vec<[u8; 32]> = self.mined.iter().map(|commitment| commitment.entry_hash()).collect();
        leaves.sort_unstable();
        let root = merkle_root(leaves).expect("random commitments have different hashes");
        self.root = MerkleRootQuorums::from_byte_array(root);
    }

    pub(super) fn active(&self) -> Arc<QuorumSet> {
        Arc::clone(&self.active)
    }

    pub(super) fn root(&self) -> MerkleRootQuorums {
        self.root
    }

    /// Drops what a new commitment displaces: of a rotated kind the one of the same index, else the oldest.
    fn retire(&mut self, llmq: &LLMQParams, new: &QuorumEntry) {
        let same_kind = |old: &Arc<QuorumEntry>| {
            old.llmq_type == new.llmq_type && (!llmq.rotated || old.quorum_index == new.quorum_index)
        };
        let allowed = if llmq.rotated { 1 } else { llmq.signing_active_quorum_count as usize };
        if self.mined.iter().filter(|old| same_kind(old)).count() >= allowed {
            let oldest = self.mined.iter().position(same_kind).expect("just counted");
            self.mined.remove(oldest);
        }
    }
}

fn commitment(llmq: &LLMQParams, base: u32, base_hash: BlockHash, rng: &mut fastrand::Rng) -> QuorumEntry {
    let index = i16::try_from(base % llmq.dkg_interval).expect("intervals are shorter than 2^15");
    let everybody: BitSet = (0..llmq.size).map(|_| true).collect();
    QuorumEntry {
        version: if llmq.rotated { BASIC_INDEXED } else { BASIC },
        llmq_type: llmq.llmq_type,
        quorum_hash: base_hash.into(),
        quorum_index: llmq.rotated.then_some(index),
        signers: everybody.clone(),
        valid_members: everybody,
        quorum_public_key: random::public_key(rng),
        quorum_vvec_hash: QuorumVVecHash::from_byte_array(random::hash(rng)),
        threshold_sig: random::signature(rng),
        all_commitment_aggregated_signature: random::signature(rng),
    }
}

const BASIC: u16 = 3;
const BASIC_INDEXED: u16 = 4;
