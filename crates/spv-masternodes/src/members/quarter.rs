use std::sync::Arc;

use dashcore::sml::llmq_type::LLMQParams;

use crate::masternode_list::HashedEntry;

/// What one cycle adds to each of its quorums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quarter(Vec<Vec<Arc<HashedEntry>>>);

impl Quarter {
    pub(super) fn empty(llmq: &LLMQParams) -> Self {
        Self(vec![Vec::new(); quorum_count(llmq)])
    }

    pub(super) fn of(&self, index: usize) -> &[Arc<HashedEntry>] {
        &self.0[index]
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Vec<Arc<HashedEntry>>> {
        self.0.iter_mut()
    }
}

pub(super) fn quarter_size(llmq: &LLMQParams) -> usize {
    usize::try_from(llmq.size / 4).unwrap_or(usize::MAX)
}

pub(super) fn quorum_count(llmq: &LLMQParams) -> usize {
    usize::try_from(llmq.signing_active_quorum_count).unwrap_or(usize::MAX)
}
