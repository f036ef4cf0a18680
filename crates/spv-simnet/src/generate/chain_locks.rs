use std::collections::VecDeque;
use std::sync::Arc;

use bitcoin_hashes::sha256d;
use dashcore::blockdata::transaction::special_transaction::coinbase::BestChainLock;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::{BlockHash, QuorumHash};

use super::keys::KeyRing;
use super::unlocked::Unlocked;

/// Quorums that may sign ChainLocks, and the newest ChainLock that miners know.
#[derive(Debug, Default)]
pub(super) struct ChainLocks {
    /// Quorums that were active after each of the last blocks, oldest first.
    signers: VecDeque<Vec<Arc<QuorumEntry>>>,
    newest: Option<(u32, BLSSignature)>,
}

impl ChainLocks {
    /// Takes note of the quorums that are active after a block, the one after the last that was noted.
    pub(super) fn note(&mut self, active: Vec<Arc<QuorumEntry>>) {
        self.signers.push_back(active);
        if self.signers.len() > SIGNERS {
            self.signers.pop_front();
        }
    }

    /// What the coinbase of the block at `height` says, whose parent is the last block noted: usually the ChainLock of its
    /// parent, sometimes still an older one, none before the first quorum that can sign. Blocks that are `unlocked` have none.
    pub(super) fn best(
        &mut self,
        height: u32,
        parent_hash: BlockHash,
        unlocked: Unlocked,
        keys: &KeyRing,
        rng: &mut fastrand::Rng,
    ) -> BestChainLock {
        let parent = height - 1;
        let late = self.newest.is_some() && rng.u8(..10) >= 8;
        if !late
            && !unlocked.contains(parent)
            && let Some(signature) = self.lock(parent, parent_hash, keys, rng)
        {
            self.newest = Some((parent, signature));
        }
        let (locked, best_cl_signature) = self.newest.unwrap_or_else(|| (parent, BLSSignature::default()));
        BestChainLock {
            best_cl_height_diff: u64::from(parent - locked),
            best_cl_signature,
            asset_locked_amount: i64::from(height) * 1_000,
        }
    }

    /// The signature of the quorum that was active eight blocks earlier and that the height's request falls to.
    fn lock(
        &self,
        height: u32,
        hash: BlockHash,
        keys: &KeyRing,
        rng: &mut fastrand::Rng,
    ) -> Option<BLSSignature> {
        let active = self.signers.front().filter(|_| self.signers.len() == SIGNERS)?;
        let request = ChainLock::request_id(height);
        let quorum = active.iter().min_by_key(|quorum| hash_of(quorum, &[&request]))?;
        let signed = hash_of(quorum, &[&request, hash.as_byte_array()]);
        Some(keys.sign(&quorum.quorum_public_key, &signed, rng))
    }
}

/// What a quorum signs, or is selected by.
pub(crate) fn hash_of(quorum: &QuorumEntry, parts: &[&[u8; 32]]) -> [u8; 32] {
    let quorum_hash: QuorumHash = quorum.quorum_hash;
    let mut bytes = vec![quorum.llmq_type.0];
    bytes.extend_from_slice(quorum_hash.as_byte_array());
    parts.iter().for_each(|part| bytes.extend_from_slice(*part));
    sha256d::hash(&bytes).to_byte_array()
}

/// Blocks that a quorum has to be old before it signs (Dash Core `SIGN_HEIGHT_OFFSET`, llmq/signing.h).
pub(crate) const SIGNING_DEPTH: u32 = 8;

/// Blocks whose active quorums are remembered.
const SIGNERS: usize = SIGNING_DEPTH as usize + 1;
