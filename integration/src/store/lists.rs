use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dashcore::consensus::{deserialize, serialize};
use dashcore::network::message_sml::MnListDiff;
use dashcore::{BlockHash, ChainParams, ProTxHash};
use redb::ReadableTable;
use spv_masternodes::{BlockRef, CheckedDiff, ProvenState};

use super::digest::digest;
use super::schema::{EVO_NODES, HEADERS, LIST_BLOCKS, LISTS, ListContents, ListValue};
use super::{ListRow, ProvenList, SnapshotRow, Store, StoreError};
use crate::chain::{BlockId, HeaderChain};

impl Store {
    /// Stores lists, and snapshots that came with them, in one durable transaction. A snapshot that is proven stays.
    /// With `chain`, its headers up to the highest of these lists are stored first: a branch takes the place of another
    /// once a list of it is proven, and nothing of it is stored before. What is of blocks that are not in the stored chain
    /// is left out; so are lists whose base is not stored.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn save_answers(
        &self,
        rows: &[ListRow],
        snapshots: &[SnapshotRow],
        chain: Option<&HeaderChain>,
    ) -> Result<(), StoreError> {
        self.contained(|| {
            let transaction = self.write()?;
            if let Some(chain) = chain {
                let of_chain = |row: &&ListRow| chain.hash(row.height) == Some(row.diff.block_hash);
                if let Some(highest) = rows.iter().filter(of_chain).map(|row| row.height).max() {
                    self.extend_headers(&transaction, chain, highest)?;
                }
            }
            self.write_snapshots(&transaction, snapshots)?;
            {
                let mut lists = transaction.open_table(LISTS).map_err(|source| self.failed(source))?;
                let mut blocks = transaction.open_table(LIST_BLOCKS).map_err(|source| self.failed(source))?;
                let mut evo_nodes =
                    transaction.open_table(EVO_NODES).map_err(|source| self.failed(source))?;
                let headers = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
                for row in rows {
                    let header = headers.get(row.height).map_err(|source| self.failed(source))?;
                    if header.is_none_or(|header| header.value().1 != row.diff.block_hash.as_byte_array()) {
                        continue;
                    }
                    if row.base_height > 0 {
                        let base = blocks.get(row.base_height).map_err(|source| self.failed(source))?;
                        if base.is_none_or(|base| base.value().0 != row.diff.base_block_hash.as_byte_array())
                        {
                            continue;
                        }
                    }
                    let diff = serialize(&row.diff);
                    let value =
                        (row.diff.block_hash.as_byte_array(), row.base_height, row.depth, diff.as_slice());
                    lists
                        .insert(row.height, sealed(row.height, value))
                        .map_err(|source| self.failed(source))?;
                    blocks
                        .insert(row.height, sealed_block(row.height, value.0))
                        .map_err(|source| self.failed(source))?;
                    for entry in row.diff.new_masternodes.iter().filter(|entry| entry.is_evo()) {
                        let name = entry.pro_reg_tx_hash.as_byte_array();
                        let known = evo_nodes.get(name).map_err(|source| self.failed(source))?;
                        if known.is_none_or(|known| row.height < known.value().0) {
                            let seal = digest::<&[u8; 32], u32>("evo_nodes", name, row.height);
                            evo_nodes
                                .insert(name, (row.height, seal))
                                .map_err(|source| self.failed(source))?;
                        }
                    }
                }
            }
            transaction.commit().map_err(|source| self.failed(source))
        })?;
        self.tell_tip()
    }

    /// Drops those of these lists on which no other is based.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn drop_lists(&self, heights: &BTreeSet<u32>) -> Result<(), StoreError> {
        self.contained(|| {
            let Some(&lowest) = heights.first() else { return Ok(()) };
            let transaction = self.write()?;
            {
                let mut lists = transaction.open_table(LISTS).map_err(|source| self.failed(source))?;
                let mut blocks = transaction.open_table(LIST_BLOCKS).map_err(|source| self.failed(source))?;
                let mut based_on: BTreeMap<u32, usize> = BTreeMap::new();
                // Lists are based on lower ones.
                for row in lists.range(lowest..).map_err(|source| self.failed(source))? {
                    let (_, value) = row.map_err(|source| self.failed(source))?;
                    *based_on.entry(value.value().0.1).or_default() += 1;
                }
                // From above, so that what was based on a list is gone before it.
                for height in heights.iter().rev() {
                    if based_on.get(height).is_some_and(|&count| count > 0) {
                        continue;
                    }
                    let dropped = lists.remove(height).map_err(|source| self.failed(source))?;
                    blocks.remove(height).map_err(|source| self.failed(source))?;
                    if let Some(count) = dropped.and_then(|row| based_on.get_mut(&row.value().0.1)) {
                        *count -= 1;
                    }
                }
            }
            transaction.commit().map_err(|source| self.failed(source))
        })
    }

    /// Heights and blocks of all stored lists, ascending.
    ///
    /// # Errors
    /// When reading fails.
    pub fn lists(&self) -> Result<Vec<(u32, BlockHash)>, StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let table = transaction.open_table(LIST_BLOCKS).map_err(|source| self.failed(source))?;
            table
                .iter()
                .map_err(|source| self.failed(source))?
                .map(|row| {
                    let (height, hash) = row.map_err(|source| self.failed(source))?;
                    self.listed(height.value(), hash.value())
                })
                .collect()
        })
    }

    /// Height of the highest list that is stored.
    pub(super) fn highest_list(&self) -> Result<Option<u32>, StoreError> {
        let transaction = self.read()?;
        let table = transaction.open_table(LIST_BLOCKS).map_err(|source| self.failed(source))?;
        let last = table.last().map_err(|source| self.failed(source))?;
        last.map(|(height, row)| Ok(self.listed(height.value(), row.value())?.0)).transpose()
    }

    /// Heights and blocks of the highest list at or below this height, and of the lowest one at or above it.
    pub(crate) fn lists_around(&self, height: u32) -> Result<[Option<(u32, BlockHash)>; 2], StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let table = transaction.open_table(LIST_BLOCKS).map_err(|source| self.failed(source))?;
            let below = table.range(..=height).map_err(|source| self.failed(source))?.next_back();
            let above = table.range(height..).map_err(|source| self.failed(source))?.next();
            let mut around = [None; 2];
            for (place, row) in around.iter_mut().zip([below, above]) {
                let Some(row) = row else { continue };
                let (height, hash) = row.map_err(|source| self.failed(source))?;
                *place = Some(self.listed(height.value(), hash.value())?);
            }
            Ok(around)
        })
    }

    /// Whether the list of this block is stored.
    pub(crate) fn has_list(&self, block: BlockId) -> Result<bool, StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let table = transaction.open_table(LIST_BLOCKS).map_err(|source| self.failed(source))?;
            let row = table.get(block.height).map_err(|source| self.failed(source))?;
            let listed = row.map(|row| self.listed(block.height, row.value())).transpose()?;
            Ok(listed.is_some_and(|(_, hash)| hash == block.hash))
        })
    }

    /// The list and quorums at a height, proven anew from what is stored; `None` when no list is stored there.
    ///
    /// # Errors
    /// When reading fails or what is stored does not prove the list.
    pub fn state(&self, params: &ChainParams, height: u32) -> Result<Option<Arc<ProvenState>>, StoreError> {
        self.contained(|| {
            let read = self.read_state(params, height, None, |_| None)?;
            Ok(read.map(|(state, _)| Arc::new(state)))
        })
    }

    /// The list of exactly this block, proven anew; `None` when it is not stored, though that of another block at its
    /// height may be.
    pub(crate) fn list(
        &self,
        params: &ChainParams,
        block: BlockId,
    ) -> Result<Option<ProvenList>, StoreError> {
        self.contained(|| {
            let read = self.read_state(params, block.height, Some(block.hash), |_| None)?;
            Ok(read.map(|(state, depth)| ProvenList::stored(state, depth)))
        })
    }

    /// Like [`list`](Self::list), but reads no further down than to a state that `known` has.
    pub(crate) fn state_above(
        &self,
        params: &ChainParams,
        block: BlockId,
        known: impl Fn(BlockId) -> Option<ProvenState>,
    ) -> Result<Option<ProvenState>, StoreError> {
        self.contained(|| {
            let read = self.read_state(params, block.height, Some(block.hash), known)?;
            Ok(read.map(|(state, _)| state))
        })
    }

    /// Masternodes that a proven list at or below `height` shows as EvoNodes. Entries of revoked ones do not say so.
    ///
    /// # Errors
    /// When reading fails.
    pub fn evo_nodes(&self, height: u32) -> Result<BTreeSet<ProTxHash>, StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let table = transaction.open_table(EVO_NODES).map_err(|source| self.failed(source))?;
            let mut evo_nodes = BTreeSet::new();
            for row in table.iter().map_err(|source| self.failed(source))? {
                let (name, value) = row.map_err(|source| self.failed(source))?;
                let (name, (first_seen, seal)) = (name.value(), value.value());
                if seal != digest::<&[u8; 32], u32>("evo_nodes", name, first_seen) {
                    return Err(self.damaged("EvoNode"));
                }
                if first_seen <= height {
                    evo_nodes.insert(ProTxHash::from_byte_array(*name));
                }
            }
            Ok(evo_nodes)
        })
    }

    /// Height and block of a list.
    pub(super) fn listed(&self, height: u32, row: (&[u8; 32], u64)) -> Result<(u32, BlockHash), StoreError> {
        match row == sealed_block(height, row.0) {
            true => Ok((height, BlockHash::from_byte_array(*row.0))),
            false => Err(self.damaged("block of a list")),
        }
    }

    /// Also says how many diffs lie between the list and the last whole one. Without `block_hash`, whatever block is at
    /// that height.
    fn read_state(
        &self,
        params: &ChainParams,
        height: u32,
        block_hash: Option<BlockHash>,
        known: impl Fn(BlockId) -> Option<ProvenState>,
    ) -> Result<Option<(ProvenState, u32)>, StoreError> {
        let transaction = self.read()?;
        let lists = transaction.open_table(LISTS).map_err(|source| self.failed(source))?;
        let headers = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;

        let mut diffs: Vec<(u32, MnListDiff)> = Vec::new();
        let mut depth_of_wanted = None;
        let mut next = height;
        let mut state = ProvenState::genesis(params.genesis_hash);
        while next > 0 {
            let Some(row) = lists.get(next).map_err(|source| self.failed(source))? else {
                if depth_of_wanted.is_some() {
                    return Err(self.damaged("base of a list"));
                }
                let blocks = transaction.open_table(LIST_BLOCKS).map_err(|source| self.failed(source))?;
                return match blocks.get(next).map_err(|source| self.failed(source))? {
                    Some(_) => Err(self.damaged("list")),
                    None => Ok(None),
                };
            };
            let (value, seal) = row.value();
            if sealed(next, value).1 != seal {
                return Err(self.damaged("list"));
            }
            let (hash, base_height, depth, diff) = value;
            let hash = BlockHash::from_byte_array(*hash);
            if depth_of_wanted.is_none() && block_hash.is_some_and(|wanted| wanted != hash) {
                return Ok(None);
            }
            if depth_of_wanted.is_some()
                && let Some(known) = known(BlockId { height: next, hash })
            {
                state = known;
                break;
            }
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
            let (header, hash) = self.header_of(height, row.value())?;
            let block = BlockRef { hash, header: &header, height };
            let checked = CheckedDiff::check(diff, block).map_err(|_| self.damaged("proof of a list"))?;
            state = state.advance(&checked).map_err(|_| self.damaged("list"))?;
        }
        Ok(Some((state, depth)))
    }
}

/// The row of a list.
pub(super) fn sealed(height: u32, contents: ListContents<'_>) -> ListValue<'_> {
    (contents, digest::<u32, ListContents<'_>>("lists", height, contents))
}

fn sealed_block(height: u32, hash: &[u8; 32]) -> (&[u8; 32], u64) {
    (hash, digest::<u32, &[u8; 32]>("list_blocks", height, hash))
}
