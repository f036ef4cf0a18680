//! The database: headers, the highest ChainLock, proven lists, snapshots, what was found out about quorums, and which nodes there are. One redb file; every write is one durable transaction, so a process that is
//! killed at any point leaves the state before or after it.

mod ahead;
mod ancestry;
mod aside;
mod attempt;
mod backing;
mod blocking;
mod chain_lock;
mod contained;
mod digest;
mod disk_failure;
mod error;
mod header_row;
mod list_row;
mod lists;
pub(crate) mod metrics;
mod opening;
mod params;
mod peer_record;
mod peers;
mod quorums;
mod replacing;
mod schema;
mod snapshots;
mod tip;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::params::WORK_BLOCK_DEPTH;
use dashcore::{BlockHash, ChainParams, Network};
use parking_lot::{Mutex, RwLock};
use redb::{ReadableTable, WriteTransaction};
use tokio::sync::watch;

pub(crate) use blocking::blocking;
pub use contained::panic_is_contained;
use disk_failure::DiskFailure;
pub use error::StoreError;
pub(crate) use list_row::{ListRow, ProvenList};
pub use opening::FILE_NAME;
pub use peer_record::{Ban, BanReason, PeerRecord, Source};
pub(crate) use quorums::Unverified;
pub use quorums::{Finding, QuorumRow};
pub use snapshots::SnapshotRow;

use crate::chain::HeaderChain;
use crate::panicked::Panicked;
use backing::Backing;
use contained::contained;
use header_row::header_value;
use schema::{HEADERS, HEIGHTS, LIST_BLOCKS, LISTS, QUORUMS, SNAPSHOTS};

/// An open database. Only one process can have it open to write.
#[derive(Debug)]
pub struct Store {
    /// Another one takes its place when it is damaged.
    backing: RwLock<Arc<Backing>>,
    path: PathBuf,
    network: Network,
    /// The highest ChainLock, for those who watch it.
    best_lock: watch::Sender<Option<ChainLock>>,
    disk_failure: DiskFailure,
    /// The highest block whose list is stored, for those who watch it.
    tips: watch::Sender<Option<(u32, BlockHash)>>,
    telling_tip: Mutex<()>,
}

