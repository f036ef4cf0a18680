use std::io;

use parking_lot::Mutex;

/// What the disk said last when it failed: the database itself says of what follows only that something failed before.
#[derive(Debug, Default)]
pub(super) struct DiskFailure(Mutex<Option<(io::ErrorKind, String)>>);

impl DiskFailure {
    /// Remembers a failure of the disk, and puts it in the place of an error that only refers to it.
    pub(super) fn explain(&self, error: redb::Error) -> redb::Error {
        let mut last = self.0.lock();
        match error {
            redb::Error::Io(source) => {
                *last = Some((source.kind(), source.to_string()));
                redb::Error::Io(source)
            }
            redb::Error::PreviousIo => match last.clone() {
                Some((kind, text)) => redb::Error::Io(io::Error::new(kind, text)),
                None => redb::Error::PreviousIo,
            },
            error => error,
        }
    }
}
