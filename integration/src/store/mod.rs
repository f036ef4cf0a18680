//! The database: headers, proven lists, snapshots, what was found out about quorums, and which nodes there are. One redb file; every write is one durable transaction, so a process that is
//! killed at any point leaves the state before or after it.

mod ahead;
mod ancestry;
mod blocking;
mod error;
mod list_row;
mod lists;
mod peer_record;
mod peers;
mod quorums;
mod schema;
mod snapshots;

use std::fs;
use std::path::{Path, PathBuf};

use dashcore::consensus::deserialize;
use dashcore::params::WORK_BLOCK_DEPTH;
use dashcore::{BlockHash, ChainParams, Header, Network};
use redb::{Builder, Database, ReadableDatabase, ReadableTable, WriteTransaction};

pub(crate) use blocking::blocking;
pub use error::StoreError;
pub(crate) use list_row::{ListRow, ProvenList};
pub use peer_record::{Ban, BanReason, PeerRecord, Source};
pub(crate) use quorums::Unverified;
pub use quorums::{Finding, QuorumRow};
pub use snapshots::SnapshotRow;

use crate::chain::HeaderChain;
use schema::{
    EVO_NODES, FORMAT, HEADERS, HEIGHTS, LISTS, META, META_FORMAT, META_NETWORK, QUORUMS, SNAPSHOTS,
};

/// Name of the database file within the data directory.
const FILE_NAME: &str = "qrsync.redb";

/// Memory for pages of the file, in bytes. What is read again soon is a whole list or two; without a bound of ours
/// the cache would grow with the history that is synced.
const CACHE_SIZE: usize = 16 << 20;

/// An open database. Only one process can have it open.
#[derive(Debug)]
pub struct Store {
    database: Database,
    path: PathBuf,
    network: Network,
}

impl Store {
    /// Opens the database in `directory` for `network`, creating both where they are missing.
    ///
    /// # Errors
    /// When the directory cannot be written, the file is in use, of another network or format, or damaged.
    pub fn create_or_open(directory: &Path, network: &Network) -> Result<Self, StoreError> {
        fs::create_dir_all(directory)
            .map_err(|source| StoreError::Directory { path: directory.to_owned(), source })?;
        let path = directory.join(FILE_NAME);
        let database = builder().create(&path).map_err(|source| StoreError::open(&path, source))?;
        match read_network(&database, &path)? {
            None => write_meta(&database, network, &path)?,
            Some(found) if found != *network => {
                return Err(StoreError::OtherNetwork { path, found, expected: network.clone() });
            }
            Some(_) => {}
        }
        Ok(Self { database, path, network: network.clone() })
    }

    /// A database that exists only as long as this handle.
    ///
    /// # Errors
    /// When the database cannot be set up.
    pub fn in_memory(network: &Network) -> Result<Self, StoreError> {
        let path = PathBuf::from("(memory)");
        let backend = redb::backends::InMemoryBackend::new();
        let database =
            builder().create_with_backend(backend).map_err(|source| StoreError::open(&path, source))?;
        write_meta(&database, network, &path)?;
        Ok(Self { database, path, network: network.clone() })
    }