impl Store {
    /// The network that the data is of.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The file; `(memory)` where there is none.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The stored header chain; `None` before the first header is stored.
    ///
    /// # Errors
    /// When reading fails or the headers do not link up.
    pub fn chain(&self, params: &ChainParams) -> Result<Option<HeaderChain>, StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let table = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
            let mut chain: Option<HeaderChain> = None;
            for row in table.iter().map_err(|source| self.failed(source))? {
                let (height, value) = row.map_err(|source| self.failed(source))?;
                let (header, hash) = self.header_of(height.value(), value.value())?;
                match &mut chain {
                    Some(chain) => {
                        #[expect(
                            clippy::disallowed_methods,
                            reason = "only headers of validated chains are stored"
                        )]
                        chain.restore(header, hash).map_err(|_| self.damaged("header chain"))?;
                    }
                    None => {
                        chain =
                            Some(self.stored_start(&transaction, params, height.value(), header, hash)?);
                    }
                }
            }
            Ok(chain)
        })
    }

    /// The stored header chain up to the highest block whose list is stored; `None` where no list is. What lies above was
    /// never proven: earlier versions stored also headers of chains whose lists nobody serves.
    ///
    /// # Errors
    /// When reading fails or the headers do not link up.
    pub(crate) fn proven_chain(&self, params: &ChainParams) -> Result<Option<HeaderChain>, StoreError> {
        self.contained(|| {
            let Some(highest) = self.highest_list()? else { return Ok(None) };
            Ok(self.chain(params)?.and_then(|chain| chain.truncated(highest.min(chain.tip_height()))))
        })
    }

    /// Makes the stored chain equal to `chain`: headers above `unchanged` are replaced, and lists, snapshots and
    /// quorums of blocks that are no longer in the chain are dropped. All headers are replaced with `unchanged` `None`, or
    /// where another block is stored at that height.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub fn save_chain(&self, chain: &HeaderChain, unchanged: Option<u32>) -> Result<(), StoreError> {
        self.contained(|| {
            let transaction = self.write()?;
            let is_stored =
                |height: &u32| Ok(self.stored_hash(&transaction, *height)? == chain.hash(*height));
            let unchanged = match unchanged {
                Some(height) if is_stored(&height)? => Some(height),
                _ => None,
            };
            self.write_headers(&transaction, chain, unchanged, chain.tip_height())?;
            transaction.commit().map_err(|source| self.failed(source))
        })?;
        self.tell_tip()
    }

    /// Makes sure that the stored chain has the block of `chain` at `height`. What else is stored stays as far as it is of
    /// `chain`; a branch that is left goes with its lists, snapshots and quorums.
    pub(super) fn extend_headers(
        &self,
        transaction: &WriteTransaction,
        chain: &HeaderChain,
        height: u32,
    ) -> Result<(), StoreError> {
        if chain.hash(height).is_none() || self.stored_hash(transaction, height)? == chain.hash(height) {
            return Ok(());
        }
        let unchanged = {
            let headers = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
            let first = headers.first().map_err(|source| self.failed(source))?;
            // A chain that reaches further down is stored anew.
            match first.is_some_and(|(first, _)| first.value() <= chain.start_height()) {
                true => self.last_common(&headers, chain)?.map(|common| common.min(height)),
                false => None,
            }
        };
        self.write_headers(transaction, chain, unchanged, height)
    }

    /// Replaces the headers above `unchanged` by those of `chain` up to `last`.
    fn write_headers(
        &self,
        transaction: &WriteTransaction,
        chain: &HeaderChain,
        unchanged: Option<u32>,
        last: u32,
    ) -> Result<(), StoreError> {
        self.write_ancestry(transaction, chain)?;
        let first_changed = unchanged.map_or(0, |height| height + 1);
        let mut replaced = unchanged.is_none();
        {
            let mut headers = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
            let mut heights = transaction.open_table(HEIGHTS).map_err(|source| self.failed(source))?;
            for row in
                headers.extract_from_if(first_changed.., |_, _| true).map_err(|source| self.failed(source))?
            {
                let (_, value) = row.map_err(|source| self.failed(source))?;
                let (_, hash, _) = value.value();
                heights.remove(hash).map_err(|source| self.failed(source))?;
                replaced = true;
            }
            for height in first_changed.max(chain.start_height())..=last {
                if let (Some(header), Some(hash)) = (chain.header(height), chain.hash(height)) {
                    let header = header.to_bytes();
                    let row = header_value(height, &header, hash.as_byte_array());
                    headers.insert(height, row).map_err(|source| self.failed(source))?;
                    heights.insert(hash.as_byte_array(), height).map_err(|source| self.failed(source))?;
                }
            }
        }
        if replaced {
            self.drop_what_left(transaction, chain, first_changed)?;
        }
        Ok(())
    }

    fn stored_hash(
        &self,
        transaction: &WriteTransaction,
        height: u32,
    ) -> Result<Option<BlockHash>, StoreError> {
        let headers = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
        let row = headers.get(height).map_err(|source| self.failed(source))?;
        Ok(row.map(|row| BlockHash::from_byte_array(*row.value().1)))
    }

    /// Drops what is stored of blocks from `first_changed` on that are not in the chain.
    fn drop_what_left(
        &self,
        transaction: &WriteTransaction,
        chain: &HeaderChain,
        first_changed: u32,
    ) -> Result<(), StoreError> {
        let mut lists = transaction.open_table(LISTS).map_err(|source| self.failed(source))?;
        let mut snapshots = transaction.open_table(SNAPSHOTS).map_err(|source| self.failed(source))?;
        let mut quorums = transaction.open_table(QUORUMS).map_err(|source| self.failed(source))?;
        let kept =
            |height, hash: &[u8; 32]| chain.hash(height).is_some_and(|kept| kept.as_byte_array() == hash);
        snapshots
            .retain_in(first_changed.., |cycle_base, ((hash, _, _), _)| {
                cycle_base.checked_sub(WORK_BLOCK_DEPTH).is_some_and(|height| kept(height, hash))
            })
            .map_err(|source| self.failed(source))?;
        // A type and the hash of the base block.
        quorums
            .retain(|name, ((height, _, _, _), _)| name.last_chunk().is_some_and(|hash| kept(height, hash)))
            .map_err(|source| self.failed(source))?;
        lists
            .retain_in(first_changed.., |height, ((hash, _, _, _), _)| kept(height, hash))
            .map_err(|source| self.failed(source))?;
        let mut blocks = transaction.open_table(LIST_BLOCKS).map_err(|source| self.failed(source))?;
        blocks
            .retain_in(first_changed.., |height, (hash, _)| kept(height, hash))
            .map_err(|source| self.failed(source))
    }

    /// Height of a stored block.
    ///
    /// # Errors
    /// When reading fails.
    pub fn height_of(&self, hash: &BlockHash) -> Result<Option<u32>, StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let table = transaction.open_table(HEIGHTS).map_err(|source| self.failed(source))?;
            let height = table.get(hash.as_byte_array()).map_err(|source| self.failed(source))?;
            let Some(height) = height.map(|height| height.value()) else { return Ok(None) };
            let headers = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
            let row = headers.get(height).map_err(|source| self.failed(source))?;
            match row.is_some_and(|row| row.value().1 == hash.as_byte_array()) {
                true => Ok(Some(height)),
                false => Err(self.damaged("height of a block")),
            }
        })
    }

    /// Hash of the stored block at a height.
    ///
    /// # Errors
    /// When reading fails.
    pub fn block_hash(&self, height: u32) -> Result<Option<BlockHash>, StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let table = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
            let row = table.get(height).map_err(|source| self.failed(source))?;
            let Some(row) = row else { return Ok(None) };
            let hash = row.value().1;
            let heights = transaction.open_table(HEIGHTS).map_err(|source| self.failed(source))?;
            let known = heights.get(hash).map_err(|source| self.failed(source))?.map(|known| known.value());
            match known == Some(height) {
                true => Ok(Some(BlockHash::from_byte_array(*hash))),
                false => Err(self.damaged("hash of a block")),
            }
        })
    }

    /// Height and hash of the highest block whose list is stored.
    ///
    /// # Errors
    /// When reading fails.
    pub fn tip(&self) -> Result<Option<(u32, BlockHash)>, StoreError> {
        self.contained(|| {
            let Some(height) = self.highest_list()? else { return Ok(None) };
            Ok(self.block_hash(height)?.map(|hash| (height, hash)))
        })
    }

    /// Number of stored headers, up to the tip where there is one.
    ///
    /// # Errors
    /// When reading fails.
    pub fn header_count(&self) -> Result<u64, StoreError> {
        self.contained(|| {
            let tip = self.highest_list()?;
            let transaction = self.read()?;
            let table = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
            let first =
                table.first().map_err(|source| self.failed(source))?.map(|(height, _)| height.value());
            let last = table.last().map_err(|source| self.failed(source))?.map(|(height, _)| height.value());
            let count =
                first.zip(tip.or(last)).map_or(0, |(first, last)| u64::from(last.abs_diff(first)) + 1);
            Ok(count)
        })
    }

    fn read(&self) -> Result<redb::ReadTransaction, StoreError> {
        let backing = self.backing.read().clone();
        backing.begin_read().map_err(|source| self.failed(source))
    }

    fn write(&self) -> Result<WriteTransaction, StoreError> {
        let backing = self.backing.read().clone();
        let begun = backing.begin_write().ok_or_else(|| StoreError::ReadOnly { path: self.path.clone() })?;
        begun.map_err(|source| self.failed(source))
    }

    fn of(backing: Backing, path: &Path, network: Network) -> Self {
        Self {
            backing: RwLock::new(Arc::new(backing)),
            path: path.to_owned(),
            network,
            best_lock: watch::Sender::new(None),
            disk_failure: DiskFailure::default(),
            tips: watch::Sender::new(None),
            telling_tip: Mutex::new(()),
        }
    }

    /// Works on the database, which panics on some damaged files.
    fn contained<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        contained(work).unwrap_or_else(|| Err(StoreError::unreadable(&self.path)))
    }

    fn failed(&self, source: impl Into<redb::Error>) -> StoreError {
        StoreError::database(&self.path, self.disk_failure.explain(source.into()))
    }

    pub(crate) fn panicked(&self, panic: &Panicked) -> StoreError {
        StoreError::Panicked { path: self.path.clone(), what: panic.to_string() }
    }

    pub(crate) fn damaged(&self, what: &'static str) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), what }
    }
}

#[cfg(test)]
mod tests;
