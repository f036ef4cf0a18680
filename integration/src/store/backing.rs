use std::fmt;

use redb::{Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, WriteTransaction};

/// The database below a store.
pub(super) enum Backing {
    /// A file, or memory, that is written.
    Writable(Database),
    /// A file that is only read, as it may have to be.
    ReadOnly(ReadOnlyDatabase),
}

impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Writable(_) => "Writable",
            Self::ReadOnly(_) => "ReadOnly",
        })
    }
}

impl Backing {
    pub(super) fn begin_read(&self) -> Result<ReadTransaction, redb::TransactionError> {
        match self {
            Self::Writable(database) => database.begin_read(),
            Self::ReadOnly(database) => database.begin_read(),
        }
    }

    /// `None` where nothing can be written.
    pub(super) fn begin_write(&self) -> Option<Result<WriteTransaction, redb::TransactionError>> {
        match self {
            Self::Writable(database) => Some(database.begin_write()),
            Self::ReadOnly(_) => None,
        }
    }
}
