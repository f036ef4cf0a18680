use std::io;
use std::path::{Path, PathBuf};

use dashcore::Network;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The data directory cannot be created.
    #[error("cannot create data directory {}: {source}; choose another with --data-dir", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database file cannot be opened or created.
    #[error("cannot open {}: {source}; check its permissions or choose another --data-dir", path.display())]
    Access {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no database.
    #[error("no data at {}; run `qrsync sync` with this --data-dir first", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("{} is in use by another qrsync; stop that one first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The data is of another network.
    #[error("{} holds data of network {found}, not {expected}; choose another --data-dir", path.display())]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// Its network.
        found: Network,
        /// The network asked for.
        expected: Network,
    },
    /// The file was written by another version.
    #[error("{} has format {found}, which this version does not read; choose another --data-dir", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// The file is something else, or its beginning is damaged.
    #[error("{} is not a qrsync database; move it away, or choose another --data-dir", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// What is stored contradicts itself.
    #[error("{} is damaged ({what}); move it away and sync again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part.
        what: &'static str,
    },
    /// The database, or what was done with its contents, panicked.
    #[error(
        "working on {} failed in a way that should not be possible ({what}); if that happens again, move the file away \
         and sync again, and report it",
        path.display()
    )]
    Panicked {
        /// The file.
        path: PathBuf,
        /// What the panic said.
        what: String,
    },
    /// The database failed.
    #[error("database {} failed: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
}

impl StoreError {
    pub(super) fn open(path: &Path, source: redb::DatabaseError) -> Self {
        let path = path.to_owned();
        match source {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::InUse { path },
            redb::DatabaseError::Storage(redb::StorageError::Io(source))
                if source.kind() == io::ErrorKind::InvalidData =>
            {
                Self::Foreign { path }
            }
            redb::DatabaseError::Storage(redb::StorageError::Io(source)) => Self::Access { path, source },
            redb::DatabaseError::Storage(redb::StorageError::Corrupted(_)) => {
                Self::Damaged { path, what: "corrupted file" }
            }
            other => Self::Database { path, source: Box::new(other.into()) },
        }
    }
}
