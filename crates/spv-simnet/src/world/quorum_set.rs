use std::sync::Arc;

use dashcore::QuorumHash;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::network::message_sml::DeletedQuorum;
use dashcore::sml::llmq_type::LLMQType;

/// The active commitments after one block, ascending by type and hash as they travel.
#[derive(Debug, Default)]
pub(crate) struct QuorumSet(Vec<Arc<QuorumEntry>>);

impl QuorumSet {
    pub(crate) fn new(mut commitments: Vec<Arc<QuorumEntry>>) -> Self {
        commitments.sort_by_key(|commitment| key(commitment));
        Self(commitments)
    }

    pub(crate) fn commitments(&self) -> &[Arc<QuorumEntry>] {
        &self.0
    }

    pub(crate) fn of_type(&self, llmq_type: LLMQType) -> impl Iterator<Item = &Arc<QuorumEntry>> {
        self.0.iter().filter(move |commitment| commitment.llmq_type == llmq_type)
    }

    /// What a node that has `base` lacks: quorums that are no longer active, and those that became active.
    pub(crate) fn diff(&self, base: &Self) -> (Vec<DeletedQuorum>, Vec<QuorumEntry>) {
        let lacks = |set: &Self, wanted: &QuorumEntry| {
            set.0.binary_search_by_key(&key(wanted), |commitment| key(commitment)).is_err()
        };
        let deleted = base.0.iter().filter(|commitment| lacks(self, commitment));
        let deleted = deleted.map(|commitment| {
            let (llmq_type, quorum_hash) = key(commitment);
            DeletedQuorum { llmq_type, quorum_hash }
        });
        let new = self.0.iter().filter(|commitment| lacks(base, commitment));
        (deleted.collect(), new.map(|commitment| (**commitment).clone()).collect())
    }
}

fn key(commitment: &QuorumEntry) -> (LLMQType, QuorumHash) {
    (commitment.llmq_type, commitment.quorum_hash)
}
