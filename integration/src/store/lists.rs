use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dashcore::consensus::{deserialize, serialize};
use dashcore::network::message_sml::MnListDiff;
use dashcore::{BlockHash, ChainParams, Header, ProTxHash};
use redb::ReadableTable;
use spv_masternodes::{BlockRef, CheckedDiff, ProvenState};

use super::schema::{EVO_NODES, HEADERS, LISTS};
use super::{SnapshotRow, Store, StoreError};

/// A proven list as it is stored: as the diff that leads to it, with its own proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRow {
    height: u32,
    base_height: u32,
    depth: u32,
    diff: MnListDiff,
}

impl ListRow {
    /// A list stored as its difference to another stored one, `depth` diffs after the last whole list.
    pub(crate) fn based(diff: MnListDiff, height: u32, base_height: u32, depth: u32) -> Self {
        Self { height, base_height, depth, diff }
    }

    /// A list stored whole, as a diff from genesis.
    pub(crate) fn whole(diff: MnListDiff, height: u32) -> Self {
        Self { height, base_height: 0, depth: 0, diff }
    }

    /// Diffs between this list and the last one that is stored whole.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    /// Height of the list.
    pub fn height(&self) -> u32 {
        self.height
    }
}

impl Store {
    /// Stores lists in one durable transaction.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub fn save_lists(&self, rows: &[ListRow]) -> Result<(), StoreError> {
        self.save_answers(rows, &[])
    }

    /// Stores lists, and snapshots that came with them, in one durable transaction. A snapshot that is proven stays. Lists
    /// of blocks that are not in the stored chain, because it has left their branch meanwhile, are left out.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn save_answers(&self, rows: &[ListRow], snapshots: &[SnapshotRow]) -> Result<(), StoreError> {
        let transaction = self.write()?;
        self.write_snapshots(&transaction, snapshots)?;
        {
            let mut lists = transaction.open_table(LISTS).map_err(|source| self.failed(source))?;
            let mut evo_nodes = transaction.open_table(EVO_NODES).map_err(|source| self.failed(source))?;
            let headers = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
            for row in rows {
                let header = headers.get(row.height).map_err(|source| self.failed(source))?;
                if header.is_none_or(|header| header.value().1 != row.diff.block_hash.as_byte_array()) {
                    continue;
                }
                let diff = serialize(&row.diff);
                let value =
                    (row.diff.block_hash.as_byte_array(), row.base_height, row.depth, diff.as_slice());
                lists.insert(row.height, value).map_err(|source| self.failed(source))?;
                for entry in row.diff.new_masternodes.iter().filter(|entry| entry.is_evo()) {
                    let name = entry.pro_reg_tx_hash.as_byte_array();
                    let known = evo_nodes.get(name).map_err(|source| self.failed(source))?;
                    if known.is_none_or(|known| row.height < known.value()) {
                        evo_nodes.insert(name, row.height).map_err(|source| self.failed(source))?;
                    }
                }
            }
        }
        transaction.commit().map_err(|source| self.failed(source))
    }

    /// Drops those of these lists on which no other is based.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn drop_lists(&self, heights: &BTreeSet<u32>) -> Result<(), StoreError> {
        let Some(&lowest) = heights.first() else { return Ok(()) };
        let transaction = self.write()?;
        {
            let mut lists = transaction.open_table(LISTS).map_err(|source| self.failed(source))?;
            let mut based_on: BTreeMap<u32, usize> = BTreeMap::new();
            // Lists are based on lower ones.
            for row in lists.range(lowest..).map_err(|source| self.failed(source))? {
                let (_, value) = row.map_err(|source| self.failed(source))?;
                *based_on.entry(value.value().1).or_default() += 1;
            }
            // From above, so that what was based on a list is gone before it.
            for height in heights.iter().rev() {
                if based_on.get(height).is_some_and(|&count| count > 0) {
                    continue;
                }
                let dropped = lists.remove(height).map_err(|source| self.failed(source))?;
                if let Some(count) = dropped.and_then(|row| based_on.get_mut(&row.value().1)) {
                    *count -= 1;
                }
            }
        }
        transaction.commit().map_err(|source| self.failed(source))
    }

    /// Heights and blocks of all stored lists, ascending.
    ///
    /// # Errors
    /// When reading fails.
    pub fn lists(&self) -> Result<Vec<(u32, BlockHash)>, StoreError> {
        let transaction = self.read()?;
        let table = transaction.open_table(LISTS).map_err(|source| self.failed(source))?;
        table
            .iter()
            .map_err(|source| self.failed(source))?
            .map(|row| {
                let (height, value) = row.map_err(|source| self.failed(source))?;
                Ok((height.value(), BlockHash::from_byte_array(*value.value().0)))
            })
            .collect()
    }

    /// Heights and blocks of the highest list at or below this height, and of the lowest one at or above it.
    pub(crate) fn lists_around(&self, height: u32) -> Result<[Option<(u32, BlockHash)>; 2], StoreError> {
        let transaction = self.read()?;
        let table = transaction.open_table(LISTS).map_err(|source| self.failed(source))?;
        let below = table.range(..=height).map_err(|source| self.failed(source))?.next_back();
        let above = table.range(height..).map_err(|source| self.failed(source))?.next();
        let mut around = [None; 2];
        for (place, row) in around.iter_mut().zip([below, above]) {
            let Some(row) = row else { continue };
            let (height, value) = row.map_err(|source| self.failed(source))?;
            *place = Some((height.value(), BlockHash::from_byte_array(*value.value().0)));
        }
        Ok(around)
    }

    /// Whether a list is stored for this height.
    pub(crate) fn has_list(&self, height: u32) -> Result<bool, StoreError> {
        let transaction = self.read()?;
        let table = transaction.open_table(LISTS).map_err(|source| self.failed(source))?;
        Ok(table.get(height).map_err(|source| self.failed(source))?.is_some())
    }

    /// The list and quorums at a height, proven anew from what is stored; `None` when no list is stored there.
    ///
    /// # Errors
    /// When reading fails or what is stored does not prove the list.
    pub fn state(&self, params: &ChainParams, height: u32) -> Result<Option<Arc<ProvenState>>, StoreError> {
        Ok(self.state_and_depth(params, height)?.map(|(state, _)| state))
    }

    /// Like [`state`](Self::state), but no further down than to a state that `known` has.
    pub(crate) fn state_above(
        &self,
        params: &ChainParams,
        height: u32,
        known: impl Fn(u32) -> Option<ProvenState>,
    ) -> Result<Option<ProvenState>, StoreError> {
        Ok(self.read_state(params, height, known)?.map(|(state, _)| state))
    }

    /// Masternodes that a proven list at or below `height` shows as EvoNodes. Entries of revoked ones do not say so.
    ///
    /// # Errors
    /// When reading fails.
    pub fn evo_nodes(&self, height: u32) -> Result<BTreeSet<ProTxHash>, StoreError> {
        let transaction = self.read()?;
        let table = transaction.open_table(EVO_NODES).map_err(|source| self.failed(source))?;
        let mut evo_nodes = BTreeSet::new();
        for row in table.iter().map_err(|source| self.failed(source))? {
            let (name, first_seen) = row.map_err(|source| self.failed(source))?;
            if first_seen.value() <= height {
                evo_nodes.insert(ProTxHash::from_byte_array(*name.value()));
            }
        }
        Ok(evo_nodes)
    }

    /// Also says how many diffs lie between the list and the last whole one.
    pub(crate) fn state_and_depth(
        &self,
        params: &ChainParams,
        height: u32,
    ) -> Result<Option<(Arc<ProvenState>, u32)>, StoreError> {
        let read = self.read_state(params, height, |_| None)?;
        Ok(read.map(|(state, depth)| (Arc::new(state), depth)))
    }

    fn read_state(
        &self,
        params: &ChainParams,
        height: u32,
        known: impl Fn(u32) -> Option<ProvenState>,
    ) -> Result<Option<(ProvenState, u32)>, StoreError> {
        let transaction = self.read()?;
        let lists = transaction.open_table(LISTS).map_err(|source| self.failed(source))?;
        let headers = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;

        let mut diffs: Vec<(u32, MnListDiff)> = Vec::new();
        let mut depth_of_wanted = None;
        let mut next = height;
        let mut state = ProvenState::genesis(params.genesis_hash);
        while next > 0 {
            if let Some(known) = known(next).filter(|_| next < height) {
                state = known;
                break;
            }
            let Some(row) = lists.get(next).map_err(|source| self.failed(source))? else {
                if depth_of_wanted.is_none() {
                    return Ok(None);
                }
                return Err(self.damaged("base of a list"));
            };
            let (_, base_height, depth, diff) = row.value();
            depth_of_wanted.get_or_insert(depth);
            if base_height >= next {
                return Err(self.damaged("base of a list"));
            }
            diffs.push((next, deserialize(diff).map_err(|_| self.damaged("list"))?));
            next = base_height;
        }
        let Some(depth) = depth_of_wanted else { return Ok(None) };

        while let Some((height, diff)) = diffs.pop() {
            let Some(row) = headers.get(height).map_err(|source| self.failed(source))? else {
                return Err(self.damaged("header of a list"));
            };
            let (header, hash) = row.value();
            let header: Header = deserialize(header).map_err(|_| self.damaged("header"))?;
            let block = BlockRef { hash: BlockHash::from_byte_array(*hash), header: &header, height };
            let checked = CheckedDiff::check(diff, block).map_err(|_| self.damaged("proof of a list"))?;
            state = state.advance(&checked).map_err(|_| self.damaged("list"))?;
        }
        Ok(Some((state, depth)))
    }
}
