use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dashcore::Network;

use super::schema::FORMAT;

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
    #[error(
        "{} has format {found}, which {} version of qrsync writes and this one does not read; {}",
        path.display(), if is_newer(found) { "a later" } else { "an earlier" },
        if is_newer(found) {
            "upgrade, or choose another --data-dir"
        } else {
            "move it away and sync again, which takes seconds to minutes, or choose another --data-dir"
        }
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// The file is something else, or its beginning has been overwritten.
    #[error("{} is not a qrsync database; move it away, or choose another --data-dir", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// What is stored contradicts itself.
    #[error("{} is damaged ({what}); the next `qrsync sync` sets it aside and begins anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part.
        what: &'static str,
    },
    /// The file is shorter than it says.
    #[error("{} was cut off; the next `qrsync sync` sets it aside and begins anew", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// The file can be read and not written.
    #[error(
        "{} cannot be written, which a sync needs, and which is needed to repair a file that was not closed in order; check \
         its permissions, or choose another --data-dir",
        path.display()
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// What was done with the contents of the database panicked.
    #[error(
        "working on {} failed with an internal error ({what}); if that happens again, move the file away \
         and sync again, and report it",
        path.display()
    )]
    Panicked {
        /// The file.
        path: PathBuf,
        /// What the panic said.
        what: String,
    },
    /// The disk is full, or failed.
    #[error("cannot read or write {}: {source}{}", path.display(), disk_hint(source.kind()))]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
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

/// The database's own name for the format of its files begins so.
const FILE_FORMAT: &str = "redb ";

fn is_newer(found: &str) -> bool {
    let ours = FORMAT.parse::<u64>().unwrap_or(0);
    found.parse::<u64>().map_or_else(|_| !found.starts_with(FILE_FORMAT), |found| found > ours)
}

impl StoreError {
    /// Whether what is stored is damaged, so that nothing but beginning anew helps.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Truncated { .. })
    }

    /// The database panicked over a file.
    pub(super) fn unreadable(path: &Path) -> Self {
        let is_short = fs::metadata(path).is_ok_and(|file| file.len() % PAGE != 0);
        let path = path.to_owned();
        if is_short {
            Self::Truncated { path }
        } else {
            Self::Damaged { path, what: "a page cannot be read" }
        }
    }

    /// The database found that its pages do not fit each other.
    fn corrupted(path: &Path, text: &str) -> Self {
        let path = path.to_owned();
        match text.starts_with(CUT_OFF) {
            true => Self::Truncated { path },
            false => Self::Damaged { path, what: "a page contradicts another" },
        }
    }

    /// An open database failed.
    pub(super) fn database(path: &Path, source: redb::Error) -> Self {
        match source {
            redb::Error::Corrupted(text) => Self::corrupted(path, &text),
            redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TableDoesNotExist(_) => {
                Self::Damaged { path: path.to_owned(), what: "a page contradicts another" }
            }
            redb::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Truncated { path: path.to_owned() }
            }
            redb::Error::Io(source) => Self::Disk { path: path.to_owned(), source },
            source => Self::Database { path: path.to_owned(), source: Box::new(source) },
        }
    }

    /// A file cannot be opened.
    pub(super) fn open(path: &Path, source: redb::DatabaseError) -> Self {
        let path = path.to_owned();
        match source {
            redb::DatabaseError::DatabaseAlreadyOpen | redb::DatabaseError::LockProtocolMismatch => {
                Self::InUse { path }
            }
            redb::DatabaseError::UpgradeRequired(version) => {
                Self::Format { path, found: format!("{FILE_FORMAT}{version}") }
            }
            redb::DatabaseError::Storage(redb::StorageError::Io(source))
                if source.kind() == io::ErrorKind::UnexpectedEof =>
            {
                Self::Truncated { path }
            }
            redb::DatabaseError::Storage(redb::StorageError::Io(source))
                if is_forbidden(source.kind()) && fs::File::open(&path).is_ok() =>
            {
                Self::ReadOnly { path }
            }
            redb::DatabaseError::Storage(redb::StorageError::Io(source))
                if source.kind() == io::ErrorKind::InvalidData =>
            {
                match begins_with_zeros(&path) {
                    true => Self::Damaged { path, what: "its first page is empty" },
                    false => Self::Foreign { path },
                }
            }
            redb::DatabaseError::Storage(redb::StorageError::Io(source)) if is_full(source.kind()) => {
                Self::Disk { path, source }
            }
            redb::DatabaseError::Storage(redb::StorageError::Io(source)) => Self::Access { path, source },
            redb::DatabaseError::Storage(redb::StorageError::Corrupted(text)) => {
                Self::corrupted(&path, &text)
            }
            other => Self::database(&path, other.into()),
        }
    }
}

/// How the database begins to say that a file is shorter than it should be. If it came to say so otherwise, the file would
/// be called damaged, which is as true.
const CUT_OFF: &str = "File truncated";

/// Size of a page of the file, in bytes.
const PAGE: u64 = 4_096;

/// No other program's file begins so, but one of ours may after a power cut.
fn begins_with_zeros(path: &Path) -> bool {
    let mut beginning = [1; 64];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut beginning));
    read.is_ok() && beginning == [0; 64]
}

const fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn disk_hint(kind: io::ErrorKind) -> &'static str {
    if is_full(kind) { "; free some space, or choose another --data-dir" } else { "" }
}

const fn is_forbidden(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}
