use std::collections::BTreeMap;
use std::sync::Arc;

use dashcore::BlockHash;
use spv_masternodes::{CheckedDiff, ProofError, ProvenState};

use super::check::{AnswerError, Contents};
use crate::chain::WORK_BLOCK_OFFSET;
use crate::plan::Work;
use crate::store::{ListRow, SnapshotRow, StoreError};

/// States kept in memory; older bases are read from the store.
const KEPT_STATES: usize = 8;

/// A list is stored whole after this many diffs, so that reading one never applies more than that.
const KEYFRAME_INTERVAL: u32 = 32;

/// Applies checked answers in the order of their bases, whatever order they come in. `T` travels with an answer and
/// comes back with its result. States of earlier runs come through the `load` argument; nothing is written here.
#[derive(Debug)]
pub(crate) struct Application<T> {
    genesis_hash: BlockHash,
    states: BTreeMap<u32, Proven>,
    waiting: BTreeMap<u32, Vec<Checked<T>>>,
}

/// A checked answer.
#[derive(Debug)]
pub(crate) struct Checked<T> {
    pub(crate) work: Arc<Work>,
    pub(crate) contents: Contents,
    pub(crate) tag: T,
}

/// What became of an answer: the rows to store, or what is wrong with it.
pub(crate) struct Ended<T> {
    pub(crate) tag: T,
    pub(crate) result: Result<Rows, AnswerError>,
}

/// What of an answer is stored.
pub(crate) struct Rows {
    pub(crate) lists: Vec<ListRow>,
    pub(crate) snapshots: Vec<SnapshotRow>,
}

/// A proven list, and how many diffs lie between it and the last one that is stored whole.
#[derive(Debug, Clone)]
pub(crate) struct Proven {
    pub(crate) state: Arc<ProvenState>,
    pub(crate) depth: u32,
}

impl<T> Application<T> {
    pub(crate) fn new(genesis_hash: BlockHash) -> Self {
        let genesis =
            Proven { state: Arc::new(ProvenState::genesis(genesis_hash)), depth: KEYFRAME_INTERVAL };
        Self { genesis_hash, states: BTreeMap::from([(0, genesis)]), waiting: BTreeMap::new() }
    }

    /// Takes an answer and returns every answer that can be decided with it, in order of application.
    ///
    /// # Errors
    /// Only those of `load`; the answer is then lost.
    pub(crate) fn offer(
        &mut self,
        checked: Checked<T>,
        mut load: impl FnMut(u32) -> Result<Option<Proven>, StoreError>,
    ) -> Result<Vec<Ended<T>>, StoreError> {
        let base = checked.work.base.height;
        let is_base = |proven: &Proven| proven.state.block_hash() == checked.work.base.hash;
        // After a reorganisation, a state of the branch that was left may be held at this height.
        if !self.states.get(&base).is_some_and(is_base) {
            match load(base)?.filter(is_base) {
                Some(proven) => self.keep(base, proven),
                None => {
                    self.waiting.entry(base).or_default().push(checked);
                    return Ok(Vec::new());
                }
            }
        }
        let mut ended = Vec::new();
        let mut ready = vec![checked];
        while let Some(checked) = ready.pop() {
            let newly_proven = self.apply(checked, &mut ended);
            for height in newly_proven {
                ready.extend(self.waiting.remove(&height).into_iter().flatten());
            }
        }
        Ok(ended)
    }

    /// Applies one answer whose base is there; returns the heights that it proved.
    fn apply(&mut self, checked: Checked<T>, ended: &mut Vec<Ended<T>>) -> Vec<u32> {
        let mut rows = Vec::new();
        let mut heights = Vec::new();
        let Contents { diffs, snapshots } = checked.contents;
        let result = diffs.into_iter().try_for_each(|diff| {
            let height = diff.height();
            let already_proven =
                self.states.get(&height).is_some_and(|proven| proven.state.block_hash() == diff.block_hash());
            if !already_proven {
                rows.push(self.prove(&checked.work, diff)?);
                heights.push(height);
            }
            Ok(())
        });
        ended.push(match result {
            Ok(()) => {
                let snapshots = snapshots.into_iter().map(|(work_block, snapshot)| SnapshotRow {
                    cycle_base: work_block.height + WORK_BLOCK_OFFSET,
                    work_block: work_block.hash,
                    proven: false,
                    snapshot,
                });
                Ended { tag: checked.tag, result: Ok(Rows { lists: rows, snapshots: snapshots.collect() }) }
            }
            Err(error) => {
                // What the answer proved before its first fault goes with it; another copy will prove it again.
                for height in heights.drain(..) {
                    self.states.remove(&height);
                }
                Ended { tag: checked.tag, result: Err(error) }
            }
        });
        heights
    }

    fn prove(&mut self, work: &Work, diff: CheckedDiff) -> Result<ListRow, AnswerError> {
        let height = diff.height();
        let failed = |source| AnswerError::Proof { height, source };
        let base_height = self.base_height(work, diff.base_block_hash());
        let base = base_height.and_then(|height| self.states.get(&height)).ok_or_else(|| {
            failed(ProofError::WrongBase { expected: work.base.hash, got: diff.base_block_hash() })
        })?;
        let state = base.state.advance(&diff).map_err(failed)?;
        let depth = base.depth + 1;
        let row = if depth >= KEYFRAME_INTERVAL {
            ListRow::whole(state.to_full_diff(&diff.to_diff()), height)
        } else {
            ListRow::based(diff.to_diff(), height, base.state.height(), depth)
        };
        let depth = row.depth();
        self.keep(height, Proven { state: Arc::new(state), depth });
        Ok(row)
    }

    /// The height of a base that this work may build on.
    fn base_height(&self, work: &Work, hash: BlockHash) -> Option<u32> {
        if hash == self.genesis_hash || hash.is_null() {
            return Some(0);
        }
        let blocks = std::iter::once(&work.base).chain(&work.wanted);
        blocks.into_iter().find(|block| block.hash == hash).map(|block| block.height)
    }

    fn keep(&mut self, height: u32, proven: Proven) {
        self.states.insert(height, proven);
    }

    /// Forgets answers that wait for their base, but that nobody waits for.
    pub(crate) fn forget(&mut self, abandoned: impl Fn(&T) -> bool) {
        self.waiting.retain(|_, waiting| {
            waiting.retain(|checked| !abandoned(&checked.tag));
            !waiting.is_empty()
        });
    }

    /// Forgets states that can be read from the store, which all of them can once the rows that came out are stored.
    /// Before that, an answer that builds on one would wait for ever.
    pub(crate) fn trim(&mut self) {
        // Genesis, at height 0, stays: it is the base of whole lists and costs nothing.
        while self.states.len() > KEPT_STATES + 1 {
            let oldest = self.states.range(1..).next().map(|(&height, _)| height);
            oldest.and_then(|height| self.states.remove(&height));
        }
    }
}
