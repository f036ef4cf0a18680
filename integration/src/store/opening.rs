use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use dashcore::Network;
use redb::{Builder, Database, ReadableDatabase};
use tokio::sync::watch;

use super::schema::{
    EVO_NODES, FORMAT, HEADERS, HEIGHTS, LISTS, META, META_FORMAT, META_NETWORK, QUORUMS, SNAPSHOTS,
};
use super::{Store, StoreError};
use crate::clock;

/// Name of the database file within the data directory.
pub(super) const FILE_NAME: &str = "qrsync.redb";

/// Memory for pages of the file, in bytes. What is read again soon is a whole list or two; without a bound of ours
/// the cache would grow with the history that is synced.
const CACHE_SIZE: usize = 16 << 20;

impl Store {
    /// Opens the database in `directory` for `network`, creating both where they are missing.
    ///
    /// # Errors
    /// When the directory cannot be written, the file is in use, of another network or format, or damaged.
    pub fn create_or_open(directory: &Path, network: &Network) -> Result<Self, StoreError> {
        fs::create_dir_all(directory)
            .map_err(|source| StoreError::Directory { path: directory.to_owned(), source })?;
        let path = directory.join(FILE_NAME);
        guarded(&path, || {
            let database = builder().create(&path).map_err(|source| StoreError::open(&path, source))?;
            match read_network(&database, &path)? {
                None => write_meta(&database, network, &path)?,
                Some(found) if found != *network => {
                    let (path, expected) = (path.clone(), network.clone());
                    return Err(StoreError::OtherNetwork { path, found, expected });
                }
                Some(_) => {}
            }
            Ok(Self {
                database,
                path: path.clone(),
                network: network.clone(),
                best_lock: watch::Sender::new(None),
            })
        })
    }

    /// The same; a damaged file is set aside under another name, which is logged, and another one begun. What it held are
    /// public data, which the next sync brings again.
    ///
    /// # Errors
    /// As for [`create_or_open`](Self::create_or_open), but for damage, and when the file cannot be renamed.
    pub fn create_or_replace(directory: &Path, network: &Network) -> Result<Self, StoreError> {
        match Self::create_or_open(directory, network) {
            Err(error @ StoreError::Damaged { .. }) => {
                let aside = set_aside(directory)?;
                tracing::warn!(%error, aside = %aside.display(), "the damaged file was set aside; syncing anew");
                Self::create_or_open(directory, network)
            }
            opened => opened,
        }
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
        Ok(Self { database, path, network: network.clone(), best_lock: watch::Sender::new(None) })
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
        guarded(&path, || {
            let database = builder().open(&path).map_err(|source| StoreError::open(&path, source))?;
            match read_network(&database, &path)? {
                Some(network) => {
                    Ok(Self { database, path: path.clone(), network, best_lock: watch::Sender::new(None) })
                }
                None => Err(StoreError::Missing { path: path.clone() }),
            }
        })
    }
}

/// Opens a file. Pages that are damaged can make the database panic.
fn guarded<T>(path: &Path, open: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let damaged =
        || StoreError::Damaged { path: path.to_owned(), what: "the database fails to read its pages" };
    catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| Err(damaged()))
}

/// Gives the file another name, and returns that.
fn set_aside(directory: &Path) -> Result<PathBuf, StoreError> {
    let path = directory.join(FILE_NAME);
    // Not every file system takes colons.
    let date = humantime::format_rfc3339_seconds(UNIX_EPOCH + clock::unix_now()).to_string().replace(':', "");
    let aside = directory.join(format!("{FILE_NAME}.damaged-{date}"));
    match fs::rename(&path, &aside) {
        Ok(()) => Ok(aside),
        Err(source) => Err(StoreError::Access { path, source }),
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
