use std::sync::Arc;

use dashcore::QuorumHash;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::network::message_sml::DeletedQuorum;
use dashcore::sml::llmq_type::LLMQType;

/// All commitments ever mined, with the heights between which each was active.
#[derive(Debug, Default)]
pub(crate) struct QuorumHistory {
    /// Ascending by height.
    mined: Vec<MinedQuorum>,
    /// Heights at which commitments ceased to be active, ascending, with their positions above.
    retired: Vec<(u32, usize)>,
}

/// A commitment and the blocks after which it was active: from `mined` up to, not including, `retired`.
#[derive(Debug, Clone)]
pub(crate) struct MinedQuorum {
    pub(crate) entry: Arc<QuorumEntry>,
    pub(crate) mined: u32,
    pub(crate) retired: u32,
}

impl QuorumHistory {
    /// Notes that the block at `height`, not below any noted before, made a commitment active.
    pub(crate) fn mine(&mut self, height: u32, entry: Arc<QuorumEntry>) {
        self.mined.push(MinedQuorum { entry, mined: height, retired: u32::MAX });
    }

    /// Notes that the block at `height`, not below any noted before, ended the activity of a commitment. One that is not
    /// active is ignored.
    pub(crate) fn retire(&mut self, height: u32, llmq_type: LLMQType, quorum_hash: QuorumHash) {
        let is_it = |quorum: &MinedQuorum| {
            quorum.retired == u32::MAX && key(&quorum.entry) == (llmq_type, quorum_hash)
        };
        if let Some(position) = self.mined.iter().rposition(is_it) {
            self.mined[position].retired = height;
            self.retired.push((height, position));
        }
    }

    /// Makes `entries` the active set after the block at `height`, which is not below any noted before.
    pub(crate) fn follow(&mut self, height: u32, entries: Vec<QuorumEntry>) {
        let active = self.at(height);
        for known in &active {
            if !entries.contains(known) {
                self.retire(height, known.llmq_type, known.quorum_hash);
            }
        }
        for entry in entries {
            if !active.iter().any(|known| **known == entry) {
                self.mine(height, Arc::new(entry));
            }
        }
    }

    /// The set after the block at `height`, ascending by type and hash.
    pub(crate) fn at(&self, height: u32) -> Vec<Arc<QuorumEntry>> {
        sorted(self.mined_between(0, height).filter(|quorum| quorum.retired > height))
    }

    /// What a node that has the set of `base` lacks of that of `block`: quorums that are no longer active, and those that
    /// became active, both ascending by type and hash.
    pub(crate) fn diff(&self, base: u32, block: u32) -> (Vec<DeletedQuorum>, Vec<QuorumEntry>) {
        let first = self.retired.partition_point(|(height, _)| *height <= base);
        let end = self.retired.partition_point(|(height, _)| *height <= block);
        let retired = self.retired[first..end].iter().map(|(_, position)| &self.mined[*position]);
        let deleted = sorted(retired.filter(|quorum| quorum.mined <= base)).into_iter().map(|entry| {
            let (llmq_type, quorum_hash) = key(&entry);
            DeletedQuorum { llmq_type, quorum_hash }
        });
        let new = sorted(self.mined_between(base, block).filter(|quorum| quorum.retired > block));
        (deleted.collect(), new.iter().map(|entry| (**entry).clone()).collect())
    }

    /// All commitments, ascending by the height at which they were mined.
    pub(crate) fn all(&self) -> &[MinedQuorum] {
        &self.mined
    }

    fn mined_between(&self, base: u32, block: u32) -> impl Iterator<Item = &MinedQuorum> {
        let first = self.mined.partition_point(|quorum| quorum.mined <= base);
        let end = self.mined.partition_point(|quorum| quorum.mined <= block);
        self.mined[first..end].iter()
    }
}

impl FromIterator<MinedQuorum> for QuorumHistory {
    /// Takes what [`all`](Self::all) gave.
    fn from_iter<I: IntoIterator<Item = MinedQuorum>>(quorums: I) -> Self {
        let mined: Vec<MinedQuorum> = quorums.into_iter().collect();
        let mut retired: Vec<(u32, usize)> = mined
            .iter()
            .enumerate()
            .filter(|(_, quorum)| quorum.retired < u32::MAX)
            .map(|(position, quorum)| (quorum.retired, position))
            .collect();
        retired.sort_unstable();
        Self { mined, retired }
    }
}

fn sorted<'a>(quorums: impl Iterator<Item = &'a MinedQuorum>) -> Vec<Arc<QuorumEntry>> {
    let mut entries: Vec<_> = quorums.map(|quorum| Arc::clone(&quorum.entry)).collect();
    entries.sort_by_key(|entry| key(entry));
    entries
}

fn key(entry: &QuorumEntry) -> (LLMQType, QuorumHash) {
    (entry.llmq_type, entry.quorum_hash)
}
