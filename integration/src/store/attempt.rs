use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Processes that may die while they open a file before it counts as damaged.
const MOST_DEATHS: u32 = 3;

/// Counts the attempts to open a database, in a file beside it that is there only meanwhile.
///
/// A damaged page number can make redb ask for more memory than there is, which ends the process and no code of ours can
/// contain. Whoever supervises the process starts it again, for ever, unless the next one knows.
#[derive(Debug)]
pub(super) struct Attempt {
    counter: PathBuf,
    deaths: u32,
}

impl Attempt {
    /// Where the count cannot be written, nothing is counted: the disk may be full or read-only.
    pub(super) fn begin(database: &Path) -> Self {
        let mut name = OsString::from(database);
        name.push(".opening");
        let counter = PathBuf::from(name);
        let deaths =
            fs::read_to_string(&counter).ok().and_then(|count| count.trim().parse().ok()).unwrap_or(0);
        if database.exists() {
            fs::write(&counter, format!("{}\n", u32::saturating_add(deaths, 1))).ok();
        }
        Self { counter, deaths }
    }

    /// Whether each of the last processes died meanwhile.
    pub(super) fn is_hopeless(&self) -> bool {
        self.deaths >= MOST_DEATHS
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        fs::remove_file(&self.counter).ok();
    }
}
