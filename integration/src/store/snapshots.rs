use dashcore::BlockHash;
use dashcore::consensus::{deserialize, serialize};
use dashcore::network::message_qrinfo::QuorumSnapshot;
use redb::ReadableTable;

use super::schema::SNAPSHOTS;
use super::{Store, StoreError};

/// A snapshot of a cycle of the rotated kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Height of the cycle's base block.
    pub cycle_base: u32,
    /// Hash of the cycle's work block, 8 blocks below: its list is what the snapshot speaks of.
    pub work_block: BlockHash,
    /// Whether it follows from proven lists alone; else it is the word of whoever sent it.
    pub proven: bool,
    /// The snapshot.
    pub snapshot: QuorumSnapshot,
}

impl Store {
    /// Stores snapshots in one durable transaction. One that is not proven never replaces one that is.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub fn save_snapshots(&self, rows: &[SnapshotRow]) -> Result<(), StoreError> {
        let transaction = self.write()?;
        self.write_snapshots(&transaction, rows)?;
        transaction.commit().map_err(|source| self.failed(source))
    }

    /// Drops the snapshots of these cycles, unless they are proven: quorums have shown that they are wrong.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub fn drop_unproven_snapshots(&self, cycle_bases: &[u32]) -> Result<(), StoreError> {
        let transaction = self.write()?;
        {
            let mut table = transaction.open_table(SNAPSHOTS).map_err(|source| self.failed(source))?;
            table
                .retain(|cycle_base, (_, proven, _)| proven || !cycle_bases.contains(&cycle_base))
                .map_err(|source| self.failed(source))?;
        }
        transaction.commit().map_err(|source| self.failed(source))
    }

    /// The snapshot of the cycle whose base block is at this height.
    ///
    /// # Errors
    /// When reading fails.
    pub fn snapshot(&self, cycle_base: u32) -> Result<Option<SnapshotRow>, StoreError> {
        let transaction = self.read()?;
        let table = transaction.open_table(SNAPSHOTS).map_err(|source| self.failed(source))?;
        let Some(row) = table.get(cycle_base).map_err(|source| self.failed(source))? else {
            return Ok(None);
        };
        let (hash, proven, snapshot) = row.value();
        let snapshot = deserialize(snapshot).map_err(|_| self.damaged("snapshot"))?;
        let work_block = BlockHash::from_byte_array(*hash);
        Ok(Some(SnapshotRow { cycle_base, work_block, proven, snapshot }))
    }

    pub(super) fn write_snapshots(
        &self,
        transaction: &redb::WriteTransaction,
        rows: &[SnapshotRow],
    ) -> Result<(), StoreError> {
        let mut table = transaction.open_table(SNAPSHOTS).map_err(|source| self.failed(source))?;
        for row in rows {
            let before = table.get(row.cycle_base).map_err(|source| self.failed(source))?;
            let keep = before.is_some_and(|before| before.value().1 && !row.proven);
            if !keep {
                let snapshot = serialize(&row.snapshot);
                let value = (row.work_block.as_byte_array(), row.proven, snapshot.as_slice());
                table.insert(row.cycle_base, value).map_err(|source| self.failed(source))?;
            }
        }
        Ok(())
    }
}
