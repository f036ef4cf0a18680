use std::fmt;
use std::sync::Arc;

use dashcore::QuorumHash;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::hash_types::MerkleRootQuorums;
use dashcore::merkle_tree::merkle_root;
use dashcore::network::message_sml::DeletedQuorum;
use dashcore::sml::llmq_type::LLMQType;

/// A quorum that may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveQuorum {
    /// Its final commitment.
    pub entry: Arc<QuorumEntry>,
    /// [`QuorumEntry::entry_hash`] of the commitment.
    pub entry_hash: [u8; 32],
    /// ChainLock signature from which its members are computed; `None` before v20 and where the chain has none.
    ///
    /// This is the word of whoever sent the diff: no merkle root covers it. It is confirmed by the coinbase of the
    /// quorum's work block, or by the quorum's signatures verifying against the members computed from it.
    pub chain_lock_signature: Option<BLSSignature>,
}

/// The quorums active at a block, in order of type and raw quorum hash. A clone copies one pointer, a changed set one
/// pointer per quorum.
#[derive(Clone, PartialEq, Eq)]
pub struct QuorumSet {
    quorums: Arc<[Arc<ActiveQuorum>]>,
    merkle_root: MerkleRootQuorums,
}

impl QuorumSet {
    /// The quorum of this type and hash.
    pub fn get(&self, llmq_type: LLMQType, quorum_hash: QuorumHash) -> Option<&ActiveQuorum> {
        self.position(&DeletedQuorum { llmq_type, quorum_hash }).map(|position| &*self.quorums[position])
    }

    /// All quorums, ascending by type and raw hash.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ActiveQuorum> + DoubleEndedIterator {
        self.quorums.iter().map(|quorum| &**quorum)
    }

    /// The quorums of one type, ascending by raw hash.
    pub fn of_type(
        &self,
        llmq_type: LLMQType,
    ) -> impl ExactSizeIterator<Item = &ActiveQuorum> + DoubleEndedIterator {
        let start = self.quorums.partition_point(|quorum| quorum.entry.llmq_type < llmq_type);
        let end = self.quorums.partition_point(|quorum| quorum.entry.llmq_type <= llmq_type);
        self.quorums[start..end].iter().map(|quorum| &**quorum)
    }

    /// Number of quorums.
    pub fn len(&self) -> usize {
        self.quorums.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.quorums.is_empty()
    }

    /// Root of the merkle tree over all commitments, as a coinbase commits to it; zero for no quorums.
    pub fn merkle_root(&self) -> MerkleRootQuorums {
        self.merkle_root
    }

    pub(crate) fn empty() -> Self {
        Self::from_sorted(Vec::new())
    }

    /// The set after some quorums left and some, given in order, joined.
    pub(crate) fn apply(
        &self,
        deleted: &[DeletedQuorum],
        new: &[Arc<ActiveQuorum>],
    ) -> Result<Self, QuorumConflict> {
        if let Some(unknown) = deleted.iter().find(|name| self.position(name).is_none()) {
            return Err(QuorumConflict::UnknownDeleted(*unknown));
        }
        if let Some(known) = new.iter().map(|new| new.name()).find(|name| self.position(name).is_some()) {
            return Err(QuorumConflict::KnownNew(known));
        }
        if deleted.is_empty() && new.is_empty() {
            return Ok(self.clone());
        }
        let mut quorums: Vec<_> = self
            .quorums
            .iter()
            .filter(|old| deleted.binary_search(&old.name()).is_err())
            .chain(new)
            .cloned()
            .collect();
        // Two ascending runs, which a stable sort merges in linear time.
        quorums.sort_by_key(|quorum| quorum.name());
        Ok(Self::from_sorted(quorums))
    }

    /// The set after some quorums left and some, given in order, joined, where no root proves the set: of two entries of
    /// one quorum, the last one counts.
    pub(crate) fn apply_unproven(&self, deleted: &[DeletedQuorum], new: &[Arc<ActiveQuorum>]) -> Self {
        let stays = |old: &&Arc<ActiveQuorum>| {
            deleted.binary_search(&old.name()).is_err()
                && new.binary_search_by_key(&old.name(), |new| new.name()).is_err()
        };
        let mut quorums: Vec<_> = self.quorums.iter().filter(stays).chain(new).cloned().collect();
        quorums.sort_by_key(|quorum| quorum.name());
        Self::from_sorted(quorums)
    }

    fn from_sorted(quorums: Vec<Arc<ActiveQuorum>>) -> Self {
        let mut leaves: Vec<_> = quorums.iter().map(|quorum| quorum.entry_hash).collect();
        leaves.sort_unstable();
        let root = merkle_root(leaves).expect("different commitments have different hashes");
        Self { merkle_root: MerkleRootQuorums::from_byte_array(root), quorums: quorums.into() }
    }

    fn position(&self, name: &DeletedQuorum) -> Option<usize> {
        self.quorums.binary_search_by_key(name, |quorum| quorum.name()).ok()
    }
}

impl fmt::Debug for QuorumSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuorumSet")
            .field("len", &self.len())
            .field("merkle_root", &self.merkle_root)
            .finish_non_exhaustive()
    }
}

impl ActiveQuorum {
    pub(crate) fn new(entry: QuorumEntry, chain_lock_signature: Option<BLSSignature>) -> Self {
        Self { entry_hash: entry.entry_hash(), entry: Arc::new(entry), chain_lock_signature }
    }

    pub(crate) fn name(&self) -> DeletedQuorum {
        DeletedQuorum { llmq_type: self.entry.llmq_type, quorum_hash: self.entry.quorum_hash }
    }
}

/// Why changes do not fit a set.
pub(crate) enum QuorumConflict {
    UnknownDeleted(DeletedQuorum),
    KnownNew(DeletedQuorum),
}
