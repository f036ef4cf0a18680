use std::fs;
use std::path::{Path, PathBuf};

use dashcore::Network;
use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, StorageBackend};

use super::aside::set_aside;
use super::attempt::Attempt;
use super::backing::Backing;
use super::contained::contained;
use super::schema::{
    EVO_NODES, FORMAT, HEADERS, HEIGHTS, LIST_BLOCKS, LISTS, META, META_FORMAT, META_NETWORK, QUORUMS,
    SNAPSHOTS,
};
use super::{Store, StoreError};

/// Name of the database file within the data directory.
pub const FILE_NAME: &str = "qrsync.redb";

/// Stands for the path of a database that is in no file.
pub(super) const MEMORY: &str = "(memory)";

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
        guarded(&path, || Ok(Self::of(create(&path, network)?, &path, network.clone())))
    }

    /// The same; a damaged file is set aside under another name, which is logged, and another one begun. What it held are
    /// public data, which the next sync brings again. A file also counts as damaged if the last three processes died while
    /// they opened it.
    ///
    /// # Errors
    /// As for [`create_or_open`](Self::create_or_open), but for damage, and when the file cannot be renamed.
    pub fn create_or_replace(directory: &Path, network: &Network) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        let attempt = Attempt::begin(&path);
        if attempt.is_hopeless() && path.exists() {
            let what = "the last three processes died while they opened it";
            set_aside(&path, &StoreError::Damaged { path: path.clone(), what })?;
        }
        match Self::create_or_open(directory, network) {
            Err(error) if error.is_damage() => {
                set_aside(&path, &error)?;
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
        let path = PathBuf::from(MEMORY);
        Ok(Self::of(create_in_memory(network)?, &path, network.clone()))
    }

    /// The database in this storage, begun where that is empty: how a simulation keeps it on a disk that fails. Damaged while
    /// it is open, it is replaced by one in memory, and the storage stays as it is.
    ///
    /// # Errors
    /// As for [`create_or_open`](Self::create_or_open).
    pub fn on(storage: impl StorageBackend, network: &Network) -> Result<Self, StoreError> {
        let path = Path::new(MEMORY);
        guarded(path, || Ok(Self::of(create_on(storage, path, network)?, path, network.clone())))
    }

    /// Opens the database in `directory`, which must exist.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none, and as for [`create_or_open`](Self::create_or_open).
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        Self::open_existing(directory, |path| {
            let database = builder().open(path).map_err(|source| StoreError::open(path, source))?;
            Ok(Backing::writable(database))
        })
    }

    /// The same, to be read alone: the file need not be writable, and others may read it at the same time. Only one that was
    /// not closed in order is written, to repair it.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_to_read(directory: &Path) -> Result<Self, StoreError> {
        Self::open_existing(directory, |path| match builder().open_read_only(path) {
            Ok(database) => Ok(Backing::read_only(database)),
            Err(DatabaseError::RepairAborted) => {
                let database = builder().open(path).map_err(|source| StoreError::open(path, source))?;
                Ok(Backing::writable(database))
            }
            Err(source) => Err(StoreError::open(path, source)),
        })
    }

    fn open_existing(
        directory: &Path,
        open: impl FnOnce(&Path) -> Result<Backing, StoreError>,
    ) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        if !path.exists() {
            return Err(StoreError::Missing { path });
        }
        guarded(&path, || {
            let backing = open(&path)?;
            match read_network(&backing, &path)? {
                Some(network) => Ok(Self::of(backing, &path, network)),
                None => Err(StoreError::Missing { path: path.clone() }),
            }
        })
    }
}

/// Opens a file. Pages that are damaged can make the database panic.
pub(super) fn guarded<T>(path: &Path, open: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    contained(open).unwrap_or_else(|| Err(StoreError::unreadable(path)))
}

/// A database of this network in this file, which may be there. All of it is read then: a page that nothing reads during a
/// sync would stay damaged for ever.
pub(super) fn create(path: &Path, network: &Network) -> Result<Backing, StoreError> {
    let is_new = !path.exists();
    let mut backing = prepared(builder().create(path), path, network)?;
    if !is_new && backing.check().map_err(|source| StoreError::open(path, source))? {
        tracing::warn!(file = %path.display(), "the last write to the database is damaged and was undone");
    }
    Ok(backing)
}

pub(super) fn create_in_memory(network: &Network) -> Result<Backing, StoreError> {
    create_on(InMemoryBackend::new(), Path::new(MEMORY), network)
}

fn create_on(storage: impl StorageBackend, path: &Path, network: &Network) -> Result<Backing, StoreError> {
    prepared(builder().create_with_backend(storage), path, network)
}

/// A database that is new, or of this network.
fn prepared(
    opened: Result<Database, DatabaseError>,
    path: &Path,
    network: &Network,
) -> Result<Backing, StoreError> {
    let backing = Backing::writable(opened.map_err(|source| StoreError::open(path, source))?);
    match read_network(&backing, path)? {
        None => write_meta(&backing, network, path)?,
        Some(found) if found != *network => {
            let (path, expected) = (path.to_owned(), network.clone());
            return Err(StoreError::OtherNetwork { path, found, expected });
        }
        Some(_) => {}
    }
    Ok(backing)
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_SIZE);
    builder
}

/// `None` for a database that was just created.
fn read_network(backing: &Backing, path: &Path) -> Result<Option<Network>, StoreError> {
    let failed = |source: redb::Error| StoreError::database(path, source);
    let transaction = backing.begin_read().map_err(|source| failed(source.into()))?;
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

fn write_meta(backing: &Backing, network: &Network, path: &Path) -> Result<(), StoreError> {
    let write = || -> Result<(), redb::Error> {
        let Some(transaction) = backing.begin_write() else { return Ok(()) };
        let transaction = transaction?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert(META_FORMAT, FORMAT)?;
            meta.insert(META_NETWORK, network.to_string().as_str())?;
            transaction.open_table(HEADERS)?;
            transaction.open_table(HEIGHTS)?;
            transaction.open_table(LISTS)?;
            transaction.open_table(LIST_BLOCKS)?;
            transaction.open_table(EVO_NODES)?;
            transaction.open_table(SNAPSHOTS)?;
            transaction.open_table(QUORUMS)?;
        }
        transaction.commit()?;
        Ok(())
    };
    write().map_err(|source| StoreError::database(path, source))
}
