use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use dashcore::BlockHash;
use spv_masternodes::{CheckedDiff, ProofError};

use super::check::{AnswerError, Contents};
use crate::chain::BlockId;
use crate::plan::Work;
use crate::store::{ListRow, ProvenList, SnapshotRow, StoreError};

/// Lists kept in memory; older bases are read from the store.
const KEPT_LISTS: usize = 8;

/// Applies checked answers in the order of their bases, whatever order they come in. `T` travels with an answer and
/// comes back with its result. Lists of earlier runs come through the `load` argument; nothing is written here.
///
/// Bases are blocks, never heights: around a reorganisation, answers for both branches are about at the same heights.
#[derive(Debug)]
pub(crate) struct Application<T> {
    genesis: BlockId,
    lists: BTreeMap<BlockId, ProvenList>,
    waiting: BTreeMap<BlockId, Vec<Checked<T>>>,
}

/// A checked answer.
#[derive(Debug)]
pub(crate) struct Checked<T> {
    pub(crate) work: Arc<Work>,
    pub(crate) contents: Contents,
    pub(crate) tag: T,
}

/// What became of an answer: the rows to store, or what is wrong with it.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    pub(crate) tag: T,
    pub(crate) result: Result<Rows, AnswerError>,
}

/// What of an answer is stored.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) lists: Vec<ListRow>,
    pub(crate) snapshots: Vec<SnapshotRow>,
}

impl<T> Application<T> {
    pub(crate) fn new(genesis_hash: BlockHash) -> Self {
        let list = ProvenList::genesis(genesis_hash);
        let genesis = list.block();
        Self { genesis, lists: BTreeMap::from([(genesis, list)]), waiting: BTreeMap::new() }
    }

    /// Takes an answer and returns every answer that can be decided with it, in order of application. `load` gives the
    /// list of exactly this block, if it is stored.
    ///
    /// # Errors
    /// Only those of `load`; the answer is then lost.
    pub(crate) fn offer(
        &mut self,
        checked: Checked<T>,
        mut load: impl FnMut(BlockId) -> Result<Option<ProvenList>, StoreError>,
    ) -> Result<Vec<Ended<T>>, StoreError> {
        let base = checked.work.base.id();
        if let Entry::Vacant(missing) = self.lists.entry(base) {
            let Some(list) = load(base)? else {
                self.waiting.entry(base).or_default().push(checked);
                return Ok(Vec::new());
            };
            missing.insert(list);
        }
        let mut ended = Vec::new();
        let mut ready = vec![checked];
        while let Some(checked) = ready.pop() {
            let newly_proven = self.apply(checked, &mut ended);
            for block in newly_proven {
                ready.extend(self.waiting.remove(&block).into_iter().flatten());
            }
        }
        Ok(ended)
    }

    /// Applies one answer whose base is there; returns the blocks whose lists it proved.
    fn apply(&mut self, checked: Checked<T>, ended: &mut Vec<Ended<T>>) -> Vec<BlockId> {
        let mut rows = Vec::new();
        let mut proven = Vec::new();
        let Contents { diffs, snapshots } = checked.contents;
        let result = diffs.into_iter().try_for_each(|diff| {
            let block = BlockId { height: diff.height(), hash: diff.block_hash() };
            if !self.lists.contains_key(&block) {
                let (list, row) = self.prove(&checked.work, &diff)?;
                self.lists.insert(block, list);
                rows.push(row);
                proven.push(block);
            }
            Ok(())
        });
        ended.push(match result {
            Ok(()) => {
                let snapshots = snapshots
                    .into_iter()
                    .map(|(work_block, snapshot)| SnapshotRow::served(work_block.id(), snapshot));
                Ended { tag: checked.tag, result: Ok(Rows { lists: rows, snapshots: snapshots.collect() }) }
            }
            Err(error) => {
                // What the answer proved before its first fault goes with it; another copy will prove it again.
                for block in proven.drain(..) {
                    self.lists.remove(&block);
                }
                Ended { tag: checked.tag, result: Err(error) }
            }
        });
        proven
    }

    fn prove(&self, work: &Work, diff: &CheckedDiff) -> Result<(ProvenList, ListRow), AnswerError> {
        let failed = |source| AnswerError::Proof { height: diff.height(), source };
        let base = self.base(work, diff.base_block_hash()).ok_or_else(|| {
            failed(ProofError::WrongBase { expected: work.base.hash, got: diff.base_block_hash() })
        })?;
        base.advance(diff).map_err(failed)
    }

    /// The list of a block that this work may build on.
    fn base(&self, work: &Work, hash: BlockHash) -> Option<&ProvenList> {
        if hash == self.genesis.hash || hash.is_null() {
            return self.lists.get(&self.genesis);
        }
        let mut blocks = std::iter::once(&work.base).chain(&work.wanted);
        blocks.find(|block| block.hash == hash).and_then(|block| self.lists.get(&block.id()))
    }

    /// Forgets answers that wait for their base, but that nobody waits for.
    pub(crate) fn forget(&mut self, abandoned: impl Fn(&T) -> bool) {
        self.waiting.retain(|_, waiting| {
            waiting.retain(|checked| !abandoned(&checked.tag));
            !waiting.is_empty()
        });
    }

    /// Forgets lists whose rows came out before and that are not stored, or not any more, because the chain has left
    /// their blocks: if it comes back to them, they have to be stored anew.
    ///
    /// # Errors
    /// Only those of `is_stored`.
    pub(crate) fn keep_stored(
        &mut self,
        is_stored: impl Fn(BlockId) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let kept = self.lists.keys().filter(|&&block| block != self.genesis);
        for block in kept.copied().collect::<Vec<_>>() {
            if !is_stored(block)? {
                self.lists.remove(&block);
            }
        }
        Ok(())
    }

    /// Forgets lists that can be read from the store, which all can that are of use once the rows that came out are
    /// stored. Before that, an answer that builds on one would wait for ever.
    pub(crate) fn trim(&mut self) {
        // Genesis, the lowest, stays: it is the base of whole lists and costs nothing.
        while self.lists.len() > KEPT_LISTS + 1 {
            let lowest = self.lists.keys().find(|&&block| block != self.genesis).copied();
            lowest.and_then(|block| self.lists.remove(&block));
        }
    }
}
