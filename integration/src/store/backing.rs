use std::fmt;

use redb::{
    Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, TransactionError,
    WriteTransaction,
};

use super::contained::contained;

/// The database below a store.
pub(super) struct Backing(Option<Kind>);

enum Kind {
    /// A file, or memory, that is written.
    Writable(Database),
    /// A file that is only read, as it may have to be.
    ReadOnly(ReadOnlyDatabase),
}

impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind() {
            Kind::Writable(_) => "Writable",
            Kind::ReadOnly(_) => "ReadOnly",
        })
    }
}

impl Backing {
    pub(super) fn writable(database: Database) -> Self {
        Self(Some(Kind::Writable(database)))
    }

    pub(super) fn read_only(database: ReadOnlyDatabase) -> Self {
        Self(Some(Kind::ReadOnly(database)))
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, TransactionError> {
        match self.kind() {
            Kind::Writable(database) => database.begin_read(),
            Kind::ReadOnly(database) => database.begin_read(),
        }
    }

    /// `None` where nothing can be written.
    pub(super) fn begin_write(&self) -> Option<Result<WriteTransaction, TransactionError>> {
        match self.kind() {
            Kind::Writable(database) => Some(database.begin_write()),
            Kind::ReadOnly(_) => None,
        }
    }

    /// Compares every page with its checksum, and goes back to what was written before where that helps; whether it did.
    /// What is only read is left as it is.
    pub(super) fn check(&mut self) -> Result<bool, DatabaseError> {
        match &mut self.0 {
            Some(Kind::Writable(database)) => database.check_integrity().map(|is_whole| !is_whole),
            Some(Kind::ReadOnly(_)) | None => Ok(false),
        }
    }

    fn kind(&self) -> &Kind {
        self.0.as_ref().expect("it is taken out when this is dropped")
    }
}

impl Drop for Backing {
    /// Closing writes, which panics on some damaged files. Everything that was committed is there already.
    fn drop(&mut self) {
        let kind = self.0.take();
        contained(|| drop(kind));
    }
}