    /// Opens the database in `directory`, which must exist.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none, and as for [`create_or_open`](Self::create_or_open).
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        if !path.exists() {
            return Err(StoreError::Missing { path });
        }
        let database = builder().open(&path).map_err(|source| StoreError::open(&path, source))?;
        match read_network(&database, &path)? {
            Some(network) => Ok(Self { database, path, network }),
            None => Err(StoreError::Missing { path }),
        }
    }

    /// The network that the data is of.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The stored header chain; `None` before the first header is stored.
    ///
    /// # Errors
    /// When reading fails or the headers do not link up.
    pub fn chain(&self, params: &ChainParams) -> Result<Option<HeaderChain>, StoreError> {
        let transaction = self.read()?;
        let table = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
        let mut chain: Option<HeaderChain> = None;
        for row in table.iter().map_err(|source| self.failed(source))? {
            let (height, value) = row.map_err(|source| self.failed(source))?;
            let (header, hash) = value.value();
            let header: Header = deserialize(header).map_err(|_| self.damaged("header"))?;
            let hash = BlockHash::from_byte_array(*hash);
            match &mut chain {
                Some(chain) => {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "only headers of validated chains are stored"
                    )]
                    chain.restore(header, hash).map_err(|_| self.damaged("header chain"))?;
                }
                None => {
                    chain = Some(self.stored_start(&transaction, params, height.value(), header, hash)?);
                }
            }
        }
        Ok(chain)
    }

    /// The stored header chain up to the highest block whose list is stored; `None` where no list is. What lies above was
    /// never proven: earlier versions stored also headers of chains whose lists nobody serves.
    ///
    /// # Errors
    /// When reading fails or the headers do not link up.
    pub(crate) fn proven_chain(&self, params: &ChainParams) -> Result<Option<HeaderChain>, StoreError> {
        let Some(highest) = self.highest_list()? else { return Ok(None) };
        Ok(self.chain(params)?.and_then(|chain| chain.truncated(highest.min(chain.tip_height()))))
    }

    /// Makes the stored chain equal to `chain`: headers above `unchanged` are replaced, and lists, snapshots and
    /// quorums of blocks that are no longer in the chain are dropped. All headers are replaced with `unchanged` `None`, or
    /// where another block is stored at that height.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub fn save_chain(&self, chain: &HeaderChain, unchanged: Option<u32>) -> Result<(), StoreError> {
        let transaction = self.write()?;
        let is_stored = |height: &u32| Ok(self.stored_hash(&transaction, *height)? == chain.hash(*height));
        let unchanged = match unchanged {
            Some(height) if is_stored(&height)? => Some(height),
            _ => None,
        };
        self.write_headers(&transaction, chain, unchanged, chain.tip_height())?;
        transaction.commit().map_err(|source| self.failed(source))
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
                let (_, hash) = value.value();
                heights.remove(hash).map_err(|source| self.failed(source))?;
                replaced = true;
            }
            for height in first_changed.max(chain.start_height())..=last {
                if let (Some(header), Some(hash)) = (chain.header(height), chain.hash(height)) {
                    let row = (&header.to_bytes(), hash.as_byte_array());
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
            .retain_in(first_changed.., |cycle_base, (hash, _, _)| {
                cycle_base.checked_sub(WORK_BLOCK_DEPTH).is_some_and(|height| kept(height, hash))
            })
            .map_err(|source| self.failed(source))?;
        // A type and the hash of the base block.
        quorums
            .retain(|name, (height, _, _, _)| name.last_chunk().is_some_and(|hash| kept(height, hash)))
            .map_err(|source| self.failed(source))?;
        lists
            .retain_in(first_changed.., |height, (hash, _, _, _)| kept(height, hash))
            .map_err(|source| self.failed(source))
    }

    /// Height of a stored block.
    ///
    /// # Errors
    /// When reading fails.
    pub fn height_of(&self, hash: &BlockHash) -> Result<Option<u32>, StoreError> {
        let transaction = self.read()?;
        let table = transaction.open_table(HEIGHTS).map_err(|source| self.failed(source))?;
        let height = table.get(hash.as_byte_array()).map_err(|source| self.failed(source))?;
        Ok(height.map(|height| height.value()))
    }

    /// Hash of the stored block at a height.
    ///
    /// # Errors
    /// When reading fails.
    pub fn block_hash(&self, height: u32) -> Result<Option<BlockHash>, StoreError> {
        let transaction = self.read()?;
        let table = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
        let row = table.get(height).map_err(|source| self.failed(source))?;
        Ok(row.map(|row| BlockHash::from_byte_array(*row.value().1)))
    }

    /// Height and hash of the highest block whose list is stored.
    ///
    /// # Errors
    /// When reading fails.
    pub fn tip(&self) -> Result<Option<(u32, BlockHash)>, StoreError> {
        let Some(height) = self.highest_list()? else { return Ok(None) };
        Ok(self.block_hash(height)?.map(|hash| (height, hash)))
    }

    /// Number of stored headers, up to the tip where there is one.
    ///
    /// # Errors
    /// When reading fails.
    pub fn header_count(&self) -> Result<u64, StoreError> {
        let tip = self.highest_list()?;
        let transaction = self.read()?;
        let table = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
        let first = table.first().map_err(|source| self.failed(source))?.map(|(height, _)| height.value());
        let last = table.last().map_err(|source| self.failed(source))?.map(|(height, _)| height.value());
        let count = first.zip(tip.or(last)).map_or(0, |(first, last)| u64::from(last.abs_diff(first)) + 1);
        Ok(count)
    }

    fn read(&self) -> Result<redb::ReadTransaction, StoreError> {
        self.database.begin_read().map_err(|source| self.failed(source))
    }

    fn write(&self) -> Result<WriteTransaction, StoreError> {
        self.database.begin_write().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: impl Into<redb::Error>) -> StoreError {
        StoreError::Database { path: self.path.clone(), source: Box::new(source.into()) }
    }

    pub(crate) fn panicked(&self, what: String) -> StoreError {
        StoreError::Panicked { path: self.path.clone(), what }
    }

    fn damaged(&self, what: &'static str) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), what }
    }
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_SIZE);
    builder
}

/// `None` for a database that was just created.
fn read_network(database: &Database, path: &Path) -> Result<Option<Network>, StoreError> {
    let failed =
        |source: redb::Error| StoreError::Database { path: path.to_owned(), source: Box::new(source) };
    let transaction = database.begin_read().map_err(|source| failed(source.into()))?;
    let table = match transaction.open_table(META) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(source) => return Err(failed(source.into())),
    };
    let read = |key| -> Result<Option<String>, StoreError> {
        let value = table.get(key).map_err(|source| failed(source.into()))?;
        Ok(value.map(|value| value.value().to_owned()))
    };
    if let Some(found) = read(META_FORMAT)?.filter(|found| found != FORMAT) {
        return Err(StoreError::Format { path: path.to_owned(), found });
    }
    let network = read(META_NETWORK)?;
    let parsed = network.map(|name| name.parse()).transpose();
    parsed.map_err(|_| StoreError::Damaged { path: path.to_owned(), what: "network name" })
}

fn write_meta(database: &Database, network: &Network, path: &Path) -> Result<(), StoreError> {
    let write = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert(META_FORMAT, FORMAT)?;
            meta.insert(META_NETWORK, network.to_string().as_str())?;
            transaction.open_table(HEADERS)?;
            transaction.open_table(HEIGHTS)?;
            transaction.open_table(LISTS)?;
            transaction.open_table(EVO_NODES)?;
            transaction.open_table(SNAPSHOTS)?;
            transaction.open_table(QUORUMS)?;
        }
        transaction.commit()?;
        Ok(())
    };
    write().map_err(|source| StoreError::Database { path: path.to_owned(), source: Box::new(source) })
}

#[cfg(test)]
mod tests;
