use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin_hashes::sha256d;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};
use dashcore::consensus::Encodable;
use dashcore::hash_types::{MerkleRootQuorums, QuorumVVecHash};
use dashcore::merkle_tree::merkle_root;
use dashcore::sml::llmq_type::{LLMQParams, LLMQType};
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use dashcore::{BitSet, BlockHash};

use super::keys::{KeyRing, to_basic};
use super::random;
use crate::history::QuorumHistory;

/// Final commitments: those to be mined, and those that are active.
#[derive(Debug, Default)]
pub(super) struct QuorumBook {
    /// By the height at which they will be mined.
    pending: BTreeMap<u32, Vec<Session>>,
    /// The active ones, oldest first.
    active: Vec<Arc<QuorumEntry>>,
    root: MerkleRootQuorums,
    history: QuorumHistory,
}

/// A DKG session that will end with a commitment.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) llmq: LLMQParams,
    /// Height of the base block.
    pub(super) base: u32,
    pub(super) members: Vec<Arc<MasternodeListEntry>>,
}

impl QuorumBook {
    /// Plans to mine the commitment of a session of the cycle that begins at `cycle`.
    pub(super) fn schedule(&mut self, cycle: u32, session: Session, rng: &mut fastrand::Rng) {
        let LLMQParams { mining_window_start, mining_window_end, .. } = session.llmq;
        let height = cycle + rng.u32(mining_window_start..=mining_window_end);
        self.pending.entry(height).or_default().push(session);
    }

    /// Mines the commitments that are due at `height`; `hashes` are those of the blocks below.
    pub(super) fn mine(
        &mut self,
        height: u32,
        hashes: &[BlockHash],
        keys: &mut KeyRing,
        rng: &mut fastrand::Rng,
    ) {
        let Some(due) = self.pending.remove(&height) else {
            return;
        };
        for session in due {
            let commitment = session.commitment(hashes[session.base as usize], keys, rng);
            self.retire(height, &session.llmq, &commitment);
            let commitment = Arc::new(commitment);
            self.active.push(Arc::clone(&commitment));
            self.history.mine(height, commitment);
        }
        let mut leaves: Vec<[u8; 32]> =
            self.active.iter().map(|commitment| commitment.entry_hash()).collect();
        leaves.sort_unstable();
        let root = merkle_root(leaves).expect("random commitments have different hashes");
        self.root = MerkleRootQuorums::from_byte_array(root);
    }

    pub(super) fn active_of_type(&self, llmq_type: LLMQType) -> Vec<Arc<QuorumEntry>> {
        self.active.iter().filter(|commitment| commitment.llmq_type == llmq_type).cloned().collect()
    }

    pub(super) fn root(&self) -> MerkleRootQuorums {
        self.root
    }

    pub(super) fn into_history(self) -> QuorumHistory {
        self.history
    }

    /// Drops what a new commitment displaces: of a rotated kind the one of the same index, else the oldest.
    fn retire(&mut self, height: u32, llmq: &LLMQParams, new: &QuorumEntry) {
        let same_kind = |old: &Arc<QuorumEntry>| {
            old.llmq_type == new.llmq_type && (!llmq.rotated || old.quorum_index == new.quorum_index)
        };
        let allowed = if llmq.rotated { 1 } else { llmq.signing_active_quorum_count as usize };
        if self.active.iter().filter(|old| same_kind(old)).count() >= allowed {
            let oldest = self.active.iter().position(same_kind).expect("just counted");
            let oldest = self.active.remove(oldest);
            self.history.retire(height, oldest.llmq_type, oldest.quorum_hash);
        }
    }
}

impl Session {
    fn commitment(&self, base_hash: BlockHash, keys: &mut KeyRing, rng: &mut fastrand::Rng) -> QuorumEntry {
        let Self { llmq, base, .. } = self;
        let index = i16::try_from(base % llmq.dkg_interval).expect("intervals are shorter than 2^15");
        let valid_members = self.all_but_a_few(|_| true, rng, INVALID_PER_THOUSAND);
        let absent = if llmq.size > 100 { ABSENT_PER_THOUSAND_OF_LARGE } else { ABSENT_PER_THOUSAND };
        let signers = self.all_but_a_few(|member| valid_members.get(member), rng, absent);
        let mut commitment = QuorumEntry {
            version: if llmq.rotated { BASIC_INDEXED } else { BASIC },
            llmq_type: llmq.llmq_type,
            quorum_hash: base_hash.into(),
            quorum_index: llmq.rotated.then_some(index),
            signers,
            valid_members,
            quorum_public_key: keys.make(rng),
            quorum_vvec_hash: match llmq.size {
                // A single member has nothing to share.
                1 => QuorumVVecHash::all_zeros(),
                _ => QuorumVVecHash::from_byte_array(random::hash(rng)),
            },
            threshold_sig: BLSSignature::default(),
            all_commitment_aggregated_signature: BLSSignature::default(),
        };
        let hash = commitment_hash(&commitment);
        let signing = self.members.iter().zip(commitment.signers.iter()).filter(|(_, signs)| *signs);
        let key = |member: &MasternodeListEntry| match member.version {
            LEGACY_ENTRY => to_basic(&member.operator_public_key),
            _ => member.operator_public_key,
        };
        let signing: Vec<BLSPublicKey> = signing.map(|(member, _)| key(member)).collect();
        commitment.threshold_sig = keys.sign(&commitment.quorum_public_key, &hash, rng);
        commitment.all_commitment_aggregated_signature = keys.sign_together(&signing, &hash, rng);
        commitment
    }

    /// One bit per member: those of `among`, a few left out unless that leaves too few for a quorum. Places for which
    /// there is no member stay empty.
    fn all_but_a_few(
        &self,
        among: impl Fn(usize) -> bool,
        rng: &mut fastrand::Rng,
        left_out_per_thousand: u32,
    ) -> BitSet {
        let places = 0..self.llmq.size as usize;
        let candidate = |place: usize| place < self.members.len() && among(place);
        let chosen: BitSet = places
            .clone()
            .map(|place| candidate(place) && rng.u32(..1_000) >= left_out_per_thousand)
            .collect();
        if chosen.count_ones() >= self.llmq.min_size as usize {
            return chosen;
        }
        places.map(candidate).collect()
    }
}

/// What the quorum and its members sign.
fn commitment_hash(commitment: &QuorumEntry) -> [u8; 32] {
    let mut signed = Vec::with_capacity(256);
    commitment.llmq_type.consensus_encode(&mut signed);
    commitment.quorum_hash.consensus_encode(&mut signed);
    commitment.valid_members.consensus_encode(&mut signed);
    commitment.quorum_public_key.consensus_encode(&mut signed);
    commitment.quorum_vvec_hash.consensus_encode(&mut signed);
    sha256d::hash(&signed).to_byte_array()
}

/// Version of an entry whose key is in the legacy encoding.
const LEGACY_ENTRY: u16 = 1;
const BASIC: u16 = 3;
const BASIC_INDEXED: u16 = 4;
/// About what mainnet's commitments show: members that did not take part validly, and valid ones that did not sign,
/// of whom there are more where 400 have to.
const INVALID_PER_THOUSAND: u32 = 4;
const ABSENT_PER_THOUSAND: u32 = 10;
const ABSENT_PER_THOUSAND_OF_LARGE: u32 = 45;
