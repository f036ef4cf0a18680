use std::collections::BTreeSet;

use dashcore::BlockHash;
use dashcore::consensus::{deserialize, serialize};
use dashcore::network::message_qrinfo::QuorumSnapshot;
use dashcore::params::WORK_BLOCK_DEPTH;
use redb::ReadableTable;
use spv_masternodes::ProvenState;
use spv_masternodes::members::Cycle;

use super::digest::digest;
use super::schema::{HEADERS, HEIGHTS, SNAPSHOTS};
use super::{Store, StoreError};
use crate::chain::BlockId;

/// A snapshot of a cycle of the rotated kind, and whether it is proven or the word of whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// The cycle's work block, 8 blocks below its base: its list is what the snapshot speaks of.
    work_block: BlockId,
    proven: bool,
    snapshot: QuorumSnapshot,
}

impl SnapshotRow {
    /// A snapshot as a peer sent it.
    pub(crate) fn served(work_block: BlockId, snapshot: QuorumSnapshot) -> Self {
        Self { work_block, proven: false, snapshot }
    }

    /// The snapshot of a cycle that was computed from the list of its work block. `None` when there were too few
    /// masternodes for one, and when it rests on the word of a peer: on snapshots of the cycles in `rests_on`.
    pub(crate) fn computed(
        cycle: &Cycle,
        work_block: &ProvenState,
        rests_on: &BTreeSet<u32>,
    ) -> Option<Self> {
        let snapshot = cycle.snapshot().filter(|_| rests_on.is_empty())?.clone();
        let work_block = BlockId { height: work_block.height(), hash: work_block.block_hash() };
        Some(Self { work_block, proven: true, snapshot })
    }

    /// Whether it follows from proven lists alone.
    pub fn is_proven(&self) -> bool {
        self.proven
    }

    /// The snapshot.
    pub fn into_snapshot(self) -> QuorumSnapshot {
        self.snapshot
    }

    #[cfg(test)]
    pub(super) fn made_up(work_block: BlockId, proven: bool, snapshot: QuorumSnapshot) -> Self {
        Self { work_block, proven, snapshot }
    }
}

impl Store {
    /// Stores snapshots in one durable transaction. One that is not proven never replaces one that is, and those of
    /// blocks that are not in the stored chain are left out.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn save_snapshots(&self, rows: &[SnapshotRow]) -> Result<(), StoreError> {
        self.contained(|| {
            let transaction = self.write()?;
            self.write_snapshots(&transaction, rows)?;
            transaction.commit().map_err(|source| self.failed(source))
        })
    }

    /// Drops the snapshots with these work blocks, unless they are proven: quorums have shown that they are wrong.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn drop_unproven_snapshots(&self, work_blocks: &[BlockHash]) -> Result<(), StoreError> {
        self.contained(|| {
            let transaction = self.write()?;
            {
                let mut table = transaction.open_table(SNAPSHOTS).map_err(|source| self.failed(source))?;
                let doubted = |hash: &[u8; 32]| work_blocks.iter().any(|block| block.as_byte_array() == hash);
                table
                    .retain(|_, ((hash, proven, _), _)| proven || !doubted(hash))
                    .map_err(|source| self.failed(source))?;
            }
            transaction.commit().map_err(|source| self.failed(source))
        })
    }

    /// The snapshot of the cycle with this work block; `None` also when the block is not in the stored chain.
    ///
    /// # Errors
    /// When reading fails.
    pub fn snapshot(&self, work_block: BlockHash) -> Result<Option<SnapshotRow>, StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let heights = transaction.open_table(HEIGHTS).map_err(|source| self.failed(source))?;
            let table = transaction.open_table(SNAPSHOTS).map_err(|source| self.failed(source))?;
            let height = heights.get(work_block.as_byte_array()).map_err(|source| self.failed(source))?;
            let Some(height) = height.map(|height| height.value()) else { return Ok(None) };
            let row = table.get(height + WORK_BLOCK_DEPTH).map_err(|source| self.failed(source))?;
            let Some(row) = row else { return Ok(None) };
            let (value, seal) = row.value();
            if seal != sealed(height + WORK_BLOCK_DEPTH, value) {
                return Err(self.damaged("snapshot"));
            }
            let (of, proven, snapshot) = value;
            if of != work_block.as_byte_array() {
                return Ok(None);
            }
            let snapshot = deserialize(snapshot).map_err(|_| self.damaged("snapshot"))?;
            Ok(Some(SnapshotRow { work_block: BlockId { height, hash: work_block }, proven, snapshot }))
        })
    }

    pub(super) fn write_snapshots(
        &self,
        transaction: &redb::WriteTransaction,
        rows: &[SnapshotRow],
    ) -> Result<(), StoreError> {
        let mut table = transaction.open_table(SNAPSHOTS).map_err(|source| self.failed(source))?;
        let headers = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
        for row in rows {
            let BlockId { height, hash } = row.work_block;
            let header = headers.get(height).map_err(|source| self.failed(source))?;
            if header.is_none_or(|header| header.value().1 != hash.as_byte_array()) {
                continue;
            }
            let cycle_base = height + WORK_BLOCK_DEPTH;
            let before = table.get(cycle_base).map_err(|source| self.failed(source))?;
            let keep = before.is_some_and(|before| {
                let ((of, proven, _), _) = before.value();
                of == hash.as_byte_array() && proven && !row.proven
            });
            if !keep {
                let snapshot = serialize(&row.snapshot);
                let value = (hash.as_byte_array(), row.proven, snapshot.as_slice());
                let seal = sealed(cycle_base, value);
                table.insert(cycle_base, (value, seal)).map_err(|source| self.failed(source))?;
            }
        }
        Ok(())
    }
}

fn sealed(cycle_base: u32, value: (&[u8; 32], bool, &[u8])) -> u64 {
    digest::<u32, (&[u8; 32], bool, &[u8])>("snapshots", cycle_base, value)
}
